//! What would change if other policies decided: over the last decisions, over everything that is live, or both.
//!
//! One case after the other: memory does not grow with their number, and the caller may stop in between.

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::policies::Policies;
use super::reason::Reason;
use super::{Decision, Outcome, decide};
use crate::domain::text::text_enum;

/// How many examples are kept of each change.
pub const SAMPLES: usize = 20;

/// One connection, and what holds for it now.
#[derive(Debug, Clone)]
pub struct Case {
    /// Which: the id of a decision or of a connection.
    pub id: String,
    /// What it is decided from.
    pub facts: Facts,
    /// What was decided. Of a live connection: [`Outcome::Accept`].
    pub outcome: Outcome,
}

text_enum!(
    /// How a case would come out differently.
    Change {
        /// A request that was rejected or held would be accepted.
        NewlyAccepted = "newly_accepted",
        /// A request that was accepted or rejected would wait for a person.
        NewlyHeld = "newly_held",
        /// A request that was accepted or held would be rejected.
        NewlyRejected = "newly_rejected",
        /// A live connection would be cut off.
        LosesAccess = "loses_access",
        /// A live connection would stay, and a person would look at it.
        LiveHeld = "live_held",
    }
);

/// An example of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The case's id.
    pub id: String,
    /// How it would change.
    pub change: Change,
    /// What holds now.
    pub before: Outcome,
    /// Why it would change.
    pub reasons: Vec<Reason>,
    /// The policies that would determine it.
    pub policies: Vec<String>,
}

/// What a candidate would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// Cases that were judged.
    pub judged: u64,
    /// Those of them that are live.
    pub live: u64,
    /// Requests that would be accepted and were not.
    pub newly_accepted: u64,
    /// Requests that would be held and were not.
    pub newly_held: u64,
    /// Requests that would be rejected and were not.
    pub newly_rejected: u64,
    /// Live connections that would be cut off.
    pub losing_access: u64,
    /// Live connections that a person would have to look at.
    pub live_held: u64,
    /// The first [`SAMPLES`] of each change.
    pub samples: Vec<Sample>,
}

/// Judges every case by the candidate. Gates are asked too, from the same facts: what a gate decides does not change with the policies.
pub fn dry_run(candidate: &dyn Policies, cases: impl IntoIterator<Item = Case>) -> DryRun {
    let mut run = DryRun::default();
    for case in cases {
        run.judge(candidate, &case);
    }
    run
}

impl DryRun {
    /// Adds one case: for a caller that reads them page by page.
    pub fn judge(&mut self, candidate: &dyn Policies, case: &Case) {
        let live = case.facts.is_live();
        self.judged += 1;
        self.live += u64::from(live);
        let decision = decide(&case.facts, candidate);
        let Some(change) = change(live, case.outcome, decision.outcome) else {
            return;
        };
        let count = match change {
            Change::NewlyAccepted => &mut self.newly_accepted,
            Change::NewlyHeld => &mut self.newly_held,
            Change::NewlyRejected => &mut self.newly_rejected,
            Change::LosesAccess => &mut self.losing_access,
            Change::LiveHeld => &mut self.live_held,
        };
        *count += 1;
        if *count <= SAMPLES as u64 {
            let Decision {
                reasons, policies, ..
            } = decision;
            let (id, before) = (case.id.clone(), case.outcome);
            self.samples.push(Sample {
                id,
                change,
                before,
                reasons,
                policies,
            });
        }
    }

    /// Whether more than this share of the live connections would be cut off. Of none, nothing is cut.
    pub fn cuts_more_than(&self, percent: u8) -> bool {
        u128::from(self.losing_access) * 100 > u128::from(self.live) * u128::from(percent)
    }
}

fn change(live: bool, before: Outcome, after: Outcome) -> Option<Change> {
    match (live, after) {
        (true, Outcome::Accept) => None,
        (true, Outcome::Reject) => Some(Change::LosesAccess),
        (true, Outcome::Hold) => Some(Change::LiveHeld),
        (false, after) if after == before => None,
        (false, Outcome::Accept) => Some(Change::NewlyAccepted),
        (false, Outcome::Hold) => Some(Change::NewlyHeld),
        (false, Outcome::Reject) => Some(Change::NewlyRejected),
    }
}
