//! The sync loop for connections: look, plan, call in batches, record, and read back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use privatelink::{ConnectionFilter, ServiceId, VpcEndpointId};

use super::call::{call, still_standing};
use super::listing::read_all;
use super::{PassError, Place};
use crate::domain::connection::Connection;
use crate::domain::dispatch::{Waiting, put_in_order};
use crate::domain::ids::ConnectionId;
use crate::domain::outcome::Outcome;
use crate::domain::settlement::Settlement;
use crate::domain::sync::{Act, SyncState};
use crate::domain::sync_step::{Step, next_step};
use crate::store::sync_queue::{self, Attempt};
use crate::store::{StoreError, sync_queue::settle};

/// How long a pass goes on taking access away, then giving it, and then looking. The batch that is under way is finished.
const TURN: Duration = Duration::from_secs(3);

/// To how many services calls are made at a time. AWS may take its time over a hundred endpoints, and tokens come back meanwhile.
const AT_ONCE: usize = 4;

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Connections that were taken up. Those that were left to wait for a token or for company are not among them.
    pub due: usize,
    /// Endpoints sent to AWS, in however many calls.
    pub sent: usize,
    /// Endpoints of which AWS recorded the call.
    pub recorded: usize,
    /// Connections that the worker gave up on in this pass.
    pub stalled: usize,
    /// When the next connection is due.
    pub next_due: Option<DateTime<Utc>>,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.recorded += other.recorded;
        self.stalled += other.stalled;
    }
}

/// Makes the calls that can be made now, and then looks at what earlier calls came to. It never waits for a token: a call that has
/// none is left for the pass that finds one, and holds up nothing else.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let account_region = place.lease.account_region;
    let (now, hurry) = (place.now(), place.hurry());
    let size = place.shared.settings.pass_size;
    let waiting = place
        .read(async |conn| sync_queue::waiting(conn, account_region, now, hurry).await)
        .await?;
    // Taken before the calls are made, so that what they came to is looked at in the next pass.
    let called = place
        .read(async |conn| sync_queue::confirming(conn, account_region, now, size).await)
        .await?;
    let mut report = Report::default();
    let mut left = Vec::new();
    let (taking, giving): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|w| w.act == Act::Reject);
    // Taking access away goes before giving it, and neither can keep the other from its turn.
    for mut waiting in [taking, giving] {
        dispatch(place, &mut waiting, now, &mut report).await?;
        left.extend(waiting);
    }
    confirm(place, called, &mut report).await?;
    let next = place
        .read(async |conn| sync_queue::next_due(conn, account_region, now).await)
        .await?;
    let calls = left.iter().map(|waiting| place.goes_at(waiting));
    report.next_due = calls.chain(next).min();
    Ok(report)
}

/// Makes calls of one kind while there are tokens for them, to several services at a time but never two to one. What is left in
/// `waiting` still waits.
async fn dispatch(
    place: &Place,
    waiting: &mut Vec<Waiting>,
    now: DateTime<Utc>,
    report: &mut Report,
) -> Result<(), PassError> {
    let until = Instant::now() + TURN;
    while Instant::now() < until && !place.term.is_leaving() {
        put_in_order(waiting);
        let mut ready: Vec<Waiting> = Vec::with_capacity(AT_ONCE);
        for w in waiting.iter() {
            // The less urgent leave tokens to the more urgent, so each asks for itself.
            if ready.len() < AT_ONCE.min(place.free_calls(w)) && place.goes_at(w) <= place.now() {
                ready.push(w.clone());
            }
        }
        if ready.is_empty() {
            break;
        }
        let mut batches = Vec::with_capacity(ready.len());
        for waiting in &ready {
            batches.push(sync_waiting(place, waiting, now));
        }
        let done = join_all(batches).await;
        // All have ended, so that no call of theirs is cut off by the failure of another.
        for (of, done) in ready.iter().zip(done) {
            let (done, asked) = done?;
            if let Some(w) = waiting.iter_mut().find(|w| w.service == of.service) {
                // One that found less than it asked for has found all.
                let all = done.due < asked;
                w.took(if all { usize::MAX } else { done.due });
            }
            *report += done;
        }
        waiting.retain(|w| w.count() > 0);
    }
    Ok(())
}

