//! The part of the facts that a listing brings: what is sold, and what was bought. All of it may be absent.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::{AvailabilityZoneId, Region};
use serde::{Deserialize, Serialize};

pub use crate::domain::listing::{Acceptance, Approval, BindRule, ListingState};
use crate::domain::text::text_enum;

/// What a service is sold by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: ListingState,
    /// Whether the consumer is on its allow-list.
    pub allow_listed: bool,
    /// Who is let in to the service without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Acceptance>,
}

/// What a plan asks of a consumer and grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Regions that endpoints may be in; absent: all that the service has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<BTreeSet<Region>>,
    /// Availability Zones that endpoints may be in; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<BTreeSet<AvailabilityZoneId>>,
    /// Whether it takes an agreement.
    pub agreement_required: bool,
    /// How long a request without an agreement is held, in seconds: the buyer may be in the middle of the purchase.
    pub orphan_wait_seconds: u64,
    /// Whether a person has to approve.
    pub approval: Approval,
    /// Whether registration has to be complete first.
    pub registration_required: bool,
}

text_enum!(
    /// Where an agreement stands, in our words.
    AgreementState {
        /// It was made and has not begun.
        Pending = "pending",
        /// It is in force.
        Active = "active",
        /// Something about it has to be looked at.
        Review = "review",
        /// Another took its place; the connection belongs to that one.
        Superseded = "superseded",
        /// It is over, and what is connected may stay for a while.
        Grace = "grace",
        /// It is over.
        Ended = "ended",
    }
);

text_enum!(
    /// Where an agreement was made.
    AgreementSource {
        /// In AWS Marketplace.
        Aws = "aws",
        /// With the provider directly.
        Private = "private",
    }
);

/// What a consumer agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: AgreementState,
    /// Where it was made.
    pub source: AgreementSource,
    /// In grace: until when what is connected may stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<DateTime<Utc>>,
}

/// Licences that could pay for the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licences {
    /// The active ones.
    pub active: Vec<Licence>,
    /// Which one pays where several could.
    pub rule: BindRule,
}

/// A licence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// Its id.
    pub id: String,
    /// Since when it is active.
    pub since: DateTime<Utc>,
    /// How many endpoints it can still pay for.
    pub free: u32,
    /// Whether the consumer said that this one shall pay, or it pays already.
    pub claimed: bool,
}

/// Which licence pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding<'a> {
    /// This one.
    To(&'a str),
    /// Several could; the consumer has to say.
    Ambiguous,
    /// None is active, or none has a free place.
    Full,
}

impl Licences {
    /// Which licence pays for a connection. An explicit claim wins; then the only one with a free place; then the rule. Ties go to the lower id, so that the answer does not
    /// depend on the order of the list. A `live` connection has its place already, so a full licence can pay for it too.
    pub fn bind(&self, live: bool) -> Binding<'_> {
        let claimed = self.active.iter().filter(|l| l.claimed);
        if let Some(claimed) = claimed.min_by_key(|l| &l.id) {
            return if claimed.free > 0 || live {
                Binding::To(&claimed.id)
            } else {
                Binding::Full
            };
        }
        let mut able: Vec<&Licence> = self.active.iter().filter(|l| l.free > 0).collect();
        if able.is_empty() && live {
            able.extend(&self.active);
        }
        let chosen = match (able.as_slice(), self.rule) {
            ([only], _) => Some(*only),
            ([_, _, ..], BindRule::Ask) => return Binding::Ambiguous,
            (able, BindRule::MostFree) => able
                .iter()
                .copied()
                .min_by_key(|l| (std::cmp::Reverse(l.free), &l.id)),
            (able, BindRule::Oldest | BindRule::Ask) => {
                able.iter().copied().min_by_key(|l| (l.since, &l.id))
            }
        };
        chosen.map_or(Binding::Full, |licence| Binding::To(&licence.id))
    }
}
