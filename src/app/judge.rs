//! Judging requests: gates and policies decide what they can, and say of the rest why a person has to. The judge loop calls it, in a transaction that
//! has proven the lease.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::admission::Gate;
use super::bind_connection::bind;
use super::bulk_decide::is_fault;
use super::consumer_gate::{self, Asking};
use super::decide_connection::{Decided, Leave, decide_locked};
use super::decision_words::Why;
use super::desk::{self, Note};
use super::gather_facts::{Gathered, gather};
use super::hold_review::shown;
use super::opinion::Opinion;
use super::policies::PolicySets;
use super::{AppContext, AppError, policy_shelf};
use crate::domain::actor::Actor;
use crate::domain::decision::{Decision, Outcome, ReasonCode};
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::judgement::Judgement;
use crate::domain::review::Verb;
use crate::domain::review_desk::{Desk, Hold, ReviewStep};
use crate::store::judge_wakes::{self, Next};
use crate::store::{PgConnection, agreement_work, connections, judgements, reviews};

/// What became of a request that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It was decided so, or is held.
    Said(Outcome),
    /// Nothing was said: a person holds it, it was decided meanwhile, or its service has ended.
    Left,
}

/// Judges requests, those first that are named first. All in the caller's transaction; what is decided is recorded as any decision is.
///
/// What is held stays undecided, and says in the review why. It is judged again after `again`, because time is a fact too, or when something wakes it.
pub async fn judge(
    conn: &mut PgConnection,
    ctx: &AppContext,
    ids: &[ConnectionId],
    again: TimeDelta,
) -> Result<Vec<(ConnectionId, Judged)>, AppError> {
    let at = ctx.clock.now();
    // Accounts and consumers, services, agreements, connections: the order of all who lock several.
    let askings = consumer_gate::lock_many(conn, ids, false).await?;
    let gates = Gate::of_many(conn, ids).await?;
    agreement_work::lock_concerned(conn, ids).await?;
    connections::lock_many(conn, ids).await?;
    let known = gather(conn, ids, at).await?;
    let bench = Bench {
        desks: reviews::of_many(conn, ids).await?,
        latest: judgements::latest_of_many(conn, ids).await?,
        sets: policy_shelf::of_services(conn, ctx, &known.services()).await?,
        ctx,
        at,
    };
    let mut session = Session {
        askings,
        gates,
        known,
    };
    let (mut said, mut next) = (Vec::new(), Vec::new());
    for id in ids {
        let judged = bench.one(conn, &mut session, *id).await?;
        if !matches!(judged, Judged::Said(Outcome::Accept | Outcome::Reject)) {
            next.push(Next {
                id: *id,
                due_at: at + again,
                judged_at: (judged == Judged::Said(Outcome::Hold)).then_some(at),
            });
        }
        said.push((*id, judged));
    }
    judge_wakes::put_off(conn, &next).await?;
    Ok(said)
}

/// What stays as it is while several are judged.
struct Bench<'a> {
    ctx: &'a AppContext,
    desks: HashMap<ConnectionId, Desk>,
    latest: HashMap<ConnectionId, Judgement>,
    sets: HashMap<EndpointServiceId, Vec<Arc<policy_shelf::Set>>>,
    at: DateTime<Utc>,
}

/// What changes with each that is accepted.
struct Session {
    askings: HashMap<ConnectionId, Asking>,
    gates: HashMap<ConnectionId, Gate>,
    known: Gathered,
}

