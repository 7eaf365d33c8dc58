//! The inventory of an AccountRegion's endpoint services in AWS. What is at rest is compared and not written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use privatelink::{EndpointService, LoadBalancerArn, ServiceId};
use serde_json::{Value, json};

use super::{PgConnection, StoreError};
use crate::domain::account_region::ListingError;
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::inventory::{Inventory, InventoryListing, InventoryService};
use crate::domain::service_plan::TAG;

const TABLE: &str = "inventory_services";

/// A service as a listing showed it, with its principals where they were read.
#[derive(Debug)]
pub struct Listed {
    /// The description, its lists sorted.
    pub described: EndpointService,
    /// Who may connect.
    pub principals: Option<Vec<String>>,
}

/// Records a page of a listing; answers how many services are new or differ. The caller holds the lease.
pub async fn record_page(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    page: &[Listed],
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let ids: Vec<&str> = page
        .iter()
        .map(|s| s.described.service_id.as_str())
        .collect();
    let described = page
        .iter()
        .map(|s| serde_json::to_value(&s.described))
        .collect::<Result<Vec<Value>, _>>()
        .map_err(|e| StoreError::inconsistent(TABLE, account_region, e))?;
    let principals: Vec<Option<Value>> = page
        .iter()
        .map(|s| s.principals.as_ref().map(|p| json!(p)))
        .collect();
    let done = sqlx::query!(
        "INSERT INTO inventory_services AS i (account_region_id, aws_service_id, described, principals, first_seen_at, changed_at)
         SELECT $1, u.id, u.described, u.principals, $2, $2
           -- An array for each row does not fit into unnest; as JSON it does.
           FROM (SELECT n.id, n.described,
                        CASE WHEN n.principals IS NOT NULL
                             THEN ARRAY(SELECT jsonb_array_elements_text(n.principals)) END AS principals
                   FROM unnest($3::text[], $4::jsonb[], $5::jsonb[]) AS n (id, described, principals)) AS u
           LEFT JOIN inventory_services known ON known.account_region_id = $1 AND known.aws_service_id = u.id
          -- Only what differs reaches the upsert, which would lock, and so write, the rest.
          WHERE known.aws_service_id IS NULL OR known.gone_at IS NOT NULL OR known.described <> u.described
             OR (u.principals IS NOT NULL AND known.principals IS DISTINCT FROM u.principals)
         ON CONFLICT ON CONSTRAINT inventory_services_pkey DO UPDATE
            SET described = EXCLUDED.described, principals = coalesce(EXCLUDED.principals, i.principals),
                changed_at = EXCLUDED.changed_at, gone_at = NULL",
        account_region as _,
        at,
        &ids as _,
        &described,
        &principals as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Marks what a complete listing did not show, of what was known before `settled`. The caller holds the lease.
pub async fn mark_gone(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    seen: &BTreeSet<ServiceId>,
    settled: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let seen: Vec<&str> = seen.iter().map(ServiceId::as_str).collect();
    let done = sqlx::query!(
        "UPDATE inventory_services SET gone_at = $4, changed_at = $4
          WHERE account_region_id = $1 AND gone_at IS NULL AND first_seen_at <= $3 AND NOT aws_service_id = ANY($2)",
        account_region as _,
        &seen as _,
        settled,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Records that a listing went through. The caller holds the lease.
pub async fn record_listing(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    listing: InventoryListing,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO inventories (account_region_id, listed_at, listed_ms, listed_services) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT inventories_pkey DO UPDATE
            SET listed_at = EXCLUDED.listed_at, listed_ms = EXCLUDED.listed_ms, listed_services = EXCLUDED.listed_services,
                error_code = NULL, error_message = NULL, error_at = NULL",
        account_region as _,
        listing.at,
        listing.took_ms,
        listing.services,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records why a listing failed; what earlier ones saw stays. The caller holds the lease.
pub async fn record_error(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    error: &ListingError,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO inventories (account_region_id, error_code, error_message, error_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT inventories_pkey DO UPDATE
            SET error_code = EXCLUDED.error_code, error_message = EXCLUDED.error_message, error_at = EXCLUDED.error_at",
        account_region as _,
        error.code,
        error.message,
        error.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that somebody wants a fresh inventory.
pub async fn want(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO inventories (account_region_id, wanted_at) VALUES ($1, $2)
         ON CONFLICT ON CONSTRAINT inventories_pkey DO UPDATE SET wanted_at = EXCLUDED.wanted_at",
        account_region as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How fresh the inventory is.
pub async fn freshness(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<Inventory, StoreError> {
    let row = sqlx::query!(
        "SELECT listed_at, listed_ms, listed_services, wanted_at, error_code, error_message, error_at
           FROM inventories WHERE account_region_id = $1",
        account_region as _,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else {
        return Ok(Inventory::default());
    };
    let listing = match (row.listed_at, row.listed_ms, row.listed_services) {
        (Some(at), Some(took_ms), Some(services)) => Some(InventoryListing {
            at,
            took_ms,
            services,
        }),
        _ => None,
    };
    let error = match (row.error_code, row.error_message, row.error_at) {
        (Some(code), Some(message), Some(at)) => Some(ListingError {
            code,
            message,
            at,
            next_at: None,
        }),
        _ => None,
    };
    Ok(Inventory {
        listing,
        wanted_at: row.wanted_at,
        error,
    })
}

/// The whole inventory by AWS's id, with what is gone where `gone` asks for it.
pub async fn all(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    gone: bool,
) -> Result<Vec<InventoryService>, StoreError> {
    let creating: BTreeSet<String> = sqlx::query_scalar!(
        r#"SELECT id AS "id: EndpointServiceId" FROM endpoint_services
            WHERE account_region_id = $1 AND aws_service_id IS NULL AND lifecycle NOT IN ('deleted', 'released')"#,
        account_region as _,
    )
    .fetch_all(&mut *conn)
    .await?
    .iter()
    .map(ToString::to_string)
    .collect();
    let rows = sqlx::query!(
        r#"SELECT i.aws_service_id, i.described, i.principals, i.connections, i.first_seen_at, i.gone_at,
                  s.id AS "registered: Option<EndpointServiceId>"
             FROM inventory_services i
             -- One that was let go of is nobody's; one that was deleted is known until AWS stops showing it.
             LEFT JOIN LATERAL (
                 SELECT s.id FROM endpoint_services s
                  WHERE s.account_region_id = i.account_region_id AND s.aws_service_id = i.aws_service_id
                    AND s.lifecycle <> 'released'
                  ORDER BY s.lifecycle = 'deleted', s.id DESC
                  LIMIT 1) AS s ON true
            WHERE i.account_region_id = $1 AND ($2 OR i.gone_at IS NULL)
            ORDER BY i.aws_service_id"#,
        account_region as _,
        gone,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: serde_json::Error| {
                StoreError::inconsistent(TABLE, &row.aws_service_id, what)
            };
            let described: EndpointService =
                serde_json::from_value(row.described).map_err(broken)?;
            let connections: Option<BTreeMap<String, i64>> = row
                .connections
                .map(serde_json::from_value)
                .transpose()
                .map_err(broken)?;
            let mut service = InventoryService {
                described,
                // Of a registered service they are not kept up to date here.
                principals: row.principals.filter(|_| row.registered.is_none()),
                connections: connections.filter(|_| row.registered.is_none()),
                first_seen_at: row.first_seen_at,
                gone_at: row.gone_at,
                registered_as: row.registered,
                being_created: false,
            };
            service.being_created = service.tag(TAG).is_some_and(|tag| creating.contains(tag));
            Ok(service)
        })
        .collect()
}

/// The load balancers of the registered services of an AccountRegion.
pub async fn our_load_balancers(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<BTreeMap<LoadBalancerArn, EndpointServiceId>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT s.id AS "id: EndpointServiceId", b.arn AS "arn!"
             FROM endpoint_services s CROSS JOIN LATERAL unnest(s.load_balancer_arns) AS b (arn)
            WHERE s.account_region_id = $1 AND s.lifecycle NOT IN ('deleted', 'released')"#,
        account_region as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |e| StoreError::inconsistent("endpoint_services", row.id, e);
            Ok((row.arn.parse().map_err(broken)?, row.id))
        })
        .collect()
}

/// Which of these services are registered here.
pub async fn registered(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<BTreeSet<String>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT aws_service_id AS "id!" FROM endpoint_services
            WHERE account_region_id = $1 AND aws_service_id IS NOT NULL AND lifecycle <> 'released'"#,
        account_region as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().collect())
}

/// Records how many connections the services have that are not registered here, by state, as a complete listing counted them.
/// The caller holds the lease.
pub async fn record_connections(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    counted: &BTreeMap<ServiceId, BTreeMap<String, i64>>,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = counted.keys().map(ServiceId::as_str).collect();
    let counts: Vec<Value> = counted.values().map(|counts| json!(counts)).collect();
    sqlx::query!(
        "UPDATE inventory_services i
            SET connections = now.counts
           FROM (SELECT known.aws_service_id, coalesce(u.counts, '{}') AS counts
                   FROM inventory_services known
                   LEFT JOIN unnest($2::text[], $3::jsonb[]) AS u (id, counts) ON u.id = known.aws_service_id
                  WHERE known.account_region_id = $1 AND known.gone_at IS NULL
                    AND NOT EXISTS (SELECT FROM endpoint_services s
                                     WHERE s.account_region_id = $1 AND s.aws_service_id = known.aws_service_id
                                       AND s.lifecycle <> 'released')) AS now
          WHERE i.account_region_id = $1 AND i.aws_service_id = now.aws_service_id
            AND i.connections IS DISTINCT FROM now.counts",
        account_region as _,
        &ids as _,
        &counts,
    )
    .execute(conn)
    .await?;
    Ok(())
}
