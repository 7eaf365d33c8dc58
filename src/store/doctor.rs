//! What the doctor needs: the facts behind a service, and who asked for a new look at them.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::doctor::{Check, Facts};
use crate::domain::ids::EndpointServiceId;

const TABLE: &str = "endpoint_services";

/// What the worker last saw behind a service. Facts that this version cannot read, since a newer or older one wrote them, are as good as none:
/// the next look writes them anew.
pub async fn facts(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<Option<Facts>, StoreError> {
    let found = sqlx::query_scalar!("SELECT facts FROM endpoint_services WHERE id = $1", id as _)
        .fetch_optional(conn)
        .await?;
    let facts = found.flatten();
    Ok(facts.and_then(|facts| serde_json::from_value(facts).ok()))
}

/// Records what the worker saw and what the checks made of it. The caller holds the lease.
pub async fn record(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    facts: &Facts,
    checks: &[Check],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let json = |e: serde_json::Error| StoreError::inconsistent(TABLE, id, e);
    let facts = serde_json::to_value(facts).map_err(json)?;
    let checks = serde_json::to_value(checks).map_err(json)?;
    sqlx::query!(
        "UPDATE endpoint_services SET facts = $2, checks = $3, checked_at = $4 WHERE id = $1",
        id as _,
        facts,
        checks,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for a look that begins now or later. Answers the time that was asked for before, if nobody has looked since.
pub async fn request(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let before = sqlx::query_scalar!(
        "UPDATE endpoint_services AS s SET check_requested_at = coalesce(s.check_requested_at, $2)
           FROM endpoint_services AS old
          WHERE s.id = $1 AND old.id = s.id
      RETURNING old.check_requested_at",
        id as _,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(before.flatten())
}

/// Takes the request for a look away, unless it came after the look began. The caller holds the lease.
pub async fn answered(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    began: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE endpoint_services SET check_requested_at = NULL WHERE id = $1 AND check_requested_at <= $2",
        id as _,
        began,
    )
    .execute(conn)
    .await?;
    Ok(())
}
