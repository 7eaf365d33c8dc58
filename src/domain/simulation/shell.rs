//! What the worker, its SQL and the verbs do around the rules, as short as it can be said: queue, guards, fence, look before the call.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{ConnectionState, VpcEndpointId};
use uuid::Uuid;

use super::LONGEST_LAG_MS;
use super::aws::{Aws, Fault};
use super::chance::Chance;
use super::checks::said;
use super::row::{Called, Row, queued};
use super::zoo::Bug;
use crate::domain::connection::Connection;
use crate::domain::ids::{ConnectionId, DecisionId};
use crate::domain::outcome::{Outcome, join};
use crate::domain::review::Verb;
use crate::domain::settlement::Settlement;
use crate::domain::sync::{Act, Plan, SyncState, plan};
use crate::domain::sync_step::{Rules, Step, next_step};

pub(super) const RULES: Rules = Rules {
    stale_read_grace: TimeDelta::seconds(10),
    max_attempts: 5,
    patience: TimeDelta::minutes(15),
    retry_base: Duration::from_millis(500),
};

/// Calls to be made.
type Calls = Vec<(Act, Vec<Connection>)>;

#[derive(Debug)]
pub(super) struct Portcullis {
    pub(super) rows: Vec<Row>,
    /// The first rule that was broken in acting.
    pub(super) wrong: Option<String>,
    pass: Option<Pass>,
    /// The pass of a replica that lost its lease and does not know it.
    asleep: Option<Pass>,
    fence: u64,
    /// Counts everything that is written.
    turn: u64,
    bug: Option<Bug>,
}

/// A pass over some of the queue; between any two of its stages, other things happen.
#[derive(Debug)]
struct Pass {
    fence: u64,
    began: DateTime<Utc>,
    loaded_in: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Taken(Vec<Connection>),
    Looked(Vec<Connection>, Vec<ConnectionId>),
    Planned(Vec<(Settlement, Option<Called>)>, Calls),
    Calling(Calls),
    Called(Act, Vec<(Connection, Outcome)>, Calls),
}

