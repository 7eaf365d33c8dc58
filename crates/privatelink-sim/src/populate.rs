//! A large world in one call: services with their load balancers, and connections in the states that are asked for.
//!
//! Everything is made by the operations that calls use, at the times at which it would have been made by them, so a populated
//! row cannot differ from a created one. Nothing is throttled, logged, or befallen by a fault.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState, Region, ServiceId};
use serde::{Deserialize, Serialize};

use crate::consumer::default_endpoint;
use crate::provider_setup::build;
use crate::simulator::Simulator;
use crate::world::endpoint_changes::{LastError, PlannedFailure};
use crate::world::ids::{hash, mix};
use crate::world::services::NewService;
use crate::world::{Caller, World, earlier};
use crate::{AwsError, Behavior};

/// The most services in one call.
pub const MAX_SERVICES: usize = 10_000;

/// The most connections in one call.
pub const MAX_CONNECTIONS: usize = 1_000_000;

/// The most consumer accounts in one call.
pub const MAX_CONSUMERS: usize = 100_000;

const FIRST_CONSUMER: u64 = 200_000_000_000;

/// What shall be there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// The provider's account.
    pub account: AccountId,
    /// The Region of the provider and of all consumers.
    pub region: Region,
    /// How many services to make, each with a load balancer of its own.
    #[serde(default = "one")]
    pub services: usize,
    /// Whether the services ask for acceptance.
    #[serde(default = "yes")]
    pub acceptance_required: bool,
    /// How many connections to make. When it is missing, the numbers of `states` are counts and say it.
    #[serde(default)]
    pub connections: Option<usize>,
    /// Over how many consumer accounts the connections are spread.
    #[serde(default = "one")]
    pub consumers: usize,
    /// The first consumer account, `200000000000` when it is missing; the others follow it.
    #[serde(default)]
    pub first_consumer: Option<AccountId>,
    /// The states of the connections: shares whose sum is 1, or counts. Empty means that all are as a new endpoint ends
    /// when nobody decides: `pendingAcceptance`, or `available` on services without acceptance.
    #[serde(default)]
    pub states: BTreeMap<String, f64>,
    /// Who may connect.
    #[serde(default)]
    pub grants: Grants,
}

/// Which principals the services are opened to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grants {
    /// Each service to the accounts that have an endpoint to it.
    #[default]
    Consumers,
    /// All services to `*`.
    Everybody,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

impl Population {
    /// One service that asks for acceptance, one consumer, no connections.
    pub fn new(account: AccountId, region: Region) -> Self {
        Self {
            account,
            region,
            services: 1,
            acceptance_required: true,
            connections: None,
            consumers: 1,
            first_consumer: None,
            states: BTreeMap::new(),
            grants: Grants::default(),
        }
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Populated {
    /// The services, in the order they were made.
    pub services: Vec<ServiceId>,
    /// The consumer accounts.
    pub consumers: Vec<AccountId>,
    /// How many connections were made, by state.
    pub connections: BTreeMap<String, usize>,
}

impl Simulator {
    /// Makes services and connections in one step. What cannot be made is refused before anything is changed.
    pub fn populate(&self, wanted: &Population) -> Result<Populated, AwsError> {
        let now = self.clock().now();
        self.with_world(|world| populate(world, wanted, now))
            .map_err(|error| AwsError::with_status(500, "InternalError", error.to_string()))?
    }
}

fn populate(
    world: &mut World,
    wanted: &Population,
    now: DateTime<Utc>,
) -> Result<Populated, AwsError> {
    let counts = counts(wanted)?;
    check(world, wanted, &counts)?;
    let scripts = scripts(&counts, &world.behavior)?;
    rehearse(world, wanted, &scripts, now)?;
    // Failures that somebody planned are for endpoints that calls make.
    let planned = world.replace_planned_failures(Vec::new());
    let made = make(world, wanted, &scripts, now);
    world.replace_planned_failures(planned);
    made
}

/// How many connections of each state.
fn counts(wanted: &Population) -> Result<Vec<(ConnectionState, usize)>, AwsError> {
    let usual = if wanted.acceptance_required {
        ConnectionState::PendingAcceptance
    } else {
        ConnectionState::Available
    };
    if wanted.states.is_empty() {
        return Ok(vec![(usual, wanted.connections.unwrap_or(0))]);
    }
    let mut counts = Vec::new();
    for (word, number) in &wanted.states {
        let state = ConnectionState::DOCUMENTED
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| invalid(format!("'{word}' is not a state")))?;
        if !(0.0..=1e6).contains(number) {
            return Err(invalid(format!("{number} is not a number of connections")));
        }
        counts.push((state, *number));
    }
    let Some(total) = wanted.connections else {
        return counts
            .into_iter()
            .map(|(state, number)| match whole(number) {
                Some(count) => Ok((state, count)),
                None => Err(invalid(format!(
                    "{number} is not a count; shares need 'connections'"
                ))),
            })
            .collect();
    };
    let sum: f64 = counts.iter().map(|(_, share)| share).sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(invalid(format!("the shares of the states sum up to {sum}")));
    }
    // Each boundary is rounded, so that the counts always sum up to the total.
    let (mut before, mut share_before) = (0, 0.0);
    let last = counts.len() - 1;
    Ok(counts
        .into_iter()
        .enumerate()
        .map(|(at, (state, share))| {
            share_before += share;
            let reached = if at == last {
                total
            } else {
                rounded(share_before, total)
            };
            let count = reached.saturating_sub(before);
            before = reached;
            (state, count)
        })
        .collect())
}

