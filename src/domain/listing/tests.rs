//! Every rule of listings: where steps lead, what a content may say, and what may not change.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::content_rules::{limits, missing};
use super::continuity;
use super::readiness::{
    ReadinessCheck, ReadinessFacts, ReadinessStatus, ServiceReadiness, failing, readiness,
};
use super::state::{STEPS, Target};
use super::testing::{complete, content, service};
use super::*;
use crate::domain::lifecycle::LifecycleState;
use crate::domain::private_dns::DnsState;

/// A listing that steps are taken on, without any guard: what the table alone allows.
#[derive(Debug, Clone, Copy)]
struct Walker {
    standing: Standing,
    /// Whether the open revision was approved, and the live one.
    approved: (bool, bool),
}

impl Walker {
    fn new() -> Self {
        Self {
            standing: Standing {
                state: ListingState::Draft,
                suspended_from: None,
                open: Some(RevisionStatus::Draft),
            },
            approved: (false, false),
        }
    }

    fn take(&mut self, verb: ListingVerb) -> bool {
        let Ok(taken) = self.standing.take(verb) else {
            return false;
        };
        if let Some((_, to)) = taken.step.revision {
            self.standing.open = to.is_open().then_some(to);
            match to {
                RevisionStatus::Approved => self.approved.0 = true,
                RevisionStatus::Live => self.approved.1 = std::mem::take(&mut self.approved.0),
                RevisionStatus::Draft
                | RevisionStatus::InReview
                | RevisionStatus::Rejected
                | RevisionStatus::Superseded => {
                    self.approved.0 = false;
                }
            }
            if verb == ListingVerb::BackToDraft {
                self.standing.open = Some(RevisionStatus::Draft);
            }
        }
        self.standing.state = taken.state;
        self.standing.suspended_from = taken.suspended_from;
        true
    }

    /// Somebody writes the next draft.
    fn write(&mut self) {
        let state = self.standing.state;
        if self.standing.open.is_none() && state != ListingState::Retired {
            self.standing.open = Some(RevisionStatus::Draft);
        }
    }
}

fn verbs() -> impl Strategy<Value = Vec<Option<ListingVerb>>> {
    let one = prop::option::weighted(0.9, prop::sample::select(ListingVerb::ALL));
    prop::collection::vec(one, 0..60)
}

proptest! {
    #[test]
    fn nobody_meets_what_was_not_reviewed(verbs in verbs()) {
        let mut walker = Walker::new();
        for verb in verbs {
            match verb {
                Some(verb) => { walker.take(verb); }
                None => walker.write(),
            }
            let state = walker.standing.state;
            prop_assert_eq!(walker.approved.1, state.is_released() || (state == ListingState::Retired && walker.approved.1), "{:?}", walker);
            prop_assert_eq!(state == ListingState::Suspended, walker.standing.suspended_from.is_some(), "{:?}", walker);
        }
    }

    #[test]
    fn whatever_was_done_while_it_was_suspended_it_goes_on_where_it_was(
        was in prop::sample::select(vec![ListingState::Limited, ListingState::Public, ListingState::Restricted]),
        during in verbs(),
    ) {
        let mut walker = Walker::new();
        walker.standing = Standing { state: was, suspended_from: None, open: None };
        prop_assert!(walker.take(ListingVerb::Suspend));
        for verb in during.into_iter().filter(|verb| *verb != Some(ListingVerb::Resume)) {
            match verb {
                Some(verb) => { walker.take(verb); }
                None => walker.write(),
            }
            prop_assert_eq!(walker.standing.state, ListingState::Suspended);
        }
        prop_assert!(walker.take(ListingVerb::Resume));
        prop_assert_eq!((walker.standing.state, walker.standing.suspended_from), (was, None));
    }

    #[test]
    fn from_retired_is_no_way_back(verbs in verbs()) {
        let mut walker = Walker::new();
        walker.standing.state = ListingState::Retired;
        for verb in verbs {
            match verb {
                Some(verb) => prop_assert!(!walker.take(verb)),
                None => walker.write(),
            }
        }
    }
}

#[test]
fn no_standing_has_two_steps_of_one_verb() {
    for state in ListingState::ALL {
        for verb in ListingVerb::ALL {
            let here = STEPS
                .iter()
                .filter(|step| step.verb == *verb && step.from.contains(state));
            let needs: Vec<_> = here
                .map(|step| step.revision.map(|(from, _)| from))
                .collect();
            let mut once = needs.clone();
            once.dedup();
            assert_eq!(needs, once, "{state} {verb}");
            assert!(
                needs.len() < 2 || needs.iter().all(Option::is_some),
                "{state} {verb}"
            );
        }
    }
    let whole = |target| matches!(target, Target::To(ListingState::Suspended));
    assert!(
        STEPS
            .iter()
            .all(|step| !whole(step.to) || step.verb == ListingVerb::Suspend)
    );
}

