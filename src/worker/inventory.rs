//! The inventory loop: lists every endpoint service of an AccountRegion, registered here or not, page by page, and notices those that nobody
//! registered.
//!
//! Only a listing that went through says what is not there. The principals are read of services that are not registered: the others are read
//! by the sync loop.

use std::collections::BTreeSet;
use std::time::Instant;

use chrono::{DateTime, Utc};
use privatelink::{EndpointService, GatewayError, PageToken, ServiceId};

use super::observe::UNREADABLE;
use super::settings::delta;
use super::{PassError, Place, pages};
use crate::domain::account_region::ListingError;
use crate::domain::drift_inbox::Found;
use crate::domain::inventory::{InventoryListing, sorted};
use crate::store::drifts::{self, Scope};
use crate::store::inventory::{self, Listed};
use crate::store::{PgConnection, StoreError};

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Services that AWS listed; none when no listing was due.
    pub listed: Option<usize>,
    /// Services that are new or differ from what was known.
    pub changed: u64,
    /// Services that were known and are gone.
    pub gone: u64,
    /// Services that nobody registered and that were not noticed before.
    pub drifted: usize,
    /// When the next listing is due.
    pub next_due: DateTime<Utc>,
}

/// Lists everything if a listing is due: there is none yet, somebody asked for one, or the last is old.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let account_region = place.lease.account_region;
    let interval = delta(place.shared.settings.inventory_interval);
    let known = place
        .read(async |conn| inventory::freshness(conn, account_region).await)
        .await?;
    if let Some(next_due) = known.due_at(interval).filter(|due| *due > place.now()) {
        return Ok(Report {
            listed: None,
            changed: 0,
            gone: 0,
            drifted: 0,
            next_due,
        });
    }
    match list(place).await {
        Err(PassError::Gateway(error)) => {
            let noted = ListingError {
                code: error.code().to_owned(),
                message: error.to_string(),
                at: place.now(),
                next_at: None,
            };
            let mut tx = place.begin().await?;
            inventory::record_error(&mut tx, account_region, &noted).await?;
            tx.commit().await.map_err(StoreError::from)?;
            Err(error.into())
        }
        other => other,
    }
}

async fn list(place: &Place) -> Result<Report, PassError> {
    let (started, clock) = (place.now(), Instant::now());
    let account_region = place.lease.account_region;
    let registered = place
        .read(async |conn| inventory::registered(conn, account_region).await)
        .await?;
    let (mut seen, mut changed, mut unreadable) = (BTreeSet::new(), 0, 0);
    let mut from: Option<PageToken> = None;
    loop {
        let page = place.gateway.endpoint_services(from.as_ref()).await?;
        if page.next.is_some() && page.next == from {
            let message = "AWS answered with the page token that it was sent".to_owned();
            let code = "RepeatedPageToken".to_owned();
            return Err(GatewayError::Unknown { code, message }.into());
        }
        unreadable += page.unreadable;
        seen.extend(page.items.iter().map(|service| service.service_id.clone()));
        changed += record_page(place, &registered, page.items, started).await?;
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    if unreadable > 0 {
        // Nothing may be concluded from what such a listing did not show.
        let message = format!("{unreadable} services in AWS's answer could not be read");
        let code = UNREADABLE.to_owned();
        return Err(GatewayError::Unknown { code, message }.into());
    }
    let listing = InventoryListing {
        at: started,
        took_ms: i64::try_from(clock.elapsed().as_millis()).unwrap_or(i64::MAX),
        services: i64::try_from(seen.len()).unwrap_or(i64::MAX),
    };
    let (gone, drifted) = conclude(place, &seen, listing).await?;
    if drifted > 0 {
        tracing::warn!(drifted, "the account has services that nobody registered");
    }
    let interval = place.shared.settings.inventory_interval;
    Ok(Report {
        listed: Some(seen.len()),
        changed,
        gone,
        drifted,
        next_due: started + delta(interval),
    })
}

/// Records a page, after reading who may connect to those of its services that are not registered.
async fn record_page(
    place: &Place,
    registered: &BTreeSet<String>,
    services: Vec<EndpointService>,
    at: DateTime<Utc>,
) -> Result<u64, PassError> {
    let mut page = Vec::with_capacity(services.len());
    for service in services {
        let foreign = !registered.contains(service.service_id.as_str());
        let principals = if foreign && !service.state.is_gone() {
            principals(place, &service.service_id).await?
        } else {
            None
        };
        let described = sorted(service);
        page.push(Listed {
            described,
            principals,
        });
    }
    if page.is_empty() {
        return Ok(0);
    }
    let mut tx = place.begin().await?;
    let account_region = place.lease.account_region;
    let changed = inventory::record_page(&mut tx, account_region, &page, at).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(changed)
}

/// Who may connect to a service, sorted; `None` when the service is gone meanwhile.
async fn principals(place: &Place, id: &ServiceId) -> Result<Option<Vec<String>>, GatewayError> {
    let mut all = Vec::new();
    let mut from: Option<PageToken> = None;
    loop {
        let page = match place.gateway.principals(id, from.as_ref()).await {
            Ok(page) => page,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let next = pages::next(&page, from.as_ref())?;
        all.extend(page.items.into_iter().map(|row| row.principal));
        if next.is_none() {
            break;
        }
        from = next;
    }
    all.sort();
    Ok(Some(all))
}

/// Records that the listing went through, what it did not show any more, and what nobody registered: one transaction.
async fn conclude(
    place: &Place,
    seen: &BTreeSet<ServiceId>,
    listing: InventoryListing,
) -> Result<(u64, usize), StoreError> {
    let account_region = place.lease.account_region;
    let at = listing.at;
    // One that became known only within the grace may be missing because the listing lags.
    let settled = at - delta(place.shared.settings.stale_read_grace);
    let mut tx = place.begin().await?;
    let gone = inventory::mark_gone(&mut tx, account_region, seen, settled, at).await?;
    let found = unknown(&mut tx, place).await?;
    let scope = Scope::AccountRegion(account_region);
    let drifted = drifts::reconcile(&mut tx, scope, &found, true, at).await?;
    inventory::record_listing(&mut tx, account_region, listing).await?;
    tx.commit().await?;
    place.shared.metrics.drifts.inc_by(drifted as u64);
    Ok((gone, drifted))
}

async fn unknown(conn: &mut PgConnection, place: &Place) -> Result<Vec<Found>, StoreError> {
    let account_region = place.lease.account_region;
    let ours = inventory::our_load_balancers(conn, account_region).await?;
    let all = inventory::all(conn, account_region, false).await?;
    Ok(all
        .iter()
        .filter_map(|service| service.unknown(&ours))
        .collect())
}
