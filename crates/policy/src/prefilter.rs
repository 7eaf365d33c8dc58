//! Which policies cannot apply, found without asking Cedar about each.
//!
//! Cedar evaluates every policy of a set for every request, at about a microsecond each, and nearly all of them do not apply because of something plain: another service, another
//! Region, no agreement. Those plain clauses are understood here. The rest is `Unknown`, and only a policy that is surely false is left out, so this can never make a
//! policy apply; Cedar has the word on all that are left.
//!
//! To leave a policy out, its evaluation must be known to end in `false` and not in an error. Strict validation leaves no errors but those of arithmetic and of
//! extension functions, so nothing behind a clause with either is looked at. A property test compares the answers with and without this.

use serde_json::Value;

use crate::explain::cut;
use crate::facts::Facts;
use crate::request::Clock;

/// What is known of a policy's truth. Three-valued: a clause that is not understood is `Unknown`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Unknown,
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Flag(Flag),
    Has(Part),
    /// Whether a text is one of these.
    OneOf(Text, Vec<String>),
    Number(Number, Relation, i64),
    /// Whether the account is one of these accounts, or belongs to one of these consumers.
    Account {
        accounts: Vec<String>,
        consumers: Vec<String>,
    },
    /// Whether the service is one of these.
    Service(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    Known,
    Proven,
    Live,
    Approved,
    CrossRegion,
}

/// What may be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Consumer,
    ConsumerLabel(String),
    ServiceTag(String),
    Zones,
    IpAddressType,
    Listing,
    Plan,
    Agreement,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    ConsumerLabel(String),
    ServiceTag(String),
    ServiceName,
    EndpointRegion,
    IpAddressType,
    ListingState,
    Plan,
    AgreementState,
    AgreementSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Waited,
    Connections,
    OnService,
    Regions,
    UnixSeconds,
    Hour,
    MinuteOfDay,
    Weekday,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
}

impl Test {
    /// What can be tested of a policy in Cedar's JSON form: its clauses in Cedar's order, as far as the first that can fail. One before that which is false ends the
    /// evaluation in `false`; what is behind it could end in an error first.
    pub(crate) fn of(policy: &Value) -> Self {
        let mut all = vec![
            scope(&policy["principal"], account),
            scope(&policy["resource"], service),
        ];
        for condition in policy["conditions"].as_array().into_iter().flatten() {
            let when = condition["kind"] == "when";
            let mut clauses = Vec::new();
            cut(
                &condition["body"],
                if when { "&&" } else { "||" },
                &mut clauses,
            );
            for clause in clauses {
                if can_fail(clause) {
                    all.push(Self::Unknown);
                    return Self::All(all);
                }
                let test = read(clause);
                all.push(if when {
                    test
                } else {
                    Self::Not(Box::new(test))
                });
            }
        }
        Self::All(all)
    }

    /// Whether it holds; `None` where that is not known.
    pub(crate) fn holds(&self, facts: &Facts, clock: &Clock) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::All(tests) => {
                let mut known = Some(true);
                for test in tests {
                    match test.holds(facts, clock) {
                        Some(false) => return Some(false),
                        None => known = None,
                        Some(true) => {}
                    }
                }
                known
            }
            Self::Any(tests) => {
                let mut known = Some(false);
                for test in tests {
                    match test.holds(facts, clock) {
                        Some(true) => return Some(true),
                        None => known = None,
                        Some(false) => {}
                    }
                }
                known
            }
            Self::Not(test) => test.holds(facts, clock).map(|holds| !holds),
            Self::Flag(flag) => Some(flag.of(facts)),
            Self::Has(part) => Some(part.is_there(facts)),
            Self::OneOf(text, words) => text.of(facts).map(|t| words.iter().any(|word| word == t)),
            Self::Number(number, relation, with) => {
                Some(relation.holds(number.of(facts, clock), *with))
            }
            Self::Account {
                accounts,
                consumers,
            } => Some(
                accounts.iter().any(|id| id == facts.account.id)
                    || facts
                        .account
                        .consumer
                        .is_some_and(|c| consumers.iter().any(|id| id == c.id)),
            ),
            Self::Service(services) => Some(services.iter().any(|id| id == facts.service.id)),
        }
    }
}

