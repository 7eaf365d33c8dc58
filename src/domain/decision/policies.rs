//! What the decision knows of policies: they are asked, and they answer.

use super::Outcome;
use super::facts::Facts;
use super::reason::{Reason, ReasonCode};
use crate::domain::text::text_enum;

/// A provider's policies. The same facts must always get the same verdict.
pub trait Policies {
    /// What they say about these facts.
    fn judge(&self, facts: &Facts) -> PolicyVerdict;
}

impl<F: Fn(&Facts) -> PolicyVerdict> Policies for F {
    fn judge(&self, facts: &Facts) -> PolicyVerdict {
        self(facts)
    }
}

/// Where nobody wrote a policy yet: everything that passes the gates is held.
#[derive(Debug, Clone, Copy)]
pub struct NoPolicies;

impl Policies for NoPolicies {
    fn judge(&self, _: &Facts) -> PolicyVerdict {
        PolicyVerdict::neither(Vec::new())
    }
}

text_enum!(
    /// What policies amount to.
    PolicyEffect {
        /// At least one permits, none forbids.
        Permit = "permit",
        /// At least one forbids.
        Forbid = "forbid",
        /// None has anything to say.
        Neither = "neither",
    }
);

/// What policies say about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVerdict {
    /// What follows.
    pub effect: PolicyEffect,
    /// The policies that made it so, in the order of their ids.
    pub policies: Vec<MatchedPolicy>,
    /// Policies that could not be evaluated. While there is one, nothing is accepted.
    pub failures: Vec<PolicyFailure>,
    /// The versions of the sets that were asked; none when there are no policies.
    pub versions: Vec<String>,
}

/// A policy that applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedPolicy {
    /// Its id.
    pub id: String,
    /// Its code for the reason.
    pub reason: Option<String>,
    /// Its sentence for the consumer.
    pub message: Option<String>,
}

/// A policy that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFailure {
    /// Its id.
    pub policy: String,
    /// What went wrong. For the provider, not for the consumer.
    pub message: String,
}

impl PolicyVerdict {
    /// Nothing applies in these sets.
    pub fn neither(versions: Vec<String>) -> Self {
        Self {
            effect: PolicyEffect::Neither,
            policies: Vec::new(),
            failures: Vec::new(),
            versions,
        }
    }
}

impl PolicyVerdict {
    /// Whether every policy was asked and none has anything to say.
    pub(super) fn is_silent(&self) -> bool {
        self.effect == PolicyEffect::Neither && self.failures.is_empty()
    }
}

/// What follows from a verdict. A failure keeps from accepting whatever the effect says; a `forbid` stands in spite of it.
pub(super) fn conclude(verdict: &PolicyVerdict) -> (Outcome, Vec<Reason>) {
    let own = |otherwise: ReasonCode| {
        let mut reasons: Vec<Reason> = Vec::new();
        for policy in &verdict.policies {
            let code = policy
                .reason
                .clone()
                .unwrap_or_else(|| otherwise.as_str().to_owned());
            let sentence = policy.message.clone();
            let sentence = sentence.unwrap_or_else(|| otherwise.sentence().to_owned());
            let reason = Reason { code, sentence };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if reasons.is_empty() {
            vec![otherwise.into()]
        } else {
            reasons
        }
    };
    match verdict.effect {
        PolicyEffect::Forbid => (Outcome::Reject, own(ReasonCode::PolicyForbids)),
        _ if !verdict.failures.is_empty() => (Outcome::Hold, vec![ReasonCode::PolicyFailed.into()]),
        PolicyEffect::Permit => (Outcome::Accept, own(ReasonCode::PolicyPermits)),
        PolicyEffect::Neither if verdict.versions.is_empty() => {
            (Outcome::Hold, vec![ReasonCode::NoPolicy.into()])
        }
        PolicyEffect::Neither => (Outcome::Hold, vec![ReasonCode::NoPolicyApplies.into()]),
    }
}
