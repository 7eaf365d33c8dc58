//! One connection as it is stored, and what the store and the verbs do to it.

use chrono::{DateTime, Utc};
use privatelink::{ConnectionState, VpcEndpointId};
use uuid::Uuid;

use super::shell::RULES;
use crate::domain::connection::{Connection, ConnectionSync, Observed};
use crate::domain::drift::{Change, DriftKind, detect};
use crate::domain::ids::{AccountRegionId, ConnectionId, EndpointServiceId};
use crate::domain::observe::{REJECTED_OUTSIDE, SyncChange, sync_change};
use crate::domain::outcome::Outcome;
use crate::domain::review::ReviewState;
use crate::domain::settlement::Settlement;
use crate::domain::sync::{Act, SyncState};

/// A call that ended in a settlement: which, when and how.
pub(super) type Called = (Act, DateTime<Utc>, Outcome);

/// A row of `connections`, with what the checks have to know besides.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) connection: Connection,
    pub(super) drifts: Vec<DriftKind>,
    pub(super) decided_in: u64,
    pub(super) looked_at: Option<DateTime<Utc>>,
    /// Calls for this decision that were not throttled.
    pub(super) calls: i32,
    /// Those of them that were written down.
    pub(super) told: i32,
    /// When AWS last recorded a call for this decision, as far as it was written down.
    pub(super) recorded: Option<(Act, DateTime<Utc>)>,
    /// Came to rest since the decision, and nobody asked to go on since.
    pub(super) rested: bool,
}

impl Row {
    pub(super) fn new(
        endpoint_id: VpcEndpointId,
        state: ConnectionState,
        at: DateTime<Utc>,
        created_at: DateTime<Utc>,
        number: u64,
    ) -> Self {
        let uuid = Uuid::from_u64_pair(u64::MAX, number);
        Self {
            connection: Connection {
                id: ConnectionId::from(uuid),
                service_id: EndpointServiceId::from(Uuid::nil()),
                aws_service_id: None,
                account_region_id: AccountRegionId::from(Uuid::nil()),
                endpoint_id,
                owner: "111111111111".parse().unwrap(),
                consumer: None,
                observed: Observed {
                    state,
                    at,
                    created_at: Some(created_at),
                    connection_id: None,
                    endpoint_region: None,
                    ip_address_type: None,
                    dns_entries: Vec::new(),
                },
                first_seen_at: at,
                review: ReviewState::Undecided,
                decision_id: None,
                sync: queued(None),
                version: 1,
                stall: None,
                given_up: None,
            },
            drifts: Vec::new(),
            decided_in: 0,
            looked_at: None,
            calls: 0,
            told: 0,
            recorded: None,
            rested: false,
        }
    }

    pub(super) fn begin_anew(&mut self) {
        self.calls = 0;
        self.told = 0;
        self.recorded = None;
        self.rested = false;
    }

    pub(super) fn retry(&mut self, now: DateTime<Utc>) {
        if matches!(
            self.connection.sync.state,
            SyncState::Stalled | SyncState::GivenUp
        ) {
            self.connection.sync = queued(Some(now));
            self.begin_anew();
        }
    }

    pub(super) fn give_up(&mut self) {
        if self.connection.sync.state == SyncState::Stalled {
            self.connection.sync.state = SyncState::GivenUp;
        }
    }

    /// What the store does when the observed state of a row changes.
    pub(super) fn react(&mut self, was: Option<&ConnectionState>, at: DateTime<Utc>, heal: bool) {
        let connection = &mut self.connection;
        if was == Some(&connection.observed.state) {
            return;
        }
        let sync = &mut connection.sync;
        let drift = detect(Change {
            review: connection.review,
            sync: sync.state,
            just_called: sync
                .act
                .is_some_and(|(_, called)| at < called + RULES.stale_read_grace),
            preexisting: false,
            acceptance_required: true,
            observed: &connection.observed.state,
        });
        match drift {
            Some(kind) if !self.drifts.contains(&kind) => self.drifts.push(kind),
            Some(_) => {}
            None => self.drifts.clear(),
        }
        let change = sync_change(
            connection.review,
            sync.state,
            &connection.observed.state,
            drift,
        );
        let (state, code) = match change {
            SyncChange::Keep => return,
            SyncChange::Settle => (SyncState::Idle, None),
            SyncChange::Look => (SyncState::Confirming, None),
            SyncChange::Stall(code, _) if heal && code != REJECTED_OUTSIDE => {
                (SyncState::Due, None)
            }
            SyncChange::Stall(code, _) => (SyncState::Stalled, Some(code.to_owned())),
        };
        let watched = matches!(state, SyncState::Due | SyncState::Confirming).then_some(at);
        self.rested = match change {
            SyncChange::Settle => true,
            SyncChange::Look => false,
            SyncChange::Keep | SyncChange::Stall(..) => self.rested,
        };
        let begins_anew = sync.state == SyncState::GivenUp;
        *sync = ConnectionSync {
            attempts: if begins_anew { 0 } else { sync.attempts },
            act: sync.act.filter(|_| !begins_anew),
            code,
            state,
            ..queued(watched)
        };
        if begins_anew {
            self.calls = 0;
            self.told = 0;
        }
    }

    pub(super) fn apply(&mut self, settlement: Settlement, called: Option<Called>) {
        let sync = &mut self.connection.sync;
        sync.state = settlement.state;
        sync.due_at = settlement.due_at;
        sync.attempts = settlement.attempts;
        sync.act = settlement.act;
        sync.code = settlement.code;
        sync.message = settlement.message;
        self.rested |= settlement.state == SyncState::Idle;
        if settlement.decision != self.connection.decision_id {
            return; // Not a call for this decision.
        }
        if let Some((act, at, outcome)) = called {
            let busy = matches!(&outcome, Outcome::Failed(error) if error.kind() == "busy");
            self.told += i32::from(!busy);
            self.recorded = (outcome == Outcome::Recorded).then_some((act, at));
        }
    }
}

/// A sync that is due at a time, or at rest.
pub(super) fn queued(due: Option<DateTime<Utc>>) -> ConnectionSync {
    ConnectionSync {
        state: if due.is_some() {
            SyncState::Due
        } else {
            SyncState::Idle
        },
        due_at: due,
        deadline_at: due.map(|at| at + RULES.patience),
        attempts: 0,
        act: None,
        code: None,
        message: None,
    }
}
