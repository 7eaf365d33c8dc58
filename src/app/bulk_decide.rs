//! One decision about many connections: each for itself, or all or nothing. Everybody who locks several connections takes them in one order
//! (by service and endpoint), so that no two of them wait for each other.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::admission::Gate;
use super::code::Code;
use super::consumer_gate;
use super::decide_connection::{Decided, Leave, not_found};
use super::decision_words::{Said, Why};
use super::hearing::Hearing;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::ids::ConnectionId;
use crate::domain::review::Verb;
use crate::store::connections::{self, Named};
use crate::store::unit_of_work::{answer_is_faulty, apart, wait_for_parts};
use crate::store::{PgConnection, agreement_work};

/// The most connections in one request.
pub const MOST_AT_ONCE: usize = 1000;
/// How many are decided in one transaction when each is for itself: nobody else waits long for any of them.
const CHUNK: usize = 50;

/// One decision about many.
#[derive(Debug)]
pub struct Bulk {
    /// What.
    pub verb: Verb,
    /// Why, and what else goes with it.
    pub said: Said,
    /// Which connections: ids of ours, or AWS's ids of endpoints.
    pub items: Vec<String>,
    /// Whether none is decided unless all can be.
    pub all_or_nothing: bool,
}

/// What became of one of them.
#[derive(Debug)]
pub enum ItemOutcome {
    /// Decided.
    Decided,
    /// Approved; another person has to approve it too.
    Approved,
    /// Refused, and why.
    Refused(AppError),
    /// It could have been decided, but another one could not.
    NotApplied,
}

/// One of them, as it was named.
#[derive(Debug)]
pub struct ItemResult {
    /// As it was named.
    pub given: String,
    /// Which connection that is.
    pub connection: Option<ConnectionId>,
    /// What became of it.
    pub outcome: ItemOutcome,
}

/// What an item is about, before and while it is decided.
struct Item {
    given: String,
    target: Result<ConnectionId, AppError>,
}

/// Decides. The results are in the order in which the connections were named.
#[tracing::instrument(skip_all, fields(verb = %bulk.verb, items = bulk.items.len()))]
pub async fn bulk_decide(
    ctx: &AppContext,
    actor: &Actor,
    bulk: Bulk,
) -> Result<Vec<ItemResult>, AppError> {
    let at = ctx.clock.now();
    let why = Why::checked(&bulk.said, bulk.verb, at)?;
    if bulk.items.is_empty() || bulk.items.len() > MOST_AT_ONCE {
        let detail = format!("give 1 to {MOST_AT_ONCE} items, not {}", bulk.items.len());
        return Err(AppError::new(Code::InvalidRequest, detail).field("items"));
    }
    let decision = Decision {
        ctx,
        actor,
        verb: bulk.verb,
        why,
        over_quota: bulk.said.over_quota,
        at,
    };
    let (items, order) = {
        let conn = &mut *ctx.acquire().await?;
        resolve(conn, bulk.items).await?
    };
    let outcomes = if bulk.all_or_nothing {
        let hopeless = items.iter().any(|item| item.target.is_err());
        decision.all_or_nothing(&order, hopeless).await?
    } else {
        // Locks are held for a part at a time, also where the request is one unit of work.
        wait_for_parts().await?;
        apart(decision.each(&order)).await?
    };
    Ok(results(items, outcomes))
}

type Outcomes = HashMap<ConnectionId, ItemOutcome>;

/// What is decided about each.
struct Decision<'a> {
    ctx: &'a AppContext,
    actor: &'a Actor,
    verb: Verb,
    why: Why,
    over_quota: bool,
    at: DateTime<Utc>,
}

