//! Gates and policies are heard when a person decides.
//!
//! It binds no person: they decide as they will, and what was said to it is kept with the decision, in its transaction, with the facts of the moment. So it
//! can be explained, made again from its record, and counted when another policy is tried.
//!
//! Blocks, drains, removals of access and timers hear nobody. They carry out what was said before, thousands of times while somebody waits for
//! it, and no fact would change it.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::bind_connection::bind;
use super::consumer_gate::Asking;
use super::decide_connection::{Decided, Leave, decide_locked};
use super::decision_words::Why;
use super::gather_facts::{Gathered, gather};
use super::opinion::Opinion;
use super::policies::PolicySets;
use super::policy_shelf::{self, InForce, Set};
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::decision::{Facts, Policies, PolicyFailure, PolicyVerdict};
use crate::domain::ids::{ConnectionId, DecisionId, EndpointServiceId};
use crate::domain::review::Verb;
use crate::store::PgConnection;

/// What is known of connections that a person decides about, and the policies that are heard.
pub(super) struct Hearing {
    known: Gathered,
    in_force: HashMap<EndpointServiceId, InForce>,
    at: DateTime<Utc>,
}

impl Hearing {
    /// Prepares it for connections that the caller has locked. An accept has locked their accounts too, so that what is counted stays true; for the
    /// others it is what is known at the moment.
    pub(super) async fn of(
        conn: &mut PgConnection,
        ctx: &AppContext,
        ids: &[ConnectionId],
        at: DateTime<Utc>,
    ) -> Result<Self, AppError> {
        let known = gather(conn, ids, at).await?;
        let in_force = policy_shelf::in_force(conn, ctx, &known.services()).await?;
        Ok(Self {
            known,
            in_force,
            at,
        })
    }

    /// Decides like [`decide_locked`], and keeps what was said to it. An approval that decides nothing keeps nothing.
    pub(super) async fn decide(
        &mut self,
        conn: &mut PgConnection,
        ctx: &AppContext,
        actor: &Actor,
        id: ConnectionId,
        leave: Leave,
        why: &Why,
    ) -> Result<Decided, AppError> {
        let verb = leave.admitted.verb();
        let leave = Leave {
            asking: leave.asking.map(|asking| self.pays(id, asking)),
            ..leave
        };
        let (opinion, why) = self.hear(id, why);
        let decided = decide_locked(conn, ctx, actor, id, leave, &why, self.at).await?;
        if let Decided::Done(decision) = decided {
            self.keep(conn, actor, id, opinion, verb, decision).await?;
        }
        Ok(decided)
    }

    /// Leave to accept, with what the agreement that would pay has left. An accept has locked it, so that whoever takes its last seat takes it alone.
    pub(super) fn pays(&self, id: ConnectionId, asking: Asking) -> Asking {
        asking.paid_by(self.known.full(id))
    }

    /// What is said of a connection now, and why it is decided with that beside it. Nothing is said of what does not exist.
    pub(super) fn hear(&self, id: ConnectionId, why: &Why) -> (Option<Opinion>, Why) {
        let mut why = why.clone();
        let opinion = self.known.facts(id, self.at).map(|facts| {
            let in_force = self.in_force.get(&facts.service.id);
            let opinion = Opinion::of(facts, &Heard(in_force));
            opinion.add_to(&mut why);
            opinion
        });
        (opinion, why)
    }

    /// Keeps what was said, with the decision that was made, and has the agreement pay for what is accepted. The next connection is heard with that decision counted.
    pub(super) async fn keep(
        &mut self,
        conn: &mut PgConnection,
        actor: &Actor,
        id: ConnectionId,
        opinion: Option<Opinion>,
        verb: Verb,
        decision: DecisionId,
    ) -> Result<(), AppError> {
        match verb {
            Verb::Accept => {
                if let Some(payer) = self.known.payer(id) {
                    bind(conn, actor, payer, id, self.at).await?;
                }
                self.known.accepted(id);
            }
            Verb::Reject | Verb::Revoke => self.known.ended(id),
        }
        match opinion {
            Some(opinion) => opinion.keep(conn, id, Some(decision)).await,
            None => Ok(()),
        }
    }
}

/// The policies in force, where those that do not compile any more answer that they failed: whatever is wrong with them, a person can decide.
struct Heard<'a>(Option<&'a InForce>);

impl Policies for Heard<'_> {
    fn judge(&self, facts: &Facts) -> PolicyVerdict {
        let Some(InForce { sets, broken }) = self.0 else {
            return PolicyVerdict::neither(Vec::new());
        };
        let sets: Vec<&Set> = sets.iter().map(Arc::as_ref).collect();
        let mut verdict = PolicySets(&sets).judge(facts);
        for digest in broken {
            verdict.versions.push(digest.clone());
            verdict.failures.push(PolicyFailure {
                policy: digest.clone(),
                message: "the set does not compile any more".to_owned(),
            });
        }
        verdict
    }
}
