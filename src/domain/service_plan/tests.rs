use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const HOME: &str = "eu-west-1";

fn words<const N: usize>(values: [&str; N]) -> BTreeSet<String> {
    values.into_iter().map(str::to_owned).collect()
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(select(of).prop_map(str::to_owned), 0..of.len())
}

const PRINCIPALS: &[&str] = &["*", "a", "b", "c", "d"];
const TYPES: &[&str] = &["ipv4", "ipv6"];
const REGIONS: &[&str] = &[HOME, "us-east-1", "eu-north-1"];
const KEYS: &[&str] = &["Name", "team", "stage"];

fn tags_of() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = select(&["x", "y"][..]).prop_map(str::to_owned);
    btree_map(select(KEYS).prop_map(str::to_owned), value, 0..3)
}

/// At least one address type, as AWS insists.
fn types_of() -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(select(TYPES).prop_map(str::to_owned), 1..=2)
}

prop_compose! {
    fn any_desired()(
        acceptance_required in any::<bool>(),
        principals in some(PRINCIPALS),
        ip_address_types in proptest::option::of(types_of()),
        regions in proptest::option::of(some(REGIONS)),
        tags in tags_of(),
        granted in some(PRINCIPALS),
        tagged in some(KEYS),
    ) -> Desired {
        let home = HOME.to_owned();
        Desired { acceptance_required, principals, ip_address_types, regions, tags, granted, tagged, home }
    }
}

prop_compose! {
    fn any_seen()(
        acceptance_required in any::<bool>(),
        principals in some(PRINCIPALS),
        ip_address_types in types_of(),
        regions in some(&REGIONS[1..]),
        tags in tags_of(),
    ) -> Seen {
        Seen { acceptance_required, principals, ip_address_types, regions, tags }
    }
}

/// What AWS makes of a step, with AWS's own refusals.
fn done(seen: &mut Seen, step: &Step) {
    let add = |to: &mut BTreeSet<String>, values: &[String]| {
        for value in values {
            assert!(to.insert(value.clone()), "{value} is there already");
        }
    };
    let remove = |from: &mut BTreeSet<String>, values: &[String]| {
        for value in values {
            assert!(from.remove(value), "{value} is not there");
        }
    };
    assert!(step.values().iter().all(|value| value != HOME), "{step:?}");
    match step {
        Step::RequireAcceptance => seen.acceptance_required = true,
        Step::WaiveAcceptance => seen.acceptance_required = false,
        Step::AddPrincipals(values) => add(&mut seen.principals, values),
        Step::RemovePrincipals(values) => remove(&mut seen.principals, values),
        Step::AddRegions(values) => add(&mut seen.regions, values),
        Step::RemoveRegions(values) => remove(&mut seen.regions, values),
        Step::AddIpAddressTypes(values) => add(&mut seen.ip_address_types, values),
        Step::RemoveIpAddressTypes(values) => remove(&mut seen.ip_address_types, values),
        Step::SetTags(tags) => seen.tags.extend(tags.iter().cloned()),
        Step::RemoveTags(keys) => {
            for key in keys {
                assert!(seen.tags.remove(key).is_some(), "{key} is not there");
            }
        }
    }
    assert!(!seen.ip_address_types.is_empty(), "AWS keeps one");
}

fn is_open(seen: &Seen) -> bool {
    !seen.acceptance_required && seen.principals.contains(EVERYBODY)
}

proptest! {
    /// Whatever the beginning: the steps work one after the other and leave nothing to do. A pass that ends after any of them is
    /// continued by planning anew.
    #[test]
    fn following_the_plan_from_any_step_on_arrives(desired in any_desired(), seen in any_seen(), stop in 0_usize..9) {
        let mut now = seen;
        for step in plan(&desired, &now).steps.iter().take(stop) {
            done(&mut now, step);
        }
        for step in &plan(&desired, &now).steps {
            done(&mut now, step);
        }
        prop_assert_eq!(plan(&desired, &now), ServicePlan::default());
        prop_assert_eq!(now.acceptance_required, desired.acceptance_required);
        prop_assert!(now.principals.is_superset(&desired.principals));
    }

    /// No step opens the service to everybody unless the plan says so.
    #[test]
    fn a_plan_that_opens_the_service_says_so(desired in any_desired(), seen in any_seen()) {
        let plan = plan(&desired, &seen);
        let mut now = seen.clone();
        for step in &plan.steps {
            done(&mut now, step);
            prop_assert!(plan.opens_to_everybody || !is_open(&now) || is_open(&seen), "{step:?}");
        }
    }

    /// What somebody else put there stays.
    #[test]
    fn what_is_not_ours_stays(desired in any_desired(), seen in any_seen()) {
        let mut now = seen.clone();
        for step in &plan(&desired, &seen).steps {
            done(&mut now, step);
        }
        for principal in &seen.principals - &desired.granted {
            prop_assert!(now.principals.contains(&principal), "{principal}");
        }
        for key in seen.tags.keys().filter(|key| !desired.tagged.contains(*key)) {
            prop_assert!(now.tags.contains_key(key), "{key}");
        }
    }
}

#[test]
fn a_flag_that_tightens_goes_first_and_one_that_loosens_last() {
    let tags = BTreeMap::from([("team".to_owned(), "edge".to_owned())]);
    let seen = Seen {
        principals: words(["a", "*"]),
        ..Seen::default()
    };
    let mut desired = Desired {
        acceptance_required: true,
        principals: words(["b"]),
        granted: words(["*"]),
        tags,
        ..Desired::default()
    };
    let words_of = |plan: ServicePlan| -> Vec<_> { plan.steps.iter().map(Step::word).collect() };
    assert_eq!(
        words_of(plan(&desired, &seen)),
        [
            "require_acceptance",
            "remove_principals",
            "set_tags",
            "add_principals"
        ]
    );
    desired.acceptance_required = false;
    let closed = Seen {
        acceptance_required: true,
        ..seen
    };
    assert_eq!(
        words_of(plan(&desired, &closed)),
        [
            "remove_principals",
            "set_tags",
            "add_principals",
            "waive_acceptance"
        ]
    );
    assert!(!plan(&desired, &closed).opens_to_everybody);
}

#[test]
fn an_open_service_that_is_left_as_it_is_is_no_opening() {
    let seen = Seen {
        principals: words(["*"]),
        ..Seen::default()
    };
    let mut desired = Desired {
        principals: words(["*"]),
        ..Desired::default()
    };
    assert_eq!(plan(&desired, &seen), ServicePlan::default());
    // Everybody was let in by somebody else; waiving acceptance is what would open it.
    desired.principals.clear();
    let closed = Seen {
        acceptance_required: true,
        ..seen
    };
    assert!(plan(&desired, &closed).opens_to_everybody);
}

#[test]
fn principals_are_unknown_when_neither_desired_nor_ours() {
    let desired = Desired {
        principals: words(["a"]),
        granted: words(["b"]),
        ..Desired::default()
    };
    let seen = Seen {
        principals: words(["a", "b", "c"]),
        ..Seen::default()
    };
    assert_eq!(unknown_principals(&desired, &seen), ["c"]);
}
