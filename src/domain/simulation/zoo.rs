//! Bugs that somebody could write. Each is planted in [`super::shell`] and has to be caught.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// An older read overwrites a newer one.
    OlderReadWins,
    /// What a listing that broke off did not show counts as deleted.
    BrokenListingDeletes,
    /// What one listing did not show counts as deleted, without a direct read.
    AbsenceNeedsNoProof,
    /// What was made a moment ago counts as deleted when a lagging read does not show it yet.
    NewcomersCanBeAbsent,
    /// A notification's words are recorded as an observation.
    HintIsBelieved,
    /// Items of `Unsuccessful` are taken for success.
    UnsuccessfulIsDropped,
    /// An item of `Unsuccessful` without an id condemns nobody.
    NamelessFailureIsDropped,
    /// A time-out is taken for a refusal: what was sent is forgotten.
    TimeoutIsFailure,
    /// A call that AWS recorded is forgotten, so a stale read repeats it.
    RecordedCallIsForgotten,
    /// The call is planned on what is stored; nobody looks first.
    NobodyLooksFirst,
    /// Decisions are loaded before AWS is read.
    DecisionsLoadedEarly,
    /// A settlement stands although there is a newer decision.
    SettlementIgnoresDecision,
    /// A settlement stands although an observer moved the sync.
    SettlementIgnoresSync,
    /// A replica that lost its lease still writes.
    FenceIsSkipped,
    /// What a pass takes up is taken off the queue; a crash loses it.
    QueueIsInMemory,
    /// Being throttled counts as a try.
    ThrottleCounts,
    /// What somebody did in AWS is overwritten without asking.
    DriftIsHealed,
    /// A refusal for want of permission is tried for ever.
    DenialIsRetried,
    /// What AWS recorded counts as done.
    RecordedIsDone,
}

impl Bug {
    pub(super) const ALL: &[Self] = &[
        Self::OlderReadWins,
        Self::BrokenListingDeletes,
        Self::AbsenceNeedsNoProof,
        Self::NewcomersCanBeAbsent,
        Self::HintIsBelieved,
        Self::UnsuccessfulIsDropped,
        Self::NamelessFailureIsDropped,
        Self::TimeoutIsFailure,
        Self::RecordedCallIsForgotten,
        Self::NobodyLooksFirst,
        Self::DecisionsLoadedEarly,
        Self::SettlementIgnoresDecision,
        Self::SettlementIgnoresSync,
        Self::FenceIsSkipped,
        Self::QueueIsInMemory,
        Self::ThrottleCounts,
        Self::DriftIsHealed,
        Self::DenialIsRetried,
        Self::RecordedIsDone,
    ];
}
