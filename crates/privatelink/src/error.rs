//! The closed list of ways a call to AWS can end badly, and what to do about each.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a call to AWS failed. Five variants, on purpose: a caller decides by [`GatewayError::advice`], not by AWS code.
///
/// The AWS code and message are kept for people. Messages are scrubbed of request ids by the adapters, so that the same
/// failure twice compares equal and cannot cause a hot loop of "changed" states.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// AWS throttled the call, or has too many mutations in flight; it did nothing.
    #[error("AWS asked to slow down ({code})")]
    Busy {
        /// The AWS error code.
        code: String,
        /// How long AWS asked to wait, where it said.
        retry_after: Option<Duration>,
    },
    /// The thing does not exist here, or must not be known to exist.
    #[error("AWS does not know it ({code}): {message}")]
    NotFound {
        /// The AWS error code.
        code: String,
        /// AWS's words, scrubbed.
        message: String,
    },
    /// The credentials are missing, wrong, expired or not allowed.
    #[error("AWS denied the call ({code}): {message}")]
    Denied {
        /// The AWS error code.
        code: String,
        /// AWS's words, scrubbed.
        message: String,
    },
    /// AWS understood and refuses; repeating the same call will not help.
    #[error("AWS refused the call ({code}): {message}")]
    Invalid {
        /// The AWS error code.
        code: String,
        /// AWS's words, scrubbed.
        message: String,
    },
    /// A time-out, a broken connection or a 5xx: the call may have worked.
    #[error("the outcome of the call is unknown ({code}): {message}")]
    Unknown {
        /// The AWS error code, or the adapter's name for a transport failure.
        code: String,
        /// What is known, scrubbed.
        message: String,
    },
}

/// What a caller should do about a [`GatewayError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Wait, then do the same again; at least this long when AWS said so.
    Later(Option<Duration>),
    /// Observe before acting again: the call may have worked.
    LookFirst,
    /// Stop and show it to a person.
    AskAPerson,
}

impl GatewayError {
    /// What to do next.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Busy { retry_after, .. } => Advice::Later(*retry_after),
            Self::Unknown { .. } => Advice::LookFirst,
            Self::NotFound { .. } | Self::Denied { .. } | Self::Invalid { .. } => {
                Advice::AskAPerson
            }
        }
    }

    /// The AWS error code.
    pub fn code(&self) -> &str {
        match self {
            Self::Busy { code, .. }
            | Self::NotFound { code, .. }
            | Self::Denied { code, .. }
            | Self::Invalid { code, .. }
            | Self::Unknown { code, .. } => code,
        }
    }

    /// A short, stable word for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::NotFound { .. } => "not_found",
            Self::Denied { .. } => "denied",
            Self::Invalid { .. } => "invalid",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Whether AWS said that the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// One entry of an `Unsuccessful` list inside an HTTP 200.
///
/// The schema allows every part to be missing. An entry without a resource id condemns no id in particular: nothing of that
/// call is then proven, and every id must be read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFailure {
    /// Which id failed, where AWS says.
    pub resource_id: Option<String>,
    /// The AWS error code of this item; `Missing` when AWS sent none.
    pub code: String,
    /// AWS's words, scrubbed.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unknown_outcome_asks_to_look_first() {
        let unknown = GatewayError::Unknown {
            code: "Timeout".into(),
            message: String::new(),
        };
        let denied = GatewayError::Denied {
            code: "UnauthorizedOperation".into(),
            message: String::new(),
        };
        let busy = GatewayError::Busy {
            code: "RequestLimitExceeded".into(),
            retry_after: None,
        };
        assert_eq!(unknown.advice(), Advice::LookFirst);
        assert_eq!(denied.advice(), Advice::AskAPerson);
        assert_eq!(busy.advice(), Advice::Later(None));
    }
}
