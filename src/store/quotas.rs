//! Quotas and what of them is used.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::parties::Party;
use super::{PgConnection, StoreError};
use crate::domain::ids::{ConnectionId, ConsumerId, EndpointServiceId};
use crate::domain::quota::{Limits, Used};

/// Limits, and who set them when.
#[derive(Debug, Clone)]
pub struct Quota {
    /// The limits.
    pub limits: Limits,
    /// When they were set.
    pub set_at: DateTime<Utc>,
    /// Who set them.
    pub set_by: String,
}

/// The columns that both tables have.
struct Row {
    most_connections: Option<i64>,
    most_endpoints_per_service: Option<i64>,
    most_regions: Option<i64>,
    set_at: DateTime<Utc>,
    set_by: String,
}

impl From<Row> for Quota {
    fn from(row: Row) -> Self {
        Self {
            limits: Limits {
                connections: row.most_connections,
                endpoints_per_service: row.most_endpoints_per_service,
                regions: row.most_regions,
            },
            set_at: row.set_at,
            set_by: row.set_by,
        }
    }
}

/// What a consumer may use, if anybody said.
pub async fn of_consumer(
    conn: &mut PgConnection,
    id: ConsumerId,
) -> Result<Option<Quota>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT most_connections, most_endpoints_per_service, most_regions, set_at, set_by
           FROM consumer_quotas WHERE consumer_id = $1",
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Quota::from))
}

/// What each consumer may use that has no figure of its own, if anybody said.
pub async fn of_service(
    conn: &mut PgConnection,
    id: EndpointServiceId,
) -> Result<Option<Quota>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT most_connections, most_endpoints_per_service, most_regions, set_at, set_by
           FROM service_quotas WHERE endpoint_service_id = $1",
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Quota::from))
}

/// Sets what a consumer may use. The caller has locked it.
pub async fn set_of_consumer(
    conn: &mut PgConnection,
    id: ConsumerId,
    quota: &Quota,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO consumer_quotas (consumer_id, most_connections, most_endpoints_per_service, most_regions, set_at, set_by)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (consumer_id) DO UPDATE
            SET most_connections = $2, most_endpoints_per_service = $3, most_regions = $4, set_at = $5, set_by = $6",
        id as _,
        quota.limits.connections,
        quota.limits.endpoints_per_service,
        quota.limits.regions,
        quota.set_at,
        quota.set_by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets what each consumer may use that has no figure of its own. The caller has locked the service.
pub async fn set_of_service(
    conn: &mut PgConnection,
    id: EndpointServiceId,
    quota: &Quota,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO service_quotas (endpoint_service_id, most_connections, most_endpoints_per_service, most_regions, set_at, set_by)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (endpoint_service_id) DO UPDATE
            SET most_connections = $2, most_endpoints_per_service = $3, most_regions = $4, set_at = $5, set_by = $6",
        id as _,
        quota.limits.connections,
        quota.limits.endpoints_per_service,
        quota.limits.regions,
        quota.set_at,
        quota.set_by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The limits of many consumers and services at once; those that nobody limited are not among them.
pub async fn limits_of_many(
    conn: &mut PgConnection,
    consumers: &[ConsumerId],
    services: &[EndpointServiceId],
) -> Result<
    (
        HashMap<ConsumerId, Limits>,
        HashMap<EndpointServiceId, Limits>,
    ),
    StoreError,
> {
    let consumers: Vec<uuid::Uuid> = consumers.iter().map(|id| id.uuid()).collect();
    let services: Vec<uuid::Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT consumer_id AS "consumer?: ConsumerId", NULL::uuid AS "service?: EndpointServiceId",
                  most_connections, most_endpoints_per_service, most_regions
             FROM consumer_quotas WHERE consumer_id = ANY($1)
           UNION ALL
           SELECT NULL, endpoint_service_id, most_connections, most_endpoints_per_service, most_regions
             FROM service_quotas WHERE endpoint_service_id = ANY($2)"#,
        &consumers,
        &services,
    )
    .fetch_all(conn)
    .await?;
    let (mut of_consumers, mut of_services) = (HashMap::new(), HashMap::new());
    for row in rows {
        let limits = Limits {
            connections: row.most_connections,
            endpoints_per_service: row.most_endpoints_per_service,
            regions: row.most_regions,
        };
        if let Some(consumer) = row.consumer {
            of_consumers.insert(consumer, limits);
        } else if let Some(service) = row.service {
            of_services.insert(service, limits);
        }
    }
    Ok((of_consumers, of_services))
}

/// What a party may use and uses.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The limits: the consumer's own, filled up with the service's.
    pub limits: Limits,
    /// What is used without the connection that is asked about; not counted where nothing is limited.
    pub used: Option<Used>,
    /// The Region that the connection comes from.
    pub region: String,
}

