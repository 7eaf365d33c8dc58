//! Sync: the whole decision table from (review, observed) to what must be done to AWS.
//!
//! [`plan`] is pure and total. It knows nothing of attempts, time-outs or batches; the worker asks it anew after every read. Sources of
//! the cells: which states accept and reject as AWS documents them (pendingAcceptance takes both; reject also works on `pending`
//! and `available`); `rejected`, `expired` and `failed` have no documented way back; `partial` is transitional.
#![deny(clippy::wildcard_enum_match_arm)]

use privatelink::ConnectionState;

use super::review::ReviewState;
use super::text::text_enum;

text_enum!(
    /// A call that changes a connection in AWS.
    Act {
        /// `AcceptVpcEndpointConnections`.
        Accept = "accept",
        /// `RejectVpcEndpointConnections`.
        Reject = "reject",
    }
);

text_enum!(
    /// Is AWS told yet.
    SyncState {
        /// Nothing to do: AWS shows what was decided, or nothing was decided.
        Idle = "idle",
        /// A call has to be made.
        Due = "due",
        /// A call was made; a read has yet to show the result.
        Confirming = "confirming",
        /// The worker gave up and a person has to look: see the code and the message.
        Stalled = "stalled",
        /// A person accepted that AWS cannot be brought in step. What AWS shows next, or a new decision, wakes it.
        GivenUp = "given_up",
    }
);

/// What to do about one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// AWS shows what was decided, or there is nothing left that could be done.
    Nothing,
    /// AWS is on its way there: look again later.
    Wait,
    /// Make this call.
    Act(Act),
    /// AWS and the decision disagree and no call can mend it: show it to a person.
    Surface,
}

/// What to do, from what was decided and what AWS says.
pub fn plan(review: ReviewState, observed: &ConnectionState) -> Plan {
    use ConnectionState as S;
    match (review, observed) {
        // Nobody decided: whatever AWS shows is not ours to change. And what has ended, has ended.
        (ReviewState::Undecided, _)
        | (_, S::Expired | S::Failed | S::Deleting | S::Deleted)
        | (ReviewState::Accepted, S::Available)
        | (ReviewState::Rejected | ReviewState::Revoked, S::Rejected) => Plan::Nothing,

        (ReviewState::Accepted, S::PendingAcceptance) => Plan::Act(Act::Accept),
        (
            ReviewState::Rejected | ReviewState::Revoked,
            S::PendingAcceptance | S::Pending | S::Available,
        ) => Plan::Act(Act::Reject),

        (ReviewState::Accepted, S::Pending | S::Partial | S::Unknown(_))
        | (ReviewState::Rejected | ReviewState::Revoked, S::Partial | S::Unknown(_)) => Plan::Wait,

        // Rejected behind our back. AWS documents no accept from here.
        (ReviewState::Accepted, S::Rejected) => Plan::Surface,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as a grid: rows are states, columns undecided, accepted, rejected, revoked.
    /// `.` nothing, `w` wait, `A` accept, `R` reject, `!` surface.
    const GRID: &[(&str, &str)] = &[
        ("pendingAcceptance", ".ARR"),
        ("pending", ".wRR"),
        ("available", "..RR"),
        ("rejected", ".!.."),
        ("partial", ".www"),
        ("expired", "...."),
        ("failed", "...."),
        ("deleting", "...."),
        ("deleted", "...."),
        ("somethingNew", ".www"),
    ];

    #[test]
    fn every_cell_is_as_the_grid_says() {
        for (state, row) in GRID {
            for (review, cell) in ReviewState::ALL.iter().zip(row.chars()) {
                let want = match cell {
                    '.' => Plan::Nothing,
                    'w' => Plan::Wait,
                    'A' => Plan::Act(Act::Accept),
                    'R' => Plan::Act(Act::Reject),
                    _ => Plan::Surface,
                };
                assert_eq!(
                    plan(*review, &ConnectionState::parse(state)),
                    want,
                    "{review} x {state}"
                );
            }
        }
        assert_eq!(GRID.len(), ConnectionState::DOCUMENTED.len() + 1);
    }

    /// Applying the plan to an AWS that obeys always ends at rest, within three steps.
    #[test]
    fn following_the_plan_converges() {
        for review in ReviewState::ALL {
            for start in ConnectionState::DOCUMENTED {
                let mut state = start.clone();
                for _ in 0..3 {
                    state = match plan(*review, &state) {
                        Plan::Act(Act::Accept) => ConnectionState::Pending,
                        Plan::Act(Act::Reject) => ConnectionState::Rejected,
                        Plan::Wait => ConnectionState::Available,
                        Plan::Nothing | Plan::Surface => break,
                    };
                }
                let end = plan(*review, &state);
                assert!(
                    matches!(end, Plan::Nothing | Plan::Surface),
                    "{review} from {start}: {end:?}"
                );
            }
        }
    }
}
