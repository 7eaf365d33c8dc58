//! Drifts of connections: opened and closed by observations, settled by decisions.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use privatelink::ConnectionState;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PgConnection, StoreError, audit, drifts};
use crate::domain::account_region::Lease;
use crate::domain::actor::Actor;
use crate::domain::drift::{Change, DriftKind, detect};
use crate::domain::drift_inbox::DriftState;
use crate::domain::ids::{ConnectionId, DriftId, EndpointServiceId, uuid_at};
use crate::domain::review::ReviewState;

/// A drift of a connection that was detected now.
#[derive(Debug)]
pub struct Detected<'a> {
    /// Which connection.
    pub connection: ConnectionId,
    /// On which service.
    pub service: EndpointServiceId,
    /// Of which endpoint.
    pub endpoint: &'a str,
    /// What kind.
    pub kind: DriftKind,
    /// What was decided.
    pub review: ReviewState,
    /// What AWS shows.
    pub observed: &'a str,
    /// What else was seen.
    pub evidence: Value,
}

/// The kinds of the drifts that stand about these connections.
pub async fn standing(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
) -> Result<HashMap<ConnectionId, Vec<(DriftId, DriftKind)>>, StoreError> {
    let ids: Vec<Uuid> = connections.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id: DriftId", connection_id AS "connection!: ConnectionId", kind
             FROM drifts WHERE connection_id = ANY($1) AND resolved_at IS NULL"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<ConnectionId, Vec<(DriftId, DriftKind)>> = HashMap::new();
    for row in rows {
        let broken = |what: String| StoreError::inconsistent("drifts", row.id, what);
        let kind = row.kind.parse().map_err(broken)?;
        all.entry(row.connection).or_default().push((row.id, kind));
    }
    Ok(all)
}

