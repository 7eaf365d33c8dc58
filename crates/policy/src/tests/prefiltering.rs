//! Leaving policies out beforehand never changes an answer.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::prefilter::Test;
use crate::request::Clock;
use crate::testing::{bare, compiled, facts};
use crate::{Account, Agreement, Consumer, Counts, Endpoint, Facts, Listing, Service};

/// Clauses over everything that can be seen, understood beforehand or not.
const CLAUSES: &[&str] = &[
    "principal.known",
    "principal.proven",
    "context.live",
    "context.approved",
    "context.endpoint.crossRegion",
    "principal == Account::\"000000000001\"",
    "principal != Account::\"000000000001\"",
    "principal in Consumer::\"cns_1\"",
    "principal in [Account::\"000000000002\", Account::\"000000000001\"]",
    "principal in [Consumer::\"cns_1\", Consumer::\"cns_2\"]",
    "[Account::\"000000000001\"].contains(principal)",
    "principal is Account",
    "(principal has consumer && principal.consumer == Consumer::\"cns_1\")",
    "(principal has consumer && principal.consumer.name like \"E*\")",
    "(principal has consumer && principal.consumer.hasTag(\"tier\") && principal.consumer.getTag(\"tier\") == \"gold\")",
    "(principal has consumer && principal.consumer.hasTag(\"tier\"))",
    "resource == Service::\"svc_1\"",
    "resource in [Service::\"svc_2\", Service::\"svc_1\"]",
    "resource.name == \"ledger\"",
    "resource.regions.contains(context.endpoint.region)",
    "resource.region == context.endpoint.region",
    "(resource.hasTag(\"stage\") && resource.getTag(\"stage\") != \"live\")",
    "[\"eu-west-1\", \"us-east-1\"].contains(context.endpoint.region)",
    "context.endpoint.region == \"eu-central-1\"",
    "\"eu-west-1\" != context.endpoint.region",
    "(context.endpoint has zones && context.endpoint.zones.contains(\"euc1-az1\"))",
    "(context.endpoint has ipAddressType && context.endpoint.ipAddressType != \"ipv6\")",
    "context.waitedSeconds > 3600",
    "context.counts.connections < 3",
    "3 <= context.counts.onService",
    "context.counts.regions == 1",
    "1 != context.counts.regions",
    "context.counts.connections + context.counts.onService < 4",
    "context.waitedSeconds + 9223372036854775000 > 0",
    "context.time.hour >= 8",
    "context.time.weekday <= 5",
    "context.time.minuteOfDay < 750",
    "context.time.unixSeconds > 1800000000",
    "(context has listing && context.listing.state == \"public\")",
    "(context has listing.plan && context.listing.plan == \"basic\")",
    "(context has agreement && context.agreement.state == \"active\")",
    "(context has agreement && [\"aws\"].contains(context.agreement.source))",
    "(if context.live then principal.known else principal.proven)",
    "true",
    "false",
];

const SCOPES: &[&str] = &[
    "principal, action, resource",
    "principal, action == Action::\"connect\", resource",
    "principal == Account::\"000000000001\", action, resource",
    "principal in Consumer::\"cns_1\", action, resource",
    "principal is Account in Consumer::\"cns_2\", action, resource",
    "principal is Account, action, resource is Service",
    "principal, action, resource == Service::\"svc_1\"",
    "principal, action in [Action::\"connect\"], resource in Service::\"svc_2\"",
];

fn clause() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(CLAUSES).prop_map(ToOwned::to_owned);
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn policy() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(&["permit", "forbid"][..]);
    let condition = (prop::sample::select(&["when", "unless"][..]), clause())
        .prop_map(|(kind, clause)| format!("{kind} {{ {clause} }}"));
    let conditions = prop::collection::vec(condition, 0..3);
    (kind, prop::sample::select(SCOPES), conditions)
        .prop_map(|(kind, scope, conditions)| format!("{kind} ({scope}) {};", conditions.join(" ")))
}

