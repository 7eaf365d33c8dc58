//! For which connections a timer has something to do: the rule of `domain::review_timer` in SQL, so that only those are looked at. And the
//! marks that timers leave, each guarded by the same rule. A service that has ended has no timers.

use chrono::{DateTime, TimeDelta, Utc};

use super::{PgConnection, StoreError, planned_revocations};
use crate::domain::ids::{AccountRegionId, ConnectionId};
use crate::domain::review_rules::ReviewDefaults;

fn seconds(delta: TimeDelta) -> i64 {
    delta.num_seconds()
}

/// Connections of an AccountRegion for which something is due, the oldest id first.
pub async fn due(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    defaults: &ReviewDefaults,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        SELECT id AS "id!: ConnectionId" FROM (
            SELECT c.id
              FROM connections c
              JOIN endpoint_services e ON e.id = c.endpoint_service_id AND e.lifecycle NOT IN ('deleted', 'released')
              LEFT JOIN review_rules r ON r.endpoint_service_id = c.endpoint_service_id
              LEFT JOIN reviews v ON v.connection_id = c.id
             CROSS JOIN LATERAL (
                   SELECT c.first_seen_at + make_interval(secs => s.sla) AS due_at,
                          c.first_seen_at + make_interval(secs => s.sla / 100 * $4::integer) AS remind_at
                     FROM (SELECT coalesce(r.review_sla_seconds, $3)::double precision AS sla) AS s) AS q
             WHERE c.account_region_id = $1 AND c.review_state = 'undecided' AND c.observed_state = 'pendingAcceptance'
               AND CASE WHEN q.due_at <= $2
                        THEN coalesce(v.escalated_at < q.due_at, true)
                             OR (coalesce(r.on_overdue, $5) = 'reject'
                                 -- Held by a person, and the hold stands.
                                 AND NOT coalesce(v.held_by_kind = 'person' AND coalesce(v.held_until > $2, true), false))
                        ELSE q.remind_at <= $2 AND coalesce(v.reminded_at < q.remind_at, true) END
            UNION ALL
            SELECT c.id
              FROM reviews v
              JOIN connections c ON c.id = v.connection_id
              JOIN endpoint_services e ON e.id = c.endpoint_service_id AND e.lifecycle NOT IN ('deleted', 'released')
              LEFT JOIN review_rules r ON r.endpoint_service_id = c.endpoint_service_id
             WHERE c.account_region_id = $1 AND c.review_state = 'accepted'
               AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial', 'rejected', 'expired', 'failed',
                                        'deleting', 'deleted')
               AND v.expires_at <= $2
               AND (coalesce(v.expiring_at < v.expires_at, true)
                    OR v.expires_at + make_interval(secs => coalesce(r.expiry_grace_seconds, $6)::double precision) <= $2)
            UNION
            SELECT c.id
              FROM standing_revocations p
              JOIN connections c ON c.id = p.connection_id
              JOIN endpoint_services e ON e.id = c.endpoint_service_id AND e.lifecycle NOT IN ('deleted', 'released')
             WHERE c.account_region_id = $1 AND c.review_state = 'accepted' AND p.at <= $2
               -- What an agreement planned that should have been looked at before waits, and keeps nobody else waiting.
               AND NOT EXISTS (SELECT FROM agreements a WHERE a.id = p.agreement_id AND a.due_at < p.at)
               AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial', 'rejected', 'expired', 'failed',
                                        'deleting', 'deleted')
            UNION ALL
            SELECT c.id
              FROM connections c
              JOIN endpoint_services e ON e.id = c.endpoint_service_id AND e.lifecycle NOT IN ('deleted', 'released')
             WHERE c.account_region_id = $1 AND c.review_state = 'undecided'
               AND c.observed_state IN ('rejected', 'expired', 'failed', 'deleting', 'deleted')
               AND c.id IN (SELECT connection_id FROM approvals WHERE ended_at IS NULL)) AS due
         ORDER BY id LIMIT $7
        "#,
        account_region as _,
        now,
        seconds(defaults.sla),
        defaults.reminder_percent,
        defaults.on_overdue.as_str(),
        seconds(defaults.expiry_grace),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// When the next timer of an AccountRegion runs out after `now`.
