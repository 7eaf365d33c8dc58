//! Planned trouble: which call goes wrong, how, and how often.

use std::sync::{Arc, Mutex, PoisonError};

use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};

use crate::AwsError;
use crate::api::{Api, Call};
use crate::simulator::Failure;
use crate::world::messaging::notices::Fate;
use crate::world::notifications::ConnectionEvent;
use crate::world::{ForcedFailure, select};

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
    /// Nothing is done; the answer is `UnauthorizedOperation` (403), `AccessDenied` from ELBv2 and STS.
    DenyAction,
    /// One id of a batch fails inside the HTTP 200. Used up only by a call that names the id.
    PartialUnsuccessful {
        /// The id.
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
    /// What it makes of a connection notification; `None` for effects on calls.
    fn fate(&self) -> Option<Fate> {
        match self {
            Self::LoseNotification => Some(Fate::Lost),
            Self::DuplicateNotification => Some(Fate::Twice),
            Self::DelayNotification { delay_ms } => Some(Fate::Late(*delay_ms)),
            Self::ReorderNotification => Some(Fate::AfterTheNext),
            _ => None,
        }
    }
}

/// A planned fault: an effect, and the calls that it befalls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Given when the fault is planned.
    #[serde(default)]
    pub id: u64,
    /// The action, `*` and `?` allowed; every action when missing.
    #[serde(default)]
    pub action: Option<String>,
    /// The account that calls; every account when missing.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// The Region of the call; every Region when missing.
    #[serde(default)]
    pub region: Option<Region>,
    /// How many matching calls pass before it begins.
    #[serde(default)]
    pub skip: u32,
    /// How many calls it befalls; for ever when missing.
    #[serde(default)]
    pub times: Option<u32>,
    /// What goes wrong.
    #[serde(flatten)]
    pub effect: Effect,
}

fn internal_status() -> u16 {
    500
}

fn internal_code() -> String {
    "InternalError".to_owned()
}

impl Fault {
    /// This effect on the next call of an action, once.
    pub fn once(action: &str, effect: Effect) -> Self {
        Self {
            times: Some(1),
            ..Self::always(action, effect)
        }
    }

    /// This effect on every call of an action until the fault is removed.
    pub fn always(action: &str, effect: Effect) -> Self {
        Self {
            id: 0,
            action: Some(action.to_owned()),
            account: None,
            region: None,
            skip: 0,
            times: None,
            effect,
        }
    }

    /// The same fault for one account only.
    #[must_use]
    pub fn for_account(mut self, account: AccountId) -> Self {
        self.account = Some(account);
        self
    }

    fn befalls(&self, action: &str, account: &AccountId, region: &Region) -> bool {
        self.action
            .as_ref()
            .is_none_or(|pattern| select::matches(pattern, action))
            && self.account.as_ref().is_none_or(|own| own == account)
            && self.region.as_ref().is_none_or(|own| own == region)
            && self.times != Some(0)
    }
}

/// The planned faults; all clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    planned: Arc<Mutex<Planned>>,
}

#[derive(Debug, Default)]
struct Planned {
    next: u64,
    faults: Vec<Fault>,
}

/// What the planned faults make of one call.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The answer when nothing is done.
    pub(crate) before: Option<AwsError>,
    /// The answer in place of the one that was earned.
    pub(crate) after: Option<After>,
    /// Items that fail.
    pub(crate) forced: Vec<ForcedFailure>,
    /// How far reads lag, in milliseconds.
    pub(crate) lag_ms: u64,
}

impl Plan {
    /// The plan for one look of a call that waits: what happens to the answer happens once, at the end.
    pub(crate) fn look(&self) -> Self {
        Self {
            before: self.before.clone(),
            after: None,
            forced: self.forced.clone(),
            lag_ms: self.lag_ms,
        }
    }

    /// What becomes of an answer.
    pub(crate) fn afterwards<T>(&self, answer: T) -> Result<T, Failure> {
        match &self.after {
            None => Ok(answer),
            Some(After::Error(error)) => Err(Failure::Refused(error.clone())),
            Some(After::Drop) => Err(Failure::Dropped),
        }
    }
}

