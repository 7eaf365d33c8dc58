//! Drift: AWS shows something that no decision of ours explains.

use privatelink::ConnectionState;

use super::review::ReviewState;
use super::sync::{Plan, SyncState, plan};
use super::text::text_enum;

text_enum!(
    /// How AWS and the review came apart.
    DriftKind {
        /// Accepted by somebody behind our back: nobody here decided, or it was decided otherwise.
        AcceptedOutside = "accepted_outside",
        /// Rejected by somebody behind our back.
        RejectedOutside = "rejected_outside",
        /// The service accepts by itself (`acceptance_required` is off).
        AutoAccepted = "auto_accepted",
        /// It stood there already when the service was adopted.
        Preexisting = "preexisting",
        /// A registered service is not as it is desired here, and no change of ours is on its way.
        ServiceReconfigured = "service_reconfigured",
        /// A principal may connect that nobody here asked for.
        UnknownPrincipal = "unknown_principal",
        /// The account has an endpoint service that is not registered here.
        UnknownService = "unknown_service",
    }
);

/// What a drift is about. Who may settle it follows from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A connection: for whoever decides about connections.
    Connection,
    /// A registered service: for whoever manages services.
    Service,
    /// The AccountRegion: likewise.
    AccountRegion,
}

impl DriftKind {
    /// What drifts of this kind are about.
    pub fn about(self) -> About {
        match self {
            Self::AcceptedOutside
            | Self::RejectedOutside
            | Self::AutoAccepted
            | Self::Preexisting => About::Connection,
            Self::ServiceReconfigured | Self::UnknownPrincipal => About::Service,
            Self::UnknownService => About::AccountRegion,
        }
    }
}

/// What is known when a connection's observed state is new or has changed.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What was decided.
    pub review: ReviewState,
    /// Whether the worker had brought AWS in step, was on its way, or had given up.
    pub sync: SyncState,
    /// Whether AWS recorded a call of ours so recently that a read may still show the state from before it.
    pub just_called: bool,
    /// Whether this is the first sight of a connection that is older than its service's registration.
    pub preexisting: bool,
    /// Whether the service asks for acceptance.
    pub acceptance_required: bool,
    /// What AWS says now.
    pub observed: &'a ConnectionState,
}

/// Which drift, if any, a change is.
pub fn detect(change: Change<'_>) -> Option<DriftKind> {
    use ConnectionState as S;
    let accepted = matches!(change.observed, S::Pending | S::Available | S::Partial);
    let rejected = matches!(change.observed, S::Rejected);
    match change.review {
        ReviewState::Undecided if (accepted || rejected) && change.preexisting => {
            Some(DriftKind::Preexisting)
        }
        ReviewState::Undecided if accepted && !change.acceptance_required => {
            Some(DriftKind::AutoAccepted)
        }
        ReviewState::Undecided if accepted => Some(DriftKind::AcceptedOutside),
        ReviewState::Undecided | ReviewState::Accepted if rejected => {
            Some(DriftKind::RejectedOutside)
        }
        // Once AWS showed the rejection, coming back to life is somebody else's doing. Before that it is merely not done yet, and
        // right after it the read may be a stale one.
        ReviewState::Rejected | ReviewState::Revoked
            if change.sync == SyncState::Idle
                && !change.just_called
                && matches!(plan(change.review, change.observed), Plan::Act(_)) =>
        {
            Some(DriftKind::AcceptedOutside)
        }
        ReviewState::Undecided
        | ReviewState::Accepted
        | ReviewState::Rejected
        | ReviewState::Revoked => None,
    }
}

/// Whether a drift that stands is the one that was detected now. A connection that was accepted without us goes on from `pending` to
/// `available`, and is still the one that was noticed first; one that is rejected after that is another.
pub fn goes_on(standing: DriftKind, was: &ConnectionState, now: DriftKind) -> bool {
    let accepted = |kind: DriftKind| {
        matches!(
            kind,
            DriftKind::AcceptedOutside | DriftKind::AutoAccepted | DriftKind::Preexisting
        )
    };
    let was_accepted = matches!(
        was,
        ConnectionState::Pending | ConnectionState::Available | ConnectionState::Partial
    );
    standing == now || (was_accepted && accepted(standing) && accepted(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(review: ReviewState, sync: SyncState, observed: &ConnectionState) -> Change<'_> {
        Change {
            review,
            sync,
            just_called: false,
            preexisting: false,
            acceptance_required: true,
            observed,
        }
    }

    #[test]
    fn an_accept_nobody_here_decided_is_drift() {
        let seen = ConnectionState::Pending;
        let drift = detect(change(ReviewState::Undecided, SyncState::Idle, &seen));
        assert_eq!(drift, Some(DriftKind::AcceptedOutside));
    }

    #[test]
    fn our_own_reject_on_its_way_is_not_drift_but_its_undoing_is() {
        let seen = ConnectionState::Available;
        assert_eq!(
            detect(change(ReviewState::Revoked, SyncState::Confirming, &seen)),
            None
        );
        let drift = detect(change(ReviewState::Revoked, SyncState::Idle, &seen));
        assert_eq!(drift, Some(DriftKind::AcceptedOutside));
    }

    #[test]
    fn a_stale_read_right_after_our_own_reject_is_not_drift() {
        let seen = ConnectionState::Available;
        let stale = Change {
            just_called: true,
            ..change(ReviewState::Rejected, SyncState::Idle, &seen)
        };
        assert_eq!(detect(stale), None);
    }

    #[test]
    fn a_service_that_accepts_by_itself_needs_no_decision() {
        let seen = ConnectionState::Available;
        let mut seen = change(ReviewState::Undecided, SyncState::Idle, &seen);
        seen.acceptance_required = false;
        assert_eq!(detect(seen), Some(DriftKind::AutoAccepted));
    }

    #[test]
    fn what_stood_there_at_adoption_is_told_apart() {
        let seen = ConnectionState::Available;
        let mut seen = change(ReviewState::Undecided, SyncState::Idle, &seen);
        seen.preexisting = true;
        assert_eq!(detect(seen), Some(DriftKind::Preexisting));
    }

    #[test]
    fn what_stood_there_is_told_apart_also_on_a_service_that_accepts_by_itself() {
        let seen = ConnectionState::Available;
        let mut seen = change(ReviewState::Undecided, SyncState::Idle, &seen);
        seen.preexisting = true;
        seen.acceptance_required = false;
        assert_eq!(detect(seen), Some(DriftKind::Preexisting));
    }

    #[test]
    fn a_drift_goes_on_while_the_connection_comes_up_and_ends_with_a_rejection() {
        use DriftKind as K;
        let pending = ConnectionState::Pending;
        assert!(goes_on(K::Preexisting, &pending, K::AcceptedOutside));
        assert!(!goes_on(K::Preexisting, &pending, K::RejectedOutside));
        // It stood there rejected, and somebody accepted it now.
        let rejected = ConnectionState::Rejected;
        assert!(!goes_on(K::Preexisting, &rejected, K::AcceptedOutside));
    }

    #[test]
    fn accepted_and_available_is_as_decided() {
        let seen = ConnectionState::Available;
        assert_eq!(
            detect(change(ReviewState::Accepted, SyncState::Confirming, &seen)),
            None
        );
    }
}
