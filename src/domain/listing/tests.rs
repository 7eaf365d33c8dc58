//! When a listing is ready, and who sees it.

use chrono::{DateTime, TimeDelta, Utc};

use super::readiness::{
    ReadinessCheck, ReadinessFacts, ReadinessStatus, ServiceReadiness, failing, readiness,
};
use super::testing::{complete, content, service};
use super::*;
use crate::domain::lifecycle::LifecycleState;
use crate::domain::private_dns::DnsState;

/// A change of the facts, and what it makes of which check.
type Change = (fn(&mut ReadinessFacts), ReadinessCheck, ReadinessStatus);

/// When all was seen.
fn seen() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn ready() -> ReadinessFacts {
    ReadinessFacts {
        services: vec![ServiceReadiness {
            id: service(),
            lifecycle: LifecycleState::Active,
            state: Some("Available".to_owned()),
            read_at: Some(seen()),
            looked_at: Some(seen()),
            principals: ["arn:aws:iam::222222222222:root".to_owned()].into(),
            principals_read: true,
            private_dns: Some(DnsState::Verified),
            healthy_zones: Some(["euw1-az1".to_owned(), "euw1-az2".to_owned()].into()),
            sold_by: None,
        }],
        test_connection: Some(seen()),
    }
}

#[test]
fn each_check_fails_by_its_own_fact_and_what_is_unknown_does_not_pass() {
    let whole = content(complete());
    assert_eq!(failing(readiness(&whole, &ready(), seen())), []);
    let changes: [Change; 11] = [
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
            |f| f.test_connection = None,
            ReadinessCheck::TestConnection,
            ReadinessStatus::Fail,
        ),
    ];
    for (change, check, status) in changes {
        let mut facts = ready();
        change(&mut facts);
        let found: Vec<_> = failing(readiness(&whole, &facts, seen()))
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
    assert_eq!(failing(readiness(&bare, &ready(), seen())).len(), 2);
}

#[test]
fn what_held_too_long_ago_does_not_pass_and_says_when_it_was_seen() {
    let whole = content(complete());
    let late = seen() + TimeDelta::seconds(1);
    let old = readiness(&whole, &ready(), late);
    let found: Vec<_> = failing(old.clone())
        .into_iter()
        .map(|one| (one.check, one.status))
        .collect();
    let stale = [
        ReadinessCheck::ServiceAvailable,
        ReadinessCheck::NoWildcardPrincipal,
        ReadinessCheck::PrivateDnsVerified,
        ReadinessCheck::ZonesHealthy,
    ];
    assert_eq!(found, stale.map(|check| (check, ReadinessStatus::Stale)));
    assert!(old[0].evidence.contains("2027-01-15T08:00:00Z"), "{old:?}");
    for one in &old {
        let is_seen = stale.contains(&one.check) || one.check == ReadinessCheck::TestConnection;
        assert_eq!(one.observed_at, is_seen.then(seen), "{one:?}");
    }
    // What is behind it is looked at on its own.
    let mut facts = ready();
    facts.services[0].looked_at = Some(late);
    assert_eq!(failing(readiness(&whole, &facts, late)).len(), 3);
    // What fails says so, however old it is.
    facts.services[0].state = Some("Failed".to_owned());
    let failed = readiness(&whole, &facts, late);
    assert_eq!(failed[0].status, ReadinessStatus::Fail);
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
        owner: "payments".to_owned(),
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
            (BTreeSet::from([us.clone()]), false),
            (BTreeSet::from([them.clone()]), true),
            (BTreeSet::from([them.clone()]), false),
            (BTreeSet::new(), false),
        ]
        .map(|(who, offered)| {
            (
                listing.is_listed_for(&who, offered),
                listing.is_shown_to(&who, offered),
            )
        })
    };
    let (no, yes) = ((false, false), (true, true));
    assert_eq!(
        seen(ListingState::Public, Visibility::Public),
        [yes, yes, yes, yes]
    );
    assert_eq!(
        seen(ListingState::Public, Visibility::Unlisted),
        [yes, yes, (false, true), (false, true)]
    );
    assert_eq!(
        seen(ListingState::Public, Visibility::AllowList),
        [yes, yes, no, no]
    );
    assert_eq!(
        seen(ListingState::Limited, Visibility::Public),
        [yes, no, no, no]
    );
    for state in ListingState::ALL.iter().filter(|state| !state.sells()) {
        assert_eq!(seen(*state, Visibility::Public), [no; 4], "{state}");
    }
}
