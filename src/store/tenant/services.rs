//! Services that the organisation can know about: those that it has a connection to, and those that it was given access to.
//!
//! Which they are is asked as the consumer's role. What is shown of them is then read as the provider's, by these ids and in these columns: a service is the provider's row, with
//! principals of other organisations in it, and the consumer's role has no grant on it at all.

use uuid::Uuid;

use super::TenantTx;
use crate::domain::ids::EndpointServiceId;
use crate::domain::own::KnownService;
use crate::store::StoreError;

/// A page of them, newest first, starting after `before`.
pub async fn page(
    tx: &mut TenantTx,
    before: Option<EndpointServiceId>,
    limit: i64,
) -> Result<Vec<KnownService>, StoreError> {
    let ids = known(tx, None, before, limit).await?;
    read(tx, &ids).await
}

/// One of them.
pub async fn by_id(
    tx: &mut TenantTx,
    id: EndpointServiceId,
) -> Result<Option<KnownService>, StoreError> {
    Ok(among(tx, &[id]).await?.pop())
}

/// Those of these that are known, in no order.
pub async fn among(
    tx: &mut TenantTx,
    ids: &[EndpointServiceId],
) -> Result<Vec<KnownService>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let most = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let ids = known(tx, Some(&ids), None, most).await?;
    read(tx, &ids).await
}

async fn known(
    tx: &mut TenantTx,
    only: Option<&[Uuid]>,
    before: Option<EndpointServiceId>,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let organisation = tx.organisation();
    let ids = sqlx::query_scalar!(
        r#"SELECT known.id AS "id!"
             FROM (SELECT c.endpoint_service_id AS id
                     FROM connections c JOIN consumer_accounts m ON m.account_id = c.owner_account
                    WHERE m.consumer_id = $1 AND m.removed_at IS NULL AND ($2::uuid[] IS NULL OR c.endpoint_service_id = ANY($2))
                   UNION
                   SELECT s.endpoint_service_id
                     FROM access_request_services s JOIN access_requests r ON r.id = s.access_request_id
                    WHERE s.state = 'standing' AND ($2::uuid[] IS NULL OR s.endpoint_service_id = ANY($2))
                      AND (r.consumer_id = $1
                           OR (r.consumer_id IS NULL
                               AND r.account_id IN (SELECT m.account_id FROM consumer_accounts m
                                                     WHERE m.consumer_id = $1 AND m.removed_at IS NULL)))) AS known
            WHERE $3::uuid IS NULL OR known.id < $3
            ORDER BY known.id DESC
            LIMIT $4"#,
        organisation as _,
        only,
        before.map(EndpointServiceId::uuid),
        limit,
    )
    .fetch_all(tx.consumer().await?)
    .await?;
    Ok(ids)
}

async fn read(tx: &mut TenantTx, ids: &[Uuid]) -> Result<Vec<KnownService>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"SELECT s.id AS "id: EndpointServiceId", a.region, s.service_name,
                  ARRAY(SELECT jsonb_array_elements_text(s.observed -> 'availability_zone_ids')) AS "zones!: Vec<String>",
                  CASE WHEN s.observed -> 'private_dns_name' ->> 'state' = 'verified'
                       THEN s.observed -> 'private_dns_name' ->> 'name' END AS private_dns_name
             FROM endpoint_services s JOIN account_regions a ON a.id = s.account_region_id
            WHERE s.id = ANY($1)
            ORDER BY s.id DESC"#,
        ids,
    )
    .fetch_all(tx.provider().await?)
    .await?;
    let shown = rows.into_iter().map(|row| KnownService {
        id: row.id,
        region: row.region,
        service_name: row.service_name,
        availability_zone_ids: row.zones,
        private_dns_name: row.private_dns_name,
    });
    Ok(shown.collect())
}
