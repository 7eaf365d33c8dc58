//! The sync worker's queue, which is nothing but what is out of step.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::connections::connection_rows;
use super::{PgConnection, StoreError};
use crate::domain::connection::Connection;
use crate::domain::dispatch::{Rank, Urgency, Waiting, put_in_order};
use crate::domain::ids::{
    AccountRegionId, ConnectionId, ConsumerId, DecisionId, EndpointServiceId, uuid_at,
};
use crate::domain::settlement::Settlement;
use crate::domain::sync::Act;

/// Connections whose call was made and that have to be looked at now, oldest first.
pub async fn confirming(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Connection>, StoreError> {
    let rows = connection_rows!(
        r#"WHERE c.account_region_id = $1 AND c.sync_state = 'confirming' AND c.sync_due_at <= $2
            ORDER BY c.sync_due_at, c.id
            LIMIT $3"#,
        account_region as _,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Connection::try_from).collect()
}

/// What waits for a call now, by service, call and urgency: taking access away first, then what is most urgent, then the oldest deadline. What
/// has its deadline before `hurry` is as urgent as what a person waits for.
pub async fn waiting(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    now: DateTime<Utc>,
    hurry: DateTime<Utc>,
) -> Result<Vec<Waiting>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT s.id AS "service: EndpointServiceId", s.aws_service_id AS "aws_id!", w.taking AS "taking!", w.rank AS "rank!",
                  w.count AS "count!", w.since AS "since!", w.deadline
             FROM (SELECT c.endpoint_service_id, c.review_state IN ('rejected', 'revoked') AS taking,
                          sync_rank(d.actor_kind, c.sync_attempts, c.sync_deadline_at, $3) AS rank, count(*),
                          min(c.sync_due_at) AS since, min(c.sync_deadline_at) AS deadline
                     FROM connections c LEFT JOIN decisions d ON d.id = c.decision_id
                    WHERE c.account_region_id = $1 AND c.sync_state = 'due' AND c.sync_due_at <= $2
                    GROUP BY 1, 2, 3) AS w
             JOIN endpoint_services s ON s.id = w.endpoint_service_id
            WHERE s.aws_service_id IS NOT NULL
            -- The ranks of one service and call stand together, the most urgent first.
            ORDER BY w.taking DESC, s.id, w.rank"#,
        account_region as _,
        now,
        hurry,
    )
    .fetch_all(conn)
    .await?;
    let mut all: Vec<Waiting> = Vec::new();
    for row in rows {
        let broken = |e| StoreError::inconsistent("endpoint_services", row.service, e);
        let act = if row.taking { Act::Reject } else { Act::Accept };
        let rank = Rank {
            urgency: Urgency::from_rank(row.rank).unwrap_or(Urgency::Sweep),
            count: usize::try_from(row.count).unwrap_or(usize::MAX),
            since: row.since,
            deadline: row.deadline,
        };
        match all.last_mut() {
            Some(last) if last.service == row.service && last.act == act => last.ranks.push(rank),
            _ => all.push(Waiting {
                service: row.service,
                aws_id: row.aws_id.parse().map_err(broken)?,
                act,
                ranks: vec![rank],
            }),
        }
    }
    put_in_order(&mut all);
    Ok(all)
}