/// A share of a total, to the nearest whole.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "totals are at most a million, shares between 0 and 1"
)]
fn rounded(share: f64, total: usize) -> usize {
    ((share * total as f64).round() as usize).min(total)
}

/// A number without a fraction, as a count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is between 0 and a million"
)]
fn whole(number: f64) -> Option<usize> {
    (number.fract() == 0.0).then_some(number as usize)
}

fn check(
    world: &World,
    wanted: &Population,
    counts: &[(ConnectionState, usize)],
) -> Result<(), AwsError> {
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    for (what, number, least, most) in [
        ("services", wanted.services, 1, MAX_SERVICES),
        ("connections", total, 0, MAX_CONNECTIONS),
        ("consumers", wanted.consumers, 1, MAX_CONSUMERS),
    ] {
        if !(least..=most).contains(&number) {
            return Err(invalid(format!(
                "{what} must be between {least} and {most}"
            )));
        }
    }
    if !world.regions().contains(&wanted.region) {
        return Err(invalid(format!("there is no Region {}", wanted.region)));
    }
    Ok(())
}

/// What is done to one connection, in milliseconds before the present.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Script {
    state: ConnectionState,
    count: usize,
    age_ms: u64,
    act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Nothing,
    Accept,
    AcceptAndFail,
    Reject,
    Delete,
}

/// How each state comes about: what has to be done, and long enough ago.
fn scripts(
    counts: &[(ConnectionState, usize)],
    behavior: &Behavior,
) -> Result<Vec<Script>, AwsError> {
    use ConnectionState as S;
    counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| {
            let (age_ms, act) = match state {
                S::PendingAcceptance => (0, Act::Nothing),
                S::Pending => (0, Act::Accept),
                S::Available => (behavior.accept_delay_ms, Act::Accept),
                S::Failed => (behavior.accept_delay_ms, Act::AcceptAndFail),
                S::Rejected => (behavior.reject_settle_ms, Act::Reject),
                S::Expired => (behavior.expire_after_ms, Act::Nothing),
                S::Deleting => (0, Act::Delete),
                S::Deleted => (behavior.endpoint_deleting_ms, Act::Delete),
                S::Partial | S::Unknown(_) => {
                    return Err(invalid(format!("no endpoint is ever {state} here")));
                }
            };
            Ok(Script {
                state: state.clone(),
                count: *count,
                age_ms,
                act,
            })
        })
        .collect()
}

/// Makes one connection of each state in a world of its own, under the same switches: what ends in another state is refused.
fn rehearse(
    world: &World,
    wanted: &Population,
    scripts: &[Script],
    now: DateTime<Utc>,
) -> Result<(), AwsError> {
    let mut stage = World::new(0, world.regions().to_vec(), world.behavior.clone());
    let one = Population {
        services: 1,
        consumers: 1,
        ..wanted.clone()
    };
    for script in scripts {
        let single = Script {
            count: 1,
            ..script.clone()
        };
        let made = make(&mut stage, &one, &[single], now)?;
        let reached = made
            .services
            .iter()
            .filter_map(|id| stage.service(id))
            .flat_map(|service| service.connections.values())
            .find_map(|connection| connection.life.state_at(now));
        if reached.as_ref() != Some(&script.state) {
            return Err(invalid(format!(
                "under the present switches no endpoint of such a service is {} now",
                script.state
            )));
        }
    }
    Ok(())
}

fn make(
    world: &mut World,
    wanted: &Population,
    scripts: &[Script],
    now: DateTime<Utc>,
) -> Result<Populated, AwsError> {
    let oldest = scripts.iter().map(|script| script.age_ms).max();
    let begin = earlier(now, oldest.unwrap_or(0));
    let services = make_services(world, wanted, begin)?;
    let consumers = consumers(wanted);
    let order = shuffled(scripts, &services);
    let provider = Caller::root(wanted.account.clone(), wanted.region.clone(), now);
    if wanted.grants == Grants::Consumers {
        grant_each(world, &provider, &services, &consumers, order.len())?;
    }
    for (at, script) in order.into_iter().enumerate() {
        let (service, consumer) = pair(at, services.len(), consumers.len());
        let (service, consumer) = (&services[service], &consumers[consumer]);
        let then = earlier(now, script.age_ms);
        let consumer = Caller::root(consumer.clone(), wanted.region.clone(), then);
        let provider = Caller {
            now: then,
            seen_at: then,
            ..provider.clone()
        };
        connect(world, &provider, &consumer, service, script)?;
    }
    Ok(Populated {
        services,
        consumers,
        connections: scripts
            .iter()
            .map(|script| (script.state.to_string(), script.count))
            .collect(),
    })
}

