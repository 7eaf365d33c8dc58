//! Changes of what is desired of a service, and how AWS follows.

use chrono::{DateTime, Utc};
use privatelink::LoadBalancerArn;
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::endpoint_service::{RegisteredService, Waiting, WantedName};
use crate::domain::ids::EndpointServiceId;
use crate::domain::private_dns::Watch;

const TABLE: &str = "endpoint_services";

/// Waits for whoever changes this service right now, and keeps others waiting until the end of the transaction.
pub async fn lock(conn: &mut PgConnection, id: EndpointServiceId) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT FROM endpoint_services WHERE id = $1 FOR UPDATE",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

fn arns(arns: &[LoadBalancerArn]) -> Vec<String> {
    arns.iter().map(ToString::to_string).collect()
}

fn word(wanted: &WantedName) -> &'static str {
    match wanted {
        WantedName::AsItIs => "as_it_is",
        WantedName::Absent => "none",
        WantedName::Name(_) => "name",
    }
}

/// Records what is desired from now on and makes it due, whatever the sync was. `service` has the version that was read; the row gets the
/// next one. Answers false when somebody else was first.
pub async fn record_desired(
    conn: &mut PgConnection,
    service: &RegisteredService,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let tags: Value = service
        .tags
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.clone())))
        .collect();
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET name = $3, acceptance_required = $4, allowed_principals = $5, supported_ip_address_types = $6,
                supported_regions = $7, tags = $8, open_to_everybody = $9, version = version + 1,
                sync_state = 'due', sync_due_at = $10, sync_attempts = 0, sync_code = NULL, sync_message = NULL,
                load_balancer_arns = $11, dropped_load_balancer_arns = $12, listeners_may_differ = $13,
                private_dns_wanted = $14, private_dns_name = $15, service_owner_pays = $16, waiting = NULL
          WHERE id = $1 AND version = $2 AND lifecycle = 'active'",
        service.id as _,
        service.version,
        service.name,
        service.acceptance_required,
        &service.allowed_principals,
        service.supported_ip_address_types.as_deref(),
        service.supported_regions.as_deref(),
        tags,
        service.open_to_everybody,
        at,
        &arns(&service.load_balancer_arns),
        &arns(&service.dropped_load_balancer_arns),
        service.listeners_may_differ,
        word(&service.private_dns_name),
        service.private_dns_name.name(),
        service.service_owner_pays,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that these principals and tags are about to be put into AWS by us, so that we may take them out again. Before AWS is told: a crash
