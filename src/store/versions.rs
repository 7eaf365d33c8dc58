//! The versions of resources: what the audit trail has about them. Whoever changes a resource writes an entry in the same transaction, so nothing has to be
//! counted twice, and no table needs a column for it.

use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::entity_tag::{ENTRIES, Version};
use crate::domain::ids::DriftId;

/// The newest entries about a subject of the audit trail, as this connection sees them, the newest first. They are read from an index alone, and however long
/// the trail is, no more than these.
pub async fn newest(
    conn: &mut PgConnection,
    subject: Uuid,
    most: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM audit_entries WHERE subject_id = $1 ORDER BY at DESC, id DESC LIMIT $2",
        subject,
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The version of a subject.
pub async fn of(conn: &mut PgConnection, subject: Uuid) -> Result<Version, StoreError> {
    Ok(Version::of(newest(conn, subject, ENTRIES).await?))
}

/// Waits until nobody else has this lock of a subject, and holds it to the end of the transaction. It is taken before any lock of a row.
pub async fn lock(conn: &mut PgConnection, subject: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('version ' || $1::uuid, 0))",
        subject,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// What a drift is about: settling it changes that.
pub async fn subject_of_drift(
    conn: &mut PgConnection,
    id: DriftId,
) -> Result<Option<Uuid>, StoreError> {
    let subject = sqlx::query_scalar!(
        "SELECT COALESCE(connection_id, endpoint_service_id, account_region_id) FROM drifts WHERE id = $1",
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(subject.flatten())
}
