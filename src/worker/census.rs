//! The census loop: counts the drifts that wait for a person, for the metrics. It asks the database only.

use std::time::Duration;

use super::{PassError, Place};
use crate::store::drifts;

/// How often it counts. People settle drifts through any process, so there is nothing that could tell when.
pub const EVERY: Duration = Duration::from_secs(15);

/// Counts once.
pub async fn run_pass(place: &Place) -> Result<(), PassError> {
    let account_region = place.lease.account_region;
    let open = place
        .read(async |conn| drifts::open_by_kind(conn, account_region).await)
        .await?;
    place.shared.metrics.drifting(&place.lease.place, &open);
    Ok(())
}
