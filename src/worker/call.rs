//! One batched accept or reject, its per-item results joined to the ids, and the split when one id spoils the batch.

use std::collections::HashMap;

use privatelink::{GatewayError, ItemFailure, ServiceId, VpcEndpointId};

use super::{PassError, Place};
use crate::domain::sync::Act;

/// How many refusals in a row, with nothing taken in between, are still put down to ids. A batch of 1,000 with one bad id at its
/// beginning takes 11; its neighbour is then taken.
const MOST_REFUSALS: usize = 14;

/// How a call ended for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// AWS recorded it. It is done when a read shows it.
    Recorded,
    /// AWS refused this one inside an HTTP 200.
    Refused(ItemFailure),
    /// Nothing can be said about this one: AWS named a failure without saying whose.
    Unproven(ItemFailure),
    /// The whole call failed.
    Failed(GatewayError),
}

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

/// Joins the `Unsuccessful` list to the ids that were asked for. Ids that AWS does not mention succeeded, unless an entry came without
/// an id: then no success is proven.
fn join(batch: Vec<VpcEndpointId>, failures: Vec<ItemFailure>) -> Vec<(VpcEndpointId, Outcome)> {
    let mut by_id: HashMap<String, ItemFailure> = HashMap::new();
    let mut nameless = None;
    for failure in failures {
        match &failure.resource_id {
            Some(id) if batch.iter().any(|asked| asked.as_str() == id) => {
                by_id.insert(id.clone(), failure);
            }
            _ => nameless = Some(failure),
        }
    }
    batch
        .into_iter()
        .map(|id| {
            let outcome = match (by_id.remove(id.as_str()), &nameless) {
                (Some(failure), _) => Outcome::Refused(failure),
                (None, Some(failure)) => Outcome::Unproven(failure.clone()),
                (None, None) => Outcome::Recorded,
            };
            (id, outcome)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(id: Option<&str>) -> ItemFailure {
        ItemFailure {
            resource_id: id.map(str::to_owned),
            code: "InvalidState".into(),
            message: String::new(),
        }
    }

    fn ids() -> Vec<VpcEndpointId> {
        ["vpce-00000000000000001", "vpce-00000000000000002"]
            .iter()
            .map(|id| id.parse().unwrap())
            .collect()
    }

    #[test]
    fn ids_that_aws_does_not_mention_succeeded() {
        let outcomes = join(ids(), vec![failure(Some("vpce-00000000000000002"))]);
        assert_eq!(outcomes[0].1, Outcome::Recorded);
        assert_eq!(
            outcomes[1].1,
            Outcome::Refused(failure(Some("vpce-00000000000000002")))
        );
    }

    #[test]
    fn a_failure_without_an_id_leaves_nothing_proven() {
        for stray in [failure(None), failure(Some("vpce-00000000000000009"))] {
            let outcomes = join(ids(), vec![stray.clone()]);
            assert!(
                outcomes
                    .iter()
                    .all(|(_, o)| *o == Outcome::Unproven(stray.clone())),
                "{outcomes:?}"
            );
        }
    }
}
