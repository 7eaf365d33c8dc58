//! The faults of the matrix: what can become of a call, or of a message.

use privatelink_sim::{Effect, Fault, When};

use crate::support::PROVIDER;

/// Calls that a transient fault befalls, one after the other; messages likewise.
const TIMES: u32 = 2;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Throttled,
    Denied,
    Invalid,
    ErrorBefore,
    ErrorAfter,
    AnswerLost,
    TimedOut,
    Slow,
    PartlyUnsuccessful,
    StaleReads,
    MessageLost,
    MessageTwice,
    MessageLate,
    MessageOutOfOrder,
}

impl Trouble {
    pub(super) const ALL: [Self; 14] = [
        Self::Throttled,
        Self::Denied,
        Self::Invalid,
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::AnswerLost,
        Self::TimedOut,
        Self::Slow,
        Self::PartlyUnsuccessful,
        Self::StaleReads,
        Self::MessageLost,
        Self::MessageTwice,
        Self::MessageLate,
        Self::MessageOutOfOrder,
    ];

    /// The fault, on calls of this action after `skip` of them; `None` where AWS's answers have no such part. `item` is an id in the
    /// call. About messages the action is the event that they tell of.
    pub(super) fn on(self, action: &str, skip: u32, item: Option<&str>) -> Option<Fault> {
        let error = || (500, "InternalError".to_owned());
        let effect = match self {
            Self::Throttled => Effect::Throttle,
            Self::Denied => Effect::DenyAction,
            Self::Invalid => Effect::Refuse {
                code: "InvalidParameter".to_owned(),
            },
            Self::ErrorBefore => {
                let (status, code) = error();
                Effect::ErrorBefore { status, code }
            }
            Self::ErrorAfter => {
                let (status, code) = error();
                Effect::ErrorAfter { status, code }
            }
            Self::AnswerLost => Effect::DropAnswer,
            // As the adapter's time-out: no answer, and nothing was done.
            Self::TimedOut => Effect::Reset { when: When::Before },
            Self::Slow => Effect::Slow {
                delay_ms: 3,
                when: When::After,
            },
            Self::PartlyUnsuccessful => Effect::PartialUnsuccessful {
                resource_id: item?.to_owned(),
                code: "ConcurrentMutationLimitExceeded".to_owned(),
                message: "Later.".to_owned(),
            },
            Self::StaleReads => Effect::StaleReads { lag_ms: 5_000 },
            Self::MessageLost => Effect::LoseNotification,
            Self::MessageTwice => Effect::DuplicateNotification,
            Self::MessageLate => Effect::DelayNotification { delay_ms: 20_000 },
            Self::MessageOutOfOrder => Effect::ReorderNotification,
        };
        let fault = if self == Self::StaleReads {
            // Every read that can lag does, whatever the call is: a call is planned on reads and proven by them.
            Fault::always("DescribeVpcEndpoint*", effect)
        } else {
            Fault {
                skip,
                times: Some(TIMES),
                ..Fault::always(action, effect)
            }
        };
        let fault = fault.for_account(PROVIDER.parse().unwrap());
        // The simulator knows which actions have items, and what is an event.
        fault.check().is_ok().then_some(fault)
    }

    /// Whether it befalls messages. Those are sent by what people and consumers do, so it lies in wait for that.
    pub(super) fn is_of_messages(self) -> bool {
        use Trouble::{MessageLate, MessageLost, MessageOutOfOrder, MessageTwice};
        matches!(
            self,
            MessageLost | MessageTwice | MessageLate | MessageOutOfOrder
        )
    }

    /// Whether messages may never come because of it.
    pub(super) fn silences(self) -> bool {
        matches!(self, Self::MessageLost | Self::MessageOutOfOrder)
    }

    /// Codes under which a row may be stalled because of it. Whatever is not said for good has to heal by itself.
    pub(super) fn may_stall_as(self) -> &'static [&'static str] {
        match self {
            Self::Denied => &[
                "UnauthorizedOperation",
                "AccessDenied",
                "AuthorizationError",
            ],
            Self::Invalid => &["InvalidParameter"],
            _ => &[],
        }
    }
}
