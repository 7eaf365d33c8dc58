//! What a new observation means for the sync of a connection. Pure; applied by the store to every row whose observed state changed.
#![deny(clippy::wildcard_enum_match_arm)]

use privatelink::ConnectionState;

use super::drift::DriftKind;
use super::review::ReviewState;
use super::sync::{Plan, SyncState, plan};

/// How the sync of a connection changes because of what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncChange {
    /// Leave it as it is.
    Keep,
    /// AWS shows what was decided, or nothing can be done any more: rest.
    Settle,
    /// AWS is not where it should be: look soon, and act then if it still is not.
    Look,
    /// Show it to a person, under this code and with this sentence.
    Stall(&'static str, &'static str),
}

/// The code of a connection that AWS shows as rejected although it was accepted.
pub const REJECTED_OUTSIDE: &str = "rejected_outside";
/// The code of a connection that came back to life after AWS had shown it as rejected.
pub const ACCEPTED_OUTSIDE: &str = "accepted_outside";
/// What a person is told about [`REJECTED_OUTSIDE`].
pub const REJECTED_OUTSIDE_MESSAGE: &str = "AWS shows the connection as rejected, and not because of Portcullis; revoke it to agree, and have the consumer make a new endpoint otherwise";
/// What a person is told about [`ACCEPTED_OUTSIDE`].
pub const ACCEPTED_OUTSIDE_MESSAGE: &str = "somebody accepted the connection in AWS after Portcullis had rejected it; retry-sync rejects it again";

/// What to do with the sync, now that AWS shows `observed`.
///
/// A disagreement that appears after AWS had been brought in step was made by somebody else: it is shown before anything is
/// overwritten, and a person's retry is what overwrites it.
pub fn sync_change(
    review: ReviewState,
    sync: SyncState,
    observed: &ConnectionState,
    drift: Option<DriftKind>,
) -> SyncChange {
    match (plan(review, observed), sync) {
        (Plan::Nothing, SyncState::Idle)
        // A call is under way, or a person is asked already.
        | (Plan::Wait | Plan::Act(_), SyncState::Due | SyncState::Confirming | SyncState::Stalled) => SyncChange::Keep,
        (
            Plan::Nothing,
            SyncState::Due | SyncState::Confirming | SyncState::Stalled | SyncState::GivenUp,
        ) => SyncChange::Settle,
        (Plan::Surface, _) => SyncChange::Stall(REJECTED_OUTSIDE, REJECTED_OUTSIDE_MESSAGE),
        (Plan::Act(_), SyncState::Idle) if drift.is_some() => SyncChange::Stall(ACCEPTED_OUTSIDE, ACCEPTED_OUTSIDE_MESSAGE),
        // AWS moved after all: whoever gave up did so about what it showed before.
        (Plan::Wait | Plan::Act(_), SyncState::Idle | SyncState::GivenUp) => SyncChange::Look,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeing_what_was_decided_settles_the_sync() {
        let seen = ConnectionState::Available;
        for sync in [
            SyncState::Due,
            SyncState::Confirming,
            SyncState::Stalled,
            SyncState::GivenUp,
        ] {
            assert_eq!(
                sync_change(ReviewState::Accepted, sync, &seen, None),
                SyncChange::Settle
            );
        }
    }

    #[test]
    fn a_call_under_way_is_left_alone() {
        let seen = ConnectionState::Pending;
        assert_eq!(
            sync_change(ReviewState::Accepted, SyncState::Confirming, &seen, None),
            SyncChange::Keep
        );
    }

    #[test]
    fn a_rejection_that_came_undone_is_shown_before_it_is_overwritten() {
        let seen = ConnectionState::Available;
        let change = sync_change(
            ReviewState::Rejected,
            SyncState::Idle,
            &seen,
            Some(DriftKind::AcceptedOutside),
        );
        assert_eq!(
            change,
            SyncChange::Stall(ACCEPTED_OUTSIDE, ACCEPTED_OUTSIDE_MESSAGE)
        );
    }

    #[test]
    fn an_accepted_connection_that_its_consumer_changes_is_watched_again() {
        let seen = ConnectionState::Pending;
        assert_eq!(
            sync_change(ReviewState::Accepted, SyncState::Idle, &seen, None),
            SyncChange::Look
        );
    }

    #[test]
    fn what_aws_shows_next_wakes_what_was_given_up() {
        for (review, seen) in [
            (ReviewState::Accepted, ConnectionState::Pending),
            (ReviewState::Rejected, ConnectionState::Available),
        ] {
            let change = sync_change(review, SyncState::GivenUp, &seen, None);
            assert_eq!(change, SyncChange::Look);
        }
    }

    /// Nothing is ever left in a state that no pass looks at while a call is still owed.
    #[test]
    fn what_is_owed_is_never_idle() {
        for review in ReviewState::ALL {
            for sync in SyncState::ALL {
                for seen in ConnectionState::DOCUMENTED {
                    let change = sync_change(*review, *sync, &seen, None);
                    if matches!(plan(*review, &seen), Plan::Act(_) | Plan::Surface) {
                        let idle = change == SyncChange::Settle
                            || (change == SyncChange::Keep
                                && matches!(sync, SyncState::Idle | SyncState::GivenUp));
                        assert!(!idle, "{review} {sync} {seen}");
                    }
                }
            }
        }
    }
}
