//! The review queue: what waits for somebody to decide, the longest overdue first, and its figures.
//!
//! In the queue is what nobody decided and AWS shows as `pendingAcceptance`. What came up in AWS without a decision is not: nobody waits for
//! it, and it is in the inbox of drifts. Nor is what waits on a service that has ended. Both questions read `connections_waiting`, so they cost as much as there is in the queue.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::AccountId;

use super::{PgConnection, StoreError, approvals, reviews};
use crate::domain::ids::{AccountRegionId, ConnectionId, EndpointServiceId};
use crate::domain::review_desk::{Desk, QueueSummary, Waiting};
use crate::domain::review_rules::ReviewRules;

/// Which requests to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only this service's.
    pub service: Option<EndpointServiceId>,
    /// Only this consumer's.
    pub owner: Option<&'a AccountId>,
    /// Only those that this person works on.
    pub claimed_by: Option<&'a str>,
    /// Only those that somebody works on, or only the others.
    pub claimed: Option<bool>,
    /// Only those that wait for too long, or only the others.
    pub overdue: Option<bool>,
    /// Only those that are held, or only the others.
    pub held: Option<bool>,
}

/// Where a page begins: after this deadline and id.
pub type After = (DateTime<Utc>, ConnectionId);

/// A page, the earliest deadline first, starting after `after`. `sla` counts where a service does not say otherwise.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    sla: TimeDelta,
    now: DateTime<Utc>,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<Waiting>, StoreError> {
    let (after_at, after_id) = after.unzip();
    let rows = sqlx::query!(
        r#"SELECT c.id AS "id: ConnectionId", c.endpoint_service_id AS "service_id: EndpointServiceId", s.name, c.endpoint_id,
                  c.owner_account, c.first_seen_at, c.aws_created_at, q.due_at AS "due_at!",
                  coalesce(r.approvals_required, 1::smallint) AS "approvals_required!",
                  (SELECT count(*) FROM connection_comments m WHERE m.connection_id = c.id) AS "comments!"
             FROM connections c
             JOIN endpoint_services s ON s.id = c.endpoint_service_id AND s.lifecycle NOT IN ('deleted', 'released')
             LEFT JOIN review_rules r ON r.endpoint_service_id = c.endpoint_service_id
             LEFT JOIN reviews v ON v.connection_id = c.id
            CROSS JOIN LATERAL (
                  SELECT c.first_seen_at + make_interval(secs => coalesce(r.review_sla_seconds, $1)::double precision) AS due_at,
                         coalesce(v.claim_ends_at > $2, false) AS claimed,
                         v.held_at IS NOT NULL AND coalesce(v.held_until > $2, true) AS held) AS q
            WHERE c.review_state = 'undecided' AND c.observed_state = 'pendingAcceptance'
              AND ($3::timestamptz IS NULL OR (q.due_at, c.id) > ($3, $4::uuid))
              AND ($5::uuid IS NULL OR c.endpoint_service_id = $5)
              AND ($6::text IS NULL OR c.owner_account = $6)
              AND ($7::text IS NULL OR (q.claimed AND v.claimed_by = $7))
              AND ($8::boolean IS NULL OR q.claimed = $8)
              AND ($9::boolean IS NULL OR (q.due_at <= $2) = $9)
              AND ($10::boolean IS NULL OR q.held = $10)
            ORDER BY q.due_at, c.id
            LIMIT $11"#,
        sla.num_seconds(),
        now,
        after_at,
        after_id.map(ConnectionId::uuid),
        filter.service.map(EndpointServiceId::uuid),
        filter.owner.map(AccountId::as_str),
        filter.claimed_by,
        filter.claimed,
        filter.overdue,
        filter.held,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<ConnectionId> = rows.iter().map(|row| row.id).collect();
    let mut desks = reviews::of_many(conn, &ids).await?;
    let mut approved = approvals::standing_of_many(conn, &ids).await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: &dyn std::fmt::Display| {
                StoreError::inconsistent("connections", row.id, what)
            };
            Ok(Waiting {
                id: row.id,
                service_id: row.service_id,
                service_name: row.name,
                endpoint_id: row.endpoint_id.parse().map_err(|e| broken(&e))?,
                owner: row.owner_account.parse().map_err(|e| broken(&e))?,
                first_seen_at: row.first_seen_at,
                created_at: row.aws_created_at,
                due_at: row.due_at,
                comments: row.comments,
                desk: Desk {
                    approvals: approved.remove(&row.id).unwrap_or_default(),
                    rules: ReviewRules {
                        approvals_required: row.approvals_required,
                        ..ReviewRules::default()
                    },
                    ..desks.remove(&row.id).unwrap_or_default()
                },
            })
        })
        .collect()
}

/// Counts what waits, everywhere or in one AccountRegion. `sla` counts where a service does not say otherwise.
pub async fn summary(
    conn: &mut PgConnection,
    account_region: Option<AccountRegionId>,
    sla: TimeDelta,
    now: DateTime<Utc>,
) -> Result<QueueSummary, StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "waiting!",
                  count(*) FILTER (WHERE c.first_seen_at
                      + make_interval(secs => coalesce(r.review_sla_seconds, $2)::double precision) <= $3) AS "overdue!",
                  count(*) FILTER (WHERE v.held_at IS NOT NULL AND coalesce(v.held_until > $3, true)) AS "held!",
                  count(*) FILTER (WHERE NOT coalesce(v.claim_ends_at > $3, false)) AS "unclaimed!",
                  min(c.first_seen_at) AS oldest_at
             FROM connections c
             JOIN endpoint_services s ON s.id = c.endpoint_service_id AND s.lifecycle NOT IN ('deleted', 'released')
             LEFT JOIN review_rules r ON r.endpoint_service_id = c.endpoint_service_id
             LEFT JOIN reviews v ON v.connection_id = c.id
            WHERE c.review_state = 'undecided' AND c.observed_state = 'pendingAcceptance'
              AND ($1::uuid IS NULL OR c.account_region_id = $1)"#,
        account_region.map(AccountRegionId::uuid),
        sla.num_seconds(),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(QueueSummary {
        waiting: row.waiting,
        overdue: row.overdue,
        held: row.held,
        unclaimed: row.unclaimed,
        oldest_at: row.oldest_at,
    })
}
