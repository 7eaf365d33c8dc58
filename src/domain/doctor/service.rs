//! The doctor of a service: what is behind it, and our own rows about it.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{EndpointService, ServiceState};

use super::catalogue::CheckName;
use super::check::{Check, CheckStatus, LOOK_AGAIN, listed};
use super::diagnosis::{Diagnosis, Patient};
use super::facts::Facts;
use super::infrastructure;
use crate::domain::account_region::AccountRegion;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::lifecycle::{Lifecycle, LifecycleState};
use crate::domain::private_dns::{DnsState, Probe};
use crate::domain::service_plan::{Desired, EVERYBODY, Seen, plan};
use crate::domain::sync::SyncState;

/// How old a look may be before it is a warning: many times any sensible interval between looks.
const OLD: TimeDelta = TimeDelta::hours(1);

/// What is known of a service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceCase<'a> {
    /// The service.
    pub service: &'a RegisteredService,
    /// Where it lives.
    pub account_region: &'a AccountRegion,
    /// What is behind it; `None` until the worker looked.
    pub facts: Option<&'a Facts>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl<'a> ServiceCase<'a> {
    /// What AWS last said of the service itself.
    pub(super) fn seen(&self) -> Option<&'a EndpointService> {
        self.service.observed.as_ref().map(|seen| &seen.service)
    }

    /// The principals that AWS was last seen to allow.
    pub(super) fn principals(&self) -> Option<&'a [String]> {
        self.service.observed.as_ref()?.principals.as_deref()
    }
}

/// Examines a service.
pub fn diagnose(case: &ServiceCase<'_>) -> Diagnosis {
    Diagnosis::of(Patient::Service, checks(case))
}

/// Every check of a service.
pub(super) fn checks(case: &ServiceCase<'_>) -> Vec<Check> {
    let mut checks = vec![
        account_region(case.account_region),
        lifecycle(&case.service.lifecycle),
        sync(case.service),
        state(case),
        principals(case),
        acceptance(case),
        private_dns(case),
        settings(case),
        last_look(case),
    ];
    if let Some(facts) = case.facts {
        checks.extend(infrastructure(facts, case.seen()));
    }
    checks
}

fn account_region(place: &AccountRegion) -> Check {
    let name = CheckName::AccountRegion;
    if !place.enabled {
        return Check::fail(name, "it is disabled");
    }
    if let Some(error) = &place.error {
        let evidence = format!("{} since {}: {}", error.code, error.at, error.message);
        return Check::fail(name, evidence);
    }
    if place.lease.is_none() {
        return Check::warn(name, "no worker serves it right now");
    }
    match &place.listing {
        Some(listing) => Check::pass(name, format!("last listed at {}", listing.at)),
        None => Check::pass(name, "served, and not listed yet"),
    }
}

fn lifecycle(life: &Lifecycle) -> Check {
    let name = CheckName::ServiceLifecycle;
    let said = life.said.as_ref().map_or_else(String::new, |said| {
        format!(" since {}, by {}: {}", said.at, said.by, said.reason)
    });
    let evidence = format!("it is {}{said}", life.state);
    match life.state {
        LifecycleState::Active => Check::pass(name, evidence),
        LifecycleState::Draining => Check::fail(name, evidence),
        LifecycleState::Deleting => {
            Check::fail(name, evidence).with_fix("wait: AWS was asked to delete it")
        }
        LifecycleState::Deleted => Check::fail(name, evidence)
            .because("the service was deleted")
            .with_fix("register a new one; its consumers make new endpoints"),
        LifecycleState::Released => Check::fail(name, evidence)
            .because("the service is not looked after here any more")
            .with_fix("register it again by its AWS id"),
    }
}

fn sync(service: &RegisteredService) -> Check {
    let name = CheckName::ServiceSync;
    let sync = &service.sync;
    let told = match (&sync.code, &sync.message) {
        (Some(code), Some(message)) if message.contains(code) => message.clone(),
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.clone(),
        (None, _) => "no call has failed".to_owned(),
    };
    match sync.state {
        SyncState::Stalled => {
            let evidence = format!("the worker gave up after {} tries: {told}", sync.attempts);
            Check::fail(name, evidence)
        }
        // Only connections are given up; a service never is.
        SyncState::GivenUp => Check::fail(name, told),
        SyncState::Due | SyncState::Confirming if sync.attempts > 0 => {
            let evidence = format!(
                "{told}; tried {} times, next at {}",
                sync.attempts, sync.due_at
            );
            Check::warn(name, evidence).with_fix("wait for the next try, or mend the cause first")
        }
        SyncState::Due | SyncState::Confirming => {
            Check::warn(name, format!("due at {}", sync.due_at))
                .because("AWS is being told right now")
                .with_fix("wait a moment")
        }
        SyncState::Idle => Check::pass(
            name,
            format!(
                "AWS agreed with version {} of {}",
                service.applied_version, service.version
            ),
        ),
    }
}

fn state(case: &ServiceCase<'_>) -> Check {
    let name = CheckName::ServiceState;
    let Some(seen) = case.seen() else {
        return Check::unknown(name, "AWS has not been asked yet", LOOK_AGAIN);
    };
    let evidence = format!("AWS shows {}", seen.state);
    match seen.state {
        ServiceState::Available => Check::pass(name, evidence),
        ServiceState::Pending => Check::warn(name, evidence)
            .because("AWS is still making the service")
            .with_fix("wait: it takes ten minutes at most"),
        ServiceState::Deleting | ServiceState::Deleted | ServiceState::Failed => {
            Check::fail(name, evidence)
        }
        ServiceState::Unknown(_) => Check::unknown(
            name,
            evidence,
            "look the state up in AWS's documentation; this version does not know it",
        ),
    }
}