#[test]
fn a_refusal_names_both_ends() {
    let draft = Walker::new().standing;
    let refusal = draft.take(ListingVerb::Publish).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "a listing that is draft has no publish; it can be taken where the listing is limited, restricted"
    );
    let live = Standing {
        state: ListingState::Public,
        suspended_from: None,
        open: None,
    };
    let refusal = live.take(ListingVerb::Submit).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "submit needs a revision that is draft, and none is open"
    );
}

#[test]
fn a_complete_content_passes_and_reads_back_as_itself() {
    let whole = content(complete());
    assert_eq!(limits(&whole, "content"), []);
    assert_eq!(missing(&whole, "content"), []);
    assert_eq!(
        serde_json::from_value::<ListingContent>(serde_json::to_value(&whole).unwrap()).unwrap(),
        whole
    );
}

/// Puts a value at a place, or takes what is there away.
fn with(place: &str, value: Value) -> ListingContent {
    let mut whole = complete();
    let (parent, member) = place.rsplit_once('/').unwrap();
    let parent = whole.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Value::Null) => drop(members.remove(member)),
        (Value::Object(members), value) => drop(members.insert(member.to_owned(), value)),
        (Value::Array(items), value) => items[member.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{other}"),
    }
    content(whole)
}

fn blamed(wrong: &[Wrong]) -> Vec<&str> {
    wrong.iter().map(|one| one.field.as_str()).collect()
}

