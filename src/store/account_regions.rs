//! AccountRegions.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, AccountRegionRef, Region};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::account_region::{AccountRegion, LeaseView, Listing, ListingError};
use crate::domain::hint_setup::HintSetup;
use crate::domain::ids::AccountRegionId;
use crate::domain::silence::Silence;

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
    hint_state: Option<String>,
    hint_since: Option<DateTime<Utc>>,
    topic_arn: Option<String>,
    queue_url: Option<String>,
    hint_code: Option<String>,
    hint_message: Option<String>,
    hint_check_at: Option<DateTime<Utc>>,
    last_message_at: Option<DateTime<Utc>>,
    silent_since: Option<DateTime<Utc>>,
    silent_missed: Option<i64>,
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
        let hints = match (row.hint_state, row.hint_since, row.hint_check_at) {
            (Some(state), Some(since), Some(check_at)) => Some(HintSetup {
                state: state.parse().map_err(|what: String| {
                    StoreError::inconsistent("hint_setups", row.id, what)
                })?,
                since,
                topic_arn: row.topic_arn,
                queue_url: row.queue_url,
                failure: row.hint_code.zip(row.hint_message),
                check_at,
                last_message_at: row.last_message_at,
                silence: row
                    .silent_since
                    .zip(row.silent_missed)
                    .map(|(since, missed)| Silence { since, missed }),
            }),
            _ => None,
        };
        Ok(Self {
            hints,
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
            r#"SELECT id AS "id: AccountRegionId", account_id, region, name, role_arn, external_id, account_regions.state,
                      -- A lease that has run out is nobody's.
                      CASE WHEN lease_until >= now() THEN lease_holder END AS lease_holder,
                      lease_fence, lease_until, listed_at, listed_ms, listed_connections, unregistered_seen, error_code,
                      error_message, error_at, created_at, created_by, version, lease_since,
                      CASE WHEN account_regions.state <> 'enabled' THEN NULL
                           WHEN lease_until >= now() THEN error_next_at
                           ELSE entry_after END AS next_try,
                      h.state AS "hint_state?", h.since AS "hint_since?", h.topic_arn AS "topic_arn?",
                      h.queue_url AS "queue_url?", h.code AS "hint_code?", h.message AS "hint_message?",
                      h.check_at AS "hint_check_at?", h.last_message_at AS "last_message_at?",
                      h.silent_since AS "silent_since?", h.silent_missed AS "silent_missed?"
                 FROM account_regions LEFT JOIN hint_setups h ON h.account_region_id = account_regions.id "# + $rest
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
