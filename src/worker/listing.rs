//! Reading connections from AWS and writing what was read, page by page.

use privatelink::{Connection, ConnectionFilter, GatewayError, Page, PageToken};

use super::settings::delta;
use super::{PassError, Place};
use crate::store::observed::{self, Recorded, Waits};

/// Reads one page and records it. Reads and writes of one AccountRegion take turns, so an older read never lands on a newer one.
pub(super) async fn read_page(
    place: &Place,
    filter: &ConnectionFilter,
    from: Option<&PageToken>,
) -> Result<(Page<Connection>, Recorded), PassError> {
    let _turn = place.observing.lock().await;
    let at = place.now();
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
    let recorded = if page.items.is_empty() {
        Recorded::default()
    } else {
        let mut tx = place.begin().await?;
        let settings = &place.shared.settings;
        let waits = Waits {
            patience: delta(settings.patience),
            stale_read_grace: delta(settings.stale_read_grace),
        };
        let recorded = observed::record(&mut tx, &place.lease, &page.items, at, waits).await?;
        tx.commit().await.map_err(crate::store::StoreError::from)?;
        recorded
    };
    place
        .shared
        .metrics
        .connections_new
        .inc_by(recorded.new as u64);
    place.shared.metrics.drifts.inc_by(recorded.drifted as u64);
    place.shared.metrics.stalled.inc_by(recorded.stalled as u64);
    Ok((page, recorded))
}

/// What reading all pages of a filter came to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ReadAll {
    /// What was recorded.
    pub(super) recorded: Recorded,
    /// Rows that AWS sent and that could not be read. With any, what was not shown may exist all the same.
    pub(super) unreadable: usize,
}

/// Reads all pages of a filter, giving each to `each` as it comes; nothing is kept.
pub(super) async fn read_all(
    place: &Place,
    filter: &ConnectionFilter,
    mut each: impl FnMut(&[Connection]),
) -> Result<ReadAll, PassError> {
    let mut total = ReadAll::default();
    let mut from: Option<PageToken> = None;
    loop {
        let (page, recorded) = read_page(place, filter, from.as_ref()).await?;
        total.recorded += recorded;
        total.unreadable += page.unreadable;
        each(&page.items);
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(total),
        }
    }
}
