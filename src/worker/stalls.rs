//! Counts what is stalled, for the metrics.

use super::metrics::StallLabels;
use super::{PassError, Shared};
use crate::domain::ids::AccountRegionId;
use crate::store::{StoreError, stalls};

/// Counts what is stalled in these AccountRegions, which this replica serves, and shows it: each AccountRegion is counted by one replica.
pub async fn count(shared: &Shared, served: &[AccountRegionId]) -> Result<(), PassError> {
    let mut conn = shared.pool.acquire().await.map_err(StoreError::from)?;
    let counts = stalls::counts(&mut conn, served).await?;
    let counted = counts.into_iter().map(|count| {
        let labels = StallLabels {
            account_region: count.account_region.to_string(),
            kind: count.kind.as_str(),
            code: count.code,
        };
        (labels, count.count, count.oldest_seconds)
    });
    shared.metrics.stalls.show(counted.collect());
    Ok(())
}