/// A set; each policy has an id of its own, also where two say the same.
pub(crate) fn set() -> impl Strategy<Value = String> {
    prop::collection::vec(policy(), 1..12).prop_map(|policies| {
        let numbered = policies.iter().enumerate();
        let numbered = numbered.map(|(n, policy)| format!("@id(\"p{n}\") {policy}\n"));
        numbered.collect::<Vec<_>>().concat()
    })
}

/// Facts that own what they are made of.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    account: String,
    consumer: Option<String>,
    labels: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    service: String,
    region: &'static str,
    zones: Option<Vec<String>>,
    ip_address_type: Option<&'static str>,
    flags: (bool, bool),
    numbers: (u64, u32, u32, u32, i64),
    listing: Option<(&'static str, Option<&'static str>)>,
    agreement: Option<(&'static str, &'static str)>,
}

pub(crate) fn owned() -> impl Strategy<Value = Owned> {
    let label = prop::sample::select(&["gold", "silver"][..]).prop_map(ToOwned::to_owned);
    let labels = prop::collection::btree_map(Just("tier".to_owned()), label, 0..2);
    let tag = prop::sample::select(&["live", "test"][..]).prop_map(ToOwned::to_owned);
    let tags = prop::collection::btree_map(Just("stage".to_owned()), tag, 0..2);
    let who = (0..3_u8, prop::option::of(1..3_u8), labels, tags, 1..3_u8);
    let regions = prop::sample::select(&["eu-central-1", "eu-west-1", "us-east-1"][..]);
    let zones = prop::option::of(prop::collection::vec("euc1-az[123]", 0..3));
    let kind = prop::option::of(prop::sample::select(&["ipv4", "ipv6", "dualstack"][..]));
    let numbers = (
        0..8_000_u64,
        0..5_u32,
        0..5_u32,
        0..3_u32,
        1_799_000_000..1_801_000_000_i64,
    );
    let plan = prop::option::of(prop::sample::select(&["basic", "large"][..]));
    let listing = prop::option::of((prop::sample::select(&["public", "limited"][..]), plan));
    let state = prop::sample::select(&["active", "pending", "ended"][..]);
    let agreement = prop::option::of((state, prop::sample::select(&["aws", "private"][..])));
    (
        who,
        (regions, zones, kind),
        (any::<bool>(), any::<bool>()),
        numbers,
        listing,
        agreement,
    )
        .prop_map(
            |(who, (region, zones, ip_address_type), flags, numbers, listing, agreement)| {
                let (account, consumer, labels, tags, service) = who;
                Owned {
                    account: format!("{account:012}"),
                    consumer: consumer.map(|n| format!("cns_{n}")),
                    labels,
                    tags,
                    service: format!("svc_{service}"),
                    region,
                    zones,
                    ip_address_type,
                    flags,
                    numbers,
                    listing,
                    agreement,
                }
            },
        )
}