#[test]
fn what_is_too_long_or_out_of_shape_is_blamed_by_its_path() {
    let long = |n: usize| json!("x".repeat(n));
    for (place, value, field) in [
        ("/title", long(73), "title"),
        ("/title", json!(" "), "title"),
        ("/title", json!("two\nlines"), "title"),
        ("/short", long(1001), "short"),
        ("/long", long(5001), "long"),
        ("/highlights", json!([long(501)]), "highlights[0]"),
        ("/highlights", json!(["a", "b", "c", "d"]), "highlights"),
        ("/keywords", json!(vec![long(51)]), "keywords[0]"),
        ("/keywords", json!(["ledger", "Ledger"]), "keywords[1]"),
        ("/categories", json!(["a", "b", "c", "d"]), "categories"),
        (
            "/usage_instructions",
            json!("![x](https://a.example)"),
            "usage_instructions",
        ),
        ("/logo_url", json!("http://provider.example/x"), "logo_url"),
        (
            "/video_url",
            json!("https://user:pw@provider.example/x"),
            "video_url",
        ),
        (
            "/fulfilment_url",
            json!("https://localhost/"),
            "fulfilment_url",
        ),
        ("/support_url", json!("javascript:alert(1)"), "support_url"),
        ("/support_email", json!("nobody"), "support_email"),
        ("/refund_policy", json!("après"), "refund_policy"),
        ("/eula/version", json!("2020-01-01"), "eula.version"),
        (
            "/eula",
            json!({ "kind": "custom", "url": "https://a.example/terms.html" }),
            "eula.url",
        ),
        (
            "/resources/0/url",
            json!("ftp://a.example"),
            "resources[0].url",
        ),
        (
            "/services/0/ports/0/port",
            json!(0),
            "services[0].ports[0].port",
        ),
        (
            "/services/0/user_friendly_dns",
            json!("UPPER.example"),
            "services[0].user_friendly_dns",
        ),
        (
            "/services/0/acm_certificate_arn",
            json!("arn:aws:iam::1:x"),
            "services[0].acm_certificate_arn",
        ),
        ("/plans/0/name", json!(""), "plans[0].name"),
        (
            "/plans/0/dimensions/0/key",
            json!("a b"),
            "plans[0].dimensions[0].key",
        ),
        (
            "/plans/0/dimensions/0/types",
            json!([]),
            "plans[0].dimensions[0].types",
        ),
        (
            "/plans/0/dimensions/0/types",
            json!(["metered", "externally_metered"]),
            "plans[0].dimensions[0].types",
        ),
        (
            "/plans/0/rate_cards/1/term",
            json!("P1M"),
            "plans[0].rate_cards[1].term",
        ),
        (
            "/plans/0/rate_cards/0/rates/0/dimension",
            json!("nothing"),
            "plans[0].rate_cards[0].rates[0].dimension",
        ),
        (
            "/plans/0/rate_cards/0/rates/0/dimension",
            json!("gb_processed"),
            "plans[0].rate_cards[0].rates[0].dimension",
        ),
        (
            "/plans/0/rate_cards/0/rates/0/price",
            json!("1.001"),
            "plans[0].rate_cards[0].rates[0].price",
        ),
        ("/plans/0/trial_days", json!(6), "plans[0].trial_days"),
        (
            "/plans/0/quotas/max_endpoints",
            json!(0),
            "plans[0].quotas.max_endpoints",
        ),
        (
            "/plans/0/grace/expired",
            json!(7_776_001),
            "plans[0].grace.expired",
        ),
        (
            "/plans/0/approval/seconds",
            json!(0),
            "plans[0].approval.seconds",
        ),
        ("/plans/0/regions", json!([]), "plans[0].regions"),
        (
            "/plans/0/agreement_required",
            json!(false),
            "plans[0].agreement_required",
        ),
    ] {
        let wrong = limits(&with(place, value), "content");
        assert!(
            blamed(&wrong).contains(&format!("content.{field}").as_str()),
            "{place}: {wrong:?}"
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let empty = ListingContent::default();
    assert_eq!(blamed(&limits(&empty, "content")), ["content.title"]);
    assert_eq!(missing(&empty, "content").len(), 13);
}

#[test]
fn a_plan_has_each_price_that_could_be_owed_and_no_other() {
    for (place, value, field) in [
        ("/plans/0/currency", Value::Null, "plans[0].currency"),
        ("/plans/0/pricing_model", json!("free"), "plans[0].currency"),
        (
            "/plans/0/pricing_model",
            json!("usage"),
            "plans[0].rate_cards[0]",
        ),
        (
            "/plans/0/pricing_model",
            json!("contract"),
            "plans[0].rate_cards[2]",
        ),
        ("/plans/0/rate_cards", json!([]), "plans[0].rate_cards"),
        (
            "/plans/0/rate_cards/1/rates",
            json!([]),
            "plans[0].rate_cards[1].rates",
        ),
        ("/plans/0/dimensions", json!([]), "plans[0].dimensions"),
        ("/services/0/ports", json!([]), "services[0].ports"),
        (
            "/services/0/acceptance",
            json!("open"),
            "services[0].acceptance",
        ),
    ] {
        let wrong = missing(&with(place, value), "content");
        assert!(
            blamed(&wrong).contains(&format!("content.{field}").as_str()),
            "{place}: {wrong:?}"
        );
    }
    let free = with(
        "/plans",
        json!([{ "name": "Free", "pricing_model": "free", "agreement_required": false }]),
    );
    assert_eq!(
        (limits(&free, "content"), missing(&free, "content")),
        (vec![], vec![])
    );
}

#[test]
fn prices_are_strings_and_currencies_can_be_paid_in() {
    for (place, value, said) in [
        (
            "/plans/0/rate_cards/0/rates/0/price",
            json!(12.5),
            "a decimal string such as \"12.5\", not the JSON number",
        ),
        ("/plans/0/currency", json!("XXZ"), "ISO 4217"),
    ] {
        let mut whole = complete();
        *whole.pointer_mut(place).unwrap() = value;
        let refusal = serde_json::from_value::<ListingContent>(whole)
            .unwrap_err()
            .to_string();
        assert!(refusal.contains(said), "{refusal}");
    }
}

#[test]
fn what_agreements_are_bound_to_does_not_change_once_it_was_live() {
    let live = content(complete());
    let check = |next: &ListingContent| continuity::broken(next, |id| live.plan(id), "content");
    assert_eq!(check(&live), []);
    for (place, value) in [
        ("/plans/0/rate_cards/0/rates/0/price", json!("99.00")),
        ("/plans/0/trial_days", Value::Null),
        ("/plans/0/name", json!("Another name")),
    ] {
        assert_eq!(check(&with(place, value)), [], "{place}");
    }
    for (place, value, field) in [
        ("/plans/0/pricing_model", json!("usage"), "pricing_model"),
        ("/plans/0/currency", json!("USD"), "currency"),
        ("/plans/0/dimensions/0/key", json!("seat"), "dimensions"),
        (
            "/plans/0/dimensions/0/types",
            json!(["metered"]),
            "dimensions[0].types",
        ),
        (
            "/plans/0/dimensions/0/unit",
            json!("Users"),
            "dimensions[0].unit",
        ),
    ] {
        let wrong = check(&with(place, value));
        assert_eq!(
            blamed(&wrong),
            [format!("content.plans[0].{field}")],
            "{place}"
        );
    }
    let other = with("/plans/0/id", json!("pln_00000000000000000000000000000002"));
    assert_eq!(check(&other), [], "another plan");
}

fn ready() -> ReadinessFacts {
    ReadinessFacts {
        services: vec![ServiceReadiness {
            id: service(),
            lifecycle: LifecycleState::Active,
            state: Some("Available".to_owned()),
            principals: ["arn:aws:iam::222222222222:root".to_owned()].into(),
            principals_read: true,
            private_dns: Some(DnsState::Verified),
            healthy_zones: Some(["euw1-az1".to_owned(), "euw1-az2".to_owned()].into()),
            sold_by: None,
        }],
        test_connection: true,
    }
}

#[test]
fn each_check_fails_by_its_own_fact_and_what_is_unknown_does_not_pass() {
    let whole = content(complete());
    assert_eq!(failing(readiness(&whole, &ready())), []);
    let changes: [(fn(&mut ReadinessFacts), ReadinessCheck, ReadinessStatus); 11] = [
        (
            |f| f.services[0].state = Some("Pending".to_owned()),
            ReadinessCheck::ServiceAvailable,
            ReadinessStatus::Fail,
        ),
        (
            |f| f.services[0].state = None,
            ReadinessCheck::ServiceAvailable,
            ReadinessStatus::Unknown,
        ),
        (
            |f| f.services[0].lifecycle = LifecycleState::Draining,
            ReadinessCheck::ServiceAvailable,
            ReadinessStatus::Fail,
        ),
        (
            |f| f.services.clear(),
            ReadinessCheck::ServiceAvailable,
            ReadinessStatus::Fail,
        ),
        (
            |f| f.services[0].principals.extend(["*".to_owned()]),
            ReadinessCheck::NoWildcardPrincipal,
            ReadinessStatus::Fail,
        ),
        (
            |f| f.services[0].principals_read = false,
            ReadinessCheck::NoWildcardPrincipal,
            ReadinessStatus::Unknown,
        ),
        (
            |f| f.services[0].private_dns = Some(DnsState::Regressed),
            ReadinessCheck::PrivateDnsVerified,
            ReadinessStatus::Fail,
        ),
        (
            |f| f.services[0].healthy_zones = None,
            ReadinessCheck::ZonesHealthy,
            ReadinessStatus::Unknown,
        ),
        (
            |f| f.services[0].healthy_zones = Some(["euw1-az1".to_owned()].into()),
            ReadinessCheck::ZonesHealthy,
            ReadinessStatus::Fail,
        ),
        (
            |f| f.services[0].sold_by = Some(uuid::Uuid::nil().into()),
            ReadinessCheck::ServiceFree,
            ReadinessStatus::Fail,
        ),
        (
            |f| f.test_connection = false,
            ReadinessCheck::TestConnection,
            ReadinessStatus::Fail,
        ),
    ];
    for (change, check, status) in changes {
        let mut facts = ready();
        change(&mut facts);
        let found: Vec<_> = failing(readiness(&whole, &facts))
            .into_iter()
            .map(|one| (one.check, one.status))
            .collect();
        assert_eq!(found, [(check, status)]);
    }
    let bare = ListingContent {
        fulfilment_url: None,
        support_url: None,
        support_email: None,
        ..whole
    };
    assert_eq!(failing(readiness(&bare, &ready())).len(), 2);
}

#[test]
fn a_listing_is_seen_by_those_that_it_is_for() {
    let (us, them): (AccountId, AccountId) = (
        "222222222222".parse().unwrap(),
        "333333333333".parse().unwrap(),
    );
    let stamp = Stamp {
        at: DateTime::UNIX_EPOCH,
        by: "ann".to_owned(),
    };
    let mut listing = Listing {
        id: uuid::Uuid::nil().into(),
        slug: "ledger".to_owned(),
        state: ListingState::Draft,
        suspended_from: None,
        live_revision: Some(1),
        visibility: Visibility::Public,
        allow_list: [us.clone()].into(),
        version: 1,
        created: stamp.clone(),
        moved: stamp,
        moved_reason: None,
    };
    let mut seen = |state, visibility| {
        (listing.state, listing.visibility) = (state, visibility);
        [
            BTreeSet::from([us.clone()]),
            BTreeSet::from([them.clone()]),
            BTreeSet::new(),
        ]
        .map(|who| (listing.is_listed_for(&who), listing.is_shown_to(&who)))
    };
    let (no, yes) = ((false, false), (true, true));
    assert_eq!(
        seen(ListingState::Public, Visibility::Public),
        [yes, yes, yes]
    );
    assert_eq!(
        seen(ListingState::Public, Visibility::Unlisted),
        [yes, (false, true), (false, true)]
    );
    assert_eq!(
        seen(ListingState::Public, Visibility::AllowList),
        [yes, no, no]
    );
    assert_eq!(
        seen(ListingState::Limited, Visibility::Public),
        [yes, no, no]
    );
    for state in ListingState::ALL.iter().filter(|state| !state.sells()) {
        assert_eq!(seen(*state, Visibility::Public), [no, no, no], "{state}");
    }
}
