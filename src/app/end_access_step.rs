//! Carries a removal of access on, one part at a time: each part is a transaction, and what is left shows in the rows themselves. So a crash after any line
//! loses nothing, and the next step, by whomever, goes on.
//!
//! Whoever took the access away is the actor of all of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::admission::Gate;
use super::block_step::{CHUNK, Progress};
use super::decide_connection::{self, Outcome};
use super::decision_words::Why;
use super::desk::{self, Note, UnderReview};
use super::end_access::take;
use super::give_access_for::shown;
use super::undo_removal::{tell, undo};
use super::{AppContext, AppError, PgConnection, drain_service};
use crate::domain::access_removal::{AccessRemoval, Became, RemovalState, ending};
use crate::domain::ids::{AccessRemovalId, ConnectionId, EndpointServiceId};
use crate::domain::lifecycle::{LifecycleState, NoticeKind};
use crate::domain::review::Verb;
use crate::domain::review_desk::ReviewStep;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{
    access_removals, access_work, block_work, planned_revocations, service_changes,
};

/// Does the next part of a removal.
#[tracing::instrument(skip_all, fields(access_removal.id = %id))]
pub async fn step(ctx: &AppContext, id: AccessRemovalId) -> Result<Progress, AppError> {
    let seen = {
        let conn: &mut PgConnection = &mut *ctx.acquire().await?;
        access_removals::by_id(conn, id).await?
    };
    let Some(seen) = seen else {
        return Ok(Progress::Rest);
    };
    match seen.state {
        RemovalState::Grace | RemovalState::Ending => {
            if take_the_rest(ctx, id).await? == Progress::More {
                return Ok(Progress::More);
            }
            end_connections(ctx, id).await
        }
        RemovalState::Cancelling => undo_plans(ctx, id).await,
        RemovalState::Done | RemovalState::Cancelled => Ok(Progress::Rest),
    }
}

/// Takes principals out of a service whose drain was taken back since: while it was drained, nothing of it could be changed.
async fn take_the_rest(ctx: &AppContext, id: AccessRemovalId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let services = access_removals::services(&mut tx, id).await?;
    for row in services.iter().filter(|row| row.version.is_none()) {
        service_changes::lock(&mut tx, row.service).await?;
        let before = drain_service::read(&mut tx, row.service).await?;
        if before.lifecycle.state != LifecycleState::Active {
            continue;
        }
        let Some(removal) = access_removals::free(&mut tx, id).await? else {
            return Ok(Progress::Rest);
        };
        if !removal.state.takes() {
            return Ok(Progress::Rest);
        }
        let at = ctx.clock.now();
        let taken = take(&mut tx, &removal, &before, &row.principals, at).await?;
        access_removals::note_service(&mut tx, id, &taken).await?;
        ctx.commit(tx).await?;
        return Ok(Progress::More);
    }
    Ok(Progress::Rest)
}

