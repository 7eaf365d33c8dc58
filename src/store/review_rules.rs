//! How services want their connections reviewed.

use chrono::{DateTime, TimeDelta, Utc};

use super::{PgConnection, StoreError};
use crate::domain::ids::EndpointServiceId;
use crate::domain::review_rules::{OnOverdue, ReviewRules};

/// The rules of a service; the defaults where nobody changed anything.
pub async fn of_service(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<ReviewRules, StoreError> {
    let row = sqlx::query!(
        "SELECT version, approvals_required, review_sla_seconds, on_overdue, expiry_grace_seconds
           FROM review_rules WHERE endpoint_service_id = $1",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else {
        return Ok(ReviewRules::default());
    };
    let on_overdue = row
        .on_overdue
        .map(|word| word.parse::<OnOverdue>())
        .transpose()
        .map_err(|e| StoreError::inconsistent("review_rules", id, e))?;
    Ok(ReviewRules {
        version: row.version,
        approvals_required: row.approvals_required,
        sla: row.review_sla_seconds.map(TimeDelta::seconds),
        on_overdue,
        expiry_grace: row.expiry_grace_seconds.map(TimeDelta::seconds),
    })
}

/// Records rules as the next version after the one that they carry. Answers false when somebody else was first. The caller holds the lock of
/// the service's row.
pub async fn record(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    rules: &ReviewRules,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO review_rules AS r
                (endpoint_service_id, version, approvals_required, review_sla_seconds, on_overdue, expiry_grace_seconds)
         VALUES ($1, $2::bigint + 1, $3, $4, $5, $6)
         ON CONFLICT (endpoint_service_id) DO UPDATE
            SET version = EXCLUDED.version, approvals_required = EXCLUDED.approvals_required,
                review_sla_seconds = EXCLUDED.review_sla_seconds, on_overdue = EXCLUDED.on_overdue,
                expiry_grace_seconds = EXCLUDED.expiry_grace_seconds
          WHERE r.version = $2",
        id as _,
        rules.version,
        rules.approvals_required,
        rules.sla.map(|sla| sla.num_seconds()),
        rules.on_overdue.map(OnOverdue::as_str),
        rules.expiry_grace.map(|grace| grace.num_seconds()),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many requests of a service wait since before a time.
pub async fn waiting_since_before(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    before: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM connections
            WHERE endpoint_service_id = $1 AND review_state = 'undecided' AND observed_state = 'pendingAcceptance'
              AND first_seen_at <= $2"#,
        id as _,
        before,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}