/// One batch of one service: the most urgent, filled up with those that have waited longest. Answers for how many it asked, too.
async fn sync_waiting(
    place: &Place,
    waiting: &Waiting,
    now: DateTime<Utc>,
) -> Result<(Report, usize), PassError> {
    let asked = place.batch_size();
    let (size, hurry) = (i64::try_from(asked).unwrap_or(i64::MAX), place.hurry());
    let (service, act) = (waiting.service, waiting.act);
    let batch = place
        .read(async |conn| sync_queue::batch(conn, service, act, now, hurry, size).await)
        .await?;
    let report = sync_batch(place, &waiting.aws_id, &batch, Calls::Now).await?;
    Ok((report, asked))
}

/// Whether a batch may make calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// There is a token for it.
    Now,
    /// Nobody asked for a token: what turns out to need another call waits for one like everything else.
    InTurn,
}

/// Looks at what earlier calls came to, until the turn is over: what is left is due in the next pass.
async fn confirm(
    place: &Place,
    called: Vec<Connection>,
    report: &mut Report,
) -> Result<(), PassError> {
    let until = Instant::now() + TURN;
    for (service, connections) in by_service(called) {
        for batch in connections.chunks(ConnectionFilter::MAX_ENDPOINTS) {
            *report += sync_batch(place, &service, batch, Calls::InTurn).await?;
            if Instant::now() >= until || place.term.is_leaving() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Groups by service, in the order in which the oldest of each fell due, so that no service waits for ever behind others.
fn by_service(connections: Vec<Connection>) -> Vec<(ServiceId, Vec<Connection>)> {
    let mut groups: Vec<(ServiceId, Vec<Connection>)> = Vec::new();
    let mut places: HashMap<ServiceId, usize> = HashMap::new();
    for connection in connections {
        // A connection was observed under its service's AWS id, so the id is there.
        let Some(service) = connection.aws_service_id.clone() else {
            continue;
        };
        let index = *places.entry(service.clone()).or_insert(groups.len());
        match groups.get_mut(index) {
            Some((_, group)) => group.push(connection),
            None => groups.push((service, vec![connection])),
        }
    }
    groups
}

/// Looks, plans, calls and records, for one batch.
async fn sync_batch(
    place: &Place,
    service: &ServiceId,
    batch: &[Connection],
    allowed: Calls,
) -> Result<Report, PassError> {
    let mut report = Report {
        due: batch.len(),
        ..Report::default()
    };
    // Look first: what is stored may be older than AWS's truth, and a call may have worked whose answer was lost.
    let mut shown: HashSet<VpcEndpointId> = HashSet::new();
    for chunk in batch.chunks(ConnectionFilter::MAX_ENDPOINTS) {
        let endpoints = chunk.iter().map(|c| c.endpoint_id.clone()).collect();
        let filter = ConnectionFilter::Endpoints(service.clone(), endpoints);
        read_all(place, &filter, |page| {
            shown.extend(page.iter().map(|c| c.endpoint_id.clone()));
        })
        .await?;
    }
    // Read the decisions again, as late as possible: one may have come in while AWS was being read.
    let ids: Vec<ConnectionId> = batch.iter().map(|c| c.id).collect();
    let fresh = place
        .read(async |conn| sync_queue::reload(conn, &ids).await)
        .await?;

    let now = place.now();
    let rules = place.shared.settings.rules();
    let mut settlements = Vec::new();
    let mut calls: HashMap<Act, Vec<Connection>> = HashMap::new();
    for connection in fresh {
        match next_step(
            &connection,
            shown.contains(&connection.endpoint_id),
            now,
            rules,
        ) {
            Step::Skip => {}
            Step::Settle => settlements.push(Settlement::at_rest(&connection)),
            Step::LookAt(when) => settlements.push(Settlement::look_again(&connection, when)),
            Step::Stall { code, message } => {
                settlements.push(Settlement::stalled(&connection, code, message));
            }
            Step::Call(_) if allowed == Calls::InTurn => {
                settlements.push(Settlement::call_again(&connection, now));
            }
            Step::Call(act) => calls.entry(act).or_default().push(connection),
        }
    }
    record(place, &settlements, &[], &mut report).await?;
    let mut called = false;
    for act in [Act::Reject, Act::Accept] {
        if let Some(mut connections) = calls.remove(&act) {
            if std::mem::replace(&mut called, true) {
                connections = still_standing(place, connections).await?;
            }
            send(place, service, act, connections, &mut report).await?;
        }
    }
    Ok(report)
}

/// Makes the calls and records how each ended.
async fn send(
    place: &Place,
    service: &ServiceId,
    act: Act,
    connections: Vec<Connection>,
    report: &mut Report,
) -> Result<(), PassError> {
    report.sent += connections.len();
    let endpoints = connections.iter().map(|c| c.endpoint_id.clone()).collect();
    let mut by_endpoint: HashMap<VpcEndpointId, Connection> = connections
        .into_iter()
        .map(|c| (c.endpoint_id.clone(), c))
        .collect();
    let outcomes = call(place, act, service, endpoints, &by_endpoint).await?;
    let mut settlements = Vec::with_capacity(outcomes.len());
    let mut attempts = Vec::with_capacity(outcomes.len());
    for (endpoint, outcome) in outcomes {
        let Some(connection) = by_endpoint.remove(&endpoint) else {
            continue;
        };
        if outcome == Outcome::Recorded {
            report.recorded += 1;
        }
        attempts.extend(attempt(&connection, act, &outcome));
        settlements.push(Settlement::after_call(
            &connection,
            act,
            outcome,
            place.now(),
            rand::random(),
            place.shared.settings.rules(),
        ));
    }
    record(place, &settlements, &attempts, report).await
}

async fn record(
    place: &Place,
    settlements: &[Settlement],
    attempts: &[Attempt],
    report: &mut Report,
) -> Result<(), PassError> {
    if settlements.is_empty() && attempts.is_empty() {
        return Ok(());
    }
    for settlement in settlements {
        if settlement.state == SyncState::Stalled {
            given_up(place, settlement, report);
        }
    }
    let mut tx = place.begin().await?;
    settle(&mut tx, settlements).await?;
    if !attempts.is_empty() {
        sync_queue::record_attempts(&mut tx, attempts, place.now()).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Says that the worker gives up on a connection: in the log, in a metric and in the report.
fn given_up(place: &Place, settlement: &Settlement, report: &mut Report) {
    report.stalled += 1;
    place.shared.metrics.stalled.inc();
    tracing::error!(
        connection.id = %settlement.id,
        sync.code = settlement.code.as_deref().unwrap_or_default(),
        "gave up on a connection; POST /v1/connections/{}/retry-sync once the cause is mended",
        settlement.id
    );
}

fn attempt(connection: &Connection, act: Act, outcome: &Outcome) -> Option<Attempt> {
    let (word, code, message) = match outcome {
        Outcome::Recorded => ("recorded", None, None),
        Outcome::Refused(failure) => (
            "refused",
            Some(failure.code.clone()),
            Some(failure.message.clone()),
        ),
        Outcome::Unproven(failure) => (
            "unknown",
            Some(failure.code.clone()),
            Some(failure.message.clone()),
        ),
        Outcome::Failed(error) => (
            error.kind(),
            Some(error.code().to_owned()),
            Some(error.to_string()),
        ),
    };
    Some(Attempt {
        connection: connection.id,
        decision: connection.decision_id?,
        act,
        outcome: word,
        code,
        message,
    })
}
