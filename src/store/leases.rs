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
}

impl LeaseRow {
    fn into_lease(self, holder: Uuid) -> Result<Lease, StoreError> {
        let broken = |what: privatelink::InvalidId| {
            StoreError::inconsistent("account_regions", self.id, what)
        };
        Ok(Lease {
            account_region: self.id,
            place: AccountRegionRef {
                account: self.account_id.parse().map_err(broken)?,
                region: self.region.parse().map_err(broken)?,
                role_arn: self.role_arn.clone(),
                external_id: self.external_id.clone(),
            },
            holder,
            fence: self.lease_fence,
        })
    }
}

/// Takes up to `limit` AccountRegions that nobody holds, but none of `except`. Each claim raises the fence.
pub async fn claim(
    conn: &mut PgConnection,
    holder: Uuid,
    ttl: Duration,
    limit: i64,
    except: &[AccountRegionId],
) -> Result<Vec<Lease>, StoreError> {
    let except: Vec<Uuid> = except.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        LeaseRow,
        r#"
        UPDATE account_regions
           SET lease_holder = $1,
               lease_until = now() + make_interval(secs => $2),
               lease_fence = lease_fence + 1
         WHERE id IN (
               SELECT id FROM account_regions
                WHERE state = 'enabled' AND (lease_until IS NULL OR lease_until < now())
                  AND id <> ALL($4)
                ORDER BY id
                LIMIT $3
                  -- Replicas that claim at once each take others, none waits.
                  FOR UPDATE SKIP LOCKED)
        RETURNING id AS "id: AccountRegionId", account_id, region, role_arn, external_id, lease_fence
        "#,
        holder,
        ttl.as_secs_f64(),
        limit,
        &except,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.into_lease(holder)).collect()
}

/// Extends every live lease of `holder` and answers which it still has. What is missing was lost or disabled.
pub async fn renew(
    conn: &mut PgConnection,
    holder: Uuid,
    ttl: Duration,
) -> Result<Vec<Lease>, StoreError> {
    let rows = sqlx::query_as!(
        LeaseRow,
        r#"
        UPDATE account_regions
           SET lease_until = now() + make_interval(secs => $2)
         WHERE lease_holder = $1 AND lease_until >= now() AND state = 'enabled'
        RETURNING id AS "id: AccountRegionId", account_id, region, role_arn, external_id, lease_fence
        "#,
        holder,
        ttl.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.into_lease(holder)).collect()
}

/// Gives every lease of `holder` back, so that another replica can take over at once.
pub async fn release(conn: &mut PgConnection, holder: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions SET lease_holder = NULL, lease_until = NULL WHERE lease_holder = $1",
        holder
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives one lease back.
pub async fn give_back(conn: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_regions SET lease_holder = NULL, lease_until = NULL
          WHERE id = $1 AND lease_fence = $2 AND lease_holder = $3",
        lease.account_region as _,
        lease.fence,
        lease.holder,
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
    sqlx::query!("UPDATE account_regions SET lease_holder = NULL, lease_until = NULL WHERE lease_holder IS NOT NULL")
        .execute(conn)
        .await?;
    Ok(())
}