impl Owned {
    pub(crate) fn facts(&self) -> Facts<'_> {
        let (waited_seconds, connections, on_service, regions, unix_seconds) = self.numbers;
        Facts {
            account: Account {
                id: &self.account,
                proven: self.flags.0,
                consumer: self.consumer.as_ref().map(|id| Consumer {
                    id,
                    name: "Example",
                    labels: &self.labels,
                }),
            },
            service: Service {
                id: &self.service,
                tags: &self.tags,
                ..facts().service
            },
            endpoint: Endpoint {
                id: "vpce-0123456789abcdef0",
                region: self.region,
                zones: self.zones.as_deref(),
                ip_address_type: self.ip_address_type,
            },
            live: self.flags.1,
            approved: self.flags.0 != self.flags.1,
            waited_seconds,
            counts: Counts {
                connections,
                on_service,
                regions,
            },
            unix_seconds,
            listing: self.listing.map(|(state, plan)| Listing {
                id: "lst_1",
                state,
                plan,
            }),
            agreement: self.agreement.map(|(state, source)| Agreement {
                id: "agr_1",
                state,
                source,
            }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn leaving_policies_out_changes_no_answer(text in set(), owned in prop::collection::vec(owned(), 4)) {
        let set = compiled(&text);
        for owned in owned {
            let facts = owned.facts();
            prop_assert_eq!(set.evaluate(&facts), set.evaluate_all(&facts), "{}", text);
        }
    }

    #[test]
    fn explaining_agrees_with_deciding(text in set(), owned in owned()) {
        use crate::{Answer, Effect};
        let set = compiled(&text);
        let facts = owned.facts();
        let (verdict, explained) = (set.evaluate(&facts), set.explain(&facts).unwrap());
        prop_assert_eq!(explained.len(), set.len());
        let applying = |effect| {
            let applies = |e: &&crate::Explained| e.effect == effect && e.answer == Answer::Applies;
            let mut ids: Vec<_> = explained.iter().filter(applies).map(|e| e.id.clone()).collect();
            ids.sort();
            ids
        };
        let forbids = applying(Effect::Forbid);
        let expected = if forbids.is_empty() { applying(Effect::Permit) } else { forbids };
        let determining: Vec<_> = verdict.determining.iter().map(|m| m.id.clone()).collect();
        prop_assert_eq!(determining, expected);
        let failed = explained.iter().filter(|e| matches!(e.answer, Answer::Failed(_))).count();
        prop_assert_eq!(failed, verdict.failures.len());
    }

    #[test]
    fn another_forbid_never_permits_more(text in set(), more in policy(), owned in owned()) {
        let facts = owned.facts();
        let before = compiled(&text).evaluate(&facts);
        let forbid = more.replacen("permit (", "forbid (", 1);
        let after = compiled(&format!("{text}@id(\"more\") {forbid}")).evaluate(&facts);
        if before.effect != crate::Effect::Permit {
            prop_assert_ne!(after.effect, crate::Effect::Permit);
        }
        if before.effect == crate::Effect::Forbid {
            prop_assert_eq!(after.effect, crate::Effect::Forbid);
        }
    }

    #[test]
    fn a_failure_never_permits(text in set(), owned in owned()) {
        let verdict = compiled(&text).evaluate(&owned.facts());
        if !verdict.failures.is_empty() {
            prop_assert_ne!(verdict.effect, crate::Effect::Permit);
        }
    }
}

fn test_of(condition: &str, facts: &Facts) -> Option<bool> {
    let set = compiled(&format!(
        "permit (principal, action, resource) when {{ {condition} }};"
    ));
    let test: &Test = &set.policies[0].test;
    test.holds(facts, &Clock::at(facts.unix_seconds))
}

/// The clauses of the templates are understood: else the filter would be of no use.
#[test]
fn plain_clauses_are_understood() {
    let understood = CLAUSES
        .iter()
        .filter(|clause| test_of(clause, &facts()).is_some())
        .count();
    assert!(
        understood > CLAUSES.len() * 2 / 3,
        "{understood} of {}",
        CLAUSES.len()
    );
    for template in crate::TEMPLATES {
        for one in &compiled(template.text).policies {
            let holds = one.test.holds(&bare(), &Clock::at(0));
            assert!(holds.is_some(), "{}", one.told.id);
        }
    }
}

#[test]
fn nothing_behind_what_can_fail_is_looked_at() {
    for sum in [
        "context.counts.regions + 1 > 0",
        "-context.counts.regions < 0",
        "context.counts.regions * 2 > 0",
    ] {
        let holds = |condition: String| test_of(&condition, &facts());
        assert_eq!(holds(format!("{sum} && false")), None, "{sum}");
        assert_eq!(holds(format!("(false && {sum}) || false")), None, "{sum}");
        assert_eq!(holds(format!("false && {sum}")), Some(false), "{sum}");
    }
}
