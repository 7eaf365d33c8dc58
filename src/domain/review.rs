//! Review: what the business decided about a connection. Transitions are here and nowhere else.

use privatelink::ConnectionState;

use super::text::text_enum;

text_enum!(
    /// Where the review of a connection stands.
    ReviewState {
        /// Nobody decided yet.
        Undecided = "undecided",
        /// The consumer may connect.
        Accepted = "accepted",
        /// The request was refused.
        Rejected = "rejected",
        /// Access was given and then taken away.
        Revoked = "revoked",
    }
);

text_enum!(
    /// What a decider does to a connection.
    Verb {
        /// Lets the consumer connect.
        Accept = "accept",
        /// Refuses a request that nobody decided yet, or ends a connection that came up without a decision.
        Reject = "reject",
        /// Takes away access that was given.
        Revoke = "revoke",
    }
);

/// Why a verb does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The review already has another outcome. Changing one's mind is not a second first decision.
    #[error("the connection is already {0}")]
    AlreadyDecided(ReviewState),
    /// Only access that was given can be taken away.
    #[error("the connection is {0}, so there is no access to revoke")]
    NotAccepted(ReviewState),
    /// The consumer's endpoint has reached an end: it can only be deleted and made anew by the consumer.
    #[error("the endpoint is {0} in AWS and can no longer be decided")]
    Closed(ConnectionState),
    /// AWS reports a state that this version does not know; deciding blind would be a guess.
    #[error("AWS reports the unknown state {0:?} for the endpoint")]
    UnknownState(String),
}

impl ReviewState {
    /// The review after `verb`, given what AWS last said about the endpoint; or why not.
    ///
    /// Accepting after a rejection is not offered: AWS documents no way back from `rejected`, and operators on real AWS
    /// treat it as final, so the consumer makes a new endpoint and that is a new request.
    pub fn after(self, verb: Verb, observed: &ConnectionState) -> Result<Self, Refusal> {
        match (self, verb) {
            (Self::Undecided, Verb::Accept | Verb::Reject) | (Self::Accepted, Verb::Revoke) => {}
            (Self::Undecided | Self::Rejected | Self::Revoked, Verb::Revoke) => {
                return Err(Refusal::NotAccepted(self));
            }
            (Self::Accepted | Self::Rejected | Self::Revoked, Verb::Accept | Verb::Reject) => {
                return Err(Refusal::AlreadyDecided(self));
            }
        }
        match observed {
            ConnectionState::PendingAcceptance
            | ConnectionState::Pending
            | ConnectionState::Available
            | ConnectionState::Partial => {}
            // Cut off behind our back: revoking says that it shall stay so.
            ConnectionState::Rejected if verb == Verb::Revoke => {}
            ConnectionState::Unknown(raw) => return Err(Refusal::UnknownState(raw.clone())),
            ConnectionState::Rejected
            | ConnectionState::Expired
            | ConnectionState::Failed
            | ConnectionState::Deleting
            | ConnectionState::Deleted => return Err(Refusal::Closed(observed.clone())),
        }
        Ok(match verb {
            Verb::Accept => Self::Accepted,
            Verb::Reject => Self::Rejected,
            Verb::Revoke => Self::Revoked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cell of the table, written by hand from the rule: one line per review and verb, over all observed states.
    #[test]
    fn every_transition_is_as_the_table_says() {
        use ReviewState as R;
        let live = ["pendingAcceptance", "pending", "available", "partial"];
        for review in R::ALL {
            for verb in Verb::ALL {
                let legal = match (review, verb) {
                    (R::Undecided, Verb::Accept) => Some(R::Accepted),
                    (R::Undecided, Verb::Reject) => Some(R::Rejected),
                    (R::Accepted, Verb::Revoke) => Some(R::Revoked),
                    _ => None,
                };
                for observed in ConnectionState::DOCUMENTED {
                    let got = review.after(*verb, &observed);
                    let agreed = *verb == Verb::Revoke && observed == ConnectionState::Rejected;
                    if live.contains(&observed.as_str()) || agreed {
                        assert_eq!(got.ok(), legal, "{review} {verb} {observed}");
                    } else {
                        assert!(got.is_err(), "{review} {verb} {observed}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_second_accept_is_refused_by_name() {
        let refusal = ReviewState::Accepted.after(Verb::Accept, &ConnectionState::Pending);
        assert_eq!(refusal, Err(Refusal::AlreadyDecided(ReviewState::Accepted)));
    }

    #[test]
    fn an_unknown_state_is_never_decided() {
        let odd = ConnectionState::Unknown("quarantined".to_owned());
        assert_eq!(
            ReviewState::Undecided.after(Verb::Accept, &odd),
            Err(Refusal::UnknownState("quarantined".to_owned()))
        );
    }
}
