//! AccountRegions.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, AccountRegionRef, Region};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::account_region::{AccountRegion, LeaseView, Listing, ListingError};
use crate::domain::ids::AccountRegionId;

struct Row {
    id: AccountRegionId,
    account_id: String,
    region: String,
    name: String,
    role_arn: Option<String>,
    external_id: Option<String>,
    state: String,
    lease_holder: Option<Uuid>,
    lease_fence: i64,
    lease_until: Option<DateTime<Utc>>,
    listed_at: Option<DateTime<Utc>>,
    listed_ms: Option<i64>,
    listed_connections: Option<i64>,
    unregistered_seen: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    error_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    created_by: String,
    version: i64,
    lease_since: Option<DateTime<Utc>>,
    next_try: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for AccountRegion {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: privatelink::InvalidId| {
            StoreError::inconsistent("account_regions", row.id, what)
        };
        let listing = match (
            row.listed_at,
            row.listed_ms,
            row.listed_connections,
            row.unregistered_seen,
        ) {
            (None, None, None, None) => None,
            (Some(at), Some(took_ms), Some(connections), Some(unregistered)) => Some(Listing {
                at,
                took_ms,
                connections,
                unregistered,
            }),
            _ => {
                return Err(StoreError::inconsistent(
                    "account_regions",
                    row.id,
                    "half a listing",
                ));
            }
        };
        let error = match (row.error_code, row.error_message, row.error_at) {
            (None, None, None) => None,
            (Some(code), Some(message), Some(at)) => Some(ListingError {
                code,
                message,
                at,
                next_at: row.next_try,
            }),
            _ => {
                return Err(StoreError::inconsistent(
                    "account_regions",
                    row.id,
                    "half an error",
                ));
            }
        };
        Ok(Self {
            id: row.id,
            place: AccountRegionRef {
                account: row.account_id.parse().map_err(broken)?,
                region: row.region.parse().map_err(broken)?,
                role_arn: row.role_arn,
                external_id: row.external_id,
            },
            name: row.name,
            enabled: row.state == "enabled",
            version: row.version,
            lease: row
                .lease_holder
                .zip(row.lease_until)
                .map(|(holder, until)| LeaseView {
                    holder,
                    since: row.lease_since,
                    until,
                }),
            fence: row.lease_fence,
            listing,
            error,
            created_at: row.created_at,
            created_by: row.created_by,
        })
    }
}

/// What is needed to add one.
#[derive(Debug)]
pub struct New<'a> {
    /// Its id.
    pub id: AccountRegionId,
    /// The account, the Region and how to get in.
    pub place: &'a AccountRegionRef,
    /// What people call it.
    pub name: &'a str,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: &'a str,
}

/// Adds an AccountRegion; `Duplicate` on `account_regions_place_unique`.
pub async fn insert(conn: &mut PgConnection, new: New<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO account_regions (id, account_id, region, name, role_arn, external_id, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.id as _,
        new.place.account.as_str(),
        new.place.region.as_str(),
        new.name,
        new.place.role_arn,
        new.place.external_id,
        new.at,
        new.by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads AccountRegions: the columns once, whatever the rest of the statement says.
macro_rules! account_region_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: AccountRegionId", account_id, region, name, role_arn, external_id, state,
                      -- A lease that has run out is nobody's.
                      CASE WHEN lease_until >= now() THEN lease_holder END AS lease_holder,
                      lease_fence, lease_until, listed_at, listed_ms, listed_connections, unregistered_seen, error_code,
                      error_message, error_at, created_at, created_by, version, lease_since,
                      CASE WHEN state <> 'enabled' THEN NULL
                           WHEN lease_until >= now() THEN error_next_at
                           ELSE entry_after END AS next_try
                 FROM account_regions "# + $rest
            $(, $argument)*
        )
    };
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: AccountRegionId,
) -> Result<Option<AccountRegion>, StoreError> {
    let row = account_region_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(AccountRegion::try_from).transpose()
}

/// The id of an account in a Region.
pub async fn id_by_place(
    conn: &mut PgConnection,
    account: &AccountId,
    region: &Region,
) -> Result<Option<AccountRegionId>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccountRegionId" FROM account_regions WHERE account_id = $1 AND region = $2"#,
        account.as_str(),
        region.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// The id of an account in a Region, if it is served.
pub async fn enabled_at(
    conn: &mut PgConnection,
    account: &AccountId,
    region: &Region,
) -> Result<Option<AccountRegionId>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccountRegionId" FROM account_regions
            WHERE account_id = $1 AND region = $2 AND state = 'enabled'"#,
        account.as_str(),
        region.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    before: Option<AccountRegionId>,
    limit: i64,
) -> Result<Vec<AccountRegion>, StoreError> {
    let rows = account_region_rows!(
        r#"WHERE $1::uuid IS NULL OR id < $1
            ORDER BY id DESC
            LIMIT $2"#,
        before.map(AccountRegionId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(AccountRegion::try_from).collect()
}

/// Records a complete listing and clears the last error. The caller holds the lease.
pub async fn record_listing(
    conn: &mut PgConnection,
    id: AccountRegionId,
    listing: Listing,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions
            SET listed_at = $2, listed_ms = $3, listed_connections = $4, unregistered_seen = $5,
                error_code = NULL, error_message = NULL, error_at = NULL, error_next_at = NULL
          WHERE id = $1",
        id as _,
        listing.at,
        listing.took_ms,
        listing.connections,
        listing.unregistered,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records why a listing failed; what earlier listings saw stays. The caller holds the lease.
pub async fn record_error(
    conn: &mut PgConnection,
    id: AccountRegionId,
    error: &ListingError,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions SET error_code = $2, error_message = $3, error_at = $4, error_next_at = $5 WHERE id = $1",
        id as _,
        error.code,
        error.message,
        error.at,
        error.next_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the row's lock, so that what is read next stays true until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: AccountRegionId) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT true AS "found!" FROM account_regions WHERE id = $1 FOR UPDATE"#,
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Records a change where the row still is at the version of `row`. Whatever kept replicas out before is forgotten: the change may have
/// mended it. Answers whether it was recorded.
pub async fn record_change(
    conn: &mut PgConnection,
    row: &AccountRegion,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE account_regions
            SET name = $3, role_arn = $4, external_id = $5, state = CASE WHEN $6 THEN 'enabled' ELSE 'disabled' END,
                version = version + 1, entry_failures = 0, entry_after = NULL,
                error_code = NULL, error_message = NULL, error_at = NULL, error_next_at = NULL
          WHERE id = $1 AND version = $2",
        row.id as _,
        row.version,
        row.name,
        row.place.role_arn,
        row.place.external_id,
        row.enabled,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