pub async fn next(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    defaults: &ReviewDefaults,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let next = sqlx::query_scalar!(
        r#"
        SELECT min(t) FROM (
            SELECT unnest(ARRAY[c.first_seen_at + make_interval(secs => s.sla),
                                c.first_seen_at + make_interval(secs => s.sla / 100 * $4::integer),
                                v.held_until]) AS t
              FROM connections c
              JOIN endpoint_services e ON e.id = c.endpoint_service_id AND e.lifecycle NOT IN ('deleted', 'released')
              LEFT JOIN review_rules r ON r.endpoint_service_id = c.endpoint_service_id
              LEFT JOIN reviews v ON v.connection_id = c.id
             CROSS JOIN LATERAL (SELECT coalesce(r.review_sla_seconds, $3)::double precision AS sla) AS s
             WHERE c.account_region_id = $1 AND c.review_state = 'undecided' AND c.observed_state = 'pendingAcceptance'
            UNION ALL
            SELECT unnest(ARRAY[v.expires_at,
                                v.expires_at + make_interval(secs => coalesce(r.expiry_grace_seconds, $5)::double precision)])
              FROM reviews v
              JOIN connections c ON c.id = v.connection_id
              JOIN endpoint_services e ON e.id = c.endpoint_service_id AND e.lifecycle NOT IN ('deleted', 'released')
              LEFT JOIN review_rules r ON r.endpoint_service_id = c.endpoint_service_id
             WHERE c.account_region_id = $1 AND c.review_state = 'accepted'
               AND v.expires_at IS NOT NULL
            UNION ALL
            SELECT p.at
              FROM standing_revocations p
              JOIN connections c ON c.id = p.connection_id
              JOIN endpoint_services e ON e.id = c.endpoint_service_id AND e.lifecycle NOT IN ('deleted', 'released')
             WHERE c.account_region_id = $1 AND c.review_state = 'accepted') AS timers
         WHERE t > $2
        "#,
        account_region as _,
        now,
        seconds(defaults.sla),
        defaults.reminder_percent,
        seconds(defaults.expiry_grace),
    )
    .fetch_one(conn)
    .await?;
    Ok(next)
}

/// Notes that people were reminded.
pub async fn mark_reminded(
    conn: &mut PgConnection,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO reviews (connection_id, reminded_at)
         SELECT id, $2 FROM connections WHERE id = $1 AND review_state = 'undecided'
         ON CONFLICT (connection_id) DO UPDATE SET reminded_at = EXCLUDED.reminded_at",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that people were told that it is overdue.
pub async fn mark_escalated(
    conn: &mut PgConnection,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO reviews (connection_id, escalated_at)
         SELECT id, $2 FROM connections WHERE id = $1 AND review_state = 'undecided'
         ON CONFLICT (connection_id) DO UPDATE SET escalated_at = EXCLUDED.escalated_at",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that people were told that the time of access is over. Not where it was renewed meanwhile.
pub async fn mark_expiring(
    conn: &mut PgConnection,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE reviews AS v SET expiring_at = $2
           FROM connections c
          WHERE v.connection_id = $1 AND c.id = $1 AND c.review_state = 'accepted' AND v.expires_at <= $2
            AND coalesce(v.expiring_at < v.expires_at, true)",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets what was scheduled about a connection whose endpoint is gone.
pub async fn clear(conn: &mut PgConnection, id: ConnectionId) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE reviews
            SET expires_at = NULL, expiring_at = NULL, claimed_by = NULL, claimed_at = NULL, claim_ends_at = NULL,
                held_code = NULL, held_reason = NULL, held_until = NULL, held_by_kind = NULL, held_by = NULL, held_at = NULL
          WHERE connection_id = $1",
        id as _,
    )
    .execute(&mut *conn)
    .await?;
    planned_revocations::clear(conn, id).await
}
