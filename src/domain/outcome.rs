//! How a batched call ended, for each endpoint of the batch. Pure.

use std::collections::HashMap;

use privatelink::{GatewayError, ItemFailure, VpcEndpointId};

/// How a call ended for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// AWS recorded it. It is done when a read shows it.
    Recorded,
    /// AWS refused this one inside an HTTP 200.
    Refused(ItemFailure),
    /// Nothing can be said about this one: AWS named a failure without saying whose.
    Unproven(ItemFailure),
    /// The whole call failed.
    Failed(GatewayError),
}

/// Joins the `Unsuccessful` list to the ids that were asked for. Ids that AWS does not mention succeeded, unless an entry came without
/// an id: then no success is proven.
pub fn join(
    batch: Vec<VpcEndpointId>,
    failures: Vec<ItemFailure>,
) -> Vec<(VpcEndpointId, Outcome)> {
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
