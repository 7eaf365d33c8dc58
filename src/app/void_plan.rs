//! Planned revocations whose removal or re-judgement was taken back: the loop that takes plans back has not come to them yet, or another plan was put in
//! their place and has given the place back since. Nothing is revoked by a word that was taken back.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::desk::{self, Note, UnderReview};
use super::{AppError, PgConnection};
use crate::domain::access_removal::{AccessRemoval, RemovalState};
use crate::domain::actor::Actor;
use crate::domain::rejudgement::{Rejudgement, RejudgementState};
use crate::domain::review_desk::{ReviewStep, ScheduledRevocation};
use crate::store::{access_removals, rejudged, rejudgements, reviews};

/// Gives the planned revocation of a connection up if it is due and void, and puts back what it had taken the place of. The caller has locked the connection.
/// Answers whether it did.
pub(super) async fn give_void_plan_up(
    conn: &mut PgConnection,
    before: &UnderReview,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    let planned = before.desk.revocation.as_ref();
    let Some(plan) = planned.filter(|plan| plan.at <= at) else {
        return Ok(false);
    };
    let id = before.connection.id;
    let replaced = match void(conn, plan).await? {
        None => return Ok(false),
        Some(Owner::Removal) => None,
        Some(Owner::Rejudgement(owner)) => rejudged::replaced(conn, owner.id, id).await?,
    };
    if !reviews::set_revocation(conn, id, replaced.as_ref()).await? {
        return Ok(false);
    }
    let note = Note {
        actor: &Actor::timer(),
        id,
        step: ReviewStep::RevocationCancelled,
        reason: Some("what it was planned for was taken back"),
        before: Some(json!({ "at": plan.at, "reason": plan.reason, "scheduled_by": plan.by })),
        details: None,
        at,
    };
    desk::note(conn, note).await?;
    Ok(true)
}

/// What planned it, where that was taken back.
enum Owner {
    Removal,
    Rejudgement(Box<Rejudgement>),
}

async fn void(
    conn: &mut PgConnection,
    plan: &ScheduledRevocation,
) -> Result<Option<Owner>, AppError> {
    if let Some(id) = AccessRemoval::of_plan(&plan.reason) {
        let owner = access_removals::by_id(conn, id).await?;
        let cancelled = |removal: &AccessRemoval| {
            matches!(
                removal.state,
                RemovalState::Cancelling | RemovalState::Cancelled
            )
        };
        return Ok(owner.filter(cancelled).map(|_| Owner::Removal));
    }
    let Some(id) = Rejudgement::of_plan(&plan.reason) else {
        return Ok(None);
    };
    let owner = rejudgements::by_id(conn, id).await?;
    let cancelled = |owner: &Rejudgement| {
        matches!(
            owner.state,
            RejudgementState::Cancelling | RejudgementState::Cancelled
        )
    };
    Ok(owner
        .filter(cancelled)
        .map(|owner| Owner::Rejudgement(Box::new(owner))))
}
