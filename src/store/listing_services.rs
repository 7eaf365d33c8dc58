//! Which listing sells which service, and what is known of the services before one is sold.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError, endpoint_services, listing_revisions, listings};
use crate::domain::doctor::{Facts, healthy_zones};
use crate::domain::endpoint_service::{RegisteredService, WantedName};
use crate::domain::ids::{EndpointServiceId, InvalidId, ListingId};
use crate::domain::listing::readiness::ServiceReadiness;
use crate::domain::listing::{Listing, ListingState, Revision};
use crate::domain::private_dns::DnsState;

/// The listing that sells a service, with the revision that is live: what the gates of the decision ask. None where nobody ever released one, and none any more
/// where it was retired.
pub async fn listing_of(
    conn: &mut PgConnection,
    service: EndpointServiceId,
) -> Result<Option<(Listing, Revision)>, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT listing_id AS "id: ListingId" FROM listing_services WHERE endpoint_service_id = $1 AND ended_at IS NULL"#,
        service as _,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = found else { return Ok(None) };
    let Some(listing) = listings::by_id(conn, id).await? else {
        return Ok(None);
    };
    let Some(number) = listing.live_revision else {
        return Ok(None);
    };
    let live = listing_revisions::by_number(conn, id, number).await?;
    Ok(live.map(|live| (listing, live)))
}

/// The listings that sell services, one for each service that is sold.
pub async fn sellers(
    conn: &mut PgConnection,
    services: &[EndpointServiceId],
) -> Result<BTreeMap<EndpointServiceId, ListingId>, StoreError> {
    let ids: Vec<uuid::Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT endpoint_service_id AS "service: EndpointServiceId", listing_id AS "listing: ListingId"
             FROM listing_services WHERE endpoint_service_id = ANY($1) AND ended_at IS NULL"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.service, row.listing))
        .collect())
}

/// Who sells a service.
#[derive(Debug, Clone)]
pub struct Seller {
    /// The listing.
    pub listing: ListingId,
    /// Its short name.
    pub slug: String,
    /// Where it stands: one that sells a service was released, and is not retired.
    pub state: ListingState,
}

/// The listing that sells a service.
pub async fn seller(
    conn: &mut PgConnection,
    service: EndpointServiceId,
) -> Result<Option<Seller>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT l.id AS "id: ListingId", l.slug, l.state
             FROM listing_services AS s JOIN listings AS l ON l.id = s.listing_id
            WHERE s.endpoint_service_id = $1 AND s.ended_at IS NULL"#,
        service as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let state: Result<ListingState, String> = row.state.parse();
        Ok(Seller {
            listing: row.id,
            slug: row.slug,
            state: state.map_err(|e| StoreError::inconsistent("listings", row.id, e))?,
        })
    })
    .transpose()
}

/// The services that the open and the live revision of a listing name: those that it sells are among them.
pub async fn named(
    conn: &mut PgConnection,
    listing: ListingId,
) -> Result<BTreeSet<EndpointServiceId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT DISTINCT s ->> 'service_id' AS "id!"
             FROM listing_revisions AS r, jsonb_array_elements(coalesce(r.content -> 'services', '[]')) AS s
            WHERE r.listing_id = $1 AND r.status IN ('draft', 'in_review', 'approved', 'live')"#,
        listing as _,
    )
    .fetch_all(conn)
    .await?;
    let read = ids.iter().map(|id| id.parse());
    read.collect::<Result<_, _>>()
        .map_err(|e: InvalidId| StoreError::inconsistent("listing_revisions", listing, e))
}

