//! One batched accept or reject, and the split when one id spoils the batch.

use std::collections::HashMap;
use std::time::Instant;

use privatelink::{GatewayError, ServiceId, VpcEndpointId};

use super::term::not_made;
use super::{PassError, Place};
use crate::domain::connection::Connection;
use crate::domain::ids::ConnectionId;
use crate::domain::outcome::{Outcome, join};
use crate::domain::sync::Act;
use crate::store::sync_queue;

/// How many refusals in a row, with nothing taken in between, are still put down to ids. A batch of 1,000 with one bad id at its
/// beginning takes 11; its neighbour is then taken.
const MOST_REFUSALS: usize = 14;

/// Accepts or rejects endpoints of one service, and answers for each of them that AWS was asked about. A batch that AWS refuses as a whole is split
/// until the id that spoils it stands alone; when splitting finds nothing that AWS takes, it is not an id that spoils it, and all of it has
/// failed. Where AWS takes all the parts, the batch was too long, and that is remembered.
///
/// Before every call but the first, for which the caller has just read `decided`, the decisions are read again: calls before may have taken their time.
/// What was decided otherwise meanwhile is left out, and has no outcome.
pub(super) async fn call(
    place: &Place,
    act: Act,
    service: &ServiceId,
    endpoints: Vec<VpcEndpointId>,
    decided: &HashMap<VpcEndpointId, Connection>,
) -> Result<Vec<(VpcEndpointId, Outcome)>, PassError> {
    let size = place.batch_size();
    let mut outcomes = Vec::with_capacity(endpoints.len());
    let mut batches: Vec<Vec<VpcEndpointId>> =
        endpoints.chunks(size).rev().map(<[_]>::to_vec).collect();
    let mut refusals = 0;
    let (mut shortest_refused, mut all_taken) = (usize::MAX, true);
    let mut first = true;
    while let Some(mut batch) = batches.pop() {
        if !std::mem::take(&mut first) {
            batch = match standing(place, batch, decided).await {
                Ok(batch) => batch,
                // What was called before is to be recorded; the rest stays due.
                Err(_) if !outcomes.is_empty() => {
                    all_taken = false;
                    break;
                }
                Err(error) => return Err(error),
            };
            if batch.is_empty() {
                continue;
            }
        }
        let (count, began) = (batch.len(), Instant::now());
        let result = match act {
            Act::Accept => place.gateway.accept_connections(service, &batch).await,
            Act::Reject => place.gateway.reject_connections(service, &batch).await,
        };
        match result {
            Ok(failures) => {
                refusals = 0;
                place.budget.batch().taken(count, began.elapsed());
                outcomes.extend(join(batch, failures));
            }
            Err(GatewayError::Invalid { .. }) if count > 1 && refusals < MOST_REFUSALS => {
                refusals += 1;
                shortest_refused = shortest_refused.min(count);
                let second = batch.split_off(count / 2);
                batches.push(second);
                batches.push(batch);
            }
            // Nothing was asked, and nothing more can be now: the rest stays due.
            Err(error) if not_made(&error) => {
                if outcomes.is_empty() {
                    return Err(error.into());
                }
                all_taken = false;
                break;
            }
            Err(error) => {
                if matches!(error, GatewayError::Unknown { .. }) {
                    place.budget.batch().unanswered(count);
                }
                all_taken = false;
                refusals += 1;
                outcomes.extend(
                    batch
                        .into_iter()
                        .map(|id| (id, Outcome::Failed(error.clone()))),
                );
            }
        }
    }
    if all_taken && shortest_refused < usize::MAX {
        place.budget.batch().refused(shortest_refused);
        tracing::info!(
            refused = shortest_refused,
            size = place.batch_size(),
            "AWS takes fewer endpoints in a call than it was given"
        );
    }
    Ok(outcomes)
}

/// Those of these endpoints about which nobody has decided since they were read.
async fn standing(
    place: &Place,
    endpoints: Vec<VpcEndpointId>,
    decided: &HashMap<VpcEndpointId, Connection>,
) -> Result<Vec<VpcEndpointId>, PassError> {
    let asked = endpoints.iter().filter_map(|id| decided.get(id));
    let standing = still_standing(place, asked.cloned().collect()).await?;
    Ok(standing.into_iter().map(|c| c.endpoint_id).collect())
}

/// Those of these connections about which nobody has decided since they were read.
pub(super) async fn still_standing(
    place: &Place,
    connections: Vec<Connection>,
) -> Result<Vec<Connection>, PassError> {
    let ids: Vec<ConnectionId> = connections.iter().map(|c| c.id).collect();
    let now = place
        .read(async |conn| sync_queue::reload(conn, &ids).await)
        .await?;
    let versions: HashMap<ConnectionId, i64> = now.iter().map(|c| (c.id, c.version)).collect();
    let same = |c: &Connection| versions.get(&c.id) == Some(&c.version);
    Ok(connections.into_iter().filter(same).collect())
}