impl Bench<'_> {
    async fn one(
        &self,
        conn: &mut PgConnection,
        session: &mut Session,
        id: ConnectionId,
    ) -> Result<Judged, AppError> {
        let desk = self.desks.get(&id);
        let standing = desk
            .and_then(|desk| desk.hold.as_ref())
            .filter(|hold| hold.stands(self.at));
        let held_by_person = standing.is_some_and(|hold| hold.by_kind.is_caller());
        let Some(gate) = session.gates.get(&id).copied() else {
            return Ok(Judged::Left);
        };
        if held_by_person || gate.has_ended() || !session.known.is_waiting(id) {
            return Ok(Judged::Left);
        }
        let Some(facts) = session.known.facts(id, self.at) else {
            return Ok(Judged::Left);
        };
        let sets = session
            .known
            .service_of(id)
            .and_then(|service| self.sets.get(&service));
        let sets: Vec<&policy_shelf::Set> = sets.into_iter().flatten().map(AsRef::as_ref).collect();
        let opinion = Opinion::of(facts, &PolicySets(&sets));
        let outcome = opinion.decision.outcome;
        let actor = actor_of(&opinion.decision);
        let verb = match outcome {
            Outcome::Hold => {
                self.hold(conn, &actor, id, standing, &opinion.decision)
                    .await?;
                let before = self.latest.get(&id);
                if !before.is_some_and(|before| opinion.is_said_by(before)) {
                    opinion.keep(conn, id, None).await?;
                }
                return Ok(Judged::Said(outcome));
            }
            Outcome::Accept => Verb::Accept,
            Outcome::Reject => Verb::Reject,
        };
        let asking = match verb {
            Verb::Accept => session.askings.remove(&id),
            Verb::Reject | Verb::Revoke => None,
        };
        let leave = Leave {
            admitted: gate.admit(verb)?,
            asking,
        };
        let why = why(&opinion);
        let decided = decide_locked(conn, self.ctx, &actor, id, leave, &why, self.at).await;
        let made = match decided {
            Ok(Decided::Done(made)) => made,
            Ok(Decided::Approved) => {
                let what = "a policy's word was taken for one of two approvals";
                return Err(AppError::internal(what));
            }
            // Whoever keeps it from being decided goes on with it. A refusal wrote nothing.
            Err(refusal) if !is_fault(&refusal) => {
                tracing::debug!(connection.id = %id, code = %refusal.code(), "left alone");
                return Ok(Judged::Left);
            }
            Err(fault) => return Err(fault),
        };
        if outcome == Outcome::Accept {
            if let Some(payer) = session.known.payer(id) {
                bind(conn, &actor, payer, id, self.at).await?;
            }
            session.known.accepted(id);
        }
        opinion.keep(conn, id, Some(made)).await?;
        Ok(Judged::Said(outcome))
    }

    /// Says in the review why a person has to decide; where there are no policies, that is how it is and needs no word.
    async fn hold(
        &self,
        conn: &mut PgConnection,
        actor: &Actor,
        id: ConnectionId,
        standing: Option<&Hold>,
        decision: &Decision,
    ) -> Result<(), AppError> {
        let said = decision
            .reasons
            .first()
            .filter(|reason| reason.code != ReasonCode::NoPolicy.as_str());
        let hold = said.map(|first| Hold {
            code: first.code.clone(),
            reason: sentences(decision),
            until: None,
            by_kind: actor.kind,
            by: actor.name.clone(),
            at: self.at,
        });
        let same = |one: &Hold, other: &Hold| {
            (&one.code, &one.reason, &one.by) == (&other.code, &other.reason, &other.by)
        };
        match (standing, &hold) {
            (None, None) => return Ok(()),
            (Some(standing), Some(hold)) if same(standing, hold) => return Ok(()),
            _ => {}
        }
        if !reviews::set_hold(conn, id, hold.as_ref()).await? {
            return Err(AppError::internal("the review changed under its own lock"));
        }
        let reason = sentences(decision);
        let note = Note {
            actor,
            id,
            step: if hold.is_some() {
                ReviewStep::Held
            } else {
                ReviewStep::Unheld
            },
            reason: Some(&reason),
            before: standing.map(shown),
            details: hold.as_ref().map(shown),
            at: self.at,
        };
        desk::note(conn, note).await
    }
}

/// In whose name: the policy that determined it, or the gate.
fn actor_of(decision: &Decision) -> Actor {
    let name = decision.policies.first().cloned();
    Actor::policy(name.unwrap_or_else(|| format!("gate:{}", decision.gate)))
}

pub(super) fn sentences(decision: &Decision) -> String {
    let all: Vec<&str> = decision
        .reasons
        .iter()
        .map(|reason| reason.sentence.as_str())
        .collect();
    let text = all.join(" ");
    text.chars()
        .take(super::decide_connection::LONGEST_REASON)
        .collect()
}

/// Why it is decided so: the sentences, which are for the consumer too, the first code, and what leads back to the judgement.
fn why(opinion: &Opinion) -> Why {
    let sentences = sentences(&opinion.decision);
    let mut why = Why::because(sentences.clone());
    why.message = Some(sentences);
    why.reason_code = opinion
        .decision
        .reasons
        .first()
        .map(|reason| reason.code.clone().into());
    opinion.add_to(&mut why);
    why
}
