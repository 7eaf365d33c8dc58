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
const BALANCERS: &[&str] = &["one", "two", "three"];
const NAMES: &[&str] = &["api.example.com", "*.example.com"];

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
        load_balancers in some(BALANCERS),
        dropped in some(BALANCERS),
        private_dns_name in name_of(),
        owner_pays in any::<bool>(),
    ) -> Desired {
        let home = HOME.to_owned();
        let dropped = &dropped - &load_balancers;
        Desired {
            acceptance_required, principals, ip_address_types, regions, tags, granted, tagged, home, load_balancers, dropped,
            private_dns_name, owner_pays,
        }
    }
}

prop_compose! {
    fn any_seen()(
        acceptance_required in any::<bool>(),
        principals in some(PRINCIPALS),
        ip_address_types in types_of(),
        regions in some(&REGIONS[1..]),
        tags in tags_of(),
        load_balancers in btree_set(select(BALANCERS).prop_map(str::to_owned), 1..=BALANCERS.len()),
        private_dns_name in proptest::option::of(select(NAMES).prop_map(str::to_owned)),
        owner_pays in any::<bool>(),
    ) -> Seen {
        Seen {
            acceptance_required, principals, ip_address_types, regions, tags, load_balancers, private_dns_name, owner_pays,
        }
    }
}

fn name_of() -> impl Strategy<Value = WantedName> {
    let name = select(NAMES).prop_map(|name| WantedName::Name(name.to_owned()));
    prop_oneof![Just(WantedName::AsItIs), Just(WantedName::Absent), name]
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
        Step::AddLoadBalancers(values) => add(&mut seen.load_balancers, values),
        Step::RemoveLoadBalancers(values) => remove(&mut seen.load_balancers, values),
        Step::SetPrivateDnsName(name) => {
            assert_ne!(seen.private_dns_name.as_ref(), Some(name), "nothing new");
            seen.private_dns_name = Some(name.clone());
        }
        Step::RemovePrivateDnsName => {
            assert!(seen.private_dns_name.take().is_some(), "no name to remove");
        }
        Step::MakeOwnerPay => {
            assert!(!seen.owner_pays, "the owner pays already");
            seen.owner_pays = true;
        }
    }
    assert!(!seen.load_balancers.is_empty(), "AWS keeps one");
    assert!(!seen.ip_address_types.is_empty(), "AWS keeps one");
}

fn is_open(seen: &Seen) -> bool {
    !seen.acceptance_required && seen.principals.contains(EVERYBODY)
}

