//! The observe loop: lists every connection of an AccountRegion, page by page, and records what is new.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use privatelink::{Connection, ConnectionFilter, GatewayError, ServiceId};

use super::absent::{self, Sighted};
use super::listing::read_all;
use super::settings::delta;
use super::term::not_made;
use super::{PassError, Place};
use crate::domain::account_region::{Listing, ListingError};
use crate::store::observed::Recorded;
use crate::store::{StoreError, account_regions, connection_drifts, inventory};

/// The code that an AccountRegion shows when AWS sent rows that could not be read.
pub const UNREADABLE: &str = "unreadable_rows";

/// What a complete listing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Connections that AWS listed, of registered services and others.
    pub listed: usize,
    /// What was recorded of them.
    pub recorded: Recorded,
    /// Connections found to be gone.
    pub deleted: u64,
}

/// As [`run_pass`] does; should it fail, it is repeated after `wait`, and that is shown with the error.
pub async fn run_pass_again_after(place: &Place, wait: Duration) -> Result<Report, PassError> {
    listed(place, Some(wait)).await
}

/// Lists everything once. A listing that fails part of the way keeps what it recorded and concludes nothing from what it did not see.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    listed(place, None).await
}

async fn listed(place: &Place, wait: Option<Duration>) -> Result<Report, PassError> {
    match list(place).await {
        // AWS was not asked, so there is nothing to show.
        Err(PassError::Gateway(error)) if not_made(&error) => Err(error.into()),
        Err(PassError::Gateway(error)) => {
            let noted = ListingError {
                code: error.code().to_owned(),
                message: error.to_string(),
                at: place.now(),
                next_at: wait.map(|wait| place.now() + delta(wait)),
            };
            let mut tx = place.begin().await?;
            account_regions::record_error(&mut tx, place.lease.account_region, &noted).await?;
            tx.commit().await.map_err(StoreError::from)?;
            Err(error.into())
        }
        other => other,
    }
}

async fn list(place: &Place) -> Result<Report, PassError> {
    let started = place.now();
    let clock = Instant::now();
    let mut sighted = Sighted::default();
    // By service and state: no larger for more connections.
    let mut counted: BTreeMap<ServiceId, BTreeMap<String, i64>> = BTreeMap::new();
    let read = read_all(place, &ConnectionFilter::All, |page| {
        sighted.add(page);
        count(&mut counted, page);
    })
    .await?;
    if read.unreadable > 0 {
        // Nothing may be concluded from what such a listing did not show.
        let message = format!(
            "{} connections in AWS's answer could not be read",
            read.unreadable
        );
        return Err(GatewayError::Unknown {
            code: UNREADABLE.to_owned(),
            message,
        }
        .into());
    }
    let recorded = read.recorded;
    let deleted = absent::sweep(place, &mut sighted, &read, started).await?;
    let listing = Listing {
        at: started,
        took_ms: i64::try_from(clock.elapsed().as_millis()).unwrap_or(i64::MAX),
        connections: i64::try_from(recorded.known).unwrap_or(i64::MAX),
        unregistered: i64::try_from(sighted.len().saturating_sub(recorded.known))
            .unwrap_or(i64::MAX),
    };
    let mut tx = place.begin().await?;
    account_regions::record_listing(&mut tx, place.lease.account_region, listing).await?;
    inventory::record_connections(&mut tx, place.lease.account_region, &counted).await?;
    let grace = delta(place.shared.settings.stale_read_grace);
    let found = connection_drifts::reconsider(&mut tx, &place.lease, started, grace).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let metrics = &place.shared.metrics;
    metrics.drifts.inc_by(found as u64);
    metrics.listed(
        &place.lease.place,
        listing.connections,
        listing.unregistered,
    );
    if recorded.new + recorded.changed > 0 || deleted > 0 {
        // What was seen may have made a sync due.
        place.shared.nudge.wake();
        tracing::info!(
            new = recorded.new,
            changed = recorded.changed,
            drifted = recorded.drifted,
            deleted,
            "the listing showed changes"
        );
    }
    Ok(Report {
        listed: sighted.len(),
        recorded,
        deleted,
    })
}

fn count(counted: &mut BTreeMap<ServiceId, BTreeMap<String, i64>>, page: &[Connection]) {
    for connection in page {
        if !counted.contains_key(&connection.service_id) {
            counted.insert(connection.service_id.clone(), BTreeMap::new());
        }
        let Some(states) = counted.get_mut(&connection.service_id) else {
            continue;
        };
        let state = connection.state.as_str();
        match states.get_mut(state) {
            Some(count) => *count += 1,
            None => {
                states.insert(state.to_owned(), 1);
            }
        }
    }
}

/// How long to rest after a listing of `listed` connections. A large fleet is listed less often, so that listings take at most a
/// quarter of the read tokens (20 a second refill, a page a token).
pub fn rest(interval: Duration, listed: usize) -> Duration {
    let pages = u32::try_from(listed / 1_000)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    interval.max(Duration::from_millis(200).saturating_mul(pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_fleet_is_listed_less_often() {
        let five = Duration::from_secs(5);
        assert_eq!(rest(five, 0), five);
        assert_eq!(rest(five, 20_000), five);
        assert_eq!(rest(five, 100_000), Duration::from_millis(20_200));
    }
}
