//! Leases on AccountRegions. The database's clock is the only one that counts here.

use std::time::Duration;

use privatelink::AccountRegionRef;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::account_region::Lease;
use crate::domain::ids::AccountRegionId;

struct LeaseRow {
    id: AccountRegionId,
    account_id: String,
    region: String,
    role_arn: Option<String>,
    external_id: Option<String>,
    lease_fence: i64,
    version: i64,
    enabled: bool,
}

/// A lease as the database has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lease.
    pub lease: Lease,
    /// Whether the AccountRegion is still to be served.
    pub enabled: bool,
    /// The version of the AccountRegion.
    pub version: i64,
}

impl LeaseRow {
    fn into_held(self, holder: Uuid) -> Result<Held, StoreError> {
        let broken = |what: privatelink::InvalidId| {
            StoreError::inconsistent("account_regions", self.id, what)
        };
        Ok(Held {
            lease: Lease {
                account_region: self.id,
                place: AccountRegionRef {
                    account: self.account_id.parse().map_err(broken)?,
                    region: self.region.parse().map_err(broken)?,
                    role_arn: self.role_arn.clone(),
                    external_id: self.external_id.clone(),
                },
                holder,
                fence: self.lease_fence,
            },
            enabled: self.enabled,
            version: self.version,
        })
    }
}

/// Takes up to `limit` AccountRegions that nobody holds, but none of `except`, each at the version at which this replica failed to get in.
/// Those where nobody failed come first. Each claim raises the fence.
pub async fn claim(
    conn: &mut PgConnection,
    holder: Uuid,
    ttl: Duration,
    limit: i64,
    except: &[(AccountRegionId, i64)],
) -> Result<Vec<Held>, StoreError> {
    let (ids, versions): (Vec<Uuid>, Vec<i64>) = except
        .iter()
        .map(|(id, version)| (id.uuid(), *version))
        .unzip();
    let rows = sqlx::query_as!(
        LeaseRow,
        r#"
        UPDATE account_regions
           SET lease_holder = $1,
               lease_until = now() + make_interval(secs => $2),
               lease_since = now(),
               lease_fence = lease_fence + 1
         WHERE id IN (
               SELECT id FROM account_regions
                WHERE state = 'enabled' AND (lease_until IS NULL OR lease_until < now())
                  AND (entry_after IS NULL OR entry_after <= now())
                  AND (id, version) NOT IN (SELECT * FROM unnest($4::uuid[], $5::bigint[]))
                ORDER BY entry_failures, id
                LIMIT $3
                  -- Replicas that claim at once each take others, none waits.
                  FOR UPDATE SKIP LOCKED)
        RETURNING id AS "id: AccountRegionId", account_id, region, role_arn, external_id, lease_fence, version, true AS "enabled!"
        "#,
        holder,
        ttl.as_secs_f64(),
        limit,
        &ids,
        &versions,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.into_held(holder)).collect()
}

/// Extends every live lease of `holder` and answers which it still has, the disabled ones too: their holder has to finish there. What is missing
/// was lost. A lease that a call has extended further is not cut.
pub async fn renew(
    conn: &mut PgConnection,
    holder: Uuid,
    ttl: Duration,
) -> Result<Vec<Held>, StoreError> {
    let rows = sqlx::query_as!(
        LeaseRow,
        r#"
        UPDATE account_regions
           SET lease_until = greatest(lease_until, now() + make_interval(secs => $2))
         WHERE lease_holder = $1 AND lease_until >= now()
        RETURNING id AS "id: AccountRegionId", account_id, region, role_arn, external_id, lease_fence, version,
                  state = 'enabled' AS "enabled!"
        "#,
        holder,
        ttl.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.into_held(holder)).collect()
}

/// Makes a lease last long enough for a call that is about to be made. Answers whether it does: not when it has run out or was taken over,
/// and not when the AccountRegion was disabled.
pub async fn cover(
    conn: &mut PgConnection,
    lease: &Lease,
    longest: Duration,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE account_regions SET lease_until = greatest(lease_until, now() + make_interval(secs => $4))
          WHERE id = $1 AND lease_fence = $2 AND lease_holder = $3 AND lease_until >= now() AND state = 'enabled'",
        lease.account_region as _,
        lease.fence,
        lease.holder,
        longest.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives every lease of `holder` back, so that another replica can take over at once.
pub async fn release(conn: &mut PgConnection, holder: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions SET lease_holder = NULL, lease_until = NULL, lease_since = NULL WHERE lease_holder = $1",
        holder
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives one lease back.
pub async fn give_back(conn: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions SET lease_holder = NULL, lease_until = NULL, lease_since = NULL
          WHERE id = $1 AND lease_fence = $2 AND lease_holder = $3",
        lease.account_region as _,
        lease.fence,
        lease.holder,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many times in a row replicas could not get into an AccountRegion.
pub async fn entry_failures(
    conn: &mut PgConnection,
    id: AccountRegionId,
) -> Result<u32, StoreError> {
    let failures = sqlx::query_scalar!(
        "SELECT entry_failures FROM account_regions WHERE id = $1",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(u32::try_from(failures.unwrap_or(0)).unwrap_or(0))
}

/// Gives one lease back because its holder could not get in; nobody tries again before `wait` is over.
pub async fn give_back_unentered(
    conn: &mut PgConnection,
    lease: &Lease,
    wait: Duration,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions
            SET lease_holder = NULL, lease_until = NULL, lease_since = NULL,
                entry_failures = entry_failures + 1, entry_after = now() + make_interval(secs => $4)
          WHERE id = $1 AND lease_fence = $2 AND lease_holder = $3",
        lease.account_region as _,
        lease.fence,
        lease.holder,
        wait.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the holder got in. The caller holds the lease.
pub async fn record_entered(
    conn: &mut PgConnection,
    id: AccountRegionId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions SET entry_failures = 0, entry_after = NULL WHERE id = $1 AND entry_failures > 0",
        id as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asserts, inside the caller's transaction, that the lease was not taken over, and keeps it from being taken over until the
/// transaction ends. Every write of the worker begins with this.
pub async fn hold(conn: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    let held = sqlx::query_scalar!(
        r#"
        SELECT true AS "held!" FROM account_regions
         WHERE id = $1 AND lease_fence = $2 AND lease_holder = $3
           -- A claim updates this row and so waits for us; the other loops of the same owner do not.
           FOR SHARE
        "#,
        lease.account_region as _,
        lease.fence,
        lease.holder,
    )
    .fetch_optional(conn)
    .await?;
    held.map(|_| ()).ok_or(StoreError::LostLease)
}

/// Gives back every lease of everybody. Only for whoever knows that no other replica lives: the demo, whose database is its own.
pub async fn release_all(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions SET lease_holder = NULL, lease_until = NULL, lease_since = NULL WHERE lease_holder IS NOT NULL"
    )
    .execute(conn)
    .await?;
    Ok(())
}