proptest! {
    /// Whatever the beginning: the steps work one after the other and leave nothing to do. A pass that ends after any of them is
    /// continued by planning anew.
    #[test]
    fn following_the_plan_from_any_step_on_arrives(desired in any_desired(), seen in any_seen(), stop in 0_usize..14) {
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
        prop_assert!(now.load_balancers.is_superset(&desired.load_balancers));
        if !desired.load_balancers.is_empty() {
            prop_assert!(now.load_balancers.is_disjoint(&desired.dropped));
        }
        match &desired.private_dns_name {
            WantedName::AsItIs => {}
            wanted => prop_assert_eq!(now.private_dns_name.as_deref(), wanted.name()),
        }
        prop_assert!(now.owner_pays || !desired.owner_pays);
    }

    /// Whatever is skipped because a step that narrows cannot be taken yet: nobody may connect who may connect neither before nor after.
    #[test]
    fn without_the_widening_steps_nobody_gains(desired in any_desired(), seen in any_seen()) {
        let mut now = seen.clone();
        for step in plan(&desired, &seen).steps.iter().filter(|step| !step.widens()) {
            done(&mut now, step);
        }
        prop_assert!(seen.principals.is_superset(&now.principals));
        prop_assert!(seen.regions.is_superset(&now.regions));
        prop_assert!(now.acceptance_required || !seen.acceptance_required);
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
        for arn in &seen.load_balancers - &desired.dropped {
            prop_assert!(now.load_balancers.contains(&arn), "{arn}");
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

#[test]
fn load_balancers_are_added_before_and_removed_after_everything_else() {
    let desired = Desired {
        load_balancers: words(["new", "stays"]),
        dropped: words(["old", "gone"]),
        principals: words(["a"]),
        private_dns_name: WantedName::Name("api.example.com".to_owned()),
        owner_pays: true,
        ..Desired::default()
    };
    let seen = Seen {
        load_balancers: words(["old", "stays", "theirs"]),
        acceptance_required: true,
        ..Seen::default()
    };
    let steps = plan(&desired, &seen).steps;
    assert_eq!(
        steps,
        [
            Step::AddLoadBalancers(vec!["new".to_owned()]),
            Step::SetPrivateDnsName("api.example.com".to_owned()),
            Step::MakeOwnerPay,
            Step::AddPrincipals(vec!["a".to_owned()]),
            Step::WaiveAcceptance,
            Step::RemoveLoadBalancers(vec!["old".to_owned()]),
        ]
    );
    assert_eq!(unknown_load_balancers(&desired, &seen), ["theirs"]);
}

/// An adopted service that was not read yet has no desired load balancers: none of them is touched.
#[test]
fn without_desired_load_balancers_none_is_removed() {
    let desired = Desired {
        dropped: words(["one"]),
        ..Desired::default()
    };
    let seen = Seen {
        load_balancers: words(["one"]),
        ..Seen::default()
    };
    assert_eq!(plan(&desired, &seen), ServicePlan::default());
}

#[test]
fn a_payer_is_never_taken_back_and_a_name_only_when_that_is_wanted() {
    let seen = Seen {
        owner_pays: true,
        private_dns_name: Some("api.example.com".to_owned()),
        ..Seen::default()
    };
    let mut desired = Desired {
        acceptance_required: false,
        ..Desired::default()
    };
    assert_eq!(plan(&desired, &seen), ServicePlan::default());
    desired.private_dns_name = WantedName::Absent;
    assert_eq!(plan(&desired, &seen).steps, [Step::RemovePrivateDnsName]);
}

fn described(principals: &[&str], regions: &[(&str, &str)]) -> Seen {
    let open = regions
        .iter()
        .filter(|(_, state)| matches!(*state, "Available" | "Pending"));
    let service = EndpointService {
        service_id: "vpce-svc-0123456789abcdef0".parse().unwrap(),
        service_name: String::new(),
        state: privatelink::ServiceState::Available,
        acceptance_required: false,
        network_load_balancer_arns: Vec::new(),
        availability_zones: Vec::new(),
        availability_zone_ids: Vec::new(),
        supported_ip_address_types: vec!["ipv4".to_owned()],
        supported_regions: open.map(|(region, _)| (*region).to_owned()).collect(),
        remote_regions: Vec::new(),
        base_endpoint_dns_names: Vec::new(),
        private_dns_name: None,
        tags: Vec::new(),
        payer_responsibility: None,
    };
    let principals: Vec<String> = principals.iter().map(|p| (*p).to_owned()).collect();
    Seen::of(&service, &principals)
}

#[test]
fn a_bare_account_in_aws_is_the_root_that_was_asked_for() {
    let root = "arn:aws:iam::123456789012:root";
    let desired = Desired {
        principals: words([root]),
        ..Desired::default()
    };
    let seen = described(&["123456789012"], &[]);
    assert_eq!(plan(&desired, &seen), ServicePlan::default());
    assert!(unknown_principals(&desired, &seen).is_empty());
}

/// A Region that was taken out stays listed by AWS for ever, in one of these states: it is no difference.
#[test]
fn regions_that_serve_nobody_are_no_difference() {
    let desired = Desired {
        regions: Some(words([HOME, "us-east-1"])),
        home: HOME.to_owned(),
        ..Desired::default()
    };
    let seen = described(
        &[],
        &[
            (HOME, "Available"),
            ("us-east-1", "Pending"),
            ("eu-north-1", "Closed"),
            ("eu-west-3", "Deleting"),
            ("eu-south-1", "Deleted"),
            ("ap-south-1", "Failed"),
        ],
    );
    assert_eq!(plan(&desired, &seen), ServicePlan::default());
}