fn principals(case: &ServiceCase<'_>) -> Check {
    let name = CheckName::Principals;
    match case.principals() {
        None => Check::unknown(name, "the principals have not been read yet", LOOK_AGAIN),
        Some([]) => Check::fail(name, "AWS allows no principal"),
        Some(all) => Check::pass(name, format!("{} allowed: {}", all.len(), listed(all))),
    }
}

fn acceptance(case: &ServiceCase<'_>) -> Check {
    let name = CheckName::Acceptance;
    let (Some(seen), Some(principals)) = (case.seen(), case.principals()) else {
        return Check::unknown(name, "the service has not been read yet", LOOK_AGAIN);
    };
    let everybody = principals.iter().any(|p| p == EVERYBODY);
    match (everybody, seen.acceptance_required) {
        (true, false) if case.service.open_to_everybody => Check::warn(
            name,
            "* is allowed without acceptance, and somebody confirmed that it is meant",
        ),
        (true, false) => Check::warn(name, "* is allowed without acceptance"),
        (true, true) => Check::pass(name, "* is allowed, and each connection has to be accepted"),
        (false, true) => Check::pass(name, "each connection has to be accepted"),
        (false, false) => Check::pass(
            name,
            "connections of the allowed principals are accepted by themselves",
        ),
    }
}

fn private_dns(case: &ServiceCase<'_>) -> Check {
    let name = CheckName::PrivateDns;
    let Some(seen) = case.seen() else {
        return Check::unknown(name, "AWS has not been asked yet", LOOK_AGAIN);
    };
    let Some(dns) = &seen.private_dns_name else {
        return Check::pass(name, "no private DNS name");
    };
    let Some(watch) = &case.service.private_dns else {
        let evidence = format!("public DNS was not looked at for {} yet", dns.name);
        return Check::unknown(name, evidence, LOOK_AGAIN);
    };
    let Some(record) = &watch.record else {
        let evidence = format!("AWS does not tell the TXT record of {} yet", dns.name);
        return Check::unknown(name, evidence, LOOK_AGAIN);
    };
    let publish = |probe: &Probe| {
        format!(
            "publish the TXT record {} with the value {} in public DNS: {}",
            record.name,
            record.value,
            probe.finding.fix()
        )
    };
    let probe = watch.probe.as_ref();
    let lost = probe.filter(|probe| !probe.finding.is_visible());
    let mut evidence = format!("{} is {}", watch.name, watch.state);
    if let Some(more) = probe.map(|probe| &probe.evidence) {
        evidence = format!("{evidence}; {more}");
    }
    if let Some(refusal) = &watch.refusal {
        evidence = format!(
            "{evidence}; AWS would not check: {} ({})",
            refusal.message, refusal.code
        );
    }
    match (watch.state, lost) {
        (DnsState::None | DnsState::Verified, None) | (DnsState::None, Some(_)) => {
            Check::pass(name, evidence)
        }
        (DnsState::Verified, Some(_)) => Check::warn(name, evidence).with_fix(
            "publish the TXT record again and keep it for the life of the service, or AWS will take the name back",
        ),
        (DnsState::Regressed, _) => Check::fail(name, evidence).with_fix(
            "publish the TXT record again: until AWS sees it, existing connections keep working and new requests are refused",
        ),
        (DnsState::Failed, None) => Check::fail(name, evidence),
        (DnsState::Failed, Some(probe)) => {
            Check::fail(name, evidence).with_fix(publish(probe))
        }
        (DnsState::WaitingForRecord | DnsState::Verifying, Some(probe)) => {
            Check::warn(name, evidence).with_fix(publish(probe))
        }
        (DnsState::WaitingForRecord | DnsState::Verifying, None) => {
            Check::warn(name, evidence).with_fix(
                "nothing is to be done: AWS is asked to check as soon as the record has been visible for a minute",
            )
        }
    }
}

fn settings(case: &ServiceCase<'_>) -> Check {
    let name = CheckName::Settings;
    let (Some(seen), Some(principals)) = (case.seen(), case.principals()) else {
        return Check::unknown(name, "the service has not been read yet", LOOK_AGAIN);
    };
    if case.service.lifecycle.state.may_change().is_err() {
        return Check::pass(name, "AWS is not made to follow: see `service_lifecycle`");
    }
    let steps = plan(&Desired::of(case.service), &Seen::of(seen, principals)).steps;
    if steps.is_empty() {
        return Check::pass(name, "AWS shows what is desired");
    }
    let steps = listed(steps.iter().map(super::super::service_plan::Step::word));
    let check = Check::warn(name, format!("to agree, it would take: {steps}"));
    if case.service.applied_version < case.service.version {
        check
            .because("AWS has not followed the last change yet")
            .with_fix("wait, or see `service_sync`")
    } else {
        check
    }
}

fn last_look(case: &ServiceCase<'_>) -> Check {
    let name = CheckName::LastLook;
    let at = case.service.checks.as_ref().map(|checks| checks.at);
    match (at, case.facts) {
        (Some(at), Some(_)) if case.now - at > OLD => Check::warn(name, format!("last at {at}")),
        (Some(at), Some(_)) => Check::pass(name, format!("last at {at}")),
        (_, None) | (None, _) => {
            Check::unknown(name, "never", LOOK_AGAIN).because("the worker has not looked yet")
        }
    }
}

/// The checks of a service that can be why a connection to it does not work.
pub(super) fn of_connections(case: &ServiceCase<'_>) -> Vec<Check> {
    checks(case)
        .into_iter()
        .filter(|check| matches!(check.status, CheckStatus::Fail | CheckStatus::Warn))
        .filter(|check| check.name().is_some_and(CheckName::concerns_connections))
        .collect()
}

#[cfg(test)]
pub(super) mod tests;
