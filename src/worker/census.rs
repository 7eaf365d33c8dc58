//! The census loop: counts the drifts and the requests that wait for a person, for the metrics. It asks the database only.

use std::time::Duration;

use super::{PassError, Place};
use crate::store::{drifts, review_queue};

/// How often it counts. People settle things through any process, so there is nothing that could tell when.
pub const EVERY: Duration = Duration::from_secs(15);

/// Counts once.
pub async fn run_pass(place: &Place) -> Result<(), PassError> {
    let account_region = place.lease.account_region;
    let (now, sla) = (place.now(), place.shared.reviews.sla);
    let (open, waiting) = place
        .read(async |conn| {
            let open = drifts::open_by_kind(conn, account_region).await?;
            let waiting = review_queue::summary(conn, Some(account_region), sla, now).await?;
            Ok((open, waiting))
        })
        .await?;
    let (metrics, here) = (&place.shared.metrics, &place.lease.place);
    metrics.drifting(here, &open);
    let oldest = waiting.oldest_at.map_or(0, |at| (now - at).num_seconds());
    metrics.reviews.waiting(here, &waiting, oldest);
    Ok(())
}
