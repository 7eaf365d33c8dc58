//! Asking a set.

use cedar_policy::{AuthorizationError, Authorizer, PolicySet as CedarSet, Response};

use crate::compile::{OnePolicy, PolicySet};
use crate::facts::Facts;
use crate::request::{Clock, Question};
use crate::verdict::{Effect, Failure, Matched, Verdict};

impl PolicySet {
    /// What the policies say about a request. Total: what cannot be evaluated is in [`Verdict::failures`], and then nothing is permitted.
    pub fn evaluate(&self, facts: &Facts) -> Verdict {
        let clock = Clock::at(facts.unix_seconds);
        let left: Vec<&OnePolicy> = self
            .policies
            .iter()
            .filter(|policy| policy.test.holds(facts, &clock) != Some(false))
            .collect();
        // A question about one policy costs less than twice its share of a question about all.
        let sets: Vec<&CedarSet> = if left.len() * 2 > self.policies.len() {
            vec![&self.cedar]
        } else {
            left.iter().map(|policy| &policy.alone).collect()
        };
        self.ask(facts, &sets)
    }

    /// The same without leaving any policy out beforehand: what the tests compare with.
    #[cfg(test)]
    pub(crate) fn evaluate_all(&self, facts: &Facts) -> Verdict {
        self.ask(facts, &[&self.cedar])
    }

    fn ask(&self, facts: &Facts, sets: &[&CedarSet]) -> Verdict {
        if sets.is_empty() {
            return Verdict::of(Vec::new(), Vec::new(), Vec::new());
        }
        let question = match Question::of(facts, None) {
            Ok(question) => question,
            Err(message) => return Verdict::failed(message),
        };
        let (mut permits, mut forbids, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for set in sets {
            let response =
                Authorizer::new().is_authorized(&question.request, set, &question.entities);
            self.sort(&response, &mut permits, &mut forbids);
            failures.extend(response.diagnostics().errors().map(failure));
        }
        Verdict::of(permits, forbids, failures)
    }

    /// The policies behind a response, by what they do. Cedar names the forbids where there is one, else the permits.
    fn sort(&self, response: &Response, permits: &mut Vec<Matched>, forbids: &mut Vec<Matched>) {
        for id in response.diagnostics().reason() {
            let id: &str = id.as_ref();
            let Some(one) = self.by_id.get(id).and_then(|at| self.policies.get(*at)) else {
                continue;
            };
            match one.policy.effect() {
                cedar_policy::Effect::Permit => permits.push(one.told.clone()),
                cedar_policy::Effect::Forbid => forbids.push(one.told.clone()),
            }
        }
    }
}

fn failure(error: &AuthorizationError) -> Failure {
    let AuthorizationError::PolicyEvaluationError(inner) = error;
    Failure {
        policy: inner.policy_id().to_string(),
        message: inner.inner().to_string(),
    }
}

impl Verdict {
    /// What follows from the policies that apply and those that failed: a `forbid` stands, and a `permit` only where nothing failed.
    fn of(permits: Vec<Matched>, forbids: Vec<Matched>, mut failures: Vec<Failure>) -> Self {
        failures.sort();
        let (effect, mut determining) = if !forbids.is_empty() {
            (Effect::Forbid, forbids)
        } else if permits.is_empty() || !failures.is_empty() {
            (Effect::Neither, permits)
        } else {
            (Effect::Permit, permits)
        };
        determining.sort();
        Self {
            effect,
            determining,
            failures,
        }
    }
}
