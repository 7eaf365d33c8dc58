//! What sources tell of agreements: notices, late, twice and in any order.

use actix_web::web::{Data, Json};
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::agreement_cursor::TimeCursor;
use super::agreement_views::{AgreementSummaryView, AgreementTermsBody, AgreementTermsView, kept};
use super::arguments::{Limit, time};
use super::policy_views::StampView;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AgreementMissing, AgreementNoticeConflict, AuthProblems, BodyProblems, EventConflict,
    InputProblems,
};
use crate::app::code::Code;
use crate::app::hear_notice::{Heard, Of, hear_notice as hear};
use crate::app::{AppContext, AppError, read_agreements};
use crate::domain::agreement::{AgreementNoticeKind, HeardNotice, Notice, Terms, Told};
use crate::domain::ids::AgreementId;
use crate::domain::listing::EndCause;

/// Something that happened to an agreement, as its source tells it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeBody {
    /// The source's own id of the event: 1 to 128 printable characters without blanks. The same event may be told any number of times.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "evt-17"
    )]
    event_id: String,
    /// When it happened, by the source's clock: at most 5 minutes ahead of ours. What is said of the same thing later counts, whenever it is heard.
    #[serde(deserialize_with = "time")]
    #[schema(example = "2026-11-27T09:30:00Z")]
    at: DateTime<Utc>,
    /// What happened.
    kind: AgreementNoticeKind,
    /// Of `made` alone: for when and how much. All of it, as it is now.
    terms: Option<AgreementTermsBody>,
    /// Of `ended` alone: why.
    cause: Option<EndCause>,
    /// Why, in words.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// The same, of an agreement that need not be known yet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferredNoticeBody {
    /// The provider's own id of the agreement.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "order-4711"
    )]
    reference: String,
    /// The source's own id of the event: 1 to 128 printable characters without blanks. The same event may be told any number of times.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "evt-17"
    )]
    event_id: String,
    /// When it happened, by the source's clock: at most 5 minutes ahead of ours. What is said of the same thing later counts, whenever it is heard.
    #[serde(deserialize_with = "time")]
    #[schema(example = "2026-11-27T09:30:00Z")]
    at: DateTime<Utc>,
    /// What happened.
    kind: AgreementNoticeKind,
    /// Of `made` alone: for when and how much. All of it, as it is now.
    terms: Option<AgreementTermsBody>,
    /// Of `ended` alone: why.
    cause: Option<EndCause>,
    /// Why, in words.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

impl ReferredNoticeBody {
    fn split(self) -> (String, NoticeBody) {
        let notice = NoticeBody {
            event_id: self.event_id,
            at: self.at,
            kind: self.kind,
            terms: self.terms,
            cause: self.cause,
            reason: self.reason,
        };
        (self.reference, notice)
    }
}

impl NoticeBody {
    fn notice(self) -> Result<(Notice, Option<String>), AppError> {
        let (kind, has_terms, has_cause) = (self.kind, self.terms.is_some(), self.cause.is_some());
        let told = Told::of(kind, self.terms.map(Terms::from), self.cause);
        let told = told.ok_or_else(|| {
            let (field, detail) = match (kind, has_terms, has_cause) {
                (AgreementNoticeKind::Made, false, _) => {
                    ("terms", "say for when and how much it was made")
                }
                (AgreementNoticeKind::Ended, _, false) => ("cause", "say why it ended"),
                (kind, true, _) if kind != AgreementNoticeKind::Made => {
                    ("terms", "terms are told of what was made or amended")
                }
                _ => ("cause", "a cause is said of what has ended"),
            };
            AppError::new(Code::InvalidRequest, detail).field(field)
        })?;
        let notice = Notice {
            id: self.event_id,
            at: kept(self.at),
            told,
        };
        Ok((notice, self.reason))
    }
}