/// Counts what a party uses beside one connection of its own on a service. The party is locked, so that it stays true until the transaction ends:
/// whoever takes the last place takes it alone.
pub async fn count_locked(
    conn: &mut PgConnection,
    party: &Party,
    service: EndpointServiceId,
    beside: ConnectionId,
) -> Result<Counted, StoreError> {
    let own = match party.consumer() {
        Some(consumer) => of_consumer(conn, consumer.id).await?,
        None => None,
    };
    let default = of_service(conn, service).await?;
    let limits = |quota: Option<Quota>| quota.map(|quota| quota.limits).unwrap_or_default();
    let limits = limits(own).or(limits(default));
    let region = sqlx::query_scalar!(
        r#"SELECT coalesce(c.endpoint_region, a.region) AS "region!"
             FROM connections c JOIN account_regions a ON a.id = c.account_region_id
            WHERE c.id = $1"#,
        beside as _,
    )
    .fetch_one(&mut *conn)
    .await?;
    let used = if limits == Limits::default() {
        None
    } else {
        Some(used(conn, party, service, beside).await?)
    };
    Ok(Counted {
        limits,
        used,
        region,
    })
}

/// What the accounts of a consumer, or one account without a consumer, use: what is accepted and has not ended, and what lives without a decision.
async fn used(
    conn: &mut PgConnection,
    party: &Party,
    service: EndpointServiceId,
    beside: ConnectionId,
) -> Result<Used, StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "connections!", count(*) FILTER (WHERE c.endpoint_service_id = $3) AS "on_service!",
                  coalesce(array_agg(DISTINCT coalesce(c.endpoint_region, a.region)), '{}') AS "regions!: Vec<String>"
             FROM connections c JOIN account_regions a ON a.id = c.account_region_id
            WHERE (c.owner_account = $1
                   OR c.owner_account IN (SELECT m.account_id FROM consumer_accounts m
                                           WHERE m.consumer_id = $2 AND m.removed_at IS NULL))
              AND c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND (c.review_state = 'accepted' OR c.observed_state <> 'pendingAcceptance')
              AND c.id <> $4"#,
        party.account().as_str(),
        party.consumer().map(|consumer| consumer.id.uuid()),
        service as _,
        beside as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(Used {
        connections: row.connections,
        endpoints_on_service: row.on_service,
        regions: row.regions.into_iter().collect(),
    })
}

/// What a consumer uses, by service and Region.
#[derive(Debug, Clone)]
pub struct Use {
    /// The service.
    pub service: EndpointServiceId,
    /// The Region of the endpoints.
    pub region: String,
    /// How many.
    pub endpoints: i64,
}

/// What a consumer uses now. For looking: it may change at once.
pub async fn by_service(
    conn: &mut PgConnection,
    consumer: ConsumerId,
) -> Result<Vec<Use>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.endpoint_service_id AS "service: EndpointServiceId", coalesce(c.endpoint_region, a.region) AS "region!",
                  count(*) AS "endpoints!"
             FROM consumer_accounts m
             JOIN connections c ON c.owner_account = m.account_id
             JOIN account_regions a ON a.id = c.account_region_id
            WHERE m.consumer_id = $1 AND m.removed_at IS NULL
              AND c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND (c.review_state = 'accepted' OR c.observed_state <> 'pendingAcceptance')
            GROUP BY 1, 2
            ORDER BY 1, 2"#,
        consumer as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Use {
            service: row.service,
            region: row.region,
            endpoints: row.endpoints,
        })
        .collect())
}
