//! A model of AWS: endpoints with all the states they ever had, so that a read can show the past.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{ConnectionState, GatewayError, ItemFailure, VpcEndpointId};

use super::chance::Chance;
use crate::domain::sync::Act;

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Nothing is done, and AWS says so.
    Throttled,
    Denied,
    Invalid,
    /// Nothing is done, and nobody can know.
    ErrorBefore,
    /// All is done, and nobody can know.
    ErrorAfter,
    /// The answer was lost, the SDK asked again, and the second answer is all that is seen.
    AskedTwice,
    /// One item is not done, and the answer says which.
    OneFails,
    /// One item is not done, and the answer does not say which.
    NamelessFails,
}

impl Fault {
    pub(super) const ALL: &[Self] = &[
        Self::None,
        Self::Throttled,
        Self::Denied,
        Self::Invalid,
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::AskedTwice,
        Self::OneFails,
        Self::NamelessFails,
    ];
}

/// How long a deleted endpoint is still listed.
const LINGER: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Default)]
pub(super) struct Aws {
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: VpcEndpointId,
    /// Oldest first, never empty.
    history: Vec<(DateTime<Utc>, ConnectionState)>,
    provisioned_at: Option<DateTime<Utc>>,
    gone_at: Option<DateTime<Utc>>,
    pub(super) will_fail: bool,
    /// When somebody last brought it back from a rejection.
    pub(super) revived_at: Option<DateTime<Utc>>,
}

pub(super) fn rejectable(state: &ConnectionState) -> bool {
    use ConnectionState as S;
    matches!(state, S::PendingAcceptance | S::Pending | S::Available)
}

pub(super) fn connected(state: &ConnectionState) -> bool {
    use ConnectionState as S;
    matches!(state, S::Pending | S::Available | S::Partial)
}

impl Endpoint {
    pub(super) fn state(&self) -> ConnectionState {
        self.history[self.history.len() - 1].1.clone()
    }

    /// What a read sees that lags to this time; `None` before the endpoint was made and some time after it was deleted.
    pub(super) fn seen_at(&self, at: DateTime<Utc>) -> Option<ConnectionState> {
        let newer = self.history.partition_point(|(since, _)| *since <= at);
        let (since, state) = &self.history[newer.checked_sub(1)?];
        let vanished = *state == ConnectionState::Deleted && *since + LINGER < at;
        (!vanished).then(|| state.clone())
    }

    /// Whether it was in this state at any time from `from` on.
    pub(super) fn was(&self, state: &ConnectionState, from: DateTime<Utc>) -> bool {
        let newer = self.history.partition_point(|(since, _)| *since <= from);
        let then = newer.checked_sub(1).map(|index| &self.history[index].1);
        then == Some(state)
            || self
                .history
                .iter()
                .any(|(since, had)| had == state && *since >= from)
    }

    pub(super) fn created_at(&self) -> DateTime<Utc> {
        self.history[0].0
    }

    pub(super) fn set(&mut self, state: ConnectionState, now: DateTime<Utc>) {
        self.provisioned_at =
            matches!(state, ConnectionState::Pending).then(|| now + TimeDelta::milliseconds(2_500));
        self.history.push((now, state));
    }

    /// Accepted in the console.
    pub(super) fn accept(&mut self, now: DateTime<Utc>) {
        self.set(ConnectionState::Pending, now);
    }

    /// The undocumented way back.
    pub(super) fn revive(&mut self, now: DateTime<Utc>) {
        self.revived_at = Some(now);
        self.set(ConnectionState::Pending, now);
    }

    pub(super) fn delete(&mut self, now: DateTime<Utc>) {
        if self.gone_at.is_none() {
            self.set(ConnectionState::Deleting, now);
            self.gone_at = Some(now + TimeDelta::seconds(20));
        }
    }

    pub(super) fn change(&mut self, now: DateTime<Utc>) {
        if self.state() == ConnectionState::Available {
            self.set(ConnectionState::Pending, now);
        }
    }

    pub(super) fn expire(&mut self, now: DateTime<Utc>) {
        if self.state() == ConnectionState::PendingAcceptance {
            self.set(ConnectionState::Expired, now);
        }
    }
}