/// in between leaves a claim to something that is not there, which harms nobody. Answers false, and notes nothing, when somebody has changed what is
/// desired since. The caller holds the lease.
pub async fn claim(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    principals: &[String],
    tag_keys: &[String],
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET granted_principals = ARRAY(SELECT unnest(granted_principals) UNION SELECT unnest($2::text[]) ORDER BY 1),
                set_tag_keys       = ARRAY(SELECT unnest(set_tag_keys) UNION SELECT unnest($3::text[]) ORDER BY 1)
          WHERE id = $1 AND version = $4",
        id as _,
        principals,
        tag_keys,
        version,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that AWS was seen to agree with this version, and drops the claims to what was taken out. Nothing when somebody has changed what is
/// desired since. `changed_at` is when AWS took a change of ours, where it did. The caller holds the lease.
pub async fn record_applied(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    tag_keys: &[String],
    changed_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE endpoint_services
            SET applied_version = version, applied_at = coalesce($4, applied_at), dropped_load_balancer_arns = '{}',
                granted_principals = ARRAY(SELECT unnest(granted_principals) INTERSECT SELECT unnest(allowed_principals) ORDER BY 1),
                set_tag_keys       = ARRAY(SELECT unnest(set_tag_keys) INTERSECT SELECT unnest($3::text[]) ORDER BY 1)
          WHERE id = $1 AND version = $2",
        id as _,
        version,
        tag_keys,
        changed_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records which steps wait, none of them included. Nothing when somebody has changed what is desired since. The caller holds the lease, and has
/// made the service due.
pub async fn record_waiting(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    version: i64,
    waiting: &[Waiting],
) -> Result<(), StoreError> {
    let rows = serde_json::to_value(waiting).map_err(|e| StoreError::inconsistent(TABLE, id, e))?;
    let rows = (!waiting.is_empty()).then_some(rows);
    sqlx::query!(
        "UPDATE endpoint_services SET waiting = $3 WHERE id = $1 AND version = $2",
        id as _,
        version,
        rows,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records what is remembered about the private DNS name. The caller holds the lease.
pub async fn record_private_dns(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    watch: Option<&Watch>,
) -> Result<(), StoreError> {
    let watch = watch
        .map(serde_json::to_value)
        .transpose()
        .map_err(|e| StoreError::inconsistent(TABLE, id, e))?;
    sqlx::query!(
        "UPDATE endpoint_services SET private_dns = $2 WHERE id = $1",
        id as _,
        watch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for the load balancers' zones to be read again, and makes the service due, whatever its sync was.
pub async fn ask_for_zones(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE endpoint_services
            SET refresh_zones_at = $2, sync_state = 'due', sync_due_at = $2, sync_attempts = 0, sync_code = NULL,
                sync_message = NULL
          WHERE id = $1",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that AWS has read the zones that were asked for then. A later request stays. The caller holds the lease.
pub async fn record_zones_read(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    asked_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE endpoint_services SET refresh_zones_at = NULL WHERE id = $1 AND refresh_zones_at <= $2",
        id as _,
        asked_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The first of these load balancers that AWS shows behind another registered service of the AccountRegion, with that service.
pub async fn load_balancer_elsewhere(
    conn: &mut PgConnection,
    service: &RegisteredService,
    load_balancers: &[LoadBalancerArn],
) -> Result<Option<(String, EndpointServiceId)>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT asked.arn AS "arn!", s.id AS "id: EndpointServiceId"
             FROM unnest($3::text[]) AS asked (arn)
             JOIN endpoint_services s ON s.observed -> 'network_load_balancer_arns' ? asked.arn
            WHERE s.account_region_id = $2 AND s.id <> $1 AND s.observed_state NOT IN ('Deleting', 'Deleted', 'Failed')
              AND s.lifecycle <> 'deleted'
            ORDER BY asked.arn
            LIMIT 1"#,
        service.id as _,
        service.account_region_id as _,
        &arns(load_balancers),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.arn, row.id)))
}

/// The endpoints that AWS counts as attached to a service, as they were last seen: the first of them, and how many there are. One that was
/// rejected may go on counting for a moment and is not among them.
pub async fn attached_endpoints(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    most: i64,
) -> Result<(Vec<String>, i64), StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!",
                  coalesce((array_agg(endpoint_id ORDER BY id))[1:$2::bigint], '{}') AS "endpoints!"
             FROM connections
            WHERE endpoint_service_id = $1
              AND observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial', 'deleting')"#,
        id as _,
        most,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.endpoints, row.count))
}

/// Records that what AWS shows is desired from now on. Nothing has to be done to AWS for it, so a service that was in step stays in step, and
/// one that is behind goes on following. `service` has the version that was read. Answers false when somebody else was first.
pub async fn record_adopted(
    conn: &mut PgConnection,
    service: &RegisteredService,
) -> Result<bool, StoreError> {
    let tags: Value = service
        .tags
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.clone())))
        .collect();
    let arns: Vec<&str> = service
        .load_balancer_arns
        .iter()
        .map(LoadBalancerArn::as_str)
        .collect();
    let done = sqlx::query!(
        "UPDATE endpoint_services
            SET acceptance_required = $3, allowed_principals = $4, supported_ip_address_types = $5, supported_regions = $6,
                tags = $7, open_to_everybody = $8, load_balancer_arns = $9, granted_principals = $10, set_tag_keys = $11,
                applied_version = CASE WHEN applied_version = version THEN version + 1 ELSE applied_version END,
                version = version + 1
          WHERE id = $1 AND version = $2 AND lifecycle = 'active'",
        service.id as _,
        service.version,
        service.acceptance_required,
        &service.allowed_principals,
        service.supported_ip_address_types.as_deref(),
        service.supported_regions.as_deref(),
        tags,
        service.open_to_everybody,
        &arns as _,
        &service.granted_principals,
        &service.set_tag_keys,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// When AWS last took a change of ours to this service and was seen to agree. For a while after that a read may still show the state from
/// before.
pub async fn applied_at(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let at = sqlx::query_scalar!(
        "SELECT applied_at FROM endpoint_services WHERE id = $1",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(at.flatten())
}
