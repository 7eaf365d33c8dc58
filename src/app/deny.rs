//! The deny list: adds to it and takes from it. What is connected stays connected.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::change_consumer;
use super::code::Code;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::denial::{Denial, Denied};
use crate::domain::ids::{DenialId, EndpointServiceId};
use crate::domain::judgement::Wake;
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::{
    PgConnection, blocks, consumers, denials, endpoint_services, parties, service_changes,
};

/// Whom to deny what.
#[derive(Debug)]
pub struct NewDenial {
    /// Whom.
    pub subject: Denied,
    /// On which service; `None` is everywhere.
    pub service: Option<EndpointServiceId>,
    /// Until when; `None` is until it is lifted.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: String,
}

/// Denies. Whoever wants to accept at the same moment comes before this, or is refused.
#[tracing::instrument(skip_all)]
pub async fn deny(ctx: &AppContext, actor: &Actor, new: NewDenial) -> Result<Denial, AppError> {
    let mut tx = ctx.begin().await?;
    let denial = record(&mut tx, ctx, actor, new).await?;
    ctx.commit(tx).await?;
    Ok(denial)
}

/// Denies in the caller's transaction: locks whom it is about, and writes the denial with its audit entry.
pub(super) async fn record(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    new: NewDenial,
) -> Result<Denial, AppError> {
    let reason = text::checked(
        "reason",
        &new.reason,
        super::decide_connection::LONGEST_REASON,
    )?;
    lock(conn, &new).await?;
    // The time of the lock, not of the request: a decision that came before is older.
    let at = ctx.clock.now();
    if new.expires_at.is_some_and(|end| end <= at) {
        let detail = "give a time that is yet to come";
        return Err(AppError::new(Code::InvalidRequest, detail).field("expires_at"));
    }
    let denial = Denial {
        id: DenialId::new(at),
        subject: new.subject,
        service: new.service,
        said: Said {
            at,
            by: actor.name.clone(),
            reason,
        },
        expires_at: new.expires_at,
        lifted: None,
    };
    denials::insert(conn, &denial).await?;
    let (account, consumer) = match &denial.subject {
        Denied::Account(account) => (Some(account), None),
        Denied::Consumer(consumer) => (None, Some(consumer)),
        Denied::Everybody => (None, None),
    };
    let entry = Entry {
        at,
        actor,
        action: "denial.add",
        subject: Subject::Denial(denial.id),
        before: None,
        after: Some(json!({
            "subject": denial.subject.kind(), "account_id": account, "consumer_id": consumer,
            "service_id": denial.service, "expires_at": denial.expires_at,
        })),
        reason: Some(&denial.said.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    judge_wakes::wake(conn, &concerned(&denial), at).await?;
    Ok(denial)
}

/// Locks whom a denial is about, so that no accept is between its check and its commit, and refuses what does not exist.
async fn lock(conn: &mut PgConnection, new: &NewDenial) -> Result<(), AppError> {
    match &new.subject {
        Denied::Account(account) => parties::lock_account(conn, account).await?,
        Denied::Consumer(consumer) => {
            consumers::lock(conn, *consumer).await?;
            consumers::by_id(conn, *consumer)
                .await?
                .ok_or_else(|| change_consumer::missing(*consumer))?;
        }
        Denied::Everybody => {
            if let Some(service) = new.service {
                service_changes::lock(conn, service).await?;
            }
        }
    }
    if let Some(service) = new.service {
        let found = endpoint_services::by_id(conn, service).await?;
        if found.is_none() {
            let detail = format!("there is no service {service}");
            return Err(AppError::new(Code::ServiceNotFound, detail));
        }
    }
    Ok(())
}

/// Takes a denial back.
#[tracing::instrument(skip_all, fields(denial.id = %id))]
pub async fn lift(
    ctx: &AppContext,
    actor: &Actor,
    id: DenialId,
    reason: &str,
) -> Result<Denial, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    let denial = denials::locked(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    if let Some(block) = blocks::of_denial(&mut tx, id).await? {
        let detail = format!("it is a part of {block}; unblock instead");
        return Err(AppError::new(Code::DenialOfBlock, detail));
    }
    let denial = record_lift(&mut tx, ctx, actor, denial, reason).await?;
    ctx.commit(tx).await?;
    Ok(denial)
}

/// Takes a denial back that the caller has locked, with its audit entry.
pub(super) async fn record_lift(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    mut denial: Denial,
    reason: String,
) -> Result<Denial, AppError> {
    let at = ctx.clock.now();
    let lifted = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    if let Some(before) = &denial.lifted {
        let detail = format!("{} lifted it: {}", before.by, before.reason);
        return Err(AppError::new(Code::DenialLifted, detail));
    }
    if !denials::lift(conn, denial.id, &lifted).await? {
        return Err(AppError::internal("the denial changed under its own lock"));
    }
    let entry = Entry {
        at,
        actor,
        action: "denial.lift",
        subject: Subject::Denial(denial.id),
        before: Some(json!({ "state": denial.state(at) })),
        after: None,
        reason: Some(&lifted.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    judge_wakes::wake(conn, &concerned(&denial), at).await?;
    denial.lifted = Some(lifted);
    Ok(denial)
}

/// Whose requests a denial is about.
fn concerned(denial: &Denial) -> Wake {
    match (&denial.subject, denial.service) {
        (Denied::Account(account), _) => Wake::Account(account.clone()),
        (Denied::Consumer(consumer), _) => Wake::Consumer(*consumer),
        (Denied::Everybody, Some(service)) => Wake::Service(service),
        (Denied::Everybody, None) => Wake::All,
    }
}

pub(super) fn missing(id: DenialId) -> AppError {
    AppError::new(Code::DenialNotFound, format!("there is no denial {id}"))
}
