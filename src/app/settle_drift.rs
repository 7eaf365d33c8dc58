//! Settles a drift: adopts it, reverts it or ignores it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::admission::Gate;
use super::approve::refuse_alone;
use super::code::Code;
use super::consumer_gate::{self, Asking};
use super::decide_connection::{self, LONGEST_REASON, Outcome};
use super::decision_words::Why;
use super::hearing::Hearing;
use super::{AppContext, AppError, settle_account_drift, settle_service_drift, text};
use crate::domain::actor::{Actor, ActorKind};
use crate::domain::drift::About;
use crate::domain::drift_inbox::{
    ConnectionRemedy, Drift, DriftState, DriftVerb, Inapplicable, connection_remedy,
};
use crate::domain::ids::{ConnectionId, DriftId};
use crate::domain::review::Verb;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, agreement_work, connection_drifts, connections, drifts};

/// What to do about a drift.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each confirms a thing of its own, and is named after it"
)]
pub struct Settlement {
    /// Adopt, revert or ignore.
    pub verb: DriftVerb,
    /// Why.
    pub reason: String,
    /// Whether it is meant that everybody with an AWS account may connect unasked.
    pub confirm_open_to_everybody: bool,
    /// Whether it is meant that accounts lose their principal although an agreement in force stands on it.
    pub confirm_principals_of_agreements: bool,
    /// Whether an accept that follows is meant also beyond a quota.
    pub over_quota: bool,
    /// Whether the caller may settle drifts of services.
    pub may_manage: bool,
}

/// What the remedies of all kinds are given.
pub(super) struct Remedy<'a> {
    pub(super) ctx: &'a AppContext,
    pub(super) actor: &'a Actor,
    pub(super) verb: DriftVerb,
    pub(super) reason: &'a str,
    pub(super) confirm_open_to_everybody: bool,
    pub(super) confirm_principals_of_agreements: bool,
    pub(super) at: DateTime<Utc>,
}

