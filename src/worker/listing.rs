//! Reading connections from AWS and writing what was read, page by page.

use chrono::{DateTime, Utc};
use privatelink::{Connection, ConnectionFilter, GatewayError, Page, PageToken};

use super::settings::delta;
use super::{PassError, Place};
use crate::store::observed::{self, Recorded, Waits};
use crate::store::{StoreError, glance};

/// A page that was read, and when.
struct Read {
    page: Page<Connection>,
    at: DateTime<Utc>,
    /// Its number among the reads of this AccountRegion.
    number: u64,
}

/// Reads one page.
async fn read(
    place: &Place,
    filter: &ConnectionFilter,
    from: Option<&PageToken>,
) -> Result<Read, PassError> {
    let (number, at) = (place.observing.begin(), place.now());
    let page = place.gateway.connections(filter, from).await?;
    if page.next.is_some() && page.next.as_ref() == from {
        // The SDK's own paginator ends silently here and calls the listing complete.
        let message = "AWS answered with the page token that it was sent".to_owned();
        return Err(GatewayError::Unknown {
            code: "RepeatedPageToken".to_owned(),
            message,
        }
        .into());
    }
    Ok(Read { page, at, number })
}

/// Records a page whose turn it is; answers that, and the page's [`glance::live`]. A page at rest is looked at and needs no transaction.
async fn record(
    place: &Place,
    Read { page, at, .. }: &Read,
    seed: i64,
) -> Result<(Recorded, i64), PassError> {
    if page.items.is_empty() {
        return Ok(Default::default());
    }
    let glance = place
        .read(async |conn| glance::at(conn, &place.lease, &page.items, seed).await)
        .await?;
    let mut recorded = Recorded {
        known: glance.known,
        ..Recorded::default()
    };
    let differing: Vec<&Connection> = glance
        .differing
        .iter()
        .filter_map(|position| page.items.get(*position))
        .collect();
    if differing.is_empty() {
        return Ok((recorded, glance.live));
    }
    let mut tx = place.begin().await?;
    let settings = &place.shared.settings;
    let waits = Waits {
        patience: delta(settings.patience),
        stale_read_grace: delta(settings.stale_read_grace),
    };
    recorded += observed::record(&mut tx, &place.lease, &differing, *at, waits).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let metrics = &place.shared.metrics;
    metrics.connections_new.inc_by(recorded.new as u64);
    metrics.drifts.inc_by(recorded.drifted as u64);
    metrics.stalled.inc_by(recorded.stalled as u64);
    Ok((recorded, glance.live))
}

/// What reading all pages of a filter came to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ReadAll {
    /// What was recorded.
    pub(super) recorded: Recorded,
    /// Rows that AWS sent and that could not be read. With any, what was not shown may exist all the same.
    pub(super) unreadable: usize,
    /// The hash of what AWS shows as not deleted, and its seed: see [`glance::live`].
    pub(super) live: i64,
    pub(super) seed: i64,
}

/// Reads all pages of a filter, giving each to `each` as it comes; nothing is kept. The next page is read while one is recorded.
pub(super) async fn read_all(
    place: &Place,
    filter: &ConnectionFilter,
    mut each: impl FnMut(&[Connection]),
) -> Result<ReadAll, PassError> {
    let mut total = ReadAll {
        // Another for each: what two hashes hide from one pass, the next one finds.
        seed: i64::try_from(place.observing.begin()).unwrap_or_default(),
        ..ReadAll::default()
    };
    let mut from: Option<PageToken> = None;
    let mut ahead: Option<Read> = None;
    loop {
        let mut newest = place.observing.newest.lock().await;
        let page = match ahead.take() {
            Some(page) if page.number > *newest => page,
            // The first page; or another loop has written what AWS showed later, and this one may be the older of the two.
            _ => read(place, filter, from.as_ref()).await?,
        };
        let next = async {
            match &page.page.next {
                Some(next) => Ok(Some(read(place, filter, Some(next)).await?)),
                None => Ok(None),
            }
        };
        let write = async {
            let recorded = record(place, &page, total.seed).await;
            *newest = page.number;
            drop(newest);
            recorded
        };
        let (recorded, next): (_, Result<_, PassError>) = tokio::join!(write, next);
        let (recorded, live) = recorded?;
        total.recorded += recorded;
        total.unreadable += page.page.unreadable;
        total.live ^= live;
        each(&page.page.items);
        ahead = next?;
        if ahead.is_none() {
            return Ok(total);
        }
        from = page.page.next;
    }
}