impl Flag {
    fn of(self, facts: &Facts) -> bool {
        match self {
            Self::Known => facts.account.consumer.is_some(),
            Self::Proven => facts.account.proven,
            Self::Live => facts.live,
            Self::Approved => facts.approved,
            Self::CrossRegion => facts.endpoint.region != facts.service.region,
        }
    }
}

impl Part {
    fn is_there(&self, facts: &Facts) -> bool {
        match self {
            Self::Consumer => facts.account.consumer.is_some(),
            Self::ConsumerLabel(key) => facts
                .account
                .consumer
                .is_some_and(|c| c.labels.contains_key(key)),
            Self::ServiceTag(key) => facts.service.tags.contains_key(key),
            Self::Zones => facts.endpoint.zones.is_some(),
            Self::IpAddressType => facts.endpoint.ip_address_type.is_some(),
            Self::Listing => facts.listing.is_some(),
            Self::Plan => facts.listing.is_some_and(|listing| listing.plan.is_some()),
            Self::Agreement => facts.agreement.is_some(),
        }
    }
}

impl Text {
    /// The text; `None` where what it belongs to is absent. Then the clause that guards it is false, which is another test.
    fn of<'a>(&self, facts: &Facts<'a>) -> Option<&'a str> {
        match self {
            Self::ConsumerLabel(key) => facts
                .account
                .consumer
                .and_then(|c| c.labels.get(key))
                .map(String::as_str),
            Self::ServiceTag(key) => facts.service.tags.get(key).map(String::as_str),
            Self::ServiceName => Some(facts.service.name),
            Self::EndpointRegion => Some(facts.endpoint.region),
            Self::IpAddressType => facts.endpoint.ip_address_type,
            Self::ListingState => facts.listing.map(|listing| listing.state),
            Self::Plan => facts.listing.and_then(|listing| listing.plan),
            Self::AgreementState => facts.agreement.map(|agreement| agreement.state),
            Self::AgreementSource => facts.agreement.map(|agreement| agreement.source),
        }
    }
}

impl Number {
    fn of(self, facts: &Facts, clock: &Clock) -> i64 {
        match self {
            Self::Waited => i64::try_from(facts.waited_seconds).unwrap_or(i64::MAX),
            Self::Connections => facts.counts.connections.into(),
            Self::OnService => facts.counts.on_service.into(),
            Self::Regions => facts.counts.regions.into(),
            Self::UnixSeconds => clock.unix_seconds,
            Self::Hour => clock.hour,
            Self::MinuteOfDay => clock.minute_of_day,
            Self::Weekday => clock.weekday,
        }
    }
}

impl Relation {
    fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::More => left > right,
            Self::MoreOrEqual => left >= right,
            Self::Equal => left == right,
        }
    }

    /// The same with the sides changed.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::LessOrEqual => Self::MoreOrEqual,
            Self::More => Self::Less,
            Self::MoreOrEqual => Self::LessOrEqual,
            Self::Equal => Self::Equal,
        }
    }
}

/// Whether evaluating an expression can end in an error in spite of strict validation. What is not known can.
fn can_fail(expression: &Value) -> bool {
    let Some((operator, operands)) = single(expression) else {
        return true;
    };
    match operator {
        "Value" | "Var" => false,
        "!" | "isEmpty" => can_fail(&operands["arg"]),
        "." | "has" | "like" => can_fail(&operands["left"]),
        "is" => can_fail(&operands["left"]) || operands.get("in").is_some_and(can_fail),
        "==" | "!=" | "<" | "<=" | ">" | ">=" | "&&" | "||" | "in" | "contains" | "containsAll"
        | "containsAny" | "getTag" | "hasTag" => {
            can_fail(&operands["left"]) || can_fail(&operands["right"])
        }
        "if-then-else" => ["if", "then", "else"]
            .iter()
            .any(|part| can_fail(&operands[*part])),
        "Set" => operands
            .as_array()
            .is_none_or(|elements| elements.iter().any(can_fail)),
        _ => true,
    }
}

fn single(expression: &Value) -> Option<(&str, &Value)> {
    let members = expression.as_object()?;
    let (operator, operands) = members.iter().next()?;
    (members.len() == 1).then_some((operator.as_str(), operands))
}

