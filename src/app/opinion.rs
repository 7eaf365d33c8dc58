//! What gates and policies say of one connection, with the facts that they say it from.

use serde_json::json;

use super::AppError;
use super::decision_words::Why;
use crate::domain::decision::{Decision, Facts, Policies, decide};
use crate::domain::ids::{ConnectionId, DecisionId, JudgementId};
use crate::domain::judgement::Judgement;
use crate::store::{PgConnection, judgements};

/// What gates and policies say of one connection at one moment.
#[derive(Debug)]
pub(super) struct Opinion {
    /// The judgement that it becomes if it is kept.
    pub(super) id: JudgementId,
    pub(super) decision: Decision,
    facts: Facts,
}

impl Opinion {
    /// Asks them.
    pub(super) fn of(facts: Facts, policies: &dyn Policies) -> Self {
        Self {
            id: JudgementId::new(facts.at),
            decision: decide(&facts, policies),
            facts,
        }
    }

    /// What a decision keeps of it, beside the judgement itself.
    pub(super) fn add_to(&self, why: &mut Why) {
        let Self { id, decision, .. } = self;
        let evidence = json!({
            "judgement_id": id,
            "outcome": decision.outcome,
            "gate": decision.gate,
            "reasons": decision.reasons,
            "policies": decision.policies,
            "policy_versions": decision.policy_versions,
            "licence": decision.licence,
        });
        why.evidence.insert("judgement".to_owned(), evidence);
    }

    /// Whether a judgement that decided nothing says the same, from the same facts but for the time.
    pub(super) fn is_said_by(&self, before: &Judgement) -> bool {
        before.decided.is_none()
            && before.decision == self.decision
            && self.facts.are_but_for_time(&before.facts)
    }

    /// Keeps it, with the decision that was made of it or while it was heard.
    pub(super) async fn keep(
        self,
        conn: &mut PgConnection,
        connection: ConnectionId,
        decided: Option<DecisionId>,
    ) -> Result<(), AppError> {
        let facts = self
            .facts
            .to_json()
            .map_err(|e| AppError::internal(format!("facts cannot be written: {e}")))?;
        let judgement = Judgement {
            id: self.id,
            connection,
            at: self.facts.at,
            decision: self.decision,
            facts,
            decided,
        };
        Ok(judgements::insert(conn, &judgement).await?)
    }
}