/// Ends the access of the next connections: now, or by a plan for the end of the grace. When there are none, looks whether anything is left at all.
async fn end_connections(ctx: &AppContext, id: AccessRemovalId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some(seen) = access_removals::by_id(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    let account = seen.account.as_ref();
    let peek = access_work::next(&mut tx, id, account, CHUNK).await?;
    // The services, then the removal, then the connections: in the order of all.
    let mut gates: BTreeMap<EndpointServiceId, Gate> = BTreeMap::new();
    for (service, _) in &peek {
        if !gates.contains_key(service)
            && let Some(gate) = Gate::of_service(&mut tx, *service).await?
        {
            gates.insert(*service, gate);
        }
    }
    let Some(removal) = access_removals::free(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    if !removal.state.takes() {
        return Ok(Progress::More);
    }
    let at = ctx.clock.now();
    if peek.is_empty() {
        let progress = conclude(&mut tx, &removal, at).await?;
        ctx.commit(tx).await?;
        return Ok(progress);
    }
    // Again, under the locks: somebody may have let the account in meanwhile.
    let next = access_work::next(&mut tx, id, account, CHUNK).await?;
    let ids: Vec<ConnectionId> = next
        .iter()
        .filter(|(service, _)| gates.contains_key(service))
        .map(|(_, connection)| *connection)
        .collect();
    block_work::lock(&mut tx, &ids).await?;
    for (service, connection) in next {
        if let Some(gate) = gates.get(&service) {
            end_one(&mut tx, ctx, &removal, *gate, connection, at).await?;
        }
    }
    ctx.commit(tx).await?;
    Ok(Progress::More)
}

async fn end_one(
    conn: &mut PgConnection,
    ctx: &AppContext,
    removal: &AccessRemoval,
    gate: Gate,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let before = desk::read(conn, ctx, id, at).await?;
    let connection = &before.connection;
    let over = removal.ends_at <= at;
    // Somebody may have decided, or AWS may have ended it, before the lock.
    let Some(became) = ending(connection.review, &connection.observed.state, over) else {
        return Ok(());
    };
    let actor = &removal.actor;
    let verb = match became {
        Became::Scheduled => {
            schedule(conn, removal, &before, at).await?;
            None
        }
        Became::Rejected => Some(Verb::Reject),
        Became::Revoked | Became::Restored => Some(Verb::Revoke),
    };
    if let Some(verb) = verb {
        let to = connection
            .review
            .after(verb, &connection.observed.state)
            .map_err(AppError::internal)?;
        // A service that has ended meanwhile has nothing left to cut off.
        let Ok(admitted) = gate.admit(verb) else {
            return Ok(());
        };
        let outcome = Outcome {
            admitted,
            to,
            asking: None,
        };
        let why = Why::because(removal.words());
        decide_connection::record(conn, ctx, actor, connection, outcome, &why, at).await?;
    }
    access_work::note(conn, removal.id, id, became, at).await?;
    let told = match became {
        Became::Scheduled => NoticeKind::AccessEnding,
        Became::Rejected | Became::Revoked | Became::Restored => NoticeKind::AccessEnded,
    };
    tell(conn, actor, id, told, removal, at).await
}

/// Plans the revocation of a connection, beside what others planned.
async fn schedule(
    conn: &mut PgConnection,
    removal: &AccessRemoval,
    before: &UnderReview,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let id = before.connection.id;
    let planned = removal.revocation();
    if !planned_revocations::add(conn, id, &planned).await? {
        return Err(AppError::internal("the review changed under its own lock"));
    }
    let note = Note {
        actor: &removal.actor,
        id,
        step: ReviewStep::RevocationScheduled,
        reason: Some(&planned.reason),
        before: before.desk.revocation.as_ref().map(shown),
        details: Some(shown(&planned)),
        at,
    };
    desk::note(conn, note).await
}

/// Goes on where no connection is left to come to: from the grace to the end, and from there to rest once AWS was seen to agree.
async fn conclude(
    conn: &mut PgConnection,
    removal: &AccessRemoval,
    at: DateTime<Utc>,
) -> Result<Progress, AppError> {
    let id = removal.id;
    if removal.state == RemovalState::Grace {
        if at < removal.ends_at {
            return Ok(Progress::Rest);
        }
        access_removals::advance(conn, id, RemovalState::Grace, RemovalState::Ending, at).await?;
        return Ok(Progress::More);
    }
    if !access_work::is_over(conn, id).await? {
        return Ok(Progress::Rest);
    }
    // Plans that do not stand, because somebody let the account in again: they must not stand again later.
    let left = access_work::planned_for_nothing(conn, id, CHUNK).await?;
    if !left.is_empty() {
        block_work::lock(conn, &left).await?;
        for connection in left {
            undo(conn, removal, connection, at).await?;
        }
        return Ok(Progress::More);
    }
    if access_removals::advance(conn, id, RemovalState::Ending, RemovalState::Done, at).await? {
        record_end(conn, removal, "access_removal.done", at).await?;
    }
    Ok(Progress::Rest)
}

/// Undoes the next plans of a removal that was taken back; when there are none, it is over.
async fn undo_plans(ctx: &AppContext, id: AccessRemovalId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some(removal) = access_removals::free(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    if removal.state != RemovalState::Cancelling {
        return Ok(Progress::Rest);
    }
    let at = ctx.clock.now();
    let ids = access_work::planned(&mut tx, id, CHUNK).await?;
    if ids.is_empty() {
        let (from, to) = (RemovalState::Cancelling, RemovalState::Cancelled);
        if access_removals::advance(&mut tx, id, from, to, at).await? {
            record_end(&mut tx, &removal, "access_removal.cancelled", at).await?;
        }
        ctx.commit(tx).await?;
        return Ok(Progress::Rest);
    }
    block_work::lock(&mut tx, &ids).await?;
    for connection in ids {
        undo(&mut tx, &removal, connection, at).await?;
    }
    ctx.commit(tx).await?;
    Ok(Progress::More)
}

/// The audit entry of an end that a removal came to.
async fn record_end(
    conn: &mut PgConnection,
    removal: &AccessRemoval,
    action: &'static str,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let done = access_work::progress(conn, removal.id).await?;
    let entry = Entry {
        at,
        actor: &crate::domain::actor::Actor::worker(),
        action,
        subject: Subject::AccessRemoval(removal.id),
        before: None,
        after: Some(json!({
            "rejected": done.rejected, "scheduled": done.scheduled, "revoked": done.revoked, "restored": done.restored,
        })),
        reason: None,
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}
