//! What a planned fault does to a call, to its answer or to a notification.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::world::messaging::notices::Fate;

/// Whether something goes wrong before the work or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the work: nothing is done (yet).
    Before,
    /// After the work, before the answer.
    After,
}

impl When {
    fn before() -> Self {
        Self::Before
    }

    fn after() -> Self {
        Self::After
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Nothing is done; the answer is `RequestLimitExceeded` (503) from EC2, `Throttling` (400) from ELBv2 and STS.
    Throttle,
    /// Nothing is done; the answer is this server error.
    ErrorBefore {
        /// The HTTP status, 500 to 599.
        #[serde(default = "internal_status")]
        status: u16,
        /// The error code.
        #[serde(default = "internal_code")]
        code: String,
    },
    /// The work is done; the answer is this server error all the same.
    ErrorAfter {
        /// The HTTP status, 500 to 599.
        #[serde(default = "internal_status")]
        status: u16,
        /// The error code.
        #[serde(default = "internal_code")]
        code: String,
    },
    /// The work is done; the connection is closed without an answer.
    DropAnswer,
    /// The connection is reset (TCP RST) without an answer.
    Reset {
        /// Before the work or, unless said otherwise, after it.
        #[serde(default = "When::after")]
        when: When,
    },
    /// The work is done; half of the answer comes, then the connection is closed.
    Truncate,
    /// The work is done; the answer is an HTTP 200 whose body is neither XML nor JSON.
    Garbled,
    /// The call takes longer. This is the machine's time, whatever the simulated clock does, since clients time out by it.
    Slow {
        /// How much longer, in milliseconds.
        delay_ms: u64,
        /// Before the work, unless said otherwise, or after it.
        #[serde(default = "When::before")]
        when: When,
    },
    /// Nothing is done; the answer is `UnauthorizedOperation` (403), `AccessDenied` from ELBv2 and STS.
    DenyAction,
    /// One id of a batch fails inside the HTTP 200. Used up only by a call that names the id.
    PartialUnsuccessful {
        /// The id; of a batch of messages, the entry's.
        resource_id: String,
        /// The item's code.
        code: String,
        /// The item's message.
        #[serde(default)]
        message: String,
    },
    /// Reads see the connections and services of this many milliseconds ago.
    StaleReads {
        /// How far reads lag.
        lag_ms: u64,
    },
    /// Nothing is done; the answer is this client error (400): AWS understood and refuses.
    Refuse {
        /// The error code.
        #[serde(default = "refused_code")]
        code: String,
    },
    /// A connection notification is published to nobody. This and the next three are about notifications, not calls:
    /// `action` is the event (`Connect`, `Accept`, `Reject`, `Delete`), the account and the Region are the notification's.
    LoseNotification,
    /// A connection notification reaches each queue twice, under one SNS message id.
    DuplicateNotification,
    /// A connection notification reaches the queues this much later.
    DelayNotification {
        /// Milliseconds of the simulated clock.
        delay_ms: u64,
    },
    /// A connection notification is published after the next one of its topic. It waits for it, however long that takes.
    ReorderNotification,
}

impl Effect {
    /// The longest [`Effect::Slow`], in milliseconds: longer than any client waits.
    pub const MAX_SLOW_MS: u64 = 600_000;

    /// What it makes of a connection notification; `None` for effects on calls.
    pub(crate) fn fate(&self) -> Option<Fate> {
        match self {
            Self::LoseNotification => Some(Fate::Lost),
            Self::DuplicateNotification => Some(Fate::Twice),
            Self::DelayNotification { delay_ms } => Some(Fate::Late(*delay_ms)),
            Self::ReorderNotification => Some(Fate::AfterTheNext),
            _ => None,
        }
    }

    /// Whether it befalls one item of a call and not the whole.
    pub(crate) fn is_on_one_item(&self) -> bool {
        matches!(self, Self::PartialUnsuccessful { .. })
    }

    /// Whether it can befall a call together with another effect that decides the answer.
    pub(crate) fn goes_with_others(&self) -> bool {
        self.is_on_one_item() || matches!(self, Self::Slow { .. })
    }

    /// The actions that it can befall, when it cannot befall all of them, and what is wrong with the others.
    pub(crate) fn able(&self) -> Option<(&'static [&'static str], &'static str)> {
        match self {
            Self::PartialUnsuccessful { .. } => {
                Some((WITH_ITEMS, "has no items that fail one by one"))
            }
            Self::StaleReads { .. } => Some((LAGGING, "does not read what can lag")),
            _ => None,
        }
    }

    /// Why the effect cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::ErrorBefore { status, .. } | Self::ErrorAfter { status, .. }
                if !(500..600).contains(status) =>
            {
                Err(format!("status {status} is not 500 to 599"))
            }
            Self::ErrorBefore { code, .. }
            | Self::ErrorAfter { code, .. }
            | Self::Refuse { code }
            | Self::PartialUnsuccessful { code, .. }
                if !is_code(code) =>
            {
                Err("code is empty, or has anything but letters, digits, dots, hyphens and underscores".to_owned())
            }
            Self::PartialUnsuccessful { resource_id, .. } if resource_id.is_empty() => {
                Err("resource_id is empty".to_owned())
            }
            Self::StaleReads { lag_ms: 0 } => Err("lag_ms 0 is no lag".to_owned()),
            Self::Slow { delay_ms, .. } if *delay_ms > Self::MAX_SLOW_MS => Err(format!(
                "delay_ms {delay_ms} is more than {}",
                Self::MAX_SLOW_MS
            )),
            _ => Ok(()),
        }
    }
}

/// Whether this can be the code of an error.
pub(crate) fn is_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= 128
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
}

/// The actions whose answers list items that failed: EC2's `unsuccessful`, SQS's `Failed`.
const WITH_ITEMS: &[&str] = &[
    "AcceptVpcEndpointConnections",
    "DeleteMessageBatch",
    "DeleteVpcEndpointConnectionNotifications",
    "DeleteVpcEndpointServiceConfigurations",
    "DeleteVpcEndpoints",
    "RejectVpcEndpointConnections",
];

/// The reads that see the past under [`Effect::StaleReads`].
const LAGGING: &[&str] = &[
    "DescribeRouteTables",
    "DescribeTargetHealth",
    "DescribeVpcEndpointAssociations",
    "DescribeVpcEndpointConnections",
    "DescribeVpcEndpointServiceConfigurations",
    "DescribeVpcEndpointServices",
    "DescribeVpcEndpoints",
];

/// The pause of a slow call.
pub(crate) fn slow(delay_ms: u64) -> Duration {
    Duration::from_millis(delay_ms.min(Effect::MAX_SLOW_MS))
}

fn internal_status() -> u16 {
    500
}

fn refused_code() -> String {
    "InvalidParameter".to_owned()
}

fn internal_code() -> String {
    "InternalError".to_owned()
}

/// How an answer breaks on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// The connection is closed.
    Dropped,
    /// The connection is reset.
    Reset,
    /// Half of it comes.
    Truncated,
    /// What comes cannot be read.
    Garbled,
}

impl Break {
    /// What the call log says.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::Garbled => "garbled",
        }
    }

    /// What a caller in process is told; no AWS code, as no answer came.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Dropped => "ConnectionClosed",
            Self::Reset => "ConnectionReset",
            Self::Truncated | Self::Garbled => "UnreadableAnswer",
        }
    }

    /// The same for people.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Dropped => "the connection was closed before an answer came",
            Self::Reset => "the connection was reset before an answer came",
            Self::Truncated => "the connection was closed in the middle of the answer",
            Self::Garbled => "the answer cannot be read",
        }
    }
}