/// What becomes of an answer after the work was done.
#[derive(Debug)]
pub(crate) enum After {
    Error(AwsError),
    Drop,
}

impl Faults {
    /// Plans a fault and answers with its id.
    pub fn plan(&self, mut fault: Fault) -> u64 {
        self.with(|planned| {
            planned.next += 1;
            fault.id = planned.next;
            planned.faults.push(fault);
            planned.next
        })
    }

    /// The faults that can still happen, with what is left of their counts.
    pub fn list(&self) -> Vec<Fault> {
        self.with(|planned| planned.faults.clone())
    }

    /// Removes one fault; answers whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        self.with(|planned| {
            let before = planned.faults.len();
            planned.faults.retain(|fault| fault.id != id);
            planned.faults.len() < before
        })
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.with(|planned| planned.faults.clear());
    }

    /// What happens to this call. Counts down every fault that befalls it, except those on single items: they count when
    /// the call names the item.
    pub(crate) fn befall(&self, call: &Call) -> Plan {
        self.with(|planned| {
            let mut plan = Plan::default();
            for fault in planned
                .faults
                .iter_mut()
                .filter(|fault| fault.effect.fate().is_none())
                .filter(|fault| fault.befalls(&call.action, &call.account, &call.region))
            {
                let item = matches!(fault.effect, Effect::PartialUnsuccessful { .. });
                // One answer can go wrong in one way only; a second fault waits for the next call.
                if !item && (plan.before.is_some() || plan.after.is_some()) {
                    continue;
                }
                if fault.skip > 0 {
                    fault.skip -= 1;
                    continue;
                }
                apply(fault, call.api, &mut plan);
                if !item {
                    fault.times = fault.times.map(|left| left.saturating_sub(1));
                }
            }
            planned.faults.retain(|fault| fault.times != Some(0));
            plan
        })
    }

    /// What happens to this connection notification. The first fault that befalls it counts down; the others wait.
    pub(crate) fn befall_notification(&self, event: &ConnectionEvent) -> Fate {
        self.with(|planned| {
            let mut fate = Fate::Delivered;
            for fault in planned
                .faults
                .iter_mut()
                .filter(|fault| fault.befalls(&event.event, &event.account, &event.region))
            {
                let Some(planned) = fault.effect.fate() else {
                    continue;
                };
                if fault.skip > 0 {
                    fault.skip -= 1;
                    continue;
                }
                fault.times = fault.times.map(|left| left.saturating_sub(1));
                fate = planned;
                break;
            }
            planned.faults.retain(|fault| fault.times != Some(0));
            fate
        })
    }

    /// Counts down the single-item faults that a call has used.
    pub(crate) fn spend(&self, used: &[u64]) {
        if used.is_empty() {
            return;
        }
        self.with(|planned| {
            for fault in planned.faults.iter_mut().filter(|f| used.contains(&f.id)) {
                fault.times = fault.times.map(|left| left.saturating_sub(1));
            }
            planned.faults.retain(|fault| fault.times != Some(0));
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Planned) -> T) -> T {
        act(&mut self.planned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn apply(fault: &Fault, api: Api, plan: &mut Plan) {
    match &fault.effect {
        Effect::Throttle => plan.before = Some(api.throttled()),
        Effect::DenyAction => plan.before = Some(api.denied()),
        Effect::ErrorBefore { status, code } => plan.before = Some(server_error(*status, code)),
        Effect::ErrorAfter { status, code } => {
            plan.after = Some(After::Error(server_error(*status, code)));
        }
        Effect::DropAnswer => plan.after = Some(After::Drop),
        Effect::StaleReads { lag_ms } => plan.lag_ms = plan.lag_ms.max(*lag_ms),
        // They are about notifications; no call meets them.
        Effect::LoseNotification
        | Effect::DuplicateNotification
        | Effect::DelayNotification { .. }
        | Effect::ReorderNotification => {}
        Effect::PartialUnsuccessful {
            resource_id,
            code,
            message,
        } => plan.forced.push(ForcedFailure {
            fault: fault.id,
            resource_id: resource_id.clone(),
            error: AwsError::new(code.as_str(), message.as_str()),
        }),
    }
}

fn server_error(status: u16, code: &str) -> AwsError {
    let status = if (500..600).contains(&status) {
        status
    } else {
        500
    };
    AwsError::with_status(status, code, "An internal error has occurred")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &str, account: &str) -> Call {
        Call {
            api: Api::Ec2,
            action: action.to_owned(),
            account: account.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            ids: Vec::new(),
        }
    }

    #[test]
    fn a_fault_planned_once_happens_once() {
        let faults = Faults::default();
        faults.plan(Fault::once("Describe*", Effect::Throttle));
        assert!(
            faults
                .befall(&call("CreateVpc", "111111111111"))
                .before
                .is_none()
        );
        let error = faults.befall(&call("DescribeVpcs", "111111111111")).before;
        assert_eq!(
            error.map(|e| (e.code, e.status)),
            Some(("RequestLimitExceeded".to_owned(), 503))
        );
        assert!(
            faults
                .befall(&call("DescribeVpcs", "111111111111"))
                .before
                .is_none()
        );
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_fault_of_one_account_spares_the_others() {
        let faults = Faults::default();
        let fault =
            Fault::always("*", Effect::DenyAction).for_account("222222222222".parse().unwrap());
        faults.plan(fault);
        assert!(
            faults
                .befall(&call("CreateVpc", "111111111111"))
                .before
                .is_none()
        );
        assert!(
            faults
                .befall(&call("CreateVpc", "222222222222"))
                .before
                .is_some()
        );
    }

    #[test]
    fn skipped_calls_pass() {
        let faults = Faults::default();
        faults.plan(Fault {
            skip: 2,
            ..Fault::once("CreateVpc", Effect::DropAnswer)
        });
        let hit: Vec<bool> = (0..4)
            .map(|_| {
                faults
                    .befall(&call("CreateVpc", "111111111111"))
                    .after
                    .is_some()
            })
            .collect();
        assert_eq!(hit, [false, false, true, false]);
    }

    #[test]
    fn two_faults_on_one_action_befall_two_calls() {
        let faults = Faults::default();
        faults.plan(Fault::once("CreateVpc", Effect::Throttle));
        faults.plan(Fault::once("CreateVpc", Effect::DropAnswer));
        let first = faults.befall(&call("CreateVpc", "111111111111"));
        assert!(first.before.is_some() && first.after.is_none());
        assert!(
            faults
                .befall(&call("CreateVpc", "111111111111"))
                .after
                .is_some()
        );
    }

    #[test]
    fn faults_are_read_from_json_as_documented() {
        let fault: Fault = serde_json::from_str(
            r#"{"action":"AcceptVpcEndpointConnections","times":2,"effect":"error_after","status":503,"code":"Unavailable"}"#,
        )
        .unwrap();
        assert_eq!(fault.times, Some(2));
        assert_eq!(
            fault.effect,
            Effect::ErrorAfter {
                status: 503,
                code: "Unavailable".into()
            }
        );
    }

    #[test]
    fn a_fault_on_notifications_spares_calls_and_counts_events() {
        let faults = Faults::default();
        faults.plan(Fault::once("Accept", Effect::LoseNotification));
        faults.plan(Fault::once("*", Effect::DelayNotification { delay_ms: 7 }));
        assert!(befall_nothing(&faults));
        let event = |event: &str| ConnectionEvent {
            topic_arn: "arn:aws:sns:eu-west-1:111111111111:t".into(),
            event: event.into(),
            service_id: "vpce-svc-0aaaaaaaaaaaaaaaa".parse().unwrap(),
            endpoint_id: "vpce-0aaaaaaaaaaaaaaaa".parse().unwrap(),
            time: chrono::DateTime::UNIX_EPOCH,
            account: "111111111111".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
        };
        assert_eq!(faults.befall_notification(&event("Accept")), Fate::Lost);
        assert_eq!(faults.befall_notification(&event("Accept")), Fate::Late(7));
        assert_eq!(
            faults.befall_notification(&event("Accept")),
            Fate::Delivered
        );
        assert!(faults.list().is_empty());
    }

    fn befall_nothing(faults: &Faults) -> bool {
        let plan = faults.befall(&call("Accept", "111111111111"));
        plan.before.is_none() && plan.after.is_none()
    }
}