impl Decision<'_> {
    /// Decides all in one transaction, which is undone when one is refused. The others are tried all the same, so that every refusal is told.
    async fn all_or_nothing(
        &self,
        order: &[ConnectionId],
        hopeless: bool,
    ) -> Result<Outcomes, AppError> {
        let mut tx = self.ctx.begin().await?;
        let mut outcomes = self.decide(&mut tx, order).await?;
        let refused = |outcome: &ItemOutcome| matches!(outcome, ItemOutcome::Refused(_));
        if !hopeless && !outcomes.values().any(refused) {
            self.ctx.commit(tx).await?;
            return Ok(outcomes);
        }
        for outcome in outcomes.values_mut().filter(|outcome| !refused(outcome)) {
            *outcome = ItemOutcome::NotApplied;
        }
        Ok(outcomes)
    }

    /// Decides chunk by chunk. What was decided stays decided when a later chunk fails; its items then say so.
    async fn each(&self, order: &[ConnectionId]) -> Result<Outcomes, AppError> {
        let mut outcomes = Outcomes::new();
        for chunk in order.chunks(CHUNK) {
            match self.chunk(chunk).await {
                Ok(decided) => outcomes.extend(decided),
                Err(fault) if outcomes.is_empty() => return Err(fault),
                Err(fault) => {
                    tracing::error!(error = %fault, "a part of a bulk decision failed");
                    answer_is_faulty();
                    let code = fault.code();
                    let failed = chunk.iter().map(|id| {
                        let detail = "it was not decided because of a fault on our side";
                        (*id, ItemOutcome::Refused(AppError::new(code, detail)))
                    });
                    outcomes.extend(failed);
                }
            }
        }
        Ok(outcomes)
    }

    async fn chunk(&self, ids: &[ConnectionId]) -> Result<Outcomes, AppError> {
        let mut tx = self.ctx.begin().await?;
        let decided = self.decide(&mut tx, ids).await?;
        self.ctx.commit(tx).await?;
        Ok(decided)
    }

    /// Locks them in order and decides one after the other. A refusal writes nothing, so the others can go on; a fault ends it.
    async fn decide(
        &self,
        conn: &mut PgConnection,
        ids: &[ConnectionId],
    ) -> Result<Outcomes, AppError> {
        // Accounts and consumers, services, agreements, connections: the order of all.
        let mut askings = match self.verb {
            Verb::Accept => consumer_gate::lock_many(conn, ids, self.over_quota).await?,
            Verb::Reject | Verb::Revoke => HashMap::new(),
        };
        let gates = Gate::of_many(conn, ids).await?;
        if self.verb == Verb::Accept {
            agreement_work::lock_concerned(conn, ids).await?;
        }
        connections::lock_many(conn, ids).await?;
        let mut hearing = Hearing::of(conn, self.ctx, ids, self.at).await?;
        let mut outcomes = Outcomes::with_capacity(ids.len());
        for id in ids {
            let gate = gates.get(id).ok_or_else(|| not_found(*id));
            let decided = match gate.and_then(|gate| gate.admit(self.verb)) {
                Ok(admitted) => {
                    let (ctx, actor, why) = (self.ctx, self.actor, &self.why);
                    let asking = askings.remove(id);
                    let leave = Leave { admitted, asking };
                    hearing.decide(conn, ctx, actor, *id, leave, why).await
                }
                Err(refusal) => Err(refusal),
            };
            let outcome = match decided {
                Ok(Decided::Done(_)) => ItemOutcome::Decided,
                Ok(Decided::Approved) => ItemOutcome::Approved,
                Err(fault) if is_fault(&fault) => return Err(fault),
                Err(refusal) => ItemOutcome::Refused(refusal),
            };
            outcomes.insert(*id, outcome);
        }
        Ok(outcomes)
    }
}

pub(super) fn is_fault(error: &AppError) -> bool {
    matches!(
        error.code(),
        Code::Internal | Code::Unavailable | Code::Timeout
    )
}

