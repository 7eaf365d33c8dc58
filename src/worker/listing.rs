//! Reading connections from AWS and writing what was read, page by page.

use chrono::{DateTime, Utc};
use privatelink::{Connection, ConnectionFilter, GatewayError, Page, PageToken};

use super::settings::delta;
use super::{PassError, Place};
use crate::store::StoreError;
use crate::store::observed::{self, Recorded, Waits};

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

/// Records a page whose turn it is.
async fn record(place: &Place, Read { page, at, .. }: &Read) -> Result<Recorded, PassError> {
    if page.items.is_empty() {
        return Ok(Recorded::default());
    }
    let mut tx = place.begin().await?;
    let settings = &place.shared.settings;
    let waits = Waits {
        patience: delta(settings.patience),
        stale_read_grace: delta(settings.stale_read_grace),
    };
    let recorded = observed::record(&mut tx, &place.lease, &page.items, *at, waits).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let metrics = &place.shared.metrics;
    metrics.connections_new.inc_by(recorded.new as u64);
    metrics.drifts.inc_by(recorded.drifted as u64);
    metrics.stalled.inc_by(recorded.stalled as u64);
    Ok(recorded)
}

/// Reads the first page and records it, in one turn: nobody else's read is written in between.
async fn first(
    place: &Place,
    filter: &ConnectionFilter,
) -> Result<(Page<Connection>, Recorded), PassError> {
    let mut newest = place.observing.newest.lock().await;
    let read = read(place, filter, None).await?;
    let recorded = record(place, &read).await?;
    *newest = read.number;
    Ok((read.page, recorded))
}

/// What reading all pages of a filter came to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ReadAll {
    /// What was recorded.
    pub(super) recorded: Recorded,
    /// Rows that AWS sent and that could not be read. With any, what was not shown may exist all the same.
    pub(super) unreadable: usize,
}

/// Reads all pages of a filter, giving each to `each` as it comes; nothing is kept. From the second page on, the next one is read while one is
/// recorded.
pub(super) async fn read_all(
    place: &Place,
    filter: &ConnectionFilter,
    mut each: impl FnMut(&[Connection]),
) -> Result<ReadAll, PassError> {
    let mut total = ReadAll::default();
    let mut add = |page: &Page<Connection>, recorded: Recorded| {
        total.recorded += recorded;
        total.unreadable += page.unreadable;
        each(&page.items);
    };
    let (page, recorded) = first(place, filter).await?;
    add(&page, recorded);
    let mut from = page.next;
    let mut ahead = match &from {
        Some(from) => Some(read(place, filter, Some(from)).await?),
        None => None,
    };
    while let Some(mut page) = ahead.take() {
        let mut newest = place.observing.newest.lock().await;
        if *newest > page.number {
            // Another loop has written what AWS showed later: this page may be the older of the two.
            page = read(place, filter, from.as_ref()).await?;
        }
        let next = async {
            match &page.page.next {
                Some(next) => Ok(Some(read(place, filter, Some(next)).await?)),
                None => Ok(None),
            }
        };
        let write = async {
            let recorded = record(place, &page).await;
            *newest = page.number;
            drop(newest);
            recorded
        };
        let (recorded, next): (_, Result<_, PassError>) = tokio::join!(write, next);
        add(&page.page, recorded?);
        ahead = next?;
        from = page.page.next;
    }
    Ok(total)
}
