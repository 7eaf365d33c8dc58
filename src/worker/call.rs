//! One batched accept or reject, and the split when one id spoils the batch.

use privatelink::{GatewayError, ServiceId, VpcEndpointId};

use super::{PassError, Place};
use crate::domain::outcome::{Outcome, join};
use crate::domain::sync::Act;

/// How many refusals in a row, with nothing taken in between, are still put down to ids. A batch of 1,000 with one bad id at its
/// beginning takes 11; its neighbour is then taken.
const MOST_REFUSALS: usize = 14;

/// Accepts or rejects endpoints of one service, and answers for each of them. A batch that AWS refuses as a whole is split until the id that
/// spoils it stands alone; when splitting finds nothing that AWS takes, it is not an id that spoils it, and all of it has failed.
pub(super) async fn call(
    place: &Place,
    act: Act,
    service: &ServiceId,
    endpoints: Vec<VpcEndpointId>,
) -> Result<Vec<(VpcEndpointId, Outcome)>, PassError> {
    let size = place.shared.settings.batch_size.max(1);
    let mut outcomes = Vec::with_capacity(endpoints.len());
    let mut batches: Vec<Vec<VpcEndpointId>> =
        endpoints.chunks(size).rev().map(<[_]>::to_vec).collect();
    let mut refusals = 0;
    while let Some(mut batch) = batches.pop() {
        let result = match act {
            Act::Accept => place.gateway.accept_connections(service, &batch).await,
            Act::Reject => place.gateway.reject_connections(service, &batch).await,
        };
        match result {
            Ok(failures) => {
                refusals = 0;
                outcomes.extend(join(batch, failures));
            }
            Err(GatewayError::Invalid { .. }) if batch.len() > 1 && refusals < MOST_REFUSALS => {
                refusals += 1;
                let second = batch.split_off(batch.len() / 2);
                batches.push(second);
                batches.push(batch);
            }
            Err(error) => {
                refusals += 1;
                outcomes.extend(
                    batch
                        .into_iter()
                        .map(|id| (id, Outcome::Failed(error.clone()))),
                );
            }
        }
    }
    Ok(outcomes)
}
