//! Where the decision meets the policy engine: the only file that names the crate `policy`.

use crate::domain::decision::{
    Facts, MatchedPolicy, Policies, PolicyEffect, PolicyFailure, PolicyVerdict,
};

pub use policy::{Answer, Effect, Explained, MAX_BYTES, PolicySet, SCHEMA, TEMPLATES, Template};

use super::error::Finding;
use super::policy_shelf::Set;

/// Compiles a text, or says what is wrong with it. Takes up to a fifth of a second.
pub fn compile(text: &str) -> Result<Set, Vec<Finding>> {
    Set::compile(text).map_err(findings)
}

/// What compiles in a set and yet is hardly meant.
pub fn warnings(set: &Set) -> Vec<Finding> {
    findings(set.warnings().to_vec())
}

/// The SHA-256 of a text: its version.
pub fn digest(text: &str) -> String {
    policy::digest(text)
}

fn findings(diagnostics: Vec<policy::Diagnostic>) -> Vec<Finding> {
    let finding = |diagnostic: policy::Diagnostic| Finding {
        line: diagnostic.place.line,
        column: diagnostic.place.column,
        message: diagnostic.message,
        help: diagnostic.help,
    };
    diagnostics.into_iter().map(finding).collect()
}

/// Compiled policy sets that decide together: a `forbid` of any of them wins, and a failure of any keeps all from accepting.
///
/// With no set at all, nobody wrote a policy yet, and everything that passes the gates is held.
#[derive(Debug, Clone, Copy)]
pub struct PolicySets<'a>(pub &'a [&'a policy::PolicySet]);

impl Policies for PolicySets<'_> {
    fn judge(&self, facts: &Facts) -> PolicyVerdict {
        let versions = self.0.iter().map(|set| set.version().to_owned()).collect();
        let judged = Judged::of(facts);
        let seen = judged.seen(facts);
        let together = self
            .0
            .iter()
            .map(|set| set.evaluate(&seen))
            .reduce(policy::Verdict::and);
        let Some(verdict) = together else {
            return PolicyVerdict::neither(versions);
        };
        PolicyVerdict {
            effect: match verdict.effect {
                policy::Effect::Permit => PolicyEffect::Permit,
                policy::Effect::Forbid => PolicyEffect::Forbid,
                policy::Effect::Neither => PolicyEffect::Neither,
            },
            policies: verdict.determining.into_iter().map(matched).collect(),
            failures: verdict.failures.into_iter().map(failure).collect(),
            versions,
        }
    }
}

/// What each policy of a set says about a connection, and what is missing where it does not apply. For people, not for deciding.
pub fn explain(
    set: &policy::PolicySet,
    facts: &Facts,
) -> Result<Vec<policy::Explained>, policy::Failure> {
    set.explain(&Judged::of(facts).seen(facts))
}

fn matched(matched: policy::Matched) -> MatchedPolicy {
    let policy::Matched {
        id,
        reason,
        message,
    } = matched;
    MatchedPolicy {
        id,
        reason,
        message,
    }
}

fn failure(failure: policy::Failure) -> PolicyFailure {
    let policy::Failure { policy, message } = failure;
    PolicyFailure { policy, message }
}

/// The parts of the facts that policies see in another shape than the facts have.
struct Judged {
    consumer: Option<String>,
    service: String,
    other_regions: Vec<String>,
    zones: Option<Vec<String>>,
}

impl Judged {
    fn of(facts: &Facts) -> Self {
        let zones = facts.connection.zones.as_ref();
        let consumer = facts.account.consumer.as_ref();
        Self {
            consumer: consumer.map(|consumer| consumer.id.to_string()),
            service: facts.service.id.to_string(),
            other_regions: facts
                .service
                .other_regions
                .iter()
                .map(ToString::to_string)
                .collect(),
            zones: zones.map(|zones| zones.iter().map(ToString::to_string).collect()),
        }
    }

    fn seen<'a>(&'a self, facts: &'a Facts) -> policy::Facts<'a> {
        let (account, service, connection) = (&facts.account, &facts.service, &facts.connection);
        policy::Facts {
            account: policy::Account {
                id: account.id.as_str(),
                proven: account.proven,
                consumer: account.consumer.as_ref().zip(self.consumer.as_ref()).map(
                    |(consumer, id)| policy::Consumer {
                        id,
                        name: &consumer.name,
                        labels: &consumer.labels,
                    },
                ),
            },
            service: policy::Service {
                id: &self.service,
                name: &service.name,
                account: service.account.as_str(),
                region: service.region.as_str(),
                other_regions: &self.other_regions,
                tags: &service.tags,
            },
            endpoint: policy::Endpoint {
                id: connection.endpoint_id.as_str(),
                region: facts.endpoint_region().as_str(),
                zones: self.zones.as_deref(),
                ip_address_type: connection.ip_address_type.as_deref(),
            },
            live: facts.is_live(),
            approved: facts.approved,
            waited_seconds: connection.waited_seconds,
            counts: policy::Counts {
                connections: facts.counts.connections,
                on_service: facts.counts.on_service,
                regions: facts.counts.regions,
            },
            unix_seconds: facts.at.timestamp(),
            listing: facts.listing.as_ref().map(|listing| policy::Listing {
                id: &listing.id,
                state: listing.state.as_str(),
                plan: facts.plan.as_ref().map(|plan| plan.id.as_str()),
            }),
            agreement: facts.agreement.as_ref().map(|agreement| policy::Agreement {
                id: &agreement.id,
                state: agreement.state.as_str(),
                source: agreement.source.as_str(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
