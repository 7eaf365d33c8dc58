//! The drift inbox: what is kept of a disagreement, how a person settles it, and which way of settling can apply. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, Utc};
use privatelink::ConnectionState;
use serde_json::Value;

use super::actor::ActorKind;
use super::drift::DriftKind;
use super::ids::{AccountRegionId, ConnectionId, DriftId, EndpointServiceId};
use super::review::{ReviewState, Verb};
use super::text::text_enum;

text_enum!(
    /// Where a drift stands.
    DriftState {
        /// Waits for a person.
        Open = "open",
        /// What AWS shows is what is wanted from now on.
        Adopted = "adopted",
        /// AWS is brought back to what was wanted.
        Reverted = "reverted",
        /// Both stay as they are, and somebody said why.
        Ignored = "ignored",
        /// The disagreement went away by itself.
        Resolved = "resolved",
    }
);

text_enum!(
    /// What a person does about a drift.
    DriftVerb {
        /// Takes what AWS shows for what is wanted.
        Adopt = "adopt",
        /// Has AWS brought back to what was wanted.
        Revert = "revert",
        /// Leaves both as they are.
        Ignore = "ignore",
    }
);

impl DriftVerb {
    /// Where it leaves the drift.
    pub fn settles_as(self) -> DriftState {
        match self {
            Self::Adopt => DriftState::Adopted,
            Self::Revert => DriftState::Reverted,
            Self::Ignore => DriftState::Ignored,
        }
    }
}

/// A disagreement between AWS and us that no decision of ours explains.
#[derive(Debug, Clone)]
pub struct Drift {
    /// Our id.
    pub id: DriftId,
    /// What kind of disagreement.
    pub kind: DriftKind,
    /// Where it was seen.
    pub account_region_id: AccountRegionId,
    /// The registered service that it is about, or whose connection.
    pub service_id: Option<EndpointServiceId>,
    /// The connection that it is about.
    pub connection_id: Option<ConnectionId>,
    /// Which one of its kind: an endpoint, a principal, or a service by AWS's id.
    pub subject: String,
    /// What was decided or desired.
    pub before: Value,
    /// What AWS shows.
    pub after: Value,
    /// What else was seen.
    pub evidence: Value,
    /// When it was noticed.
    pub detected_at: DateTime<Utc>,
    /// Where it stands.
    pub state: DriftState,
    /// Since when the disagreement does not stand any more. An ignored one may stand for long.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Who settled it and why; nobody yet while it is open.
    pub settled: Option<Settled>,
}

/// Who settled a drift, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of actor.
    pub by_kind: ActorKind,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A disagreement as it is seen now. `before` and `after` are its content: when they change, it is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What kind.
    pub kind: DriftKind,
    /// Which one of its kind.
    pub subject: String,
    /// What was desired.
    pub before: Value,
    /// What AWS shows.
    pub after: Value,
    /// What else helps to judge it; no part of the content.
    pub evidence: Value,
}

/// Why a verb cannot apply to a drift.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inapplicable {
    /// What AWS shows cannot become what is wanted.
    #[error("it cannot be adopted: {0}")]
    NotAdoptable(String),
    /// Nothing that we can do brings AWS back.
    #[error("it cannot be reverted: {0}")]
    NotRevertible(String),
}

/// How a drift of a connection is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRemedy {
    /// By a decision, and the review that it leads to.
    Decide(Verb, ReviewState),
    /// By doing again what was decided already.
    Again,
    /// By leaving everything as it is.
    Leave,
}