/// Settles one, with what follows from it and with its audit entry, in one transaction. Of two people the second is told what the first did.
#[tracing::instrument(skip_all, fields(drift.id = %id, verb = %settlement.verb))]
pub async fn settle_drift(
    ctx: &AppContext,
    actor: &Actor,
    id: DriftId,
    settlement: &Settlement,
) -> Result<Drift, AppError> {
    let reason = text::checked("reason", &settlement.reason, LONGEST_REASON)?;
    let verb = settlement.verb;
    let remedy = Remedy {
        ctx,
        actor,
        verb,
        reason: &reason,
        confirm_open_to_everybody: settlement.confirm_open_to_everybody,
        confirm_principals_of_agreements: settlement.confirm_principals_of_agreements,
        at: ctx.clock.now(),
    };
    let mut tx = ctx.begin().await?;
    let seen = drifts::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    if seen.kind.about() != About::Connection && !settlement.may_manage {
        let detail = "a drift of a service is settled by whoever may manage services";
        return Err(AppError::new(Code::Forbidden, detail));
    }
    // What it is about is locked first, as everywhere, so that nobody changes it in between.
    match seen.kind.about() {
        About::Connection => {
            let connection = connection_of(&seen)?;
            let asking = match verb {
                DriftVerb::Adopt => {
                    consumer_gate::lock(&mut tx, connection, settlement.over_quota).await?
                }
                DriftVerb::Revert | DriftVerb::Ignore => None,
            };
            let gate = Gate::of(&mut tx, connection).await?;
            if verb == DriftVerb::Adopt {
                agreement_work::lock_concerned(&mut tx, &[connection]).await?;
            }
            connections::lock(&mut tx, connection).await?;
            let drift = open(&mut tx, id).await?;
            let leave = (gate, asking);
            settle_connection(&mut tx, &remedy, &drift, connection, leave).await?;
        }
        About::Service => {
            let service = settle_service_drift::locked(&mut tx, &seen).await?;
            let drift = open(&mut tx, id).await?;
            settle_service_drift::settle(&mut tx, &remedy, &drift, service).await?;
        }
        About::AccountRegion => {
            let drift = open(&mut tx, id).await?;
            settle_account_drift::settle(&mut tx, &remedy, &drift).await?;
        }
    }
    if verb == DriftVerb::Ignore && !drifts::ignore(&mut tx, id, actor, &reason, remedy.at).await? {
        return Err(AppError::internal("the drift changed under its own lock"));
    }
    let after = drifts::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    if after.state != verb.settles_as() {
        return Err(AppError::internal(
            "the drift was settled otherwise than asked for",
        ));
    }
    audit_settlement(&mut tx, &remedy, &after).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// The drift, locked, while it still waits for a person.
async fn open(conn: &mut PgConnection, id: DriftId) -> Result<Drift, AppError> {
    let drift = drifts::locked(conn, id).await?.ok_or_else(|| missing(id))?;
    match (&drift.state, &drift.settled) {
        (DriftState::Open, _) | (_, None) => Ok(drift),
        (state, Some(settled)) => {
            let by = match settled.by_kind {
                ActorKind::Worker => "by itself".to_owned(),
                ActorKind::Person
                | ActorKind::ServiceToken
                | ActorKind::Policy
                | ActorKind::Aws => {
                    format!("by {}", settled.by)
                }
            };
            let at = settled.at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let detail = format!("it was {state} {by} at {at}: {}", settled.reason);
            Err(AppError::new(Code::DriftSettled, detail))
        }
    }
}

async fn settle_connection(
    conn: &mut PgConnection,
    remedy: &Remedy<'_>,
    drift: &Drift,
    id: ConnectionId,
    (gate, asking): (Gate, Option<Asking>),
) -> Result<(), AppError> {
    let connection = connections::by_id(conn, id)
        .await?
        .ok_or_else(|| decide_connection::not_found(id))?;
    let (ctx, actor, reason, at) = (remedy.ctx, remedy.actor, remedy.reason, remedy.at);
    let does = connection_remedy(remedy.verb, connection.review, &connection.observed.state)
        .map_err(|why| inapplicable(&why))?;
    match does {
        ConnectionRemedy::Leave => {}
        ConnectionRemedy::Decide(verb, to) => {
            let admitted = gate.admit(verb)?;
            if verb == Verb::Accept {
                refuse_alone(conn, &connection).await?;
            }
            let mut hearing = Hearing::of(conn, ctx, &[id], at).await?;
            let outcome = Outcome {
                admitted,
                to,
                asking: asking.map(|asking| hearing.pays(id, asking)),
            };
            let (opinion, why) = hearing.hear(id, &Why::because(reason));
            let made =
                decide_connection::record(conn, ctx, actor, &connection, outcome, &why, at).await?;
            hearing.keep(conn, actor, id, opinion, verb, made).await?;
        }
        ConnectionRemedy::Again => {
            gate.admit(Verb::Reject)?;
            if !connections::retry(conn, id, at, at + ctx.patience).await? {
                let detail = format!(
                    "its sync is {}, so AWS is being told already",
                    connection.sync.state
                );
                return Err(AppError::new(Code::ConnectionNotStalled, detail));
            }
            let state = DriftState::Reverted;
            let kind = Some(drift.kind);
            connection_drifts::settle(conn, &[id], kind, state, actor, reason, at).await?;
        }
    }
    Ok(())
}

/// The audit entry of a settlement. What followed from it, such as a decision, has its own.
async fn audit_settlement(
    conn: &mut PgConnection,
    remedy: &Remedy<'_>,
    drift: &Drift,
) -> Result<(), AppError> {
    let subject = match (drift.connection_id, drift.service_id) {
        (Some(id), _) => Subject::Connection(id),
        (None, Some(id)) => Subject::EndpointService(id),
        (None, None) => Subject::AccountRegion(drift.account_region_id),
    };
    let entry = Entry {
        at: remedy.at,
        actor: remedy.actor,
        action: match remedy.verb {
            DriftVerb::Adopt => "drift.adopt",
            DriftVerb::Revert => "drift.revert",
            DriftVerb::Ignore => "drift.ignore",
        },
        subject,
        before: Some(
            json!({ "state": DriftState::Open, "desired": drift.before, "shown": drift.after }),
        ),
        after: Some(json!({
            "state": drift.state, "drift_id": drift.id, "drift": drift.kind, "subject": drift.subject,
        })),
        reason: Some(remedy.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

pub(super) fn inapplicable(why: &Inapplicable) -> AppError {
    let code = match why {
        Inapplicable::NotAdoptable(_) => Code::DriftNotAdoptable,
        Inapplicable::NotRevertible(_) => Code::DriftNotRevertible,
    };
    AppError::new(code, why.to_string())
}

fn connection_of(drift: &Drift) -> Result<ConnectionId, AppError> {
    drift
        .connection_id
        .ok_or_else(|| AppError::internal("a drift of a connection names none"))
}

pub(super) fn missing(id: DriftId) -> AppError {
    AppError::new(Code::DriftNotFound, format!("there is no drift {id}"))
}
