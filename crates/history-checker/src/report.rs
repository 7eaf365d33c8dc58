//! What a check came to.

use std::collections::BTreeMap;
use std::fmt;

/// An invariant, by its number in `docs/testing.md`, and what of it a history can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Durable: each acknowledged decision is there, decisions follow each other as the rules say, and none is owed and forgotten.
    I1,
    /// Atomic: a decision and its audit entry, and the review that it made, exist together.
    I2,
    /// No forbidden call: whatever AWS was told was decided, and not replaced, when it was told.
    I3,
    /// One effect: a call is repeated for a reason only.
    I4,
    /// Convergence: at rest AWS, the observation and the decision agree, or the row is stalled and says why.
    I5,
    /// Audit: every call has its record, every drift its entry.
    I6,
    /// The unknown is a state: nobody is told without a look, no lost answer is taken for success or for failure.
    I7,
    /// Items stand alone: what stalled one connection befell that very connection.
    I8,
    /// Token discipline: calls stay within AWS's buckets.
    I9,
    /// No going back: observations follow each other, and nothing old comes after something new.
    I11,
    /// Bounded: calls for a decision, open drifts and hints that wait.
    I14,
    /// Fail closed: AWS is told of known connections only.
    I15,
    /// Explained: what is accepted or rejected has a decision or a drift.
    I17,
}

impl Invariant {
    /// All that a history can show.
    pub const ALL: &[Self] = &[
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::I9,
        Self::I11,
        Self::I14,
        Self::I15,
        Self::I17,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Who and what, with the rows or calls that show it.
    pub evidence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.evidence)
    }
}

/// What a check came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many rows, calls or pairs of them each invariant was checked on.
    pub looked_at: BTreeMap<Invariant, u64>,
    /// What was broken.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Notes that an invariant was looked at, and what was wrong if it does not hold.
    pub(crate) fn hold(
        &mut self,
        invariant: Invariant,
        holds: bool,
        evidence: impl FnOnce() -> String,
    ) {
        *self.looked_at.entry(invariant).or_insert(0) += 1;
        if !holds {
            self.violations.push(Violation {
                invariant,
                evidence: evidence(),
            });
        }
    }

    /// The violations, one a line.
    pub fn said(&self) -> String {
        let lines: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }
}
