//! A sound service, then one thing broken at a time.

use std::collections::BTreeMap;

use privatelink::AccountRegionRef;

use super::*;
use crate::domain::account_region::{LeaseView, Listing, ListingError};
use crate::domain::doctor::CheckStatus::{Fail, Pass, Unknown, Warn};
use crate::domain::doctor::testing::{ARN, balancer, sound, sound_service};
use crate::domain::endpoint_service::{Checks, ObservedService, Origin, ServiceSync, WantedName};
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::private_dns::{RecordFinding, Watch};

/// A whole case that owns its parts.
#[derive(Clone)]
pub(in crate::domain::doctor) struct Whole {
    pub(in crate::domain::doctor) service: RegisteredService,
    pub(in crate::domain::doctor) account_region: AccountRegion,
    pub(in crate::domain::doctor) facts: Option<Facts>,
}

fn now() -> DateTime<Utc> {
    "2030-01-01T12:00:00Z".parse().unwrap()
}

/// A name whose record stands in public DNS, and that AWS has verified.
fn verified() -> Watch {
    let shown = sound_service().private_dns_name.unwrap();
    let mut watch = Watch::of(None, &shown, now());
    watch.probed((RecordFinding::Found, "seen".into()), now());
    watch.settle(&shown, now());
    watch
}

impl Whole {
    pub(in crate::domain::doctor) fn sound() -> Self {
        let account_region_id = AccountRegionId::new(now());
        let (account, region) = (
            "123456789012".parse().unwrap(),
            "eu-west-1".parse().unwrap(),
        );
        let place = AccountRegionRef {
            account,
            region,
            role_arn: None,
            external_id: None,
        };
        let consumer = "arn:aws:iam::444455556666:root".to_owned();
        let service = RegisteredService {
            id: EndpointServiceId::new(now()),
            account_region_id,
            account: place.account.clone(),
            region: place.region.clone(),
            name: "edge".into(),
            origin: Origin::Adopted,
            acceptance_required: true,
            load_balancer_arns: vec![ARN.parse().unwrap()],
            allowed_principals: vec![consumer.clone()],
            supported_ip_address_types: None,
            supported_regions: None,
            tags: BTreeMap::new(),
            open_to_everybody: false,
            granted_principals: vec![],
            set_tag_keys: vec![],
            version: 1,
            applied_version: 1,
            aws_service_id: Some(sound_service().service_id),
            service_name: Some(sound_service().service_name),
            observed: Some(ObservedService {
                service: sound_service(),
                principals: Some(vec![consumer]),
                at: now(),
            }),
            checks: Some(Checks {
                all: vec![],
                at: now(),
            }),
            sync: ServiceSync {
                state: SyncState::Idle,
                due_at: now(),
                attempts: 0,
                code: None,
                message: None,
            },
            created_at: now(),
            created_by: "sam".into(),
            check_requested_at: None,
            stall: None,
            given_up: None,
            dropped_load_balancer_arns: vec![],
            listeners_may_differ: false,
            refresh_zones_at: None,
            private_dns_name: WantedName::AsItIs,
            service_owner_pays: false,
            private_dns: Some(verified()),
            waiting: vec![],
            lifecycle: crate::domain::lifecycle::Lifecycle::default(),
        };
        let account_region = AccountRegion {
            id: account_region_id,
            place,
            name: "main".into(),
            enabled: true,
            lease: Some(LeaseView {
                holder: uuid::Uuid::nil(),
                until: now(),
                since: Some(now()),
            }),
            fence: 1,
            version: 1,
            listing: Some(Listing {
                at: now(),
                took_ms: 5,
                connections: 1,
                unregistered: 0,
            }),
            error: None,
            created_at: now(),
            created_by: "sam".into(),
            hints: None,
        };
        Self {
            service,
            account_region,
            facts: Some(sound()),
        }
    }

    pub(in crate::domain::doctor) fn case(&self) -> ServiceCase<'_> {
        ServiceCase {
            service: &self.service,
            account_region: &self.account_region,
            facts: self.facts.as_ref(),
            now: now(),
        }
    }

    pub(in crate::domain::doctor) fn seen(&mut self) -> &mut EndpointService {
        &mut self.service.observed.as_mut().unwrap().service
    }

    pub(in crate::domain::doctor) fn allowed(&mut self) -> &mut Option<Vec<String>> {
        &mut self.service.observed.as_mut().unwrap().principals
    }
}

#[test]
fn a_sound_service_has_nothing_wrong() {
    let diagnosis = diagnose(&Whole::sound().case());
    assert_eq!(diagnosis.status, Pass, "{diagnosis:#?}");
}

/// A way to break a sound case, and the one check that says so.
type Broken = (CheckName, CheckStatus, fn(&mut Whole));

