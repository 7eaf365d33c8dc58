//! The life of registered services: guarded transitions, and how far a drain is.
//!
//! Who changes a life locks the service alone (`FOR NO KEY UPDATE`, so that connections can still be recorded under it); who decides about a
//! connection shares the lock before the connection's. So no decision falls between a drain's beginning and its first look.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::lifecycle::LifecycleState;

const TABLE: &str = "endpoint_services";

/// Waits for whoever changes this service or decides about its connections, and keeps them waiting until the end of the transaction.
pub async fn lock(conn: &mut PgConnection, id: EndpointServiceId) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT FROM endpoint_services WHERE id = $1 FOR NO KEY UPDATE",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// The life of a connection's service, which cannot change until the end of the transaction.
pub async fn shared_of_connection(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<Option<LifecycleState>, StoreError> {
    let word = sqlx::query_scalar!(
        "SELECT lifecycle FROM endpoint_services
          WHERE id = (SELECT endpoint_service_id FROM connections WHERE id = $1)
            FOR SHARE",
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    word.map(|word| {
        word.parse()
            .map_err(|e: String| StoreError::inconsistent(TABLE, id, e))
    })
    .transpose()
}

/// The version of what is desired of a service, and its life. For looking: both may change at once.
pub async fn standing(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<Option<(i64, LifecycleState)>, StoreError> {
    let row = sqlx::query!(
        "SELECT version, lifecycle FROM endpoint_services WHERE id = $1",
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let state = row
            .lifecycle
            .parse()
            .map_err(|e: String| StoreError::inconsistent(TABLE, id, e))?;
        Ok((row.version, state))
    })
    .transpose()
}

/// The life of a service, which cannot change until the end of the transaction.
pub async fn shared(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<Option<LifecycleState>, StoreError> {
    let word = sqlx::query_scalar!(
        "SELECT lifecycle FROM endpoint_services WHERE id = $1 FOR SHARE",
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    word.map(|word| {
        word.parse()
            .map_err(|e: String| StoreError::inconsistent(TABLE, id, e))
    })
    .transpose()
}

/// The lives of several connections' services, which cannot change until the end of the transaction. The services are locked in the order of
/// their ids.
pub async fn shared_of_connections(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
) -> Result<Vec<(ConnectionId, LifecycleState)>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"WITH lives AS (
               SELECT id, lifecycle FROM endpoint_services
                WHERE id IN (SELECT endpoint_service_id FROM connections WHERE id = ANY($1))
                ORDER BY id FOR SHARE)
           SELECT c.id AS "id: ConnectionId", lives.lifecycle AS "lifecycle!"
             FROM connections c JOIN lives ON lives.id = c.endpoint_service_id
            WHERE c.id = ANY($1)"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = row.lifecycle.parse();
            let broken = |e: String| StoreError::inconsistent(TABLE, row.id, e);
            Ok((row.id, state.map_err(broken)?))
        })
        .collect()
}

/// Whether the drain that this pass works on still stands: the service is at that version and draining. It cannot change until the end of
/// the transaction.
pub async fn shared_while_draining(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT true AS "found!" FROM endpoint_services
            WHERE id = $1 AND version = $2 AND lifecycle = 'draining'
              FOR SHARE"#,
        id as _,
        version,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// How a drain begins.
#[derive(Debug, Clone, Copy)]
pub struct Begun<'a> {
    /// Now.
    pub at: DateTime<Utc>,
    /// Who wants it.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
    /// When live connections are rejected.
    pub reject_at: DateTime<Utc>,
    /// Whether the service is deleted then.
    pub then_delete: bool,
}

