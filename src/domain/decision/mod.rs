//! The decision about a connection: accept it, reject it, or hold it for a person.
//!
//! [`decide`] is pure and total. It asks the gates in their order ([`Gate::ALL`]); the first that has something to say decides. What passes all of them is put to the
//! provider's policies, which this module knows only as [`Policies`]. Where these say nothing, whoever bought a right to connect is let in. In doubt it holds: what is
//! unknown, what failed and what nobody spoke of is never accepted.
//!
//! About a connection that is live already, to hold means that it stays as it is and a person looks; only a rejection takes access away.
//! `docs/decision-table.md` is made from this code by a test.

mod commerce;
mod dry_run;
mod facts;
mod gate;
mod gates;
mod policies;
#[cfg(test)]
mod properties;
mod reason;
mod remedies;
mod remedy;
#[cfg(test)]
mod remedy_tests;
#[cfg(test)]
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use commerce::{
    Acceptance, Agreement, AgreementSource, AgreementState, Approval, BindRule, Binding, Licence,
    Licences, Listing, ListingState, Plan,
};
pub use dry_run::{Case, Change, DryRun, SAMPLES, Sample, dry_run};
pub use facts::{
    AccountFacts, ConnectionFacts, ConsumerFacts, Counts, FACTS_VERSION, Facts, Quota,
    ServiceFacts, Standing, UnreadableFacts,
};
pub use gate::Gate;
pub use policies::{
    MatchedPolicy, NoPolicies, Policies, PolicyEffect, PolicyFailure, PolicyVerdict,
};
pub use reason::{Reason, ReasonCode};
pub use remedies::remedies;
pub use remedy::{Remedy, RemedyBy, RemedyKind};

use serde::{Deserialize, Serialize};

use super::text::text_enum;

text_enum!(
    /// What a decision says.
    Outcome {
        /// The consumer may connect.
        Accept = "accept",
        /// The consumer may not, and what is connected is cut off.
        Reject = "reject",
        /// A person decides, or time does. Nothing changes until then.
        Hold = "hold",
    }
);

/// A decision with everything that explains it, beside its facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it says.
    pub outcome: Outcome,
    /// The gate that decided.
    pub gate: Gate,
    /// Why; at least one.
    pub reasons: Vec<Reason>,
    /// The policies that determined it, by id. Empty where a gate decided before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// The versions of the policy sets that were asked. Empty where a gate decided before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_versions: Vec<String>,
    /// The licence that pays, where one does and the connection is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// Decides. The same facts and policies always give the same decision.
pub fn decide(facts: &Facts, policies: &dyn Policies) -> Decision {
    for gate in Gate::ALL {
        if let Some(hit) = gate.ask(facts) {
            return Decision {
                outcome: hit.outcome,
                gate: *gate,
                reasons: hit.reasons,
                policies: Vec::new(),
                policy_versions: Vec::new(),
                licence: None,
            };
        }
    }
    let verdict = policies.judge(facts);
    let said = match policies::conclude(&verdict) {
        // No policy has anything against it, and what was bought is a right to it.
        (Outcome::Hold, _) if verdict.is_silent() && entitled(facts) => {
            let reasons = vec![ReasonCode::Entitled.into()];
            (Gate::Agreement, Outcome::Accept, reasons)
        }
        (outcome, reasons) => (Gate::Policy, outcome, reasons),
    };
    let (gate, outcome, reasons) = match said {
        // Neither a policy nor an agreement is a person: where two are asked for, they can refuse but not let in.
        (_, Outcome::Accept, _) if facts.service.two_persons && !facts.is_live() => {
            let reasons = vec![ReasonCode::NeedsApproval.into()];
            (Gate::Approval, Outcome::Hold, reasons)
        }
        said => said,
    };
    Decision {
        outcome,
        gate,
        reasons,
        policies: verdict
            .policies
            .into_iter()
            .map(|policy| policy.id)
            .collect(),
        policy_versions: verdict.versions,
        licence: paying(facts).filter(|_| outcome == Outcome::Accept),
    }
}

/// Makes a decision again from its stored facts.
pub fn replay(
    stored: &serde_json::Value,
    policies: &dyn Policies,
) -> Result<Decision, UnreadableFacts> {
    Ok(decide(&Facts::from_json(stored)?, policies))
}

/// Whether the consumer has a right to connect without a word of anybody: by an agreement in force, or because everybody has.
fn entitled(facts: &Facts) -> bool {
    let acceptance = facts
        .listing
        .as_ref()
        .and_then(|listing| listing.acceptance);
    match acceptance {
        Some(Acceptance::EntitledAuto) => {
            let agreement = facts.agreement.as_ref();
            agreement.is_some_and(|agreement| agreement.state == AgreementState::Active)
        }
        Some(Acceptance::Open) => facts
            .plan
            .as_ref()
            .is_some_and(|plan| !plan.agreement_required),
        Some(Acceptance::Manual) | None => false,
    }
}

fn paying(facts: &Facts) -> Option<String> {
    match facts.licences.as_ref()?.bind(facts.is_live()) {
        Binding::To(licence) => Some(licence.to_owned()),
        Binding::Ambiguous | Binding::Full => None,
    }
}
