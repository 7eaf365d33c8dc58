//! What the worker gave up on: who takes care, who said that nothing can be done, the list and the counts.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AccountRegionId, ConnectionId, EndpointServiceId};
use crate::domain::stall::{Stall, StallKind, Stalled, StalledId};

/// Makes somebody, or nobody, take care of a stalled connection. Answers whether it is stalled.
pub async fn set_owner_of_connection(
    conn: &mut PgConnection,
    id: ConnectionId,
    owner: Option<&str>,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE connections
            SET stall_owner = $2, stall_owned_at = CASE WHEN $2::text IS NOT NULL THEN $3::timestamptz END
          WHERE id = $1 AND sync_state = 'stalled'",
        id as _,
        owner,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes somebody, or nobody, take care of a stalled service. Answers whether it is stalled.
pub async fn set_owner_of_service(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    owner: Option<&str>,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET stall_owner = $2, stall_owned_at = CASE WHEN $2::text IS NOT NULL THEN $3::timestamptz END
          WHERE id = $1 AND sync_state = 'stalled'",
        id as _,
        owner,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a stalled connection up. Code and message stay, for whoever reads it later. Answers whether it was stalled.
pub async fn give_up(
    conn: &mut PgConnection,
    id: ConnectionId,
    by: &str,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE connections
            SET sync_state = 'given_up', sync_due_at = NULL, sync_deadline_at = NULL,
                gave_up_at = $4, gave_up_by = $2, gave_up_reason = $3
          WHERE id = $1 AND sync_state = 'stalled'",
        id as _,
        by,
        reason,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a stalled service up, as [`give_up`] a connection.
pub async fn give_up_service(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    by: &str,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET sync_state = 'given_up', gave_up_at = $4, gave_up_by = $2, gave_up_reason = $3
          WHERE id = $1 AND sync_state = 'stalled'",
        id as _,
        by,
        reason,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Which stalls to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only connections, or only services.
    pub kind: Option<StallKind>,
    /// Only those with this code.
    pub code: Option<&'a str>,
    /// Only those in this AccountRegion.
    pub account_region: Option<AccountRegionId>,
    /// Only those that somebody takes care of, or only the others.
    pub owned: Option<bool>,
}

/// Where a page of stalls begins: after this time and id.
pub type After = (DateTime<Utc>, Uuid);

/// A page, the oldest first, starting after `after`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<Stalled>, StoreError> {
    let (at, id) = after.unzip();
    let rows = sqlx::query!(
        r#"
        SELECT kind AS "kind!", id AS "id!", account_region_id AS "account_region_id!: AccountRegionId", name AS "name!",
               stalled_at AS "stalled_at!", stall_owner, stall_owned_at, sync_attempts AS "attempts!", code AS "code!",
               sync_message
          FROM (SELECT 'connection' AS kind, id, account_region_id, endpoint_id AS name, stalled_at, stall_owner, stall_owned_at,
                       sync_attempts, coalesce(sync_code, 'unknown') AS code, sync_message
                  FROM connections WHERE sync_state = 'stalled' AND stalled_at IS NOT NULL
                UNION ALL
                SELECT 'service', id, account_region_id, name, stalled_at, stall_owner, stall_owned_at,
                       sync_attempts, coalesce(sync_code, 'unknown'), sync_message
                  FROM endpoint_services WHERE sync_state = 'stalled' AND stalled_at IS NOT NULL) AS s
         WHERE ($1::timestamptz IS NULL OR (stalled_at, id) > ($1, $2::uuid))
           AND ($3::text IS NULL OR kind = $3)
           AND ($4::text IS NULL OR code = $4)
           AND ($5::uuid IS NULL OR account_region_id = $5)
           AND ($6::boolean IS NULL OR (stall_owner IS NOT NULL) = $6)
         ORDER BY stalled_at, id
         LIMIT $7
        "#,
        at,
        id,
        filter.kind.map(StallKind::as_str),
        filter.code,
        filter.account_region.map(AccountRegionId::uuid),
        filter.owned,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind: StallKind = row
                .kind
                .parse()
                .map_err(|e: String| StoreError::inconsistent("stalls", row.id, e))?;
            Ok(Stalled {
                id: match kind {
                    StallKind::Connection => StalledId::Connection(row.id.into()),
                    StallKind::Service => StalledId::Service(row.id.into()),
                },
                account_region: row.account_region_id,
                name: row.name,
                stall: Stall {
                    since: row.stalled_at,
                    owner: row.stall_owner.zip(row.stall_owned_at),
                },
                attempts: row.attempts,
                code: row.code,
                message: row.sync_message,
            })
        })
        .collect()
}

/// How many stalls of a kind there are in an AccountRegion under one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Where.
    pub account_region: AccountRegionId,
    /// Connections or services.
    pub kind: StallKind,
    /// The last AWS error code, or the worker's reason.
    pub code: String,
    /// How many.
    pub count: i64,
    /// The age of the oldest, in seconds.
    pub oldest_seconds: i64,
}

/// Counts what is stalled in these AccountRegions. It reads two small indexes.
pub async fn counts(
    conn: &mut PgConnection,
    account_regions: &[AccountRegionId],
) -> Result<Vec<Count>, StoreError> {
    let ids: Vec<Uuid> = account_regions.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT account_region_id AS "account_region_id!: AccountRegionId", kind AS "kind!", code AS "code!", count(*) AS "count!",
               -- By the database's clock, as the times themselves.
               floor(extract(epoch FROM now() - min(stalled_at)))::bigint AS "oldest!"
          FROM (SELECT account_region_id, 'connection' AS kind, coalesce(sync_code, 'unknown') AS code, stalled_at
                  FROM connections WHERE sync_state = 'stalled' AND stalled_at IS NOT NULL AND account_region_id = ANY($1)
                UNION ALL
                SELECT account_region_id, 'service', coalesce(sync_code, 'unknown'), stalled_at
                  FROM endpoint_services WHERE sync_state = 'stalled' AND stalled_at IS NOT NULL AND account_region_id = ANY($1)) AS s
         GROUP BY 1, 2, 3
        "#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |e: String| StoreError::inconsistent("stalls", row.account_region_id, e);
            Ok(Count {
                account_region: row.account_region_id,
                kind: row.kind.parse().map_err(broken)?,
                code: row.code,
                count: row.count,
                oldest_seconds: row.oldest,
            })
        })
        .collect()
}
