//! The end of a run: peace, and the history checker over everything.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use history_checker::{Aws, Database, History, Invariant, Report, check, database};
use reqwest::Method;
use serde_json::{Value, json};

use crate::Result;
use crate::chance::Chance;
use crate::line::State;
use crate::scene::{Scene, number};

/// Longer than any read lags, any lease lasts and any notification waits.
const QUIET: Duration = Duration::from_secs(15);
/// How long everything may then take to come to rest: a shunned AccountRegion and the longest back-off included.
const REST_WITHIN: Duration = Duration::from_mins(2);
/// How long people's retries may take to come to rest.
const RETRIED_WITHIN: Duration = Duration::from_mins(1);

/// Leaves everything in peace, lets people retry what is stalled, and checks. Answers whether all invariants hold.
pub(crate) async fn peace_and_check(scene: &mut Scene) -> Result<bool> {
    scene.sim.clear_faults().await?;
    for replica in 0..2 {
        scene.signal_replica(replica, "CONT").await?;
        scene.lines(replica, State::Whole, State::Whole);
    }
    println!("chaos: peace");
    tokio::time::sleep(QUIET).await;
    let before = at_rest(scene, REST_WITHIN).await?;
    let retried = retry_all(scene).await?;
    let mut report = at_rest(scene, RETRIED_WITHIN).await?;
    // A retry mends what must not have been broken: what was wrong before it counts.
    for violation in before.violations {
        if !report.violations.contains(&violation) {
            report.violations.push(violation);
        }
    }

    scene.tally.print();
    println!("{retried:>7}  retried by a person at the end");
    for (name, sql) in TOTALS {
        println!("{:>7}  {name}", scene.text(sql)?);
    }
    for invariant in Invariant::ALL {
        let looked = report.looked_at.get(invariant).copied().unwrap_or(0);
        let broken = report
            .violations
            .iter()
            .filter(|v| v.invariant == *invariant)
            .count();
        println!("{looked:>7}  looks at {invariant}: {broken} violations");
    }
    for violation in report.violations.iter().take(40) {
        println!("BROKEN {violation}");
    }
    // Where nothing was done, nothing can have been broken.
    let acknowledged = scene.ledger.note().acknowledged.len();
    if acknowledged < LEAST_DECISIONS {
        println!("BROKEN only {acknowledged} decisions were acknowledged: the run shows nothing");
    }
    Ok(report.violations.is_empty() && acknowledged >= LEAST_DECISIONS)
}

/// With fewer decisions than this a run has shown nothing. The shortest ones come to a few dozen.
const LEAST_DECISIONS: usize = 10;

const TOTALS: &[(&str, &str)] = &[
    ("connections", "SELECT count(*)::text FROM connections"),
    ("decisions", "SELECT count(*)::text FROM decisions"),
    ("attempts", "SELECT count(*)::text FROM sync_attempts"),
    ("observations", "SELECT count(*)::text FROM observations"),
    ("drifts", "SELECT count(*)::text FROM drifts"),
    ("audit entries", "SELECT count(*)::text FROM audit_entries"),
    (
        "hand-overs of the lease",
        "SELECT sum(lease_fence)::text FROM account_regions",
    ),
    (
        "stalled at the end",
        "SELECT ((SELECT count(*) FROM connections WHERE sync_state = 'stalled')
               + (SELECT count(*) FROM endpoint_services WHERE sync_state = 'stalled'))::text",
    ),
];

/// Checks until nothing is wrong or the time is over: what is broken for good stays broken.
async fn at_rest(scene: &Scene, within: Duration) -> Result<Report> {
    let until = Instant::now() + within;
    let mut events = Vec::new();
    loop {
        let report = check(&history(scene, &mut events).await?);
        if report.violations.is_empty() || Instant::now() >= until {
            return Ok(report);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Everything that can be known now. `events` keeps what was read of the log.
async fn history(scene: &Scene, events: &mut Vec<Value>) -> Result<History> {
    // The database first: what AWS did afterwards is in the log, and is read again.
    let sql = database::SQL
        .replace("$1::uuid", "NULL::uuid")
        .replace("$1", "NULL::uuid");
    let rows = Database::read(&scene.text(&sql)?)?;
    loop {
        let after = events.last().map_or(0, |event| number(event, "seq"));
        let page = scene.sim.events(after).await?;
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let connections = scene.sim.control(Method::GET, "/connections", None).await?;
    let state = scene.sim.control(Method::GET, "/state", None).await?;
    let mut circumstances = scene.circumstances();
    let now = state["now"]
        .as_str()
        .and_then(|at| at.parse::<DateTime<Utc>>().ok());
    let jumped = circumstances.jumps.iter().map(|jump| jump.by);
    circumstances.ended_at = jumped.fold(now.ok_or("a state without a time")?, |at, by| at - by);
    Ok(History {
        aws: Aws::read(Value::Array(events.clone()), connections, &state)?,
        database: rows,
        circumstances,
    })
}

/// A person retries everything that is stalled.
async fn retry_all(scene: &Scene) -> Result<usize> {
    let mut chance = Chance::new(0, 0);
    let mut retried = 0;
    for (noun, filter) in [
        ("connections", "?summary=stalled&limit=200"),
        ("services", "?limit=200"),
    ] {
        let listed = scene
            .rest
            .get(&mut chance, &format!("/v1/{noun}{filter}"))
            .await?;
        for row in listed["items"].as_array().into_iter().flatten() {
            if row["sync"]["state"] != "stalled" {
                continue;
            }
            let path = format!(
                "/v1/{noun}/{}/retry-sync",
                row["id"].as_str().unwrap_or_default()
            );
            scene.ledger.note().retries += 1;
            scene
                .rest
                .ask(&mut chance, Method::POST, &path, Some(&json!({})))
                .await?;
            retried += 1;
        }
    }
    Ok(retried)
}