fn read(expression: &Value) -> Test {
    let Some((operator, operands)) = single(expression) else {
        return Test::Unknown;
    };
    let (left, right) = (&operands["left"], &operands["right"]);
    match operator {
        "Value" => match operands.as_bool() {
            Some(true) => Test::All(Vec::new()),
            Some(false) => Test::Any(Vec::new()),
            None => Test::Unknown,
        },
        "&&" => Test::All(vec![read(left), read(right)]),
        "||" => Test::Any(vec![read(left), read(right)]),
        "!" => Test::Not(Box::new(read(&operands["arg"]))),
        "." => flag(expression).map_or(Test::Unknown, Test::Flag),
        "has" => has(left, &operands["attr"]).map_or(Test::Unknown, Test::Has),
        "hasTag" => tag(left, right).map_or(Test::Unknown, |tag| {
            Test::Has(match tag {
                Text::ServiceTag(key) => Part::ServiceTag(key),
                Text::ConsumerLabel(key) => Part::ConsumerLabel(key),
                _ => return Test::Unknown,
            })
        }),
        "==" => equal(left, right),
        "!=" => match equal(left, right) {
            Test::Unknown => Test::Unknown,
            equal => Test::Not(Box::new(equal)),
        },
        "<" => compare(left, Relation::Less, right),
        "<=" => compare(left, Relation::LessOrEqual, right),
        ">" => compare(left, Relation::More, right),
        ">=" => compare(left, Relation::MoreOrEqual, right),
        "contains" => contains(left, right),
        "in" => within(left, right),
        _ => Test::Unknown,
    }
}

fn equal(left: &Value, right: &Value) -> Test {
    for (one, other) in [(left, right), (right, left)] {
        if let (Some(text), Some(word)) = (text(one), other["Value"].as_str()) {
            return Test::OneOf(text, vec![word.to_owned()]);
        }
        if one["Var"].is_string() && !other["Value"]["__entity"].is_null() {
            // Not `in`: an account equals no consumer.
            return is_one_of(one, std::slice::from_ref(other));
        }
    }
    compare(left, Relation::Equal, right)
}

fn compare(left: &Value, relation: Relation, right: &Value) -> Test {
    if let (Some(number), Some(with)) = (number(left), right["Value"].as_i64()) {
        return Test::Number(number, relation, with);
    }
    if let (Some(with), Some(number)) = (left["Value"].as_i64(), number(right)) {
        return Test::Number(number, relation.turned(), with);
    }
    Test::Unknown
}

fn contains(set: &Value, element: &Value) -> Test {
    let Some(elements) = set["Set"].as_array() else {
        return Test::Unknown;
    };
    if element["Var"].is_string() {
        return is_one_of(element, elements);
    }
    let words: Option<Vec<String>> = elements
        .iter()
        .map(|e| e["Value"].as_str().map(ToOwned::to_owned))
        .collect();
    match (text(element), words) {
        (Some(text), Some(words)) => Test::OneOf(text, words),
        _ => Test::Unknown,
    }
}

/// `principal` or `resource` among entities, without looking at what they belong to.
fn is_one_of(variable: &Value, entities: &[Value]) -> Test {
    let ids = |kind: &str| -> Option<Vec<String>> {
        let of_kind = |entity: &&Value| entity["Value"]["__entity"]["type"] == kind;
        let id = |entity: &Value| {
            entity["Value"]["__entity"]["id"]
                .as_str()
                .map(ToOwned::to_owned)
        };
        entities
            .iter()
            .all(|e| of_kind(&e))
            .then(|| entities.iter().map(id).collect())?
    };
    match variable["Var"].as_str() {
        Some("principal") => ids("Account").map_or(Test::Unknown, |accounts| Test::Account {
            accounts,
            consumers: Vec::new(),
        }),
        Some("resource") => ids("Service").map_or(Test::Unknown, Test::Service),
        _ => Test::Unknown,
    }
}

fn within(variable: &Value, group: &Value) -> Test {
    let entities: Option<Vec<&Value>> = match group["Set"].as_array() {
        Some(elements) => elements
            .iter()
            .map(|e| e["Value"].get("__entity"))
            .collect(),
        None => group["Value"].get("__entity").map(|entity| vec![entity]),
    };
    let Some(entities) = entities else {
        return Test::Unknown;
    };
    match variable["Var"].as_str() {
        Some("principal") => account(&entities),
        Some("resource") => service(&entities),
        _ => Test::Unknown,
    }
}