impl Portcullis {
    pub(super) fn new(bug: Option<Bug>) -> Self {
        Self {
            rows: Vec::new(),
            wrong: None,
            pass: None,
            asleep: None,
            fence: 1,
            turn: 0,
            bug,
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn broken(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    // What people do.

    pub(super) fn decide(&mut self, verb: Verb, now: DateTime<Utc>, chance: &mut Chance) {
        self.turn += 1;
        let id = DecisionId::from(Uuid::from_u64_pair(self.turn, chance.next()));
        let turn = self.turn;
        let index = chance.index(self.rows.len());
        let Some(row) = self.rows.get_mut(index) else {
            return;
        };
        let connection = &mut row.connection;
        let Ok(to) = connection.review.after(verb, &connection.observed.state) else {
            return;
        };
        connection.review = to;
        connection.decision_id = Some(id);
        let owed = plan(to, &connection.observed.state) != Plan::Nothing;
        connection.sync = queued(owed.then_some(now));
        row.drifts.clear();
        row.decided_in = turn;
        row.begin_anew();
    }

    pub(super) fn retry_one(&mut self, now: DateTime<Utc>, chance: &mut Chance) {
        let index = chance.index(self.rows.len());
        if let Some(row) = self.rows.get_mut(index) {
            row.retry(now);
        }
    }

    pub(super) fn give_up_one(&mut self, chance: &mut Chance) {
        let index = chance.index(self.rows.len());
        if let Some(row) = self.rows.get_mut(index) {
            row.give_up();
        }
    }

    pub(super) fn retry_all_stalled(&mut self, now: DateTime<Utc>) {
        self.rows.iter_mut().for_each(|row| row.retry(now));
    }

    // What befalls replicas.

    pub(super) fn crash(&mut self, chance: &mut Chance) {
        if chance.one_in(2) {
            self.pass = None;
        }
    }

    /// The lease goes to another replica. The old one does not know.
    pub(super) fn hand_over(&mut self) {
        self.fence += 1;
        if let Some(pass) = self.pass.take() {
            self.asleep = Some(pass);
        }
    }

    /// A notification, forged as often as not.
    pub(super) fn hint(&mut self, aws: &Aws, now: DateTime<Utc>, chance: &mut Chance) {
        if !self.has(Bug::HintIsBelieved) {
            return; // It makes a pass happen sooner. Here they happen by chance anyway.
        }
        if let Some(endpoint) = aws.endpoints.get(chance.index(aws.endpoints.len())) {
            let said = if chance.one_in(2) {
                ConnectionState::Pending
            } else {
                ConnectionState::Rejected
            };
            self.observe(&endpoint.id, said, now, now, endpoint.created_at());
        }
    }

    // Observing.

    /// A listing. Each row is as old as its own lag; in trouble one row may fall between two pages.
    pub(super) fn list(
        &mut self,
        aws: &Aws,
        now: DateTime<Utc>,
        trouble: bool,
        complete: bool,
        chance: &mut Chance,
    ) {
        let torn = (trouble && chance.one_in(4)).then(|| chance.index(aws.endpoints.len()));
        let until = if complete {
            aws.endpoints.len()
        } else {
            chance.index(aws.endpoints.len())
        };
        let began = if trouble && chance.one_in(3) {
            // Begun a while ago, and answered only now: newer reads were recorded meanwhile.
            now - TimeDelta::milliseconds(i64::try_from(chance.below(4_000)).unwrap_or(0))
        } else {
            now
        };
        let mut sighted = Vec::new();
        for (index, endpoint) in aws.endpoints.iter().take(until).enumerate() {
            let Some(state) = endpoint.seen_at(lagged(began, trouble, chance)) else {
                continue;
            };
            if torn != Some(index) {
                sighted.push(endpoint.id.clone());
                self.observe(&endpoint.id, state, began, now, endpoint.created_at());
            }
        }
        if !complete && !self.has(Bug::BrokenListingDeletes) {
            return;
        }
        let settled = if self.has(Bug::NewcomersCanBeAbsent) {
            began
        } else {
            began - RULES.stale_read_grace
        };
        let absent: Vec<usize> = (0..self.rows.len())
            .filter(|index| {
                let connection = &self.rows[*index].connection;
                connection.observed.state != ConnectionState::Deleted
                    && connection.observed.at < began
                    && connection.first_seen_at <= settled
                    && !sighted.contains(&connection.endpoint_id)
            })
            .collect();
        for index in absent {
            let at = now + TimeDelta::milliseconds(1);
            let endpoint = aws.endpoint(&self.rows[index].connection.endpoint_id);
            let shown = endpoint.seen_at(lagged(at, trouble, chance));
            let row = &mut self.rows[index];
            match shown {
                Some(state) if complete && self.bug != Some(Bug::AbsenceNeedsNoProof) => {
                    let id = endpoint.id.clone();
                    self.observe(&id, state, at, at, endpoint.created_at());
                }
                _ => {
                    row.connection.observed.state = ConnectionState::Deleted;
                    row.connection.observed.at = at;
                    row.connection.sync = queued(None);
                    row.drifts.clear();
                }
            }
        }
    }

    /// The one upsert that every observer ends in. `at` is when the read began.
    fn observe(
        &mut self,
        endpoint: &VpcEndpointId,
        state: ConnectionState,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
        created_at: DateTime<Utc>,
    ) {
        self.turn += 1;
        let Some(index) = self
            .rows
            .iter()
            .position(|row| row.connection.endpoint_id == *endpoint)
        else {
            let mut row = Row::new(endpoint.clone(), state, at, created_at, self.turn);
            row.looked_at = Some(now);
            row.react(None, at, false);
            self.rows.push(row);
            return;
        };
        let guarded = !self.has(Bug::OlderReadWins);
        let heal = self.has(Bug::DriftIsHealed);
        let row = &mut self.rows[index];
        row.looked_at = Some(now);
        let observed = &mut row.connection.observed;
        if observed.state == state || (guarded && observed.at > at) {
            return;
        }
        let back = observed.at > at;
        let was = std::mem::replace(&mut observed.state, state);
        observed.at = at;
        row.react(Some(&was), at, heal);
        if back {
            let what = said(&self.rows[index], "went back to an older read (I11)");
            self.broken(what);
        }
    }

    // Working.

    /// One stage of a pass.
    pub(super) fn work(
        &mut self,
        aws: &mut Aws,
        now: DateTime<Utc>,
        trouble: bool,
        fault: Fault,
        chance: &mut Chance,
    ) {
        let late = self.asleep.is_some() && chance.one_in(6);
        let pass = if late {
            self.asleep.take()
        } else {
            self.pass.take()
        };
        let Some(mut pass) = pass.or_else(|| self.take_up(now)) else {
            return;
        };
        let next = match pass.stage {
            Stage::Taken(batch) => {
                // A read that fails ends the pass; so does a write without the lease.
                if (trouble && chance.one_in(12)) || !self.may_write(pass.fence) {
                    return;
                }
                let mut shown = Vec::new();
                for connection in &batch {
                    let endpoint = aws.endpoint(&connection.endpoint_id);
                    if self.has(Bug::NobodyLooksFirst) {
                        shown.push(connection.id);
                    } else if let Some(state) = endpoint.seen_at(lagged(now, trouble, chance)) {
                        shown.push(connection.id);
                        let id = endpoint.id.clone();
                        self.observe(&id, state, now, now, endpoint.created_at());
                    }
                }
                Some(Stage::Looked(batch, shown))
            }
            Stage::Looked(batch, shown) => {
                self.turn += 1;
                pass.loaded_in = self.turn;
                let (settlements, calls) = self.plan(batch, &shown, now);
                Some(Stage::Planned(settlements, calls))
            }
            Stage::Planned(settlements, calls) => self
                .settle(pass.fence, settlements)
                .then_some(Stage::Calling(calls)),
            Stage::Calling(mut calls) => calls.pop().map(|(act, batch)| {
                if !late {
                    self.check_calls(act, &batch, (pass.began, pass.loaded_in), now, aws);
                }
                let outcomes = self.call(aws, act, batch, now, fault, chance);
                Stage::Called(act, outcomes, calls)
            }),
            Stage::Called(act, outcomes, calls) => {
                let mut all = Vec::new();
                for (connection, outcome) in outcomes {
                    let how = Some((act, now, outcome.clone()));
                    all.push((self.after(&connection, act, outcome, now, chance), how));
                }
                self.settle(pass.fence, all)
                    .then_some(Stage::Calling(calls))
            }
        };
        if let Some(stage) = next {
            let pass = Pass { stage, ..pass };
            if late {
                self.asleep = Some(pass);
            } else {
                self.pass = Some(pass);
            }
        }
    }

    fn take_up(&mut self, now: DateTime<Utc>) -> Option<Pass> {
        let in_memory = self.has(Bug::QueueIsInMemory);
        let mut batch = Vec::new();
        for row in &mut self.rows {
            if row.connection.sync.due_at.is_some_and(|due| due <= now) && batch.len() < 4 {
                batch.push(row.connection.clone());
                if in_memory {
                    row.connection.sync = queued(None);
                }
            }
        }
        (!batch.is_empty()).then_some(Pass {
            fence: self.fence,
            began: now,
            loaded_in: 0,
            stage: Stage::Taken(batch),
        })
    }

    /// Reloads and plans: what is settled without a call, and the calls.
    fn plan(
        &mut self,
        batch: Vec<Connection>,
        shown: &[ConnectionId],
        now: DateTime<Utc>,
    ) -> (Vec<(Settlement, Option<Called>)>, Calls) {
        let mut settlements = Vec::new();
        let mut calls: Calls = vec![(Act::Accept, vec![]), (Act::Reject, vec![])];
        for old in batch {
            let fresh = if self.has(Bug::DecisionsLoadedEarly) || self.has(Bug::QueueIsInMemory) {
                old
            } else {
                self.row(old.id).connection.clone()
            };
            match next_step(&fresh, shown.contains(&fresh.id), now, RULES) {
                Step::Skip => {}
                Step::Settle => settlements.push((Settlement::at_rest(&fresh), None)),
                Step::LookAt(when) => {
                    settlements.push((Settlement::look_again(&fresh, when), None));
                }
                Step::Stall { code, message } => {
                    self.check_stall(&fresh, &code, now);
                    settlements.push((Settlement::stalled(&fresh, code, message), None));
                }
                Step::Call(act) => {
                    let of_act = calls.iter_mut().find(|(a, _)| *a == act);
                    if let Some((_, all)) = of_act {
                        all.push(fresh.clone());
                    }
                }
            }
        }
        calls.retain(|(_, all)| !all.is_empty());
        (settlements, calls)
    }

    fn call(
        &mut self,
        aws: &mut Aws,
        act: Act,
        batch: Vec<Connection>,
        now: DateTime<Utc>,
        fault: Fault,
        chance: &mut Chance,
    ) -> Vec<(Connection, Outcome)> {
        let ids: Vec<_> = batch.iter().map(|c| c.endpoint_id.clone()).collect();
        let before: Vec<_> = ids.iter().map(|id| aws.endpoint(id).state()).collect();
        let outcomes = match aws.call(act, &ids, now, fault, chance) {
            Ok(mut failures) => {
                if self.has(Bug::UnsuccessfulIsDropped) {
                    failures.clear();
                }
                if self.has(Bug::NamelessFailureIsDropped) {
                    failures.retain(|failure| failure.resource_id.is_some());
                }
                join(ids, failures)
            }
            Err(error) => ids
                .into_iter()
                .map(|id| (id, Outcome::Failed(error.clone())))
                .collect(),
        };
        let mut ended = Vec::new();
        for ((connection, (_, outcome)), before) in batch.into_iter().zip(outcomes).zip(before) {
            let after = aws.endpoint(&connection.endpoint_id).state();
            let row = self.row_mut(connection.id);
            let sent = !matches!(fault, Fault::Throttled);
            row.calls += i32::from(sent);
            let mut wrong = None;
            if outcome == Outcome::Recorded && before == after {
                wrong = Some(said(row, "counts as recorded, and AWS did nothing (I8)"));
            }
            if let Some(what) = wrong {
                self.broken(what);
            }
            ended.push((connection, outcome));
        }
        ended
    }

    fn after(
        &mut self,
        connection: &Connection,
        act: Act,
        outcome: Outcome,
        now: DateTime<Utc>,
        chance: &mut Chance,
    ) -> Settlement {
        let throttled = matches!(&outcome, Outcome::Failed(error) if error.kind() == "busy");
        let unknown = matches!(&outcome, Outcome::Failed(error) if error.kind() == "unknown");
        let denied = matches!(&outcome, Outcome::Failed(error) if error.kind() == "denied");
        let recorded = outcome == Outcome::Recorded;
        let mut settlement =
            Settlement::after_call(connection, act, outcome, now, chance.unit(), RULES);
        if self.has(Bug::ThrottleCounts) && throttled {
            settlement.attempts += 1;
        }
        if self.has(Bug::TimeoutIsFailure) && unknown {
            settlement.state = SyncState::Stalled;
            settlement.due_at = None;
        }
        if self.has(Bug::DenialIsRetried) && denied {
            settlement.state = SyncState::Due;
            settlement.due_at = Some(now);
            settlement.attempts = 0;
        }
        if self.has(Bug::RecordedCallIsForgotten) && recorded {
            settlement.act = None;
        }
        if self.has(Bug::RecordedIsDone) && recorded {
            settlement.state = SyncState::Idle;
            settlement.due_at = None;
        }
        if settlement.state == SyncState::Stalled {
            let code = settlement.code.clone().unwrap_or_default();
            self.check_stall(connection, &code, now);
        }
        settlement
    }

    /// Writes what still stands. `false` when the lease is lost.
    fn settle(&mut self, fence: u64, all: Vec<(Settlement, Option<Called>)>) -> bool {
        if !self.may_write(fence) {
            return false;
        }
        if fence != self.fence {
            self.broken("a replica wrote without its lease (I3)".to_owned());
        }
        self.turn += 1;
        for (settlement, called) in all {
            let bug = |bug| self.bug == Some(bug);
            let connection = &self.row(settlement.id).connection;
            let same_decision = connection.decision_id == settlement.decision
                || bug(Bug::SettlementIgnoresDecision);
            let same_sync = connection.sync.state == settlement.was
                || bug(Bug::SettlementIgnoresSync)
                || bug(Bug::QueueIsInMemory);
            let same_observed = settlement
                .only_if_observed
                .as_deref()
                .is_none_or(|seen| seen == connection.observed.state.as_str());
            if same_decision && same_sync && same_observed {
                self.row_mut(settlement.id).apply(settlement, called);
            }
        }
        true
    }

    fn may_write(&self, fence: u64) -> bool {
        fence == self.fence || self.has(Bug::FenceIsSkipped)
    }

    pub(super) fn row(&self, id: ConnectionId) -> &Row {
        self.rows.iter().find(|r| r.connection.id == id).unwrap()
    }

    fn row_mut(&mut self, id: ConnectionId) -> &mut Row {
        self.rows
            .iter_mut()
            .find(|r| r.connection.id == id)
            .unwrap()
    }
}

/// The time whose truth a read shows that begins now.
fn lagged(now: DateTime<Utc>, trouble: bool, chance: &mut Chance) -> DateTime<Utc> {
    if trouble && chance.one_in(3) {
        let lag = i64::try_from(chance.below(LONGEST_LAG_MS)).unwrap_or(0);
        now - TimeDelta::milliseconds(lag)
    } else {
        now
    }
}