/// Services one after the other, then the consumers: so each service has the same number of connections, from many.
fn pair(at: usize, services: usize, consumers: usize) -> (usize, usize) {
    (at % services, at / services % consumers)
}

fn consumers(wanted: &Population) -> Vec<AccountId> {
    let first = wanted.first_consumer.as_ref();
    let first = first.and_then(|account| account.as_str().parse().ok());
    (first.unwrap_or(FIRST_CONSUMER)..)
        .take(wanted.consumers)
        .filter_map(|number: u64| format!("{:012}", number % 1_000_000_000_000).parse().ok())
        .collect()
}

fn make_services(
    world: &mut World,
    wanted: &Population,
    begin: DateTime<Utc>,
) -> Result<Vec<ServiceId>, AwsError> {
    // Load balancers and targets are ready when the services begin.
    let before = world.behavior.load_balancer_provisioning_ms;
    let before = earlier(begin, before.max(world.behavior.target_initial_ms));
    let builder = Caller::root(wanted.account.clone(), wanted.region.clone(), before);
    let owner = Caller::root(wanted.account.clone(), wanted.region.clone(), begin);
    (0..wanted.services)
        .map(|_| {
            let name = format!("sim-{}", world.unique_word());
            let balancer = build(world, &builder, &name, usize::MAX)?;
            let new = NewService {
                acceptance_required: wanted.acceptance_required,
                load_balancers: vec![balancer.to_string()],
                ..NewService::default()
            };
            let id = world.create_service(&owner, &new, None)?.id;
            if let Some(made) = world.service_mut(&id) {
                made.pending_until = None;
            }
            if wanted.grants == Grants::Everybody {
                let delay = std::mem::take(&mut world.behavior.permission_propagation_ms);
                let granted = world.modify_principals(&owner, id.as_str(), &["*".to_owned()], &[]);
                world.behavior.permission_propagation_ms = delay;
                granted?;
            }
            Ok(id)
        })
        .collect()
}

/// Opens each service to the accounts that will have endpoints to it.
fn grant_each(
    world: &mut World,
    provider: &Caller,
    services: &[ServiceId],
    consumers: &[AccountId],
    connections: usize,
) -> Result<(), AwsError> {
    for (number, service) in services.iter().enumerate() {
        let mine: BTreeSet<usize> = (number..connections)
            .step_by(services.len())
            .map(|at| pair(at, services.len(), consumers.len()).1)
            .take(consumers.len())
            .collect();
        let principals: Vec<String> = mine
            .into_iter()
            .map(|at| Caller::root(consumers[at].clone(), provider.region.clone(), provider.now))
            .map(|consumer| consumer.identity.arn)
            .collect();
        world.modify_principals(provider, service.as_str(), &principals, &[])?;
    }
    Ok(())
}

/// The scripts of all connections, mixed: the same world always mixes them in the same way.
fn shuffled<'a>(scripts: &'a [Script], services: &[ServiceId]) -> Vec<&'a Script> {
    let mut order: Vec<&Script> = scripts
        .iter()
        .flat_map(|script| std::iter::repeat_n(script, script.count))
        .collect();
    let mut state = services.first().map_or(0, |id| hash(id.as_str()));
    for last in (1..order.len()).rev() {
        state = mix(state);
        let other = state % (last as u64 + 1);
        order.swap(last, usize::try_from(other).unwrap_or(0));
    }
    order
}

fn connect(
    world: &mut World,
    provider: &Caller,
    consumer: &Caller,
    service: &ServiceId,
    script: &Script,
) -> Result<(), AwsError> {
    if script.act == Act::AcceptAndFail {
        world.plan_endpoint_failure(PlannedFailure {
            account: None,
            times: 1,
            error: LastError {
                code: "ProvisioningFailed".to_owned(),
                message: "The endpoint was populated in this state".to_owned(),
            },
        });
    }
    let name = format!("com.amazonaws.vpce.{}.{service}", consumer.region);
    let new = default_endpoint(world, consumer, &name)?;
    let made = world.create_endpoint(consumer, &new, None)?;
    let endpoint = [made.endpoint.id.to_string()];
    let refused = match script.act {
        Act::Nothing => Vec::new(),
        // A service without acceptance has accepted already.
        Act::Accept | Act::AcceptAndFail if made.state != ConnectionState::PendingAcceptance => {
            Vec::new()
        }
        Act::Accept | Act::AcceptAndFail => {
            world.accept_connections(provider, service.as_str(), &endpoint)?
        }
        Act::Reject => world.reject_connections(provider, service.as_str(), &endpoint)?,
        Act::Delete => world.delete_endpoints(consumer, &endpoint)?,
    };
    refused
        .into_iter()
        .next()
        .map_or(Ok(()), |item| Err(item.error))
}

fn invalid(why: impl Into<String>) -> AwsError {
    AwsError::new("InvalidPopulation", why)
}

#[cfg(test)]
#[path = "populate_tests.rs"]
mod tests;