/// A notice, as it was heard first.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeView {
    /// The source's id of the event; one that begins with `portcullis:` is of what people said here.
    #[schema(example = "evt-17")]
    event_id: String,
    /// The agreement's id at its source.
    #[schema(example = "order-4711")]
    reference: String,
    /// When it happened, by the source's clock.
    #[schema(example = "2026-11-27T09:30:00Z")]
    at: DateTime<Utc>,
    /// What happened.
    kind: AgreementNoticeKind,
    /// For when and how much it was made; null of anything else.
    terms: Option<AgreementTermsView>,
    /// Why it ended; null of anything else.
    #[schema(example = "cancelled")]
    cause: Option<EndCause>,
    /// Why, in words.
    reason: Option<String>,
    /// Who told it here.
    heard: StampView,
}

impl From<HeardNotice> for NoticeView {
    fn from(row: HeardNotice) -> Self {
        let kind = row.notice.told.kind();
        let (terms, cause) = match row.notice.told {
            Told::Made(terms) => (Some(terms), None),
            Told::Ended(cause) => (None, Some(cause)),
            _ => (None, None),
        };
        Self {
            event_id: row.notice.id,
            reference: row.reference,
            at: row.notice.at,
            kind,
            terms: terms.map(Into::into),
            cause,
            reason: row.reason,
            heard: row.heard.into(),
        }
    }
}

/// What became of a notice.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeardView {
    /// Whether the event was told for the first time.
    new: bool,
    /// Whether the agreement is known. What is told before is kept, and counts once it is made known.
    known: bool,
    /// The notice, as it was told first.
    notice: NoticeView,
    /// The agreement as it stands now; null where it is not known.
    agreement: Option<AgreementSummaryView>,
}

impl From<Heard> for HeardView {
    fn from(heard: Heard) -> Self {
        Self {
            new: heard.new,
            known: heard.agreement.is_some(),
            notice: heard.notice.into(),
            agreement: heard.agreement.as_ref().map(Into::into),
        }
    }
}

/// A page of notices, in the order in which they were heard.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeList {
    /// The rows.
    items: Vec<NoticeView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Where to read on: the `next_cursor` of the page before.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,17}_[!-~]{1,160}$")]
    cursor: Option<TimeCursor>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Tells of an agreement
///
/// Something that happened to it. The order in which notices come makes no difference, and one that comes twice does nothing: 200 both times.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement.")),
    request_body = NoticeBody,
    responses(
        (status = 200, description = "Kept, or known.", body = HeardView),
        AuthProblems, BodyProblems, AgreementMissing, AgreementNoticeConflict
    )
)]
#[post("/v1/agreements/{id}/notices")]
pub(super) async fn tell_of_agreement(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiJson(body): ApiJson<NoticeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<HeardView>, Problem> {
    told(&ctx, caller.subject, Of::Known(id), body).await
}

/// Tells of an agreement by reference
///
/// The same, also before the agreement is known here: what is told then is kept, and counts once it is made known with this reference.
#[utoipa::path(
    tag = "agreements",
    request_body = ReferredNoticeBody,
    responses(
        (status = 200, description = "Kept, or known.", body = HeardView),
        AuthProblems, BodyProblems, EventConflict
    )
)]
#[post("/v1/agreement-notices")]
pub(super) async fn tell_by_reference(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<ReferredNoticeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<HeardView>, Problem> {
    let (reference, body) = body.split();
    told(&ctx, caller.subject, Of::Reference(reference), body).await
}

async fn told(
    ctx: &AppContext,
    subject: String,
    of: Of,
    body: NoticeBody,
) -> Result<Json<HeardView>, Problem> {
    let (notice, reason) = body.notice()?;
    let heard = hear(ctx, &actor(subject), of, notice, reason.as_deref()).await?;
    Ok(Json(heard.into()))
}

/// Lists what was told of an agreement
///
/// Every event once, as it was told first, with what people said here.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement."), ListQuery),
    responses((status = 200, description = "A page, as it was heard.", body = NoticeList), AuthProblems, InputProblems, AgreementMissing)
)]
#[get("/v1/agreements/{id}/notices")]
pub(super) async fn list_agreement_notices(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<NoticeList>, Problem> {
    let after = query.cursor.map(|TimeCursor(after)| after);
    let listed = read_agreements::notices(&ctx, id, after.as_ref(), query.limit.0).await?;
    Ok(Json(NoticeList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next.map(|after| TimeCursor(after).to_string()),
    }))
}