/// Begins a drain, and makes the service due whatever its sync was. Answers false when it was not active at that version.
pub async fn begin_drain(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    begun: Begun<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET lifecycle = 'draining', lifecycle_since = $3, lifecycle_by = $4, lifecycle_reason = $5, reject_at = $6,
                then_delete = $7, frozen_at = NULL, delete_called_at = NULL, delete_refusals = 0, delete_code = NULL,
                delete_message = NULL, version = version + 1, waiting = NULL, refresh_zones_at = NULL,
                sync_state = 'due', sync_due_at = $3, sync_attempts = 0, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND version = $2 AND lifecycle = 'active'",
        id as _,
        version,
        begun.at,
        begun.by,
        begun.reason,
        begun.reject_at,
        begun.then_delete,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Has a drain end in the service's deletion. Answers false when it was not draining at that version, or is to be deleted already.
pub async fn ask_to_delete(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET then_delete = true, version = version + 1,
                sync_state = 'due', sync_due_at = $3, sync_attempts = 0, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND version = $2 AND lifecycle = 'draining' AND NOT then_delete",
        id as _,
        version,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a drain back: what is desired was never touched, so AWS is made to follow it again. Answers false when it was not draining at that
/// version.
pub async fn cancel_drain(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET lifecycle = 'active', lifecycle_since = NULL, lifecycle_by = NULL, lifecycle_reason = NULL, reject_at = NULL,
                then_delete = false, frozen_at = NULL, delete_called_at = NULL, delete_refusals = 0, delete_code = NULL,
                delete_message = NULL, version = version + 1,
                sync_state = 'due', sync_due_at = $3, sync_attempts = 0, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND version = $2 AND lifecycle = 'draining'",
        id as _,
        version,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets go of a service: its sync comes to rest for good. Answers false when it was neither active nor draining at that version.
pub async fn release(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    (at, by, reason): (DateTime<Utc>, &str, &str),
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET lifecycle = 'released', lifecycle_since = $3, lifecycle_by = $4, lifecycle_reason = $5, version = version + 1,
                waiting = NULL, refresh_zones_at = NULL, check_requested_at = NULL,
                sync_state = 'idle', sync_due_at = $3, sync_attempts = 0, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND version = $2 AND lifecycle IN ('active', 'draining')",
        id as _,
        version,
        at,
        by,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Brings the syncs of all connections of a service to rest: AWS is told nothing any more. Answers how many were not.
pub async fn close_syncs(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "WITH locked AS (
             SELECT id FROM connections WHERE endpoint_service_id = $1 AND sync_state <> 'idle' ORDER BY endpoint_id FOR UPDATE
         )
         UPDATE connections AS c
            SET sync_state = 'idle', sync_due_at = NULL, sync_deadline_at = NULL, sync_code = NULL, sync_message = NULL
           FROM locked WHERE c.id = locked.id",
        id as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Notes that AWS was seen to let nobody new in. The caller holds the lease.
pub async fn record_frozen(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services SET frozen_at = $3
          WHERE id = $1 AND version = $2 AND lifecycle = 'draining' AND frozen_at IS NULL",
        id as _,
        version,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that AWS is about to be asked to delete the service. Answers false when somebody took that back, or a live connection is known. The
/// caller holds the lease.
pub async fn record_delete_call(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services SET lifecycle = 'deleting', delete_called_at = $3
          WHERE id = $1 AND version = $2 AND lifecycle = 'draining' AND then_delete
            AND NOT EXISTS (SELECT FROM connections c
                             WHERE c.endpoint_service_id = $1
                               AND c.observed_state NOT IN ('rejected', 'expired', 'failed', 'deleting', 'deleted'))",
        id as _,
        version,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that AWS did not delete the service, in its own words: the drain can be taken back again. The caller holds the lease.
pub async fn record_delete_refused(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    (code, message): (&str, &str),
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET lifecycle = 'draining', delete_refusals = delete_refusals + 1, delete_code = $3, delete_message = $4
          WHERE id = $1 AND version = $2 AND lifecycle = 'deleting'",
        id as _,
        version,
        code,
        message,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that AWS does not have the service any more, and brings its sync to rest for good in the same statement: nobody looks at it again. Answers false when it was
/// not on its way there. The caller holds the lease.
pub async fn record_deleted(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET lifecycle = 'deleted', lifecycle_since = $3, check_requested_at = NULL, waiting = NULL, refresh_zones_at = NULL,
                sync_state = 'idle', sync_due_at = $3, sync_attempts = 0, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND version = $2 AND lifecycle IN ('draining', 'deleting') AND then_delete",
        id as _,
        version,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