/// Finds which connection each name means, and the order in which they are locked.
async fn resolve(
    conn: &mut PgConnection,
    names: Vec<String>,
) -> Result<(Vec<Item>, Vec<ConnectionId>), AppError> {
    let ids: Vec<ConnectionId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let endpoints: Vec<String> = names
        .iter()
        .filter(|name| name.parse::<privatelink::VpcEndpointId>().is_ok())
        .cloned()
        .collect();
    let found = connections::named(conn, &ids, &endpoints).await?;
    let mut seen = HashMap::new();
    let items: Vec<Item> = names
        .into_iter()
        .enumerate()
        .map(|(index, given)| {
            let target = meant(&found, &given).and_then(|id| match seen.insert(id, index) {
                None => Ok(id),
                Some(first) => {
                    seen.insert(id, first);
                    let detail = format!("it is the same connection as items[{first}]");
                    Err(AppError::new(Code::InvalidRequest, detail))
                }
            });
            Item { given, target }
        })
        .collect();
    let wanted: HashSet<ConnectionId> = items
        .iter()
        .filter_map(|item| item.target.as_ref().ok().copied())
        .collect();
    let order = found.iter().map(|row| row.id);
    let order = order.filter(|id| wanted.contains(id)).collect();
    Ok((items, order))
}

/// The connection that a name means.
fn meant(found: &[Named], given: &str) -> Result<ConnectionId, AppError> {
    if let Ok(id) = given.parse::<ConnectionId>() {
        let known = found.iter().any(|row| row.id == id);
        return if known { Ok(id) } else { Err(not_found(id)) };
    }
    if given.parse::<privatelink::VpcEndpointId>().is_err() {
        let detail = "give a connection's id (con_…) or AWS's id of an endpoint (vpce-…)";
        return Err(AppError::new(Code::InvalidRequest, detail));
    }
    // A service that was let go of and registered again has its old connections still; the present ones are meant.
    let all = || found.iter().filter(|row| row.endpoint_id == given);
    let present = all().any(|row| !row.ended);
    let mut rows = all().filter(|row| !present || !row.ended);
    match (rows.next(), rows.next()) {
        (None, _) => {
            let detail = format!("there is no connection of the endpoint {given}");
            Err(AppError::new(Code::ConnectionNotFound, detail))
        }
        (Some(row), None) => Ok(row.id),
        (Some(_), Some(_)) => {
            let detail = format!("{given} has connections to several services; name one by its id");
            Err(AppError::new(Code::EndpointAmbiguous, detail))
        }
    }
}

/// The results in the order in which the connections were named.
fn results(items: Vec<Item>, mut outcomes: Outcomes) -> Vec<ItemResult> {
    let result = |item: Item| match item.target {
        Ok(id) => ItemResult {
            given: item.given,
            connection: Some(id),
            outcome: outcomes.remove(&id).unwrap_or(ItemOutcome::NotApplied),
        },
        Err(refusal) => ItemResult {
            given: item.given,
            connection: None,
            outcome: ItemOutcome::Refused(refusal),
        },
    };
    items.into_iter().map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(endpoint: &str, seconds: i64) -> Named {
        let at = DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        Named {
            id: ConnectionId::new(at),
            endpoint_id: endpoint.to_owned(),
            ended: false,
        }
    }

    #[test]
    fn a_name_means_one_connection_or_none() {
        let (one, two) = ("vpce-0aaaaaaaaaaaaaaaa", "vpce-0bbbbbbbbbbbbbbbb");
        let found = [named(one, 0), named(two, 1), named(two, 2)];
        assert_eq!(meant(&found, one).unwrap(), found[0].id);
        assert_eq!(
            meant(&found, &found[2].id.to_string()).unwrap(),
            found[2].id
        );
        let old = Named {
            ended: true,
            ..named(one, 3)
        };
        let again = [old.clone(), named(one, 4)];
        assert_eq!(meant(&again, one).unwrap(), again[1].id);
        assert_eq!(meant(&again[..1], one).unwrap(), old.id);
        let code = |given: &str| meant(&found, given).unwrap_err().code();
        assert_eq!(code(two), Code::EndpointAmbiguous);
        assert_eq!(code("vpce-0cccccccccccccccc"), Code::ConnectionNotFound);
        assert_eq!(
            code(&named(one, 9).id.to_string()),
            Code::ConnectionNotFound
        );
        assert_eq!(code("svc_1"), Code::InvalidRequest);
    }
}
