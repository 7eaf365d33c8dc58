//! Judging again what is live, because somebody wants it: asking for it, applying what it found, and giving it up.
//!
//! Here only the word is given; [`super::rejudge_step`] carries it out part by part. What is live is never cut off by a policy that is activated or a fact
//! that changes, only by this.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::{AppContext, AppError, change_consumer, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::RejudgementId;
use crate::domain::rejudgement::{
    Applied, Cancelled, LONGEST_GRACE, Rejudgement, RejudgementState, Scope,
};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, consumers, endpoint_services, rejudgement_steps, rejudgements};

/// Asks for a preview: which live connections of a scope would lose their access by the gates and policies in force.
#[tracing::instrument(skip_all)]
pub async fn ask(
    ctx: &AppContext,
    actor: &Actor,
    scope: &Scope,
    reason: &str,
) -> Result<Rejudgement, AppError> {
    let mut tx = ctx.begin().await?;
    let asked = ask_within(&mut tx, ctx, actor, scope, reason).await?;
    ctx.commit(tx).await?;
    Ok(asked)
}

/// The same in the caller's transaction, for what changes something that live connections were accepted by: an agreement that ends, say. It shares the
/// service or the consumer that it names, so whoever locks connections too does that afterwards.
pub async fn ask_within(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    scope: &Scope,
    reason: &str,
) -> Result<Rejudgement, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    refuse_missing(conn, scope).await?;
    let at = ctx.clock.now();
    let id = RejudgementId::new(at);
    let asked = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    rejudgements::insert(conn, id, scope, &asked).await?;
    let after = shown(scope);
    audit(conn, actor, "rejudgement.ask", id, None, after, &asked).await?;
    read(conn, id).await
}

async fn refuse_missing(conn: &mut PgConnection, scope: &Scope) -> Result<(), AppError> {
    match scope {
        Scope::Everything | Scope::Account(_) => {}
        Scope::Consumer(id) => {
            let found = consumers::by_id(conn, *id).await?;
            found.ok_or_else(|| change_consumer::missing(*id))?;
        }
        Scope::Service(id) => {
            let found = endpoint_services::by_id(conn, *id).await?;
            let detail = || format!("there is no service {id}");
            found.ok_or_else(|| AppError::new(Code::ServiceNotFound, detail()))?;
        }
    }
    Ok(())
}

/// What the caller of [`apply`] was shown and wants.
#[derive(Debug, Clone)]
pub struct Apply {
    /// Why.
    pub reason: String,
    /// How many seconds the consumers keep their access.
    pub grace_seconds: i64,
    /// How many connections the preview said would lose theirs.
    pub confirmed: i64,
}

