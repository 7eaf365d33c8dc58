//! Facts become a request and the entities that it speaks of.
//!
//! They are built without asking the schema, because that costs more than the decision. That they fit it is a test.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityUid, Request, RestrictedExpression as Value, Schema,
};

use crate::facts::{Account, Facts, Service};
use crate::vocabulary::Vocabulary;

const DAY: i64 = 86_400;

/// A request with what the policies can look up.
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

impl Question {
    /// Puts the facts into Cedar's words. With a schema it is checked that they fit.
    pub(crate) fn of(facts: &Facts, schema: Option<&Schema>) -> Result<Self, String> {
        let vocabulary = Vocabulary::get()?;
        let principal = vocabulary.account(facts.account.id);
        let resource = vocabulary.service(facts.service.id);
        let mut entities = Vec::with_capacity(3);
        account(vocabulary, &facts.account, principal.clone(), &mut entities)?;
        entities.push(service(&facts.service, resource.clone())?);
        let connect = vocabulary.connect.clone();
        let request = Request::new(principal, connect, resource, context(facts)?, schema)
            .map_err(|e| e.to_string())?;
        let entities = Entities::from_entities(entities, schema).map_err(|e| e.to_string())?;
        Ok(Self { request, entities })
    }
}

fn account(
    vocabulary: &Vocabulary,
    account: &Account,
    uid: EntityUid,
    into: &mut Vec<Entity>,
) -> Result<(), String> {
    let mut attributes = HashMap::with_capacity(3);
    attributes.insert(
        "known".to_owned(),
        Value::new_bool(account.consumer.is_some()),
    );
    attributes.insert("proven".to_owned(), Value::new_bool(account.proven));
    let mut parents = HashSet::new();
    if let Some(consumer) = account.consumer {
        let parent = vocabulary.consumer(consumer.id);
        attributes.insert("consumer".to_owned(), Value::new_entity_uid(parent.clone()));
        parents.insert(parent.clone());
        let attributes = HashMap::from([("name".to_owned(), string(consumer.name))]);
        into.push(entity(parent, attributes, HashSet::new(), consumer.labels)?);
    }
    into.push(entity(uid, attributes, parents, &BTreeMap::new())?);
    Ok(())
}

fn service(service: &Service, uid: EntityUid) -> Result<Entity, String> {
    let mut regions: Vec<Value> = service.other_regions.iter().map(|r| string(r)).collect();
    regions.push(string(service.region));
    let attributes = HashMap::from([
        ("name".to_owned(), string(service.name)),
        ("account".to_owned(), string(service.account)),
        ("region".to_owned(), string(service.region)),
        ("regions".to_owned(), Value::new_set(regions)),
    ]);
    entity(uid, attributes, HashSet::new(), service.tags)
}

fn entity(
    uid: EntityUid,
    attributes: HashMap<String, Value>,
    parents: HashSet<EntityUid>,
    tags: &BTreeMap<String, String>,
) -> Result<Entity, String> {
    let tags = tags.iter().map(|(key, value)| (key.clone(), string(value)));
    Entity::new_with_tags(uid, attributes, parents, tags).map_err(|e| e.to_string())
}

fn context(facts: &Facts) -> Result<Context, String> {
    let endpoint = &facts.endpoint;
    let mut told = vec![
        ("id", string(endpoint.id)),
        ("region", string(endpoint.region)),
        (
            "crossRegion",
            Value::new_bool(endpoint.region != facts.service.region),
        ),
    ];
    if let Some(zones) = endpoint.zones {
        told.push((
            "zones",
            Value::new_set(zones.iter().map(|zone| string(zone))),
        ));
    }
    if let Some(kind) = endpoint.ip_address_type {
        told.push(("ipAddressType", string(kind)));
    }
    let counts = [
        (
            "connections",
            Value::new_long(facts.counts.connections.into()),
        ),
        ("onService", Value::new_long(facts.counts.on_service.into())),
        ("regions", Value::new_long(facts.counts.regions.into())),
    ];
    let waited = i64::try_from(facts.waited_seconds).unwrap_or(i64::MAX);
    let mut pairs = vec![
        ("endpoint", record(told)?),
        ("live", Value::new_bool(facts.live)),
        ("approved", Value::new_bool(facts.approved)),
        ("waitedSeconds", Value::new_long(waited)),
        ("counts", record(counts)?),
        ("time", record(time(Clock::at(facts.unix_seconds)))?),
    ];
    if let Some(listing) = facts.listing {
        let plan = listing.plan.map(|plan| ("plan", string(plan)));
        let told = [("id", string(listing.id)), ("state", string(listing.state))];
        pairs.push(("listing", record(told.into_iter().chain(plan))?));
    }
    if let Some(agreement) = facts.agreement {
        let told = [
            ("id", string(agreement.id)),
            ("state", string(agreement.state)),
            ("source", string(agreement.source)),
        ];
        pairs.push(("agreement", record(told)?));
    }
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Context::from_pairs(pairs).map_err(|e| e.to_string())
}

/// A moment in UTC as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) unix_seconds: i64,
    pub(crate) hour: i64,
    pub(crate) minute_of_day: i64,
    /// Monday is 1, Sunday is 7.
    pub(crate) weekday: i64,
}

impl Clock {
    pub(crate) fn at(unix_seconds: i64) -> Self {
        let of_day = unix_seconds.rem_euclid(DAY);
        Self {
            unix_seconds,
            hour: of_day / 3_600,
            minute_of_day: of_day / 60,
            // 1970 began on a Thursday.
            weekday: (unix_seconds.div_euclid(DAY) + 3).rem_euclid(7) + 1,
        }
    }
}

fn time(clock: Clock) -> [(&'static str, Value); 4] {
    [
        ("unixSeconds", Value::new_long(clock.unix_seconds)),
        ("hour", Value::new_long(clock.hour)),
        ("minuteOfDay", Value::new_long(clock.minute_of_day)),
        ("weekday", Value::new_long(clock.weekday)),
    ]
}

fn string(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn record(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Result<Value, String> {
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Value::new_record(fields).map_err(|e| e.to_string())
}
