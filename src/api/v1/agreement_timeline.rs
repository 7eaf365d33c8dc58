//! Everything that happened to an agreement, and what comes next.

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::agreement_cursor::TimeCursor;
use super::arguments::Limit;
use crate::api::auth::{Caller, Read};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AgreementMissing, AuthProblems, InputProblems};
use crate::app::AppContext;
use crate::app::read_agreements::{self, Happening};
use crate::domain::ids::AgreementId;
use crate::domain::text::text_enum;
use crate::store::agreement_timeline::{Happened, Origin};

text_enum!(
    /// What kind of entry of a timeline.
    TimelineKind {
        /// Somebody did it here: a person, a program or the worker.
        Done = "done",
        /// The source told it.
        Told = "told",
        /// AWS was seen so: a connection that the agreement paid for.
        Observed = "observed",
        /// It comes, if nothing further is told.
        Planned = "planned",
    }
);

/// Something that happened to an agreement, or will.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineEntryView {
    /// When it was done, heard of here, or comes.
    #[schema(example = "2026-11-27T09:30:00Z")]
    at: DateTime<Utc>,
    /// Which of the four.
    kind: TimelineKind,
    /// What: an action as in the audit trail, the kind of a notice, or `connection.observe`.
    #[schema(example = "agreement.change_state")]
    what: String,
    /// Who did or told it; null of what comes.
    by: Option<String>,
    /// Why.
    reason: Option<String>,
    /// More about it: what changed, or when it happened by the source's clock.
    details: Option<Value>,
}

impl From<Happened> for TimelineEntryView {
    fn from(row: Happened) -> Self {
        Self {
            at: row.at,
            kind: match row.from {
                Origin::Done => TimelineKind::Done,
                Origin::Told => TimelineKind::Told,
                Origin::Observed => TimelineKind::Observed,
            },
            what: row.what,
            by: Some(row.by),
            reason: row.reason,
            details: row.details,
        }
    }
}

impl From<(DateTime<Utc>, Happening)> for TimelineEntryView {
    fn from((at, happening): (DateTime<Utc>, Happening)) -> Self {
        Self {
            at,
            kind: TimelineKind::Planned,
            what: happening.action().to_owned(),
            by: None,
            reason: None,
            details: happening.details(),
        }
    }
}

/// A page of a timeline, the oldest first. On the last page, behind all that happened, stands what comes.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelinePage {
    /// The entries.
    items: Vec<TimelineEntryView>,
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
    /// How many entries of what happened, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Reads the timeline of an agreement
///
/// What was told of it, what was done about it here and by whom, what became of the connections while it paid for them, up to AWS showing them rejected, and what comes next,
/// in one list.
#[utoipa::path(
    tag = "agreements",
    params(("id" = AgreementId, Path, description = "The agreement."), ListQuery),
    responses((status = 200, description = "A page, the oldest first.", body = TimelinePage), AuthProblems, InputProblems, AgreementMissing)
)]
#[get("/v1/agreements/{id}/timeline")]
pub(super) async fn list_agreement_timeline(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<AgreementId>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<TimelinePage>, Problem> {
    let after = query.cursor.map(|TimeCursor(after)| after);
    let page = read_agreements::timeline(&ctx, id, after.as_ref(), query.limit.0).await?;
    let happened = page.happened.items.into_iter().map(Into::into);
    Ok(Json(TimelinePage {
        items: happened
            .chain(page.planned.into_iter().map(Into::into))
            .collect(),
        next_cursor: page
            .happened
            .next
            .map(|after| TimeCursor(after).to_string()),
    }))
}
