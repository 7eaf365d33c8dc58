//! Takes a removal of access back while its grace lasts: principals come back, the membership and the requests stand again, and the worker undoes what was
//! planned. What was rejected stays rejected, because AWS has no way back.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::ask_access::may_be_of;
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::end_access::missing;
use super::{AppContext, AppError, PgConnection, change_principals, drain_service, text};
use crate::domain::access_removal::{AccessRemoval, Cause, RemovalState};
use crate::domain::access_request::AccessNoticeKind;
use crate::domain::actor::Actor;
use crate::domain::consumer::{ConsumerAccount, Said};
use crate::domain::ids::{AccessRemovalId, AccessRequestId, ConsumerAccountId, EndpointServiceId};
use crate::domain::judgement::Wake;
use crate::domain::lifecycle::LifecycleState;
use crate::store::access_removals::Concerned;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{
    access_removals, access_request_parts as parts, access_requests, consumer_accounts, consumers,
    judge_wakes, parties, service_changes,
};

/// Takes a removal back. From the commit on nothing of it is revoked, whether or not the worker has undone the plan yet.
#[tracing::instrument(skip_all, fields(access_removal.id = %id))]
pub async fn cancel_removal(
    ctx: &AppContext,
    actor: &Actor,
    id: AccessRemovalId,
    reason: &str,
) -> Result<AccessRemoval, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    let removal = lock(&mut tx, id).await?;
    // The time of the locks. A timer that revokes shares the services, so it came before, or it finds that this was taken back.
    let at = ctx.clock.now();
    if removal.state != RemovalState::Grace || removal.ends_at <= at {
        let detail = match removal.state {
            RemovalState::Cancelling | RemovalState::Cancelled => "it was taken back already",
            _ => "its grace is over",
        };
        return Err(AppError::new(Code::AccessRemovalOver, detail));
    }
    let said = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    if !access_removals::record_cancelled(&mut tx, id, &said).await? {
        return Err(AppError::internal("the removal changed under its own lock"));
    }
    let mut out = Vec::new();
    for row in access_removals::services(&mut tx, id).await? {
        if !give_back(&mut tx, actor, &removal, &row, &said).await? {
            out.push(row.service);
        }
    }
    rejoin(&mut tx, actor, &removal, &said).await?;
    restore_requests(&mut tx, actor, id, &said).await?;
    let woken = match &removal.account {
        Some(account) => Wake::Account(account.clone()),
        None => Wake::All,
    };
    judge_wakes::wake(&mut tx, &woken, at).await?;
    let entry = Entry {
        at,
        actor,
        action: "access_removal.cancel",
        subject: Subject::AccessRemoval(id),
        before: Some(json!({ "state": removal.state, "ends_at": removal.ends_at })),
        after: Some(
            json!({ "state": RemovalState::Cancelling, "services_without_principals": out }),
        ),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = access_removals::by_id(&mut tx, id).await?;
    let after = after.ok_or_else(|| missing(id))?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// The account, its consumer, the services and then the removal, all locked.
async fn lock(conn: &mut PgConnection, id: AccessRemovalId) -> Result<AccessRemoval, AppError> {
    let seen = access_removals::by_id(conn, id).await?;
    let seen = seen.ok_or_else(|| missing(id))?;
    if let Some(account) = &seen.account {
        let party = parties::lock(conn, account).await?;
        if let (None, Cause::Account { consumer, .. }) = (party.consumer(), &seen.cause) {
            consumers::lock(conn, *consumer).await?;
        }
    }
    // No removal comes to concern another service.
    let concerned = access_removals::services(conn, id).await?;
    let services: BTreeSet<EndpointServiceId> = concerned.iter().map(|row| row.service).collect();
    for service in services {
        service_changes::lock(conn, service).await?;
    }
    let removal = access_removals::locked(conn, id).await?;
    removal.ok_or_else(|| missing(id))
}

/// Has a service name again what was taken out of it. Answers false where it is on its way out and nothing of it can be changed.
async fn give_back(
    conn: &mut PgConnection,
    actor: &Actor,
    removal: &AccessRemoval,
    row: &Concerned,
    said: &Said,
) -> Result<bool, AppError> {
    if row.version.is_none() || row.principals.is_empty() {
        return Ok(true);
    }
    let before = drain_service::read(conn, row.service).await?;
    if before.lifecycle.state != LifecycleState::Active {
        return Ok(false);
    }
    let mut principals = before.allowed_principals.clone();
    let back = row.principals.iter().filter(|p| !principals.contains(p));
    let back: Vec<String> = back.cloned().collect();
    if back.is_empty() {
        return Ok(true);
    }
    principals.extend(back);
    let opens = before.open_to_everybody || row.was_open;
    let why = format!("{} was taken back: {}", removal.id, said.reason);
    let done = change_principals::record(conn, actor, &before, principals, opens, &why, said.at);
    if !done.await? {
        return Err(AppError::internal("the service changed under its own lock"));
    }
    Ok(true)
}

/// Has the account belong to the consumer again that it was taken from.
async fn rejoin(
    conn: &mut PgConnection,
    actor: &Actor,
    removal: &AccessRemoval,
    said: &Said,
) -> Result<(), AppError> {
    let (Cause::Account { consumer, account }, Some(membership)) =
        (&removal.cause, removal.membership)
    else {
        return Ok(());
    };
    if may_be_of(conn, account, *consumer).await? {
        return Ok(());
    }
    let was = consumer_accounts::by_id(conn, membership).await?;
    let was = was.ok_or_else(|| AppError::internal("a removal names a membership that is gone"))?;
    let row = ConsumerAccount {
        id: ConsumerAccountId::new(said.at),
        added: said.clone(),
        removed: None,
        ..was
    };
    consumer_accounts::insert(conn, &row).await?;
    let entry = Entry {
        at: said.at,
        actor,
        action: "consumer.add_account",
        subject: Subject::Consumer(*consumer),
        before: None,
        after: Some(json!({
            "account_id": row.account, "known_by": row.known_by, "proof": row.proof, "access_removal_id": removal.id,
        })),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

async fn restore_requests(
    conn: &mut PgConnection,
    actor: &Actor,
    id: AccessRemovalId,
    said: &Said,
) -> Result<(), AppError> {
    let rows = access_removals::requests(conn, id).await?;
    parts::set_standing(conn, &rows, true).await?;
    let requests: BTreeSet<AccessRequestId> = rows.iter().map(|row| row.request).collect();
    for request in requests {
        // Of some only one service was concerned, and they stood all the time.
        if access_requests::record_restored(conn, request).await? {
            tell_restored(conn, actor, request, said, said.at).await?;
        }
    }
    Ok(())
}

async fn tell_restored(
    conn: &mut PgConnection,
    actor: &Actor,
    request: AccessRequestId,
    said: &Said,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let kind = AccessNoticeKind::Restored;
    access_requests::notify(conn, request, kind, &json!({}), at).await?;
    let entry = Entry {
        at,
        actor,
        action: "access_request.restore",
        subject: Subject::AccessRequest(request),
        before: None,
        after: Some(json!({ "state": "approved" })),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}
