//! The life of a text of acceptance policies: written, validated, tested, active, superseded. Pure.
//!
//! What may follow what is asked in the use cases, of [`Policy`], and held by the table: a text that decided anything never changes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::consumer::Said;
use super::decision::Outcome;
use super::ids::{EndpointServiceId, PolicyId};
use super::text::text_enum;

text_enum!(
    /// Where a policy stands.
    PolicyState {
        /// It was written, and nobody knows whether it compiles.
        Draft = "draft",
        /// It compiles against the schema.
        Validated = "validated",
        /// Its cases come out as expected, and a dry run of this very text is done.
        Tested = "tested",
        /// It decides.
        Active = "active",
        /// It decided, until another took its place or somebody took it out of force.
        Superseded = "superseded",
        /// It was given up before it decided anything.
        Discarded = "discarded",
    }
);

impl PolicyState {
    /// Whether it may still be changed, and become active.
    pub fn is_candidate(self) -> bool {
        matches!(self, Self::Draft | Self::Validated | Self::Tested)
    }
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
}

/// A request that a policy is tried with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyCase {
    /// What people call it.
    pub name: String,
    /// [`super::decision::Facts`] in the format of their time.
    pub facts: Value,
    /// What has to come out.
    pub expect: Outcome,
}

/// A text of policies, with its life.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Our id.
    pub id: PolicyId,
    /// The service that it is for; `None` is every service.
    pub service: Option<EndpointServiceId>,
    /// Counts the policies of one scope.
    pub number: i64,
    /// Where it stands.
    pub state: PolicyState,
    /// The text.
    pub text: String,
    /// The text's SHA-256, in hexadecimal: what judgements name it by.
    pub digest: String,
    /// What people say about it.
    pub note: Option<String>,
    /// Requests that it is tried with.
    pub cases: Vec<PolicyCase>,
    /// Rises with every change.
    pub version: i64,
    /// Who began it.
    pub created: Stamp,
    /// Who gave it the text that it has.
    pub written: Stamp,
    /// Who found that this text compiles.
    pub validated: Option<Stamp>,
    /// When all cases came out as expected, with this text.
    pub passed_at: Option<DateTime<Utc>>,
    /// Who did the last step that made it tested.
    pub tested: Option<Stamp>,
    /// Who put it in force.
    pub activated: Option<Said>,
    /// Who gave it up, replaced it or took it out of force.
    pub ended: Option<Said>,
    /// What took its place.
    pub superseded_by: Option<PolicyId>,
}

/// An active text, with just what deciding needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivePolicy {
    /// The policy.
    pub id: PolicyId,
    /// The service that it is for; `None` is every service.
    pub service: Option<EndpointServiceId>,
    /// The text.
    pub text: String,
    /// The text's SHA-256.
    pub digest: String,
}

/// The active sets that would decide together with a candidate: digests by scope (`provider`, or a service's id). A dry run holds only as long as they stay
/// the same.
pub type Others = BTreeMap<String, String>;

/// The name of a scope in [`Others`].
pub fn scope_name(service: Option<EndpointServiceId>) -> String {
    service.map_or_else(|| "provider".to_owned(), |service| service.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decided_or_was_given_up_is_no_candidate() {
        let candidates = PolicyState::ALL.iter().filter(|state| state.is_candidate());
        let words: Vec<_> = candidates.map(|state| state.as_str()).collect();
        assert_eq!(words, ["draft", "validated", "tested"]);
    }
}
