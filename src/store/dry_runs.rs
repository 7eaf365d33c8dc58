//! Dry runs of policies: who runs which, how far it is, and what came out.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::decision::Outcome;
use crate::domain::ids::{DecisionId, DryRunId, EndpointServiceId, PolicyId};
use crate::domain::policy::{Others, Stamp};
use crate::domain::policy_dry_run::{DryRunPlace, PolicyDryRun, Tally};

const TABLE: &str = "policy_dry_runs";

struct Row {
    id: DryRunId,
    policy_id: PolicyId,
    without_it: bool,
    digest: String,
    decisions: i64,
    state: String,
    requested_at: DateTime<Utc>,
    requested_by: String,
    runs: i32,
    others: Option<Value>,
    place: Option<Value>,
    tally: Value,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    failure: Option<String>,
}

impl TryFrom<Row> for PolicyDryRun {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: String| StoreError::inconsistent(TABLE, id, what);
        let unread = |e: serde_json::Error| StoreError::inconsistent(TABLE, id, e);
        Ok(Self {
            id,
            policy: row.policy_id,
            without_it: row.without_it,
            digest: row.digest,
            decisions: row.decisions,
            state: row.state.parse().map_err(broken)?,
            requested: Stamp {
                at: row.requested_at,
                by: row.requested_by,
            },
            runs: row.runs,
            others: row
                .others
                .map(serde_json::from_value)
                .transpose()
                .map_err(unread)?,
            place: row
                .place
                .map(serde_json::from_value)
                .transpose()
                .map_err(unread)?,
            tally: serde_json::from_value(row.tally).map_err(unread)?,
            started_at: row.started_at,
            finished_at: row.finished_at,
            failure: row.failure,
        })
    }
}

fn json(id: DryRunId, value: &impl serde::Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(|e| StoreError::inconsistent(TABLE, id, e))
}

/// What a run is to try.
#[derive(Debug, Clone, Copy)]
pub struct Tried<'a> {
    /// The policy.
    pub policy: PolicyId,
    /// Whether it is taken away.
    pub without_it: bool,
    /// The SHA-256 of its text.
    pub digest: &'a str,
}

/// Queues a run; `Duplicate` on `policy_dry_runs_one_open` where one of the policy is not over.
pub async fn insert(
    conn: &mut PgConnection,
    id: DryRunId,
    tried: Tried<'_>,
    decisions: i64,
    by: &Stamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO policy_dry_runs (id, policy_id, without_it, digest, decisions, state, requested_at, requested_by, tally)
         VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, $8)",
        id as _,
        tried.policy as _,
        tried.without_it,
        tried.digest,
        decisions,
        by.at,
        by.by,
        json(id, &Tally::default())?,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads dry runs: the columns once, whatever the rest of the statement says.
macro_rules! dry_run_rows {
    ($before:literal, $rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $before + r#" id AS "id: DryRunId", policy_id AS "policy_id: PolicyId", without_it, digest, decisions, state, requested_at, requested_by, runs,
                      others, place, tally, started_at, finished_at, failure "# + $rest
            $(, $argument)*
        )
    };
}

