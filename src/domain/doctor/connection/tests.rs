//! A sound connection, then one thing broken at a time.

use chrono::TimeDelta;
use privatelink::DnsEntry;

use super::*;
use crate::domain::connection::{ConnectionSync, Observed};
use crate::domain::doctor::CheckStatus::{Fail, Pass, Unknown, Warn};
use crate::domain::doctor::service::tests::Whole as WholeService;
use crate::domain::doctor::testing::{balancer, group, set_state};
use crate::domain::ids::{ConnectionId, DecisionId};

struct Whole {
    connection: Connection,
    decided: Option<Decided>,
    drifts: Vec<(DriftKind, DateTime<Utc>)>,
    service: WholeService,
}

fn now() -> DateTime<Utc> {
    "2030-01-01T12:00:00Z".parse().unwrap()
}

impl Whole {
    /// Accepted and available, in one of the service's zones.
    fn sound() -> Self {
        let service = WholeService::sound();
        let name = |part: &str| DnsEntry {
            dns_name: format!("vpce-0123-abcd{part}.vpce-svc-0123.eu-west-1.vpce.amazonaws.com"),
            hosted_zone_id: None,
        };
        Self {
            connection: Connection {
                id: ConnectionId::new(now()),
                service_id: service.service.id,
                aws_service_id: service.service.aws_service_id.clone(),
                account_region_id: service.service.account_region_id,
                endpoint_id: "vpce-0123456789abcdef0".parse().unwrap(),
                owner: "444455556666".parse().unwrap(),
                consumer: None,
                observed: Observed {
                    state: ConnectionState::Available,
                    at: now(),
                    created_at: Some(now()),
                    connection_id: None,
                    endpoint_region: None,
                    ip_address_type: Some("ipv4".into()),
                    dns_entries: vec![name(""), name("-eu-west-1a")],
                },
                first_seen_at: now(),
                review: ReviewState::Accepted,
                decision_id: Some(DecisionId::new(now())),
                sync: ConnectionSync {
                    state: SyncState::Idle,
                    due_at: None,
                    deadline_at: None,
                    attempts: 1,
                    act: None,
                    code: None,
                    message: None,
                },
                given_up: None,
                stall: None,
                version: 2,
            },
            decided: Some(Decided {
                verb: Verb::Accept,
                actor: "ann".into(),
                reason: "order 4711".into(),
                at: now(),
            }),
            drifts: vec![],
            service,
        }
    }

    fn case(&self) -> ConnectionCase<'_> {
        ConnectionCase {
            connection: &self.connection,
            decided: self.decided.as_ref(),
            drifts: &self.drifts,
            service: self.service.case(),
        }
    }

    fn status(&self, name: CheckName) -> CheckStatus {
        let checks = checks(&self.case());
        let found = checks.iter().find(|c| c.name() == Some(name));
        found.unwrap_or_else(|| panic!("no {name:?}")).status
    }
}

#[test]
fn a_sound_connection_has_nothing_wrong() {
    let diagnosis = diagnose(&Whole::sound().case());
    assert_eq!(diagnosis.status, Pass, "{diagnosis:#?}");
}

/// A way to break a sound case, and the one check that says so.
type Broken = (CheckName, CheckStatus, fn(&mut Whole));

#[test]
fn each_thing_that_breaks_changes_its_own_check() {
    use CheckName as N;
    fn stall(whole: &mut Whole, code: &str) {
        whole.connection.sync.state = SyncState::Stalled;
        whole.connection.sync.code = Some(code.into());
    }
    let broken: &[Broken] = &[
        (N::ConnectionState, Warn, |w| {
            w.connection.observed.state = ConnectionState::Pending;
        }),
        (N::ConnectionState, Warn, |w| {
            w.connection.observed.state = ConnectionState::Partial;
        }),
        (N::ConnectionState, Fail, |w| {
            w.connection.observed.state = ConnectionState::Failed;
        }),
        (N::ConnectionState, Fail, |w| {
            w.connection.observed.state = ConnectionState::Expired;
        }),
        (N::ConnectionState, Unknown, |w| {
            w.connection.observed.state = ConnectionState::parse("resting");
        }),
        (N::Decision, Warn, |w| {
            w.connection.review = ReviewState::Undecided;
        }),
        (N::Decision, Fail, |w| {
            w.connection.review = ReviewState::Rejected;
        }),
        (N::Decision, Fail, |w| {
            w.connection.review = ReviewState::Revoked;
        }),
        (N::ConnectionSync, Warn, |w| {
            w.connection.sync.state = SyncState::Due;
        }),
        (N::ConnectionSync, Warn, |w| {
            w.connection.sync.state = SyncState::Confirming;
        }),
        (N::ConnectionSync, Fail, |w| {
            stall(w, "UnauthorizedOperation");
        }),
        (N::ConnectionSync, Fail, |w| stall(w, ACCEPTED_OUTSIDE)),
        (N::ConnectionSync, Fail, |w| stall(w, REJECTED_OUTSIDE)),
        (N::ConnectionSync, Fail, |w| stall(w, NOT_CONFIRMED)),
        (N::ConnectionDrift, Fail, |w| {
            w.drifts = vec![(DriftKind::RejectedOutside, now())];
        }),
        (N::ConnectionDrift, Warn, |w| {
            w.drifts = vec![(DriftKind::AcceptedOutside, now())];
        }),
        (N::ConnectionDrift, Pass, |w| {
            w.drifts = vec![(DriftKind::Preexisting, now())];
        }),
        (N::Principal, Warn, |w| {
            *w.service.allowed() = Some(vec!["arn:aws:iam::999900001111:root".into()]);
        }),
        (N::Principal, Unknown, |w| *w.service.allowed() = None),
        (N::CrossRegion, Warn, |w| {
            w.connection.observed.endpoint_region = Some("us-east-1".into());
        }),
        (N::AddressType, Warn, |w| {
            w.connection.observed.ip_address_type = Some("ipv6".into());
            w.service.seen().supported_ip_address_types = vec!["ipv4".into()];
        }),
        (N::EndpointZones, Unknown, |w| w.service.facts = None),
        (N::LoadBalancerIsActive, Fail, |w| {
            balancer(w.service.facts.as_mut().unwrap()).state = "failed".into();
        }),
    ];
    for (name, want, by) in broken {
        let mut whole = Whole::sound();
        by(&mut whole);
        let all = checks(&whole.case());
        for check in &all {
            let expected = if check.name() == Some(*name) {
                *want
            } else {
                Pass
            };
            assert_eq!(check.status, expected, "{name:?}: {check:#?}");
        }
        assert!(all.iter().any(|c| c.name() == Some(*name)), "{name:?}");
    }
}