/// Has nobody change these services until the end of the transaction. They are locked in the order of their ids.
pub async fn hold(
    conn: &mut PgConnection,
    services: &BTreeSet<EndpointServiceId>,
) -> Result<(), StoreError> {
    let ids: Vec<uuid::Uuid> = services.iter().map(|id| id.uuid()).collect();
    sqlx::query_scalar!(
        "SELECT id FROM endpoint_services WHERE id = ANY($1) ORDER BY id FOR SHARE",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// The services that a listing sells.
pub async fn sold_by(
    conn: &mut PgConnection,
    listing: ListingId,
) -> Result<Vec<EndpointServiceId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT endpoint_service_id AS "id: EndpointServiceId" FROM listing_services
            WHERE listing_id = $1 AND ended_at IS NULL ORDER BY endpoint_service_id"#,
        listing as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Has a listing sell exactly the services of a revision from now on. Answers those that another listing sells, and then nothing is as it should be: the caller
/// gives the transaction up.
pub async fn sell(
    conn: &mut PgConnection,
    revision: &Revision,
    at: DateTime<Utc>,
) -> Result<Vec<EndpointServiceId>, StoreError> {
    let ids = revision.content.service_ids();
    end_all(conn, revision.listing, &ids, at).await?;
    // In one order, so that two listings that want the same services do not wait for each other.
    let wanted: BTreeSet<EndpointServiceId> = ids.into_iter().collect();
    for id in wanted {
        sqlx::query!(
            "INSERT INTO listing_services (listing_id, endpoint_service_id, revision, since) VALUES ($1, $2, $3, $4)
             ON CONFLICT (endpoint_service_id) WHERE ended_at IS NULL DO NOTHING",
            revision.listing as _,
            id as _,
            revision.number,
            at,
        )
        .execute(&mut *conn)
        .await?;
    }
    let sellers = sellers(conn, &revision.content.service_ids()).await?;
    let others = sellers
        .into_iter()
        .filter(|(_, seller)| *seller != revision.listing);
    Ok(others.map(|(service, _)| service).collect())
}

/// Has a listing sell none but these of its services.
pub async fn end_all(
    conn: &mut PgConnection,
    listing: ListingId,
    but: &[EndpointServiceId],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let but: Vec<uuid::Uuid> = but.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "UPDATE listing_services SET ended_at = $3 WHERE listing_id = $1 AND ended_at IS NULL AND endpoint_service_id <> ALL($2)",
        listing as _,
        &but,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What still lives of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// Agreements that have not ended, and whose place no other has taken.
    pub agreements: i64,
    /// Connections to its services that are accepted in AWS.
    pub connections: i64,
}

/// What still lives of a listing: it is not retired before there is nothing.
pub async fn live(conn: &mut PgConnection, listing: ListingId) -> Result<Live, StoreError> {
    let found = sqlx::query_as!(
        Live,
        r#"SELECT (SELECT count(*) FROM agreements
                    WHERE listing_id = $1 AND state <> 'ended' AND succeeded_at IS NULL) AS "agreements!",
                  (SELECT count(*) FROM connections AS c
                     JOIN listing_services AS s ON s.endpoint_service_id = c.endpoint_service_id AND s.ended_at IS NULL
                    WHERE s.listing_id = $1 AND c.observed_state IN ('available', 'pending', 'partial')) AS "connections!""#,
        listing as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(found)
}

/// Since when one of these accounts is connected to one of these services, or when it last came to be; `None` where none ever was.
pub async fn connected_at(
    conn: &mut PgConnection,
    services: &[EndpointServiceId],
    accounts: &[String],
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let ids: Vec<uuid::Uuid> = services.iter().map(|id| id.uuid()).collect();
    let found = sqlx::query_scalar!(
        r#"SELECT max(CASE WHEN c.observed_state = 'available' THEN c.observed_at
                           ELSE (SELECT max(o.at) FROM observations AS o WHERE o.connection_id = c.id AND o.to_state = 'available') END) AS at
             FROM connections AS c
            WHERE c.endpoint_service_id = ANY($1) AND c.owner_account = ANY($2)"#,
        &ids,
        accounts,
    )
    .fetch_one(conn)
    .await?;
    Ok(found)
}

/// What is known of services before they are sold by `listing`.
pub async fn readiness(
    conn: &mut PgConnection,
    listing: ListingId,
    services: &[EndpointServiceId],
) -> Result<Vec<ServiceReadiness>, StoreError> {
    let sellers = sellers(conn, services).await?;
    let ids: Vec<uuid::Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id: EndpointServiceId", facts FROM endpoint_services WHERE id = ANY($1)"#,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    // What this version cannot read is as good as none.
    let seen: BTreeMap<EndpointServiceId, Facts> = rows
        .into_iter()
        .filter_map(|row| Some((row.id, serde_json::from_value(row.facts?).ok()?)))
        .collect();
    let known = endpoint_services::by_ids(conn, services).await?;
    let of = |service: &RegisteredService| {
        let seller = sellers.get(&service.id).copied();
        let facts = seen.get(&service.id);
        of_service(service, facts, seller.filter(|seller| *seller != listing))
    };
    Ok(known.iter().map(of).collect())
}

fn of_service(
    service: &RegisteredService,
    facts: Option<&Facts>,
    sold_by: Option<ListingId>,
) -> ServiceReadiness {
    let observed = service.observed.as_ref();
    let seen = observed.and_then(|observed| observed.principals.as_ref());
    let principals_read = seen.is_some();
    let principals = service
        .allowed_principals
        .iter()
        .chain(seen.into_iter().flatten());
    let in_aws = observed.is_some_and(|observed| observed.service.private_dns_name.is_some());
    let private_dns = match (&service.private_dns, &service.private_dns_name) {
        (Some(watch), _) => Some(watch.state),
        (None, WantedName::Name(_)) => None,
        (None, WantedName::AsItIs | WantedName::Absent) if in_aws => None,
        (None, WantedName::AsItIs | WantedName::Absent) => Some(DnsState::None),
    };
    ServiceReadiness {
        id: service.id,
        lifecycle: service.lifecycle.state,
        state: observed.map(|observed| observed.service.state.to_string()),
        read_at: observed.map(|observed| observed.at),
        principals: principals.cloned().collect(),
        principals_read,
        private_dns,
        healthy_zones: facts.and_then(healthy_zones),
        looked_at: service.checks.as_ref().map(|checks| checks.at),
        sold_by,
    }
}