/// A run of a policy.
pub async fn by_id(
    conn: &mut PgConnection,
    policy: PolicyId,
    id: DryRunId,
) -> Result<Option<PolicyDryRun>, StoreError> {
    let row = dry_run_rows!(
        "SELECT ",
        "FROM policy_dry_runs WHERE id = $1 AND policy_id = $2",
        id as _,
        policy as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(PolicyDryRun::try_from).transpose()
}

/// The newest run of a policy, or of what there is without it, that is through.
pub async fn newest_done(
    conn: &mut PgConnection,
    policy: PolicyId,
    without_it: bool,
) -> Result<Option<PolicyDryRun>, StoreError> {
    let row = dry_run_rows!(
        "SELECT ",
        "FROM policy_dry_runs WHERE policy_id = $1 AND without_it = $2 AND state = 'done' ORDER BY id DESC LIMIT 1",
        policy as _,
        without_it,
    )
    .fetch_optional(conn)
    .await?;
    row.map(PolicyDryRun::try_from).transpose()
}

/// Takes up the oldest run that waits, that this runner left, or whose runner was not heard of for so long.
pub async fn claim(
    conn: &mut PgConnection,
    runner: Uuid,
    silence: Duration,
    at: DateTime<Utc>,
) -> Result<Option<PolicyDryRun>, StoreError> {
    let row = dry_run_rows!(
        "UPDATE policy_dry_runs SET state = 'running', runner = $1, alive_at = now(), runs = runs + 1, started_at = coalesce(started_at, $2)
          WHERE id = (SELECT id FROM policy_dry_runs
                       WHERE state = 'queued'
                          OR (state = 'running' AND (runner = $1 OR alive_at < now() - make_interval(secs => $3)))
                       ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING ",
        "",
        runner,
        at,
        silence.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(PolicyDryRun::try_from).transpose()
}

/// Notes how far a run is, and that its runner lives. Answers whether it is still that runner's.
pub async fn keep(
    conn: &mut PgConnection,
    id: DryRunId,
    runner: Uuid,
    others: &Others,
    place: &DryRunPlace,
    tally: &Tally,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE policy_dry_runs SET alive_at = now(), others = $3, place = $4, tally = $5
          WHERE id = $1 AND runner = $2 AND state = 'running'",
        id as _,
        runner,
        json(id, others)?,
        json(id, place)?,
        json(id, tally)?,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a run with what it has counted. Answers whether it was still that runner's.
pub async fn finish(
    conn: &mut PgConnection,
    id: DryRunId,
    runner: Uuid,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE policy_dry_runs SET state = 'done', finished_at = $3, place = NULL WHERE id = $1 AND runner = $2 AND state = 'running'",
        id as _,
        runner,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a run without a result. Answers whether it was still that runner's.
pub async fn fail(
    conn: &mut PgConnection,
    id: DryRunId,
    runner: Uuid,
    failure: &str,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE policy_dry_runs SET state = 'failed', failure = $3, finished_at = $4, place = NULL
          WHERE id = $1 AND runner = $2 AND state = 'running'",
        id as _,
        runner,
        failure,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends whatever run of a policy is not over, because there is nothing left to try. The caller has locked the policy.
pub async fn give_up(
    conn: &mut PgConnection,
    policy: PolicyId,
    why: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policy_dry_runs SET state = 'failed', failure = $2, finished_at = $3, place = NULL
          WHERE policy_id = $1 AND state IN ('queued', 'running')",
        policy as _,
        why,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A decision about a request, with what it could have been decided from.
#[derive(Debug)]
pub struct Decided {
    /// The decision.
    pub id: DecisionId,
    /// What was decided, by whomever.
    pub outcome: Outcome,
    /// The facts that were kept with it, or those of the last judgement of the request before it; `None` where there is neither.
    pub facts: Option<Value>,
}

/// A page of the decisions about requests, newest first, starting after `before`: of one service or of all.
pub async fn decided(
    conn: &mut PgConnection,
    scope: Option<EndpointServiceId>,
    before: Option<DecisionId>,
    limit: i64,
) -> Result<Vec<Decided>, StoreError> {
    // The judgement of this very decision comes before those that are only older.
    let rows = sqlx::query!(
        r#"SELECT d.id AS "id: DecisionId", d.verb,
                  (SELECT j.facts FROM judgements j
                    WHERE j.connection_id = d.connection_id AND (j.decision_id = d.id OR j.judged_at <= d.decided_at)
                      AND j.facts->'connection'->>'standing' = 'requested'
                    ORDER BY coalesce(j.decision_id = d.id, false) DESC, j.judged_at DESC, j.id DESC
                    LIMIT 1) AS facts
             FROM (SELECT d.id, d.verb, d.connection_id, d.decided_at
                     FROM decisions d JOIN connections c ON c.id = d.connection_id
                    WHERE d.verb IN ('accept', 'reject') AND ($1::uuid IS NULL OR c.endpoint_service_id = $1)
                      AND ($2::uuid IS NULL OR d.id < $2)
                    ORDER BY d.id DESC LIMIT $3) d
            ORDER BY d.id DESC"#,
        scope.map(EndpointServiceId::uuid),
        before.map(DecisionId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    let decided = rows.into_iter().map(|row| Decided {
        id: row.id,
        outcome: if row.verb == "accept" {
            Outcome::Accept
        } else {
            Outcome::Reject
        },
        facts: row.facts,
    });
    Ok(decided.collect())
}
