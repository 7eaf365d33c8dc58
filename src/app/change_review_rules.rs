//! How a service wants its connections reviewed: reading and changing it. AWS is not told: these rules are ours alone.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::preconditions::ExpectedVersion;
use super::review_settings::LONGEST;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::ids::EndpointServiceId;
use crate::domain::judgement::Wake;
use crate::domain::review_rules::{Effective, OnOverdue, ReviewRules};
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::{PgConnection, endpoint_services, lifecycles, review_rules};

/// What to change. `None` stays as it is; `Some(None)` takes the installation's default from now on.
#[derive(Debug, Default)]
pub struct ReviewRulesChange {
    /// The version that the caller has read.
    pub version: ExpectedVersion,
    /// How many persons have to approve.
    pub approvals_required: Option<i16>,
    /// How long a request may wait, in seconds.
    pub review_sla_seconds: Option<Option<i64>>,
    /// What happens when that time is over.
    pub on_overdue: Option<Option<OnOverdue>>,
    /// How long access goes on after it has expired, in seconds.
    pub expiry_grace_seconds: Option<Option<i64>>,
    /// Whether it is meant that requests that wait now are rejected at once.
    pub confirm_reject_overdue: bool,
    /// Why.
    pub reason: Option<String>,
}

/// The rules of a service, and what counts in the end.
pub async fn review_rules(
    ctx: &AppContext,
    id: EndpointServiceId,
) -> Result<(ReviewRules, Effective), AppError> {
    let conn = &mut *ctx.acquire().await?;
    refuse_unknown(conn, id).await?;
    let rules = review_rules::of_service(conn, id).await?;
    Ok((rules, rules.effective(&ctx.reviews)))
}

/// Records a change with its audit entry. Approvals that stand go on standing.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn change_review_rules(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    change: &ReviewRulesChange,
) -> Result<(ReviewRules, Effective), AppError> {
    let reason = change.reason.as_deref();
    let reason = reason
        .map(|reason| text::checked("reason", reason, LONGEST_REASON))
        .transpose()?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    lifecycles::lock(&mut tx, id).await?;
    refuse_unknown(&mut tx, id).await?;
    let before = review_rules::of_service(&mut tx, id).await?;
    change
        .version
        .check(before.version, Code::ReviewRulesChanged)?;
    let desired = applied(before, change)?;
    let (was, is) = (
        before.effective(&ctx.reviews),
        desired.effective(&ctx.reviews),
    );
    let rejects_sooner = was.on_overdue == OnOverdue::Keep || is.sla < was.sla;
    if is.on_overdue == OnOverdue::Reject && rejects_sooner && !change.confirm_reject_overdue {
        let overdue = review_rules::waiting_since_before(&mut tx, id, at - is.sla).await?;
        if overdue > 0 {
            let detail = format!(
                "{overdue} requests that wait now would be rejected at once; send confirm_reject_overdue if that is meant"
            );
            return Err(
                AppError::new(Code::ConfirmationRequired, detail).field("confirm_reject_overdue")
            );
        }
    }
    if !review_rules::record(&mut tx, id, &desired).await? {
        return Err(AppError::internal(
            "the rules changed under the service's lock",
        ));
    }
    let after = review_rules::of_service(&mut tx, id).await?;
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.change_review_rules",
        subject: Subject::EndpointService(id),
        before: Some(shown(&before)),
        after: Some(shown(&after)),
        reason: reason.as_deref(),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    judge_wakes::wake(&mut tx, &Wake::Service(id), at).await?;
    ctx.commit(tx).await?;
    Ok((after, is))
}

/// The rules as they shall be, every member checked.
fn applied(mut rules: ReviewRules, change: &ReviewRulesChange) -> Result<ReviewRules, AppError> {
    if let Some(required) = change.approvals_required {
        if !(1..=2).contains(&required) {
            let detail = "approvals_required is 1 or 2";
            return Err(AppError::new(Code::InvalidRequest, detail).field("approvals_required"));
        }
        rules.approvals_required = required;
    }
    if let Some(seconds) = change.review_sla_seconds {
        rules.sla = duration("review_sla_seconds", seconds, 1)?;
    }
    if let Some(on_overdue) = change.on_overdue {
        rules.on_overdue = on_overdue;
    }
    if let Some(seconds) = change.expiry_grace_seconds {
        rules.expiry_grace = duration("expiry_grace_seconds", seconds, 0)?;
    }
    Ok(rules)
}

fn duration(field: &str, seconds: Option<i64>, least: i64) -> Result<Option<TimeDelta>, AppError> {
    let most = i64::try_from(LONGEST.as_secs()).unwrap_or(i64::MAX);
    match seconds {
        Some(seconds) if !(least..=most).contains(&seconds) => {
            let detail = format!("{field} must be {least} to {most}");
            Err(AppError::new(Code::InvalidRequest, detail).field(field))
        }
        seconds => Ok(seconds.map(TimeDelta::seconds)),
    }
}

fn shown(rules: &ReviewRules) -> Value {
    json!({
        "version": rules.version,
        "approvals_required": rules.approvals_required,
        "review_sla_seconds": rules.sla.map(|sla| sla.num_seconds()),
        "on_overdue": rules.on_overdue,
        "expiry_grace_seconds": rules.expiry_grace.map(|grace| grace.num_seconds()),
    })
}

async fn refuse_unknown(conn: &mut PgConnection, id: EndpointServiceId) -> Result<(), AppError> {
    match endpoint_services::by_id(conn, id).await? {
        Some(_) => Ok(()),
        None => Err(AppError::new(
            Code::ServiceNotFound,
            format!("there is no service {id}"),
        )),
    }
}