/// The connections of one service for one call: the most urgent, and then those with the oldest deadline.
pub async fn batch(
    conn: &mut PgConnection,
    service: EndpointServiceId,
    act: Act,
    now: DateTime<Utc>,
    hurry: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Connection>, StoreError> {
    let rows = connection_rows!(
        r#"LEFT JOIN decisions d ON d.id = c.decision_id
            WHERE c.endpoint_service_id = $1 AND c.sync_state = 'due' AND c.sync_due_at <= $2
              AND (c.review_state IN ('rejected', 'revoked')) = $3
            ORDER BY sync_rank(d.actor_kind, c.sync_attempts, c.sync_deadline_at, $5), c.sync_deadline_at, c.sync_due_at, c.id
            LIMIT $4"#,
        service as _,
        now,
        act == Act::Reject,
        limit,
        hurry,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Connection::try_from).collect()
}

/// The same connections again, as they are now: a decision may have come in while AWS was being read.
pub async fn reload(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
) -> Result<Vec<Connection>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = connection_rows!(r#"WHERE c.id = ANY($1)"#, &ids,)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Connection::try_from).collect()
}

/// When the next connection of an AccountRegion has to be looked at, or falls due after `known`: what was due by then the caller knows.
pub async fn next_due(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    known: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let at = sqlx::query_scalar!(
        "SELECT min(sync_due_at) FROM connections
          WHERE account_region_id = $1
            AND (sync_state = 'confirming' OR sync_state = 'due' AND sync_due_at > $2)",
        account_region as _,
        known,
    )
    .fetch_one(conn)
    .await?;
    Ok(at)
}

/// Records where the sync of many connections goes next, each only while what it was concluded from still stands. Answers how many stood.
/// The caller holds the lease.
pub async fn settle(conn: &mut PgConnection, all: &[Settlement]) -> Result<u64, StoreError> {
    let ids: Vec<Uuid> = all.iter().map(|s| s.id.uuid()).collect();
    let decisions: Vec<Option<Uuid>> = all
        .iter()
        .map(|s| s.decision.map(DecisionId::uuid))
        .collect();
    let states: Vec<&str> = all.iter().map(|s| s.state.as_str()).collect();
    let was: Vec<&str> = all.iter().map(|s| s.was.as_str()).collect();
    let observed: Vec<Option<&str>> = all.iter().map(|s| s.only_if_observed.as_deref()).collect();
    let due: Vec<Option<DateTime<Utc>>> = all.iter().map(|s| s.due_at).collect();
    let attempts: Vec<i32> = all.iter().map(|s| s.attempts).collect();
    let acts: Vec<Option<&str>> = all
        .iter()
        .map(|s| s.act.map(|(act, _)| act.as_str()))
        .collect();
    let act_times: Vec<Option<DateTime<Utc>>> =
        all.iter().map(|s| s.act.map(|(_, at)| at)).collect();
    let codes: Vec<Option<&str>> = all.iter().map(|s| s.code.as_deref()).collect();
    let messages: Vec<Option<&str>> = all.iter().map(|s| s.message.as_deref()).collect();
    let done = sqlx::query!(
        "WITH locked AS (
             SELECT id FROM connections WHERE id = ANY($1) ORDER BY endpoint_service_id, endpoint_id FOR UPDATE
         )
         UPDATE connections AS c
            SET sync_state = u.state, sync_due_at = u.due_at, sync_attempts = u.attempts, sync_act = u.act,
                sync_act_at = u.act_at, sync_code = u.code, sync_message = u.message
           FROM locked
           JOIN unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::int[], $6::text[], $7::timestamptz[],
                       $8::text[], $9::text[], $10::text[], $11::text[])
                AS u (id, decision, state, due_at, attempts, act, act_at, code, message, was, observed) ON u.id = locked.id
          WHERE c.id = u.id AND c.decision_id IS NOT DISTINCT FROM u.decision
            AND c.sync_state = u.was AND (u.observed IS NULL OR c.observed_state = u.observed)",
        &ids,
        &decisions as _,
        &states as _,
        &due as _,
        &attempts,
        &acts as _,
        &act_times as _,
        &codes as _,
        &messages as _,
        &was as _,
        &observed as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// One endpoint's part of a call to AWS.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Which connection.
    pub connection: ConnectionId,
    /// The decision it carried out.
    pub decision: DecisionId,
    /// The call.
    pub act: Act,
    /// `recorded`, `refused`, or the kind of failure of the whole call.
    pub outcome: &'static str,
    /// The AWS error code.
    pub code: Option<String>,
    /// AWS's words.
    pub message: Option<String>,
}

/// Records calls made, one row for each endpoint. The caller holds the lease.
pub async fn record_attempts(
    conn: &mut PgConnection,
    all: &[Attempt],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = all.iter().map(|_| uuid_at(at)).collect();
    let connections: Vec<Uuid> = all.iter().map(|a| a.connection.uuid()).collect();
    let decisions: Vec<Uuid> = all.iter().map(|a| a.decision.uuid()).collect();
    let acts: Vec<&str> = all.iter().map(|a| a.act.as_str()).collect();
    let outcomes: Vec<&str> = all.iter().map(|a| a.outcome).collect();
    let codes: Vec<Option<&str>> = all.iter().map(|a| a.code.as_deref()).collect();
    let messages: Vec<Option<&str>> = all.iter().map(|a| a.message.as_deref()).collect();
    sqlx::query!(
        "INSERT INTO sync_attempts (id, at, connection_id, decision_id, act, outcome, aws_code, message)
         SELECT u.id, $1, u.connection, u.decision, u.act, u.outcome, u.code, u.message
           FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[])
                AS u (id, connection, decision, act, outcome, code, message)",
        at,
        &ids,
        &connections,
        &decisions,
        &acts as _,
        &outcomes as _,
        &codes as _,
        &messages as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