impl Aws {
    /// A consumer makes an endpoint, up to so many that still exist.
    pub(super) fn create(&mut self, now: DateTime<Utc>, chance: &mut Chance, most: usize) {
        let alive = self.endpoints.iter().filter(|e| e.gone_at.is_none());
        if alive.count() < most {
            let id = format!("vpce-{:017x}", chance.next() >> 8);
            self.endpoints.push(Endpoint {
                id: id.parse().unwrap(),
                history: vec![(now, ConnectionState::PendingAcceptance)],
                provisioned_at: None,
                gone_at: None,
                will_fail: false,
                revived_at: None,
            });
        }
    }

    pub(super) fn any(&mut self, chance: &mut Chance) -> Option<&mut Endpoint> {
        let index = chance.index(self.endpoints.len());
        self.endpoints.get_mut(index)
    }

    pub(super) fn endpoint(&self, id: &VpcEndpointId) -> &Endpoint {
        self.endpoints.iter().find(|e| &e.id == id).unwrap()
    }

    /// What AWS does by itself.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) {
        for endpoint in &mut self.endpoints {
            if endpoint.provisioned_at.is_some_and(|at| at <= now) {
                let end = if endpoint.will_fail {
                    ConnectionState::Failed
                } else {
                    ConnectionState::Available
                };
                endpoint.set(end, now);
            }
            if endpoint.gone_at.is_some_and(|at| at <= now)
                && endpoint.state() == ConnectionState::Deleting
            {
                endpoint.set(ConnectionState::Deleted, now);
            }
        }
    }

    /// An accept or reject, with what goes wrong.
    pub(super) fn call(
        &mut self,
        act: Act,
        ids: &[VpcEndpointId],
        now: DateTime<Utc>,
        fault: Fault,
        chance: &mut Chance,
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        let unknown = || GatewayError::Unknown {
            code: "InternalError".to_owned(),
            message: "an internal error has occurred".to_owned(),
        };
        match fault {
            Fault::Throttled => Err(GatewayError::Busy {
                code: "RequestLimitExceeded".to_owned(),
                retry_after: None,
            }),
            Fault::Denied => Err(GatewayError::Denied {
                code: "UnauthorizedOperation".to_owned(),
                message: "no".to_owned(),
            }),
            Fault::Invalid => Err(GatewayError::Invalid {
                code: "InvalidParameter".to_owned(),
                message: "no".to_owned(),
            }),
            Fault::ErrorBefore => Err(unknown()),
            Fault::ErrorAfter => {
                self.perform(act, ids, now);
                Err(unknown())
            }
            Fault::AskedTwice => {
                self.perform(act, ids, now);
                Ok(self.perform(act, ids, now))
            }
            Fault::OneFails | Fault::NamelessFails => {
                let spared = chance.index(ids.len());
                let named = (fault == Fault::OneFails).then(|| ids[spared].to_string());
                let others: Vec<_> = ids
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| *index != spared)
                    .map(|(_, id)| id.clone())
                    .collect();
                let mut failures = self.perform(act, &others, now);
                failures.push(ItemFailure {
                    resource_id: named,
                    code: "Unavailable".to_owned(),
                    message: String::new(),
                });
                Ok(failures)
            }
            Fault::None => Ok(self.perform(act, ids, now)),
        }
    }

    fn perform(&mut self, act: Act, ids: &[VpcEndpointId], now: DateTime<Utc>) -> Vec<ItemFailure> {
        let mut failures = Vec::new();
        for id in ids {
            let endpoint = self.endpoints.iter_mut().find(|e| &e.id == id).unwrap();
            match (act, endpoint.state()) {
                (Act::Accept, ConnectionState::PendingAcceptance) => {
                    endpoint.set(ConnectionState::Pending, now);
                }
                (Act::Reject, state) if rejectable(&state) => {
                    endpoint.set(ConnectionState::Rejected, now);
                }
                _ => failures.push(ItemFailure {
                    resource_id: Some(id.to_string()),
                    code: "InvalidState".to_owned(),
                    message: String::new(),
                }),
            }
        }
        failures
    }
}