fn scope(constraint: &Value, among: fn(&[&Value]) -> Test) -> Test {
    let all = constraint["op"] == "All" || (constraint["op"] == "is" && constraint["in"].is_null());
    if all {
        return Test::All(Vec::new());
    }
    // `is Account in …` and `in …` differ in nothing: there is one type of each.
    let within = if constraint["op"] == "is" {
        &constraint["in"]
    } else {
        constraint
    };
    if let Some(entities) = within["entities"].as_array() {
        return among(&entities.iter().collect::<Vec<_>>());
    }
    within
        .get("entity")
        .map_or(Test::Unknown, |entity| among(&[entity]))
}

fn account(entities: &[&Value]) -> Test {
    let (mut accounts, mut consumers) = (Vec::new(), Vec::new());
    for entity in entities {
        match (entity["type"].as_str(), entity["id"].as_str()) {
            (Some("Account"), Some(id)) => accounts.push(id.to_owned()),
            (Some("Consumer"), Some(id)) => consumers.push(id.to_owned()),
            _ => return Test::Unknown,
        }
    }
    Test::Account {
        accounts,
        consumers,
    }
}

fn service(entities: &[&Value]) -> Test {
    let ids: Option<Vec<String>> = entities
        .iter()
        .map(
            |entity| match (entity["type"].as_str(), entity["id"].as_str()) {
                (Some("Service"), Some(id)) => Some(id.to_owned()),
                _ => None,
            },
        )
        .collect();
    ids.map_or(Test::Unknown, Test::Service)
}

/// `context.a.b` as its names.
fn path(expression: &Value) -> Option<Vec<&str>> {
    crate::words::path(expression)
}

fn flag(expression: &Value) -> Option<Flag> {
    Some(match path(expression)?.as_slice() {
        ["principal", "known"] => Flag::Known,
        ["principal", "proven"] => Flag::Proven,
        ["context", "live"] => Flag::Live,
        ["context", "approved"] => Flag::Approved,
        ["context", "endpoint", "crossRegion"] => Flag::CrossRegion,
        _ => return None,
    })
}

fn has(of: &Value, attribute: &Value) -> Option<Part> {
    let mut path = path(of)?;
    path.push(attribute.as_str()?);
    Some(match path.as_slice() {
        ["principal", "consumer"] => Part::Consumer,
        ["context", "endpoint", "zones"] => Part::Zones,
        ["context", "endpoint", "ipAddressType"] => Part::IpAddressType,
        ["context", "listing"] => Part::Listing,
        ["context", "listing", "plan"] => Part::Plan,
        ["context", "agreement"] => Part::Agreement,
        _ => return None,
    })
}

fn tag(of: &Value, key: &Value) -> Option<Text> {
    let key = key["Value"].as_str()?.to_owned();
    Some(match path(of)?.as_slice() {
        ["principal", "consumer"] => Text::ConsumerLabel(key),
        ["resource"] => Text::ServiceTag(key),
        _ => return None,
    })
}

fn text(expression: &Value) -> Option<Text> {
    if let Some(operands) = expression.get("getTag") {
        return tag(&operands["left"], &operands["right"]);
    }
    Some(match path(expression)?.as_slice() {
        ["resource", "name"] => Text::ServiceName,
        ["context", "endpoint", "region"] => Text::EndpointRegion,
        ["context", "endpoint", "ipAddressType"] => Text::IpAddressType,
        ["context", "listing", "state"] => Text::ListingState,
        ["context", "listing", "plan"] => Text::Plan,
        ["context", "agreement", "state"] => Text::AgreementState,
        ["context", "agreement", "source"] => Text::AgreementSource,
        _ => return None,
    })
}

fn number(expression: &Value) -> Option<Number> {
    Some(match path(expression)?.as_slice() {
        ["context", "waitedSeconds"] => Number::Waited,
        ["context", "counts", "connections"] => Number::Connections,
        ["context", "counts", "onService"] => Number::OnService,
        ["context", "counts", "regions"] => Number::Regions,
        ["context", "time", "unixSeconds"] => Number::UnixSeconds,
        ["context", "time", "hour"] => Number::Hour,
        ["context", "time", "minuteOfDay"] => Number::MinuteOfDay,
        ["context", "time", "weekday"] => Number::Weekday,
        _ => return None,
    })
}
