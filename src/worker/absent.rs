//! What a complete listing did not show.
//!
//! Absent means deleted only after two proofs: a listing that went through to its last page, and a direct read by id that does not
//! find it either. What the listing saw is kept as one 64-bit hash for each connection: a fleet of a million costs 8 MB while a pass
//! runs. A connection that became known only within the stale-read grace is left out: both reads may lag to before its endpoint was made.
//! Two ids with one hash could hide a deletion from one pass; the hash is seeded anew for each, so the next one finds it.
//! Most listings show just what is stored: then the two sets have one hash, and nothing is compared one by one.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use privatelink::{Connection, ConnectionFilter, ServiceId, VpcEndpointId};

use super::listing::{ReadAll, read_all};
use super::settings::delta;
use super::{PassError, Place};
use crate::domain::ids::ConnectionId;
use crate::store::{StoreError, glance, observed};

/// How many stored connections are compared at a time.
const PAGE: i64 = 5_000;

/// What a listing saw.
#[derive(Default)]
pub(super) struct Sighted {
    seed: RandomState,
    hashes: Vec<u64>,
}

impl Sighted {
    pub(super) fn add(&mut self, page: &[Connection]) {
        let seed = &self.seed;
        self.hashes.extend(
            page.iter()
                .map(|c| seed.hash_one((c.service_id.as_str(), c.endpoint_id.as_str()))),
        );
    }

    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Sorts once, after the last page.
    fn finish(&mut self) {
        self.hashes.sort_unstable();
    }

    fn contains(&self, service: &str, endpoint: &str) -> bool {
        self.hashes
            .binary_search(&self.seed.hash_one((service, endpoint)))
            .is_ok()
    }
}

/// Marks as deleted what neither the listing nor a direct read shows. `started` is when the listing began, `read` what it came to.
pub(super) async fn sweep(
    place: &Place,
    sighted: &mut Sighted,
    read: &ReadAll,
    started: chrono::DateTime<chrono::Utc>,
) -> Result<u64, PassError> {
    let account_region = place.lease.account_region;
    let stored = place
        .read(async |conn| glance::live(conn, account_region, read.seed).await)
        .await?;
    if stored == read.live {
        return Ok(0);
    }
    sighted.finish();
    let mut deleted = 0;
    let settled = started - delta(place.shared.settings.stale_read_grace);
    let mut after: Option<ConnectionId> = None;
    loop {
        let page = place
            .read(async |conn| {
                observed::live_page(conn, account_region, started, settled, after, PAGE).await
            })
            .await?;
        let Some(last) = page.last() else {
            return Ok(deleted);
        };
        after = Some(last.id);
        let mut absent: BTreeMap<ServiceId, Vec<(ConnectionId, VpcEndpointId)>> = BTreeMap::new();
        for live in page {
            if sighted.contains(&live.aws_service_id, &live.endpoint_id) {
                continue;
            }
            let broken = |e| StoreError::Inconsistent {
                table: "connections",
                row: live.id.to_string(),
                what: format!("{e}"),
            };
            let service = live.aws_service_id.parse().map_err(broken)?;
            let endpoint = live.endpoint_id.parse().map_err(broken)?;
            absent.entry(service).or_default().push((live.id, endpoint));
        }
        for (service, connections) in absent {
            for chunk in connections.chunks(ConnectionFilter::MAX_ENDPOINTS) {
                deleted += confirm(place, &service, chunk).await?;
            }
        }
    }
}

/// Reads absent connections by id and marks those that are still absent.
async fn confirm(
    place: &Place,
    service: &ServiceId,
    absent: &[(ConnectionId, VpcEndpointId)],
) -> Result<u64, PassError> {
    let at = place.now();
    let endpoints = absent
        .iter()
        .map(|(_, endpoint)| endpoint.clone())
        .collect();
    let filter = ConnectionFilter::Endpoints(service.clone(), endpoints);
    let mut found: Vec<VpcEndpointId> = Vec::new();
    let read = read_all(place, &filter, |page| {
        found.extend(page.iter().map(|c| c.endpoint_id.clone()));
    })
    .await?;
    if read.unreadable > 0 {
        return Ok(0);
    }
    let gone: Vec<ConnectionId> = absent
        .iter()
        .filter(|(_, endpoint)| !found.contains(endpoint))
        .map(|(id, _)| *id)
        .collect();
    if gone.is_empty() {
        return Ok(0);
    }
    let mut tx = place.begin().await?;
    let marked = observed::mark_deleted(&mut tx, &gone, at).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(marked)
}