/// What a verb does to a drifted connection, by what was decided and what AWS shows.
pub fn connection_remedy(
    verb: DriftVerb,
    review: ReviewState,
    observed: &ConnectionState,
) -> Result<ConnectionRemedy, Inapplicable> {
    use ConnectionRemedy as R;
    let accepted = is_accepted(observed);
    let rejected = matches!(observed, ConnectionState::Rejected);
    match (verb, review) {
        (DriftVerb::Ignore, _) => Ok(R::Leave),
        (DriftVerb::Adopt, ReviewState::Undecided) if accepted => {
            Ok(R::Decide(Verb::Accept, ReviewState::Accepted))
        }
        (DriftVerb::Adopt, ReviewState::Undecided) if rejected => {
            Ok(R::Decide(Verb::Reject, ReviewState::Rejected))
        }
        (DriftVerb::Adopt, ReviewState::Accepted) if rejected => {
            Ok(R::Decide(Verb::Revoke, ReviewState::Revoked))
        }
        (DriftVerb::Adopt, ReviewState::Rejected | ReviewState::Revoked) => {
            Err(Inapplicable::NotAdoptable(format!(
                "the connection is {review}, and there is no accept after a reject; revert it, or have the consumer make a new endpoint"
            )))
        }
        (DriftVerb::Adopt, ReviewState::Undecided | ReviewState::Accepted) => {
            Err(Inapplicable::NotAdoptable(format!(
                "AWS shows the endpoint as {observed}, and that is nothing to agree with"
            )))
        }
        (DriftVerb::Revert, ReviewState::Undecided) if accepted => {
            Ok(R::Decide(Verb::Reject, ReviewState::Rejected))
        }
        (DriftVerb::Revert, ReviewState::Rejected | ReviewState::Revoked) => Ok(R::Again),
        (DriftVerb::Revert, ReviewState::Undecided | ReviewState::Accepted) => {
            Err(Inapplicable::NotRevertible(format!(
                "AWS shows the endpoint as {observed} and offers no way back; the consumer makes a new one"
            )))
        }
    }
}

/// How a review settles the drifts of its connection: it agrees with what AWS shows, or has AWS brought back.
pub fn settled_by_review(to: ReviewState, observed: &ConnectionState) -> DriftState {
    let agrees = match to {
        ReviewState::Undecided => false,
        ReviewState::Accepted => is_accepted(observed),
        ReviewState::Rejected | ReviewState::Revoked => {
            matches!(observed, ConnectionState::Rejected)
        }
    };
    if agrees {
        DriftState::Adopted
    } else {
        DriftState::Reverted
    }
}

fn is_accepted(observed: &ConnectionState) -> bool {
    matches!(
        observed,
        ConnectionState::Pending | ConnectionState::Available | ConnectionState::Partial
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sync::{Plan, plan};

    /// What adopting decides asks nothing of AWS; what reverting decides asks for the one call that undoes.
    #[test]
    fn adopting_calls_nothing_and_reverting_calls_what_undoes() {
        for review in ReviewState::ALL {
            for observed in ConnectionState::DOCUMENTED {
                for verb in DriftVerb::ALL {
                    let what = format!("{verb} {review} {observed}");
                    match connection_remedy(*verb, *review, &observed) {
                        Ok(ConnectionRemedy::Decide(_, to)) => {
                            let state = settled_by_review(to, &observed);
                            assert_eq!(state, verb.settles_as(), "{what}");
                            let acts = matches!(plan(to, &observed), Plan::Act(_));
                            // AWS takes no reject while it shows `partial`: the worker waits for what becomes of it.
                            let waits = observed == ConnectionState::Partial;
                            assert_eq!(
                                acts || waits,
                                *verb == DriftVerb::Revert || waits,
                                "{what}"
                            );
                        }
                        Ok(ConnectionRemedy::Again) | Err(Inapplicable::NotRevertible(_)) => {
                            assert_eq!(*verb, DriftVerb::Revert, "{what}");
                        }
                        Ok(ConnectionRemedy::Leave) => {
                            assert_eq!(*verb, DriftVerb::Ignore, "{what}");
                        }
                        Err(Inapplicable::NotAdoptable(_)) => {
                            assert_eq!(*verb, DriftVerb::Adopt, "{what}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn there_is_no_accept_after_a_reject_and_no_way_back_from_one() {
        let live = ConnectionState::Available;
        let adopted = connection_remedy(DriftVerb::Adopt, ReviewState::Rejected, &live);
        assert!(matches!(adopted, Err(Inapplicable::NotAdoptable(_))));
        let cut_off = ConnectionState::Rejected;
        for review in [ReviewState::Undecided, ReviewState::Accepted] {
            let reverted = connection_remedy(DriftVerb::Revert, review, &cut_off);
            assert!(matches!(reverted, Err(Inapplicable::NotRevertible(_))));
        }
    }
}