#[test]
fn each_thing_that_breaks_changes_its_own_check() {
    use CheckName as N;
    fn dns(whole: &mut Whole, state: DnsState, finding: RecordFinding) {
        let watch = whole.service.private_dns.as_mut().unwrap();
        watch.state = state;
        watch.probe.as_mut().unwrap().finding = finding;
    }
    let broken: &[Broken] = &[
        (N::AccountRegion, Fail, |w| w.account_region.enabled = false),
        (N::AccountRegion, Fail, |w| {
            w.account_region.error = Some(ListingError {
                code: "AccessDenied".into(),
                message: "no".into(),
                at: now(),
                next_at: None,
            });
        }),
        (N::AccountRegion, Warn, |w| w.account_region.lease = None),
        (N::ServiceLifecycle, Fail, |w| {
            w.service.lifecycle.state = LifecycleState::Draining;
        }),
        (N::ServiceLifecycle, Fail, |w| {
            w.service.lifecycle.state = LifecycleState::Released;
        }),
        (N::ServiceSync, Fail, |w| {
            w.service.sync.state = SyncState::Stalled;
            w.service.sync.code = Some("InvalidParameter".into());
        }),
        (N::ServiceSync, Warn, |w| {
            w.service.sync.state = SyncState::Due;
        }),
        (N::ServiceSync, Warn, |w| {
            w.service.sync.state = SyncState::Due;
            w.service.sync.attempts = 2;
        }),
        (N::ServiceState, Warn, |w| {
            w.seen().state = ServiceState::Pending;
        }),
        (N::ServiceState, Fail, |w| {
            w.seen().state = ServiceState::Failed;
        }),
        (N::ServiceState, Fail, |w| {
            w.seen().state = ServiceState::Deleting;
        }),
        (N::ServiceState, Unknown, |w| {
            w.seen().state = ServiceState::parse("Resting");
        }),
        (N::PrivateDns, Warn, |w| {
            dns(w, DnsState::WaitingForRecord, RecordFinding::Missing);
        }),
        (N::PrivateDns, Warn, |w| {
            dns(w, DnsState::Verifying, RecordFinding::Found);
        }),
        (N::PrivateDns, Warn, |w| {
            dns(w, DnsState::Verified, RecordFinding::Missing);
        }),
        (N::PrivateDns, Fail, |w| {
            dns(w, DnsState::Failed, RecordFinding::Missing);
        }),
        (N::PrivateDns, Fail, |w| {
            dns(w, DnsState::Regressed, RecordFinding::Found);
        }),
        (N::PrivateDns, Unknown, |w| {
            w.service.private_dns.as_mut().unwrap().record = None;
        }),
        (N::PrivateDns, Unknown, |w| w.service.private_dns = None),
        (N::Acceptance, Warn, |w| {
            w.seen().acceptance_required = false;
            w.service.acceptance_required = false;
            w.allowed().as_mut().unwrap().push("*".into());
        }),
        (N::Settings, Warn, |w| w.service.acceptance_required = false),
        (N::Settings, Warn, |w| {
            w.service.acceptance_required = false;
            w.service.version = 2;
        }),
        (N::LastLook, Warn, |w| {
            w.service.checks.as_mut().unwrap().at -= TimeDelta::hours(2);
        }),
        (N::LastLook, Unknown, |w| w.facts = None),
    ];
    for (name, want, by) in broken {
        let mut whole = Whole::sound();
        by(&mut whole);
        for check in checks(&whole.case()) {
            let expected = if check.name() == Some(*name) {
                *want
            } else {
                Pass
            };
            assert_eq!(check.status, expected, "{name:?}: {check:#?}");
        }
    }
}

#[test]
fn without_principals_nobody_comes_in() {
    let mut whole = Whole::sound();
    whole.service.allowed_principals.clear();
    *whole.allowed() = Some(vec![]);
    let diagnosis = diagnose(&whole.case());
    assert_eq!(diagnosis.status, Fail);
    assert!(
        diagnosis.most_likely.contains("no principal is allowed"),
        "{}",
        diagnosis.most_likely
    );
}

#[test]
fn what_was_never_read_is_unknown_and_never_a_pass() {
    let mut whole = Whole::sound();
    whole.service.observed = None;
    whole.service.checks = None;
    whole.facts = None;
    let unknown = [
        CheckName::ServiceState,
        CheckName::Principals,
        CheckName::Acceptance,
        CheckName::PrivateDns,
        CheckName::Settings,
        CheckName::LastLook,
    ];
    for check in checks(&whole.case()) {
        let expected = if unknown.contains(&check.name().unwrap()) {
            Unknown
        } else {
            Pass
        };
        assert_eq!(check.status, expected, "{check:#?}");
    }
}

#[test]
fn a_record_that_is_missing_is_told_with_its_value() {
    let mut whole = Whole::sound();
    let watch = whole.service.private_dns.as_mut().unwrap();
    watch.state = DnsState::Failed;
    watch.probe.as_mut().unwrap().finding = RecordFinding::Missing;
    let fix = private_dns(&whole.case()).fix.unwrap();
    assert!(fix.contains("_vpce") && fix.contains("vpce:proof"), "{fix}");
}

#[test]
fn connections_hear_of_what_carries_their_traffic_and_of_nothing_else() {
    let mut whole = Whole::sound();
    balancer(whole.facts.as_mut().unwrap()).state = "failed".into();
    balancer(whole.facts.as_mut().unwrap()).scheme = "internet-facing".into();
    let heard: Vec<_> = of_connections(&whole.case())
        .into_iter()
        .map(|check| check.check)
        .collect();
    assert_eq!(heard, ["load_balancer_is_active"]);
}
