//! One word for a connection, derived from the three facts. Shown by the API, filtered by in lists.
//!
//! The database has the same table as a generated column, so that lists can be filtered by it; a store test compares the two over
//! every combination.

use privatelink::ConnectionState;

use super::review::ReviewState;
use super::sync::SyncState;
use super::text::text_enum;

text_enum!(
    /// Where a connection stands, in one word.
    Summary {
        /// The consumer asked and nobody decided.
        Waiting = "waiting",
        /// AWS is provisioning a connection that needed no decision of ours.
        Provisioning = "provisioning",
        /// Accepted; AWS is not there yet.
        Accepting = "accepting",
        /// Traffic flows.
        Available = "available",
        /// Some zones work.
        Partial = "partial",
        /// Refused; AWS is not there yet.
        Rejecting = "rejecting",
        /// Refused.
        Rejected = "rejected",
        /// Access taken away; AWS is not there yet.
        Revoking = "revoking",
        /// Access taken away.
        Revoked = "revoked",
        /// Nobody accepted in time.
        Expired = "expired",
        /// AWS could not provision it.
        Failed = "failed",
        /// The consumer is deleting it.
        Deleting = "deleting",
        /// The consumer deleted it.
        Deleted = "deleted",
        /// The worker gave up telling AWS; a person has to look.
        Stalled = "stalled",
        /// A person accepted that AWS cannot be brought in step.
        GivenUp = "given_up",
        /// AWS reports a state that this version does not know.
        Unknown = "unknown",
    }
);

/// The one word.
pub fn summarise(review: ReviewState, observed: &ConnectionState, sync: SyncState) -> Summary {
    use ConnectionState as S;
    match sync {
        SyncState::Stalled => return Summary::Stalled,
        SyncState::GivenUp => return Summary::GivenUp,
        SyncState::Idle | SyncState::Due | SyncState::Confirming => {}
    }
    match (review, observed) {
        (_, S::Deleted) => Summary::Deleted,
        (_, S::Deleting) => Summary::Deleting,
        (_, S::Expired) => Summary::Expired,
        (_, S::Failed) => Summary::Failed,
        (_, S::Unknown(_)) => Summary::Unknown,
        (ReviewState::Revoked, S::Rejected) => Summary::Revoked,
        (ReviewState::Revoked, _) => Summary::Revoking,
        (_, S::Rejected) => Summary::Rejected,
        (ReviewState::Rejected, _) => Summary::Rejecting,
        (_, S::Available) => Summary::Available,
        (_, S::Partial) => Summary::Partial,
        (ReviewState::Accepted, S::PendingAcceptance | S::Pending) => Summary::Accepting,
        (ReviewState::Undecided, S::PendingAcceptance) => Summary::Waiting,
        (ReviewState::Undecided, S::Pending) => Summary::Provisioning,
    }
}
