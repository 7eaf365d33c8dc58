//! The states of a connection in words: for the provider, for the consumer, and what would have to change.
//!
//! From AWS's documentation of the life of an interface endpoint: who can leave a state, and how. A provider cannot delete a consumer's endpoint.
#![deny(clippy::wildcard_enum_match_arm)]

use privatelink::ConnectionState;
use serde::Serialize;

use super::check::CheckStatus;

/// A state, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// What AWS says.
    pub state: String,
    /// What it means to the provider.
    pub provider: String,
    /// What it means to the consumer; good to be sent as it is.
    pub consumer: String,
    /// What would have to change for traffic to flow.
    pub to_change: String,
}

/// Explains a state.
pub fn explain(state: &ConnectionState) -> Explanation {
    use ConnectionState as S;
    let (provider, consumer, to_change) = match state {
        S::PendingAcceptance => (
            "The consumer made the endpoint, and it waits for your decision.",
            "Your endpoint waits for the provider to accept it. No traffic flows yet.",
            "Accept the connection. AWS lets a request expire that nobody decides.",
        ),
        S::Pending => (
            "The connection is accepted and AWS is setting it up, or the consumer is changing the endpoint.",
            "Your endpoint is accepted and is being set up. This takes a few minutes at most.",
            "Nothing: AWS moves it on by itself. If it stays for longer, look at it in AWS.",
        ),
        S::Available => (
            "The connection is up, and traffic can flow as far as AWS shows.",
            "Your endpoint works. If traffic fails, check its security groups, its subnets' zones and the name you connect to.",
            "Nothing about the endpoint itself. If traffic fails all the same, see the service's checks.",
        ),
        S::Partial => (
            "The connection works in some places and not in others, and cannot be decided meanwhile.",
            "Your endpoint works in some of its zones only.",
            "Wait: AWS shows this while something moves. If it stays, have the consumer make the endpoint anew.",
        ),
        S::Rejected => (
            "The connection was rejected. The consumer's endpoint still exists and carries no traffic.",
            "The provider rejected your endpoint. It carries no traffic and is billed until you delete it.",
            "AWS documents no way back: the consumer deletes the endpoint and makes a new one, which you then accept.",
        ),
        S::Expired => (
            "Nobody decided in time, and AWS let the request expire.",
            "Your request expired before the provider accepted it. Delete the endpoint and make a new one.",
            "The consumer deletes the endpoint and makes a new one; decide about that in time.",
        ),
        S::Failed => (
            "AWS could not set the endpoint up. Only the consumer sees the reason.",
            "AWS could not set your endpoint up: `lastError` in DescribeVpcEndpoints says why. Delete it and make a new one.",
            "The consumer reads the endpoint's `lastError`, mends the cause, deletes the endpoint and makes a new one.",
        ),
        S::Deleting => (
            "The consumer is deleting the endpoint.",
            "Your endpoint is being deleted.",
            "Nothing can: the consumer makes a new endpoint if it was a mistake.",
        ),
        S::Deleted => (
            "The consumer has deleted the endpoint.",
            "Your endpoint is deleted.",
            "Nothing can: the consumer makes a new endpoint if it was a mistake.",
        ),
        S::Unknown(_) => (
            "AWS reports a state that this version does not know. Nothing is decided or called meanwhile.",
            "AWS reports a state of your endpoint that the provider's software does not know yet.",
            "Look the state up in AWS's documentation, and see whether a newer version knows it.",
        ),
    };
    Explanation {
        state: state.to_string(),
        provider: provider.to_owned(),
        consumer: consumer.to_owned(),
        to_change: to_change.to_owned(),
    }
}

/// How well a connection in this state is.
pub(super) fn status(state: &ConnectionState) -> CheckStatus {
    use ConnectionState as S;
    match state {
        S::Available => CheckStatus::Pass,
        S::PendingAcceptance | S::Pending | S::Partial => CheckStatus::Warn,
        S::Rejected | S::Expired | S::Failed | S::Deleting | S::Deleted => CheckStatus::Fail,
        S::Unknown(_) => CheckStatus::Unknown,
    }
}

/// Whether the endpoint can still come to work without being made anew.
pub(super) fn is_live(state: &ConnectionState) -> bool {
    use ConnectionState as S;
    match state {
        S::PendingAcceptance | S::Pending | S::Available | S::Partial | S::Unknown(_) => true,
        S::Rejected | S::Expired | S::Failed | S::Deleting | S::Deleted => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_state_has_a_sentence_for_each_side_of_its_own() {
        let mut seen = HashSet::new();
        let unknown = ConnectionState::parse("resting");
        for state in ConnectionState::DOCUMENTED.iter().chain([&unknown]) {
            let explained = explain(state);
            assert_eq!(explained.state, state.as_str());
            for sentence in [
                &explained.provider,
                &explained.consumer,
                &explained.to_change,
            ] {
                assert!(sentence.ends_with('.'), "{state}: {sentence}");
                assert!(
                    sentence.starts_with(char::is_uppercase),
                    "{state}: {sentence}"
                );
            }
            assert!(seen.insert(explained.provider.clone()), "{state}");
            assert!(seen.insert(explained.consumer.clone()), "{state}");
        }
    }

    #[test]
    fn only_an_available_connection_is_well() {
        for state in ConnectionState::DOCUMENTED {
            let well = status(&state) == CheckStatus::Pass;
            assert_eq!(well, state == ConnectionState::Available, "{state}");
        }
    }
}