/// Applies a preview: everything that it found, and that is still rejected when its turn comes, loses its access after the grace.
#[tracing::instrument(skip_all, fields(rejudgement.id = %id))]
pub async fn apply(
    ctx: &AppContext,
    actor: &Actor,
    id: RejudgementId,
    wanted: &Apply,
) -> Result<Rejudgement, AppError> {
    let reason = text::checked("reason", &wanted.reason, LONGEST_REASON)?;
    let grace = grace_of(wanted.grace_seconds)?;
    let mut tx = ctx.begin().await?;
    let before = locked(&mut tx, id).await?;
    if before.state != RejudgementState::Previewed {
        let detail = format!("it is {}", before.state);
        return Err(AppError::new(Code::RejudgementNotPreviewed, detail));
    }
    let losing = before.found.losing;
    if losing != wanted.confirmed {
        let detail = format!(
            "{losing} connections would lose their access; look at them and confirm that number"
        );
        return Err(AppError::new(Code::PreviewChanged, detail).field("confirm_losing_access"));
    }
    let at = ctx.clock.now();
    let applied = Applied {
        said: Said {
            at,
            by: actor.name.clone(),
            reason,
        },
        request_id: actor.request_id.clone(),
        grace,
        confirmed: losing,
        revoke_at: at + grace,
        planned: 0,
        kept: 0,
        carried_out_at: None,
    };
    if !rejudgement_steps::record_applied(&mut tx, id, &applied).await? {
        return Err(changed());
    }
    let after = json!({
        "state": RejudgementState::Applying, "losing": losing, "grace_seconds": wanted.grace_seconds, "revoke_at": applied.revoke_at,
    });
    let was = Some(json!({ "state": before.state }));
    audit(
        &mut tx,
        actor,
        "rejudgement.apply",
        id,
        was,
        after,
        &applied.said,
    )
    .await?;
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

fn grace_of(seconds: i64) -> Result<TimeDelta, AppError> {
    let most = LONGEST_GRACE.num_seconds();
    if !(0..=most).contains(&seconds) {
        let detail = format!("grace_seconds must be 0 to {most}, not {seconds}");
        return Err(AppError::new(Code::InvalidRequest, detail).field("grace_seconds"));
    }
    Ok(TimeDelta::seconds(seconds))
}

/// Gives it up: nothing more is planned, and what it has planned is taken back, unless that was carried out already.
#[tracing::instrument(skip_all, fields(rejudgement.id = %id))]
pub async fn cancel(
    ctx: &AppContext,
    actor: &Actor,
    id: RejudgementId,
    reason: &str,
) -> Result<Rejudgement, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    let before = locked(&mut tx, id).await?;
    let Some(to) = before.state.after_cancel() else {
        let detail = format!("it is {}", before.state);
        return Err(AppError::new(Code::RejudgementCancelled, detail));
    };
    let at = ctx.clock.now();
    let cancelled = Cancelled {
        said: Said {
            at,
            by: actor.name.clone(),
            reason,
        },
        request_id: actor.request_id.clone(),
        after: None,
        taken_back: 0,
        ended_at: (to == RejudgementState::Cancelled).then_some(at),
    };
    let from = before.state;
    if !rejudgement_steps::record_cancelled(&mut tx, id, from, to, &cancelled).await? {
        return Err(changed());
    }
    let (was, after) = (Some(json!({ "state": from })), json!({ "state": to }));
    audit(
        &mut tx,
        actor,
        "rejudgement.cancel",
        id,
        was,
        after,
        &cancelled.said,
    )
    .await?;
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

pub(super) async fn audit(
    conn: &mut PgConnection,
    actor: &Actor,
    action: &'static str,
    id: RejudgementId,
    before: Option<Value>,
    after: Value,
    said: &Said,
) -> Result<(), AppError> {
    let entry = Entry {
        at: said.at,
        actor,
        action,
        subject: Subject::Rejudgement(id),
        before,
        after: Some(after),
        reason: Some(&said.reason),
        decision: None,
    };
    Ok(audit::record(conn, entry).await?)
}

fn shown(scope: &Scope) -> Value {
    match scope {
        Scope::Everything => json!({}),
        Scope::Service(id) => json!({ "service_id": id }),
        Scope::Consumer(id) => json!({ "consumer_id": id }),
        Scope::Account(account) => json!({ "account_id": account }),
    }
}

async fn locked(conn: &mut PgConnection, id: RejudgementId) -> Result<Rejudgement, AppError> {
    let found = rejudgements::locked(conn, id).await?;
    found.ok_or_else(|| missing(id))
}

async fn read(conn: &mut PgConnection, id: RejudgementId) -> Result<Rejudgement, AppError> {
    let found = rejudgements::by_id(conn, id).await?;
    found.ok_or_else(|| missing(id))
}

pub(super) fn missing(id: RejudgementId) -> AppError {
    let detail = format!("there is no re-judgement {id}");
    AppError::new(Code::RejudgementNotFound, detail)
}

pub(super) fn changed() -> AppError {
    AppError::internal("the re-judgement changed under its own lock")
}