#[test]
fn an_account_is_let_in_by_itself_its_number_its_people_or_everybody() {
    let root = "arn:aws-us-gov:iam::444455556666:root";
    let role = "arn:aws:iam::444455556666:role/edge";
    for (principal, want) in [
        (root, Pass),
        ("444455556666", Pass),
        (role, Pass),
        ("*", Pass),
        ("arn:aws:iam::444455556667:root", Warn),
        ("arn:aws:sts::444455556666:root", Warn),
        ("vpce.amazonaws.com", Warn),
    ] {
        let mut whole = Whole::sound();
        *whole.service.allowed() = Some(vec![principal.into()]);
        assert_eq!(whole.status(CheckName::Principal), want, "{principal}");
    }
    // Who has to begin anew needs the permission to.
    let mut whole = Whole::sound();
    *whole.service.allowed() = Some(vec![]);
    whole.connection.observed.state = ConnectionState::Rejected;
    assert_eq!(whole.status(CheckName::Principal), Fail);
}

#[test]
fn undecided_is_well_where_the_service_accepts_by_itself() {
    let mut whole = Whole::sound();
    whole.connection.review = ReviewState::Undecided;
    whole.decided = None;
    whole.service.seen().acceptance_required = false;
    assert_eq!(whole.status(CheckName::Decision), Pass);
    whole.service.seen().acceptance_required = true;
    whole.connection.observed.state = ConnectionState::PendingAcceptance;
    let diagnosis = diagnose(&whole.case());
    assert!(
        diagnosis.most_likely.contains("nobody has decided"),
        "{}",
        diagnosis.most_likely
    );
    whole.connection.observed.state = ConnectionState::Expired;
    assert_eq!(whole.status(CheckName::Decision), Pass);
}

#[test]
fn a_rejection_is_told_with_its_reason() {
    let mut whole = Whole::sound();
    whole.connection.review = ReviewState::Rejected;
    whole.connection.observed.state = ConnectionState::Rejected;
    whole.decided.as_mut().unwrap().verb = Verb::Reject;
    let diagnosis = diagnose(&whole.case());
    assert_eq!(diagnosis.status, Fail);
    for part in ["the request was rejected here", "ann", "order 4711"] {
        assert!(
            diagnosis.most_likely.contains(part),
            "{}",
            diagnosis.most_likely
        );
    }
}

#[test]
fn zones_are_never_guessed_across_accounts() {
    let mut whole = Whole::sound();
    // Our eu-west-1a has no healthy target. The consumer's eu-west-1a may be any zone.
    set_state(
        group(whole.service.facts.as_mut().unwrap()),
        0,
        "unhealthy",
        None,
    );
    assert_eq!(whole.status(CheckName::EndpointZones), Warn);
    // In the provider's own account the names mean the same.
    whole.connection.owner = whole.service.service.account.clone();
    assert_eq!(whole.status(CheckName::EndpointZones), Fail);
    whole.connection.observed.dns_entries[1].dns_name = "vpce-0123-abcd-eu-west-1b.x".into();
    assert_eq!(whole.status(CheckName::EndpointZones), Pass);
    // Where nothing is healthy, no name matters.
    set_state(
        group(whole.service.facts.as_mut().unwrap()),
        1,
        "unhealthy",
        None,
    );
    assert_eq!(whole.status(CheckName::EndpointZones), Fail);
}

#[test]
fn an_open_region_is_well() {
    let mut whole = Whole::sound();
    whole.connection.observed.endpoint_region = Some("us-east-1".into());
    whole.service.seen().supported_regions = vec!["us-east-1".into()];
    assert_eq!(whole.status(CheckName::CrossRegion), Pass);
}

#[test]
fn what_has_ended_hears_nothing_of_the_service() {
    let mut whole = Whole::sound();
    balancer(whole.service.facts.as_mut().unwrap()).state = "failed".into();
    whole.connection.observed.state = ConnectionState::Expired;
    let names: Vec<_> = checks(&whole.case()).into_iter().map(|c| c.check).collect();
    assert!(
        !names.iter().any(|n| n == "load_balancer_is_active"),
        "{names:?}"
    );
}

#[test]
fn a_next_try_is_told() {
    let mut whole = Whole::sound();
    whole.connection.sync.state = SyncState::Due;
    whole.connection.sync.due_at = Some(now() + TimeDelta::seconds(30));
    let check = sync(&whole.case());
    assert!(check.evidence.contains("12:00:30"), "{}", check.evidence);
}