/// Records a drift unless the same stands; answers whether it is new. The caller holds the lease.
pub async fn record(
    conn: &mut PgConnection,
    lease: &Lease,
    new: &Detected<'_>,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let id = DriftId::from(uuid_at(at));
    let before = json!({ "review": new.review });
    let after = json!({ "observed": new.observed });
    let done = sqlx::query!(
        "INSERT INTO drifts (id, account_region_id, endpoint_service_id, connection_id, subject, kind, review_state, observed_state,
                             before, after, evidence, detected_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (account_region_id, kind, endpoint_service_id, subject) WHERE resolved_at IS NULL DO NOTHING",
        id as _,
        lease.account_region as _,
        new.service as _,
        new.connection as _,
        new.endpoint,
        new.kind.as_str(),
        new.review.as_str(),
        new.observed,
        before,
        after,
        new.evidence,
        at,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let entry = audit::Entry {
        at,
        actor: &Actor::aws(),
        action: "connection.drifted",
        subject: audit::Subject::Connection(new.connection),
        before: Some(before),
        after: Some(json!({ "observed": new.observed, "drift": new.kind, "drift_id": id })),
        reason: None,
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(true)
}

/// A connection that is looked at again although AWS shows nothing new of it.
struct Candidate {
    id: ConnectionId,
    endpoint_service_id: EndpointServiceId,
    endpoint_id: String,
    owner_account: String,
    observed_state: String,
    review_state: String,
    sync_state: String,
    sync_act_at: Option<DateTime<Utc>>,
    aws_created_at: Option<DateTime<Utc>>,
    registered_at: DateTime<Utc>,
    acceptance_required: bool,
    /// Whether it has been as it is since it was first seen.
    unmoved: bool,
}

/// Looks at all connections of an AccountRegion, those included of which AWS shows nothing new: what disagrees and has no drift gets one, and what
/// agrees and has one is healed. Whatever was missed or written by others comes right with the next complete listing. At rest it is one read.
/// Answers how many drifts are new. The caller holds the lease.
pub async fn reconsider(
    conn: &mut PgConnection,
    lease: &Lease,
    at: DateTime<Utc>,
    stale_read_grace: Duration,
) -> Result<usize, StoreError> {
    let rows = sqlx::query_as!(
        Candidate,
        r#"SELECT c.id AS "id: ConnectionId", c.endpoint_service_id AS "endpoint_service_id: EndpointServiceId",
                  c.endpoint_id, c.owner_account, c.observed_state, c.review_state, c.sync_state, c.sync_act_at,
                  c.aws_created_at, s.created_at AS registered_at, s.acceptance_required,
                  NOT EXISTS (SELECT FROM observations o WHERE o.connection_id = c.id AND o.from_state IS NOT NULL)
                      AS "unmoved!"
             FROM connections c
             JOIN endpoint_services s ON s.id = c.endpoint_service_id
             LEFT JOIN drifts d ON d.connection_id = c.id AND d.account_region_id = $1 AND d.resolved_at IS NULL
            -- What is gone was healed when it went; those rows grow for ever, and no listing should read them.
            WHERE c.account_region_id = $1 AND c.observed_state <> 'deleted' AND s.lifecycle <> 'released'
              -- Wherever `detect` may find something; it has the last word. First the few rows that may be in question, by their indexes.
              AND c.id IN (
                  SELECT suspect.id FROM connections suspect
                   WHERE suspect.account_region_id = $1 AND suspect.observed_state <> 'deleted'
                     AND (suspect.review_state = 'undecided' AND suspect.observed_state IN ('pending', 'available', 'partial', 'rejected')
                          OR suspect.review_state = 'accepted' AND suspect.observed_state = 'rejected'
                          OR suspect.review_state IN ('rejected', 'revoked')
                             AND suspect.observed_state IN ('pendingAcceptance', 'pending', 'available'))
                   UNION ALL
                  SELECT standing.connection_id FROM drifts standing WHERE standing.account_region_id = $1 AND standing.resolved_at IS NULL)
              AND (d.id IS NULL) = (
                  c.review_state = 'undecided' AND c.observed_state IN ('pending', 'available', 'partial', 'rejected')
                  OR c.review_state = 'accepted' AND c.observed_state = 'rejected'
                  OR c.review_state IN ('rejected', 'revoked')
                     AND c.observed_state IN ('pendingAcceptance', 'pending', 'available')
                     AND (c.sync_state = 'idle' OR d.id IS NOT NULL))
            ORDER BY c.endpoint_service_id, c.endpoint_id
              FOR UPDATE OF c"#,
        lease.account_region as _,
    )
    .fetch_all(&mut *conn)
    .await?;
    let (mut healed, mut new) = (Vec::new(), 0);
    for row in &rows {
        let broken = |what: String| StoreError::inconsistent("connections", row.id, what);
        let observed = ConnectionState::parse(&row.observed_state);
        let review: ReviewState = row.review_state.parse().map_err(broken)?;
        let found = detect(Change {
            review,
            sync: row.sync_state.parse().map_err(broken)?,
            just_called: row
                .sync_act_at
                .is_some_and(|called| at < called + stale_read_grace),
            preexisting: row.unmoved
                && row
                    .aws_created_at
                    .is_some_and(|made| made <= row.registered_at),
            acceptance_required: row.acceptance_required,
            observed: &observed,
        });
        let Some(kind) = found else {
            healed.push(row.id);
            continue;
        };
        let detected = Detected {
            connection: row.id,
            service: row.endpoint_service_id,
            endpoint: &row.endpoint_id,
            kind,
            review,
            observed: &row.observed_state,
            evidence: json!({
                "owner_account_id": row.owner_account,
                "created_at": row.aws_created_at,
                "service_registered_at": row.registered_at,
                "acceptance_required": row.acceptance_required,
            }),
        };
        new += usize::from(record(conn, lease, &detected, at).await?);
    }
    resolve(conn, &healed, drifts::HEALED, at).await?;
    Ok(new)
}

/// Closes drifts that another took the place of.
pub async fn supersede(
    conn: &mut PgConnection,
    ids: &[DriftId],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let (worker, why) = (Actor::worker(), drifts::SUPERSEDED);
    drifts::settle_standing(conn, ids, DriftState::Resolved, &worker, why, at).await
}

/// Closes every drift of these connections by itself: AWS and the review agree again, or there is nothing left.
pub async fn resolve(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
    why: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (worker, state) = (Actor::worker(), DriftState::Resolved);
    settle(conn, connections, None, state, &worker, why, at).await
}

/// Settles the drifts of these connections that stand, of one kind or of any: open ones by this actor, and of ignored ones the end is noted.
pub async fn settle(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
    kind: Option<DriftKind>,
    state: DriftState,
    actor: &Actor,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    if connections.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = connections.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "UPDATE drifts
            SET resolved_at = $2,
                settled_at = coalesce(settled_at, $2), settled_by_kind = coalesce(settled_by_kind, $4),
                settled_by = coalesce(settled_by, $5), settled_reason = coalesce(settled_reason, $6),
                state = CASE WHEN state = 'open' THEN $3 ELSE state END
          WHERE connection_id = ANY($1) AND resolved_at IS NULL AND ($7::text IS NULL OR kind = $7)",
        &ids,
        at,
        state.as_str(),
        actor.kind.as_str(),
        actor.name,
        reason,
        kind.map(DriftKind::as_str),
    )
    .execute(conn)
    .await?;
    Ok(())
}
