//! The sync loop for connections: look, plan, call in batches, record, and read back.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use privatelink::{ConnectionFilter, ServiceId, VpcEndpointId};

use super::call::{Outcome, call};
use super::listing::read_all;
use super::settings::delta;
use super::{PassError, Place};
use crate::domain::backoff;
use crate::domain::connection::Connection;
use crate::domain::ids::ConnectionId;
use crate::domain::sync::{Act, SyncState};
use crate::domain::sync_step::{AfterFailure, Rules, Step, after_failure, next_step};
use crate::store::sync_queue::{self, Attempt, Settlement};
use crate::store::{StoreError, sync_queue::settle};

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Connections that were due.
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

/// Takes up everything that is due now, service by service.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let account_region = place.lease.account_region;
    let (now, size) = (place.now(), place.shared.settings.pass_size);
    let due = place
        .read(async |conn| sync_queue::due(conn, account_region, now, size).await)
        .await?;
    let mut report = Report {
        due: due.len(),
        ..Report::default()
    };
    let mut by_service: BTreeMap<ServiceId, Vec<Connection>> = BTreeMap::new();
    for connection in due {
        // A connection was observed under its service's AWS id, so the id is there.
        if let Some(service) = connection.aws_service_id.clone() {
            by_service.entry(service).or_default().push(connection);
        }
    }
    for (service, connections) in by_service {
        sync_service(place, &service, connections, &mut report).await?;
    }
    report.next_due = place
        .read(async |conn| sync_queue::next_due(conn, account_region).await)
        .await?;
    Ok(report)
}

/// Brings the due connections of one service in step. Never two calls for one service at once: they follow each other here.
async fn sync_service(
    place: &Place,
    service: &ServiceId,
    due: Vec<Connection>,
    report: &mut Report,
) -> Result<(), PassError> {
    // Look first: what is stored may be older than AWS's truth, and a call may have worked whose answer was lost.
    let mut shown: HashSet<VpcEndpointId> = HashSet::new();
    for chunk in due.chunks(ConnectionFilter::MAX_ENDPOINTS) {
        let endpoints = chunk.iter().map(|c| c.endpoint_id.clone()).collect();
        let filter = ConnectionFilter::Endpoints(service.clone(), endpoints);
        read_all(place, &filter, |page| {
            shown.extend(page.iter().map(|c| c.endpoint_id.clone()));
        })
        .await?;
    }
    // Read the decisions again, as late as possible: one may have come in while AWS was being read.
    let ids: Vec<ConnectionId> = due.iter().map(|c| c.id).collect();
    let fresh = place
        .read(async |conn| sync_queue::reload(conn, &ids).await)
        .await?;

    let now = place.now();
    let settings = &place.shared.settings;
    let rules = Rules {
        stale_read_grace: delta(settings.stale_read_grace),
        max_attempts: settings.max_attempts,
    };
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
            Step::Settle => settlements.push(at_rest(&connection)),
            Step::LookAt(when) => settlements.push(look_again(&connection, when)),
            Step::Stall { code, message } => {
                settlements.push(stalled(place, &connection, code, message, report));
            }
            Step::Call(act) => calls.entry(act).or_default().push(connection),
        }
    }
    record(place, &settlements, &[]).await?;
    // Taking access away goes before giving it.
    for act in [Act::Reject, Act::Accept] {
        if let Some(connections) = calls.remove(&act) {
            send(place, service, act, connections, report).await?;
        }
    }
    Ok(())
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
    let outcomes = call(place, act, service, endpoints).await?;
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
        settlements.push(after_call(place, &connection, act, outcome, report));
    }
    record(place, &settlements, &attempts).await
}

async fn record(
    place: &Place,
    settlements: &[Settlement],
    attempts: &[Attempt],
) -> Result<(), PassError> {
    if settlements.is_empty() && attempts.is_empty() {
        return Ok(());
    }
    let mut tx = place.begin().await?;
    settle(&mut tx, settlements).await?;
    if !attempts.is_empty() {
        sync_queue::record_attempts(&mut tx, attempts, place.now()).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

fn at_rest(connection: &Connection) -> Settlement {
    Settlement {
        id: connection.id,
        decision: connection.decision_id,
        state: SyncState::Idle,
        due_at: None,
        attempts: connection.sync.attempts,
        act: connection.sync.act,
        code: None,
        message: None,
    }
}

fn look_again(connection: &Connection, when: DateTime<Utc>) -> Settlement {
    Settlement {
        state: SyncState::Confirming,
        due_at: Some(when),
        code: connection.sync.code.clone(),
        message: connection.sync.message.clone(),
        ..at_rest(connection)
    }
}

fn stalled(
    place: &Place,
    connection: &Connection,
    code: String,
    message: String,
    report: &mut Report,
) -> Settlement {
    report.stalled += 1;
    place.shared.metrics.stalled.inc();
    tracing::error!(
        connection.id = %connection.id,
        sync.code = %code,
        "gave up on a connection; POST /v1/connections/{}/retry-sync once the cause is mended",
        connection.id
    );
    Settlement {
        state: SyncState::Stalled,
        code: Some(code),
        message: Some(message),
        ..at_rest(connection)
    }
}

/// Where a connection goes after a call.
fn after_call(
    place: &Place,
    connection: &Connection,
    act: Act,
    outcome: Outcome,
    report: &mut Report,
) -> Settlement {
    let now = place.now();
    let tried = connection.sync.attempts.saturating_add(1);
    let again = |attempts: i32, at_least: chrono::TimeDelta, code: String, message: String| {
        let turn = u32::try_from(attempts).unwrap_or(1).max(1);
        let wait = delta(backoff::delay(
            place.shared.settings.retry_base,
            turn,
            rand::random(),
        ));
        Settlement {
            state: SyncState::Due,
            due_at: Some(now + wait.max(at_least)),
            attempts,
            code: Some(code),
            message: Some(message),
            ..at_rest(connection)
        }
    };
    match outcome {
        // Recorded is not done: read back at once.
        Outcome::Recorded => Settlement {
            state: SyncState::Confirming,
            due_at: Some(now),
            attempts: tried,
            act: Some((act, now)),
            ..at_rest(connection)
        },
        // The next pass looks before it repeats; often the refusal means that AWS is there already.
        Outcome::Refused(failure) | Outcome::Unproven(failure) => again(
            tried,
            chrono::TimeDelta::zero(),
            failure.code,
            failure.message,
        ),
        Outcome::Failed(error) => {
            let (code, message) = (error.code().to_owned(), error.to_string());
            match after_failure(&error) {
                AfterFailure::Again {
                    counts: true,
                    at_least,
                } => again(tried, at_least, code, message),
                // Not an attempt, so attempts cannot space the repeats: the time that it has been due does.
                AfterFailure::Again {
                    counts: false,
                    at_least,
                } => {
                    let spacing = at_least.max(spacing(place, connection, now));
                    again(connection.sync.attempts, spacing, code, message)
                }
                AfterFailure::Stall => Settlement {
                    attempts: tried,
                    ..stalled(place, connection, code, message, report)
                },
            }
        }
    }
}

/// How far apart repeats of a throttled call are: a quarter of the time since its decision fell due, at most half a minute.
fn spacing(place: &Place, connection: &Connection, now: DateTime<Utc>) -> chrono::TimeDelta {
    let patience = delta(place.shared.settings.patience);
    let waited = connection
        .sync
        .deadline_at
        .map_or(chrono::TimeDelta::zero(), |deadline| {
            patience - (deadline - now)
        });
    (waited / 4).clamp(chrono::TimeDelta::zero(), chrono::TimeDelta::seconds(30))
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
