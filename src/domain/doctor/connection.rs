//! The doctor of a connection: its three facts, the consumer's permission, its zones, and what of the service concerns it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState};

use super::catalogue::CheckName;
use super::check::{Check, CheckStatus, LOOK_AGAIN, listed};
use super::diagnosis::{Diagnosis, Patient};
use super::facts::Read;
use super::service::{ServiceCase, of_connections};
use super::states::{explain, is_live, status};
use super::{targets, zones};
use crate::domain::connection::Connection;
use crate::domain::drift::DriftKind;
use crate::domain::observe::{ACCEPTED_OUTSIDE, REJECTED_OUTSIDE};
use crate::domain::review::{ReviewState, Verb};
use crate::domain::service_plan::EVERYBODY;
use crate::domain::sync::SyncState;
use crate::domain::sync_step::NOT_CONFIRMED;

/// The decision that a review stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What.
    pub verb: Verb,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is known of a connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionCase<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// Its last decision.
    pub decided: Option<&'a Decided>,
    /// Its drifts that are open, and since when.
    pub drifts: &'a [(DriftKind, DateTime<Utc>)],
    /// Its service.
    pub service: ServiceCase<'a>,
}

/// Examines a connection.
pub fn diagnose(case: &ConnectionCase<'_>) -> Diagnosis {
    Diagnosis::of(Patient::Connection, checks(case))
}

fn checks(case: &ConnectionCase<'_>) -> Vec<Check> {
    let mut checks = vec![
        state(case),
        decision(case),
        sync(case),
        drift(case),
        principal(case),
        cross_region(case),
        address_type(case),
    ];
    // What has ended is not mended by anything on the service's side.
    if is_live(&case.connection.observed.state) {
        checks.push(endpoint_zones(case));
        checks.extend(of_connections(&case.service));
    }
    checks
}

fn state(case: &ConnectionCase<'_>) -> Check {
    let observed = &case.connection.observed;
    let explained = explain(&observed.state);
    let evidence = format!("AWS shows {} since {}", observed.state, observed.at);
    let check = Check::new(
        CheckName::ConnectionState,
        status(&observed.state),
        evidence,
    );
    if check.status == CheckStatus::Pass {
        return check;
    }
    check
        .because(clause(&explained.provider))
        .with_fix(clause(&explained.to_change))
}

/// A sentence as a clause.
fn clause(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    // AWS's own name keeps its capitals.
    if sentence.starts_with("AWS") {
        return chars.collect();
    }
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

fn decision(case: &ConnectionCase<'_>) -> Check {
    let name = CheckName::Decision;
    let connection = case.connection;
    let asked = case.service.seen().is_none_or(|s| s.acceptance_required);
    let by = case.decided.map_or_else(
        || "the decision is not on record".to_owned(),
        |d| format!("{} by {} at {}: {}", d.verb, d.actor, d.at, d.reason),
    );
    match connection.review {
        ReviewState::Accepted => Check::pass(name, by),
        ReviewState::Rejected => Check::fail(name, by)
            .because("the request was rejected here")
            .with_fix("if it was a mistake, have the consumer make a new endpoint and accept that"),
        ReviewState::Revoked => Check::fail(name, by)
            .because("the access was revoked here")
            .with_fix("if it was a mistake, have the consumer make a new endpoint and accept that"),
        ReviewState::Undecided => match &connection.observed.state {
            ConnectionState::PendingAcceptance => {
                let since = connection
                    .observed
                    .created_at
                    .unwrap_or(connection.first_seen_at);
                Check::warn(name, format!("waits since {since}"))
            }
            live if is_live(live) && asked => {
                Check::warn(name, format!("AWS shows {live}, and nobody here decided"))
            }
            live if is_live(live) => Check::pass(name, "the service accepts by itself"),
            _ => Check::pass(name, "nobody decided, and there is nothing left to decide"),
        },
    }
}

fn sync(case: &ConnectionCase<'_>) -> Check {
    let name = CheckName::ConnectionSync;
    let sync = &case.connection.sync;
    let told = match (&sync.code, &sync.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.clone(),
        (None, _) => "no call has failed".to_owned(),
    };
    let next = sync
        .due_at
        .map(|at| format!(", next look at {at}"))
        .unwrap_or_default();
    match sync.state {
        SyncState::Idle => Check::pass(name, "AWS and the decision agree"),
        SyncState::Due => Check::warn(name, format!("{told}{next}"))
            .because("the call to AWS has yet to be made")
            .with_fix("wait; a call that fails is tried again by itself"),
        SyncState::Confirming => Check::warn(name, format!("{told}{next}"))
            .because("AWS took the decision and does not show it yet")
            .with_fix("wait: AWS takes seconds to a few minutes"),
        SyncState::GivenUp => {
            let evidence = case.connection.given_up.as_ref().map_or_else(
                || told.clone(),
                |given| format!("{} gave it up at {}: {}", given.by, given.at, given.reason),
            );
            Check::warn(name, evidence)
                .because("somebody accepted that AWS stays out of step with the decision")
                .with_fix("decide anew, or change it in AWS; either wakes it again")
        }
        SyncState::Stalled => {
            let evidence = format!("the worker gave up after {} calls: {told}", sync.attempts);
            let check = Check::fail(name, evidence);
            match sync.code.as_deref() {
                Some(ACCEPTED_OUTSIDE) => check
                    .because("AWS shows the connection alive although it was rejected or revoked here")
                    .with_fix("find who did it; POST …/retry-sync rejects it again"),
                Some(REJECTED_OUTSIDE) => check
                    .because("AWS shows the connection rejected although it was accepted here, and AWS documents no way back")
                    .with_fix("revoke it to agree with AWS, or have the consumer make a new endpoint"),
                Some(NOT_CONFIRMED) => check
                    .because("AWS took the call and did not show its result in time")
                    .with_fix("look at the connection in AWS, then POST …/retry-sync"),
                _ => check,
            }
        }
    }
}

fn drift(case: &ConnectionCase<'_>) -> Check {
    let name = CheckName::ConnectionDrift;
    if case.drifts.is_empty() {
        return Check::pass(name, "none is open");
    }
    let harmless =
        |kind: DriftKind| matches!(kind, DriftKind::AutoAccepted | DriftKind::Preexisting);
    let evidence = listed(
        case.drifts
            .iter()
            .map(|(kind, at)| format!("{kind} since {at}")),
    );
    if case.drifts.iter().all(|(kind, _)| harmless(*kind)) {
        return Check::pass(name, evidence);
    }
    let cut = |kind: DriftKind| kind == DriftKind::RejectedOutside;
    if case.drifts.iter().any(|(kind, _)| cut(*kind)) {
        Check::fail(name, evidence)
    } else {
        Check::warn(name, evidence)
    }
}

/// How a principal lets an account in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant<'a> {
    /// `*`.
    Everybody,
    /// The whole account.
    Account,
    /// One user or role of it, as `user/NAME` or `role/NAME`.
    Identity(&'a str),
}

/// Whether and how a principal lets an account in. AWS tells of a connection only the account, never the user or the role.
fn grant<'a>(principal: &'a str, owner: &AccountId) -> Option<Grant<'a>> {
    if principal == EVERYBODY {
        return Some(Grant::Everybody);
    }
    // A bare account id is seen in what AWS stores.
    if principal == owner.as_str() {
        return Some(Grant::Account);
    }
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, resource] if *account == owner.as_str() => {
            Some(if *resource == "root" {
                Grant::Account
            } else {
                Grant::Identity(resource)
            })
        }
        _ => None,
    }
}

fn principal(case: &ConnectionCase<'_>) -> Check {
    let name = CheckName::Principal;
    let owner = &case.connection.owner;
    let Some(principals) = case.service.principals() else {
        return Check::unknown(name, "the principals have not been read yet", LOOK_AGAIN);
    };
    let grants: Vec<Grant<'_>> = principals.iter().filter_map(|p| grant(p, owner)).collect();
    if grants.contains(&Grant::Account) {
        return Check::pass(name, format!("the account {owner} is allowed"));
    }
    if grants.contains(&Grant::Everybody) {
        return Check::pass(name, "* is allowed");
    }
    let some: Vec<&str> = grants
        .iter()
        .filter_map(|grant| match grant {
            Grant::Identity(identity) => Some(*identity),
            Grant::Everybody | Grant::Account => None,
        })
        .collect();
    if !some.is_empty() {
        let evidence = format!(
            "of the account {owner} only {} may make endpoints",
            listed(some)
        );
        return Check::pass(name, evidence);
    }
    let evidence = format!("no principal of the account {owner} is allowed");
    if is_live(&case.connection.observed.state) {
        Check::warn(name, evidence)
    } else {
        Check::fail(name, evidence)
            .because("the consumer would have to make a new endpoint, and is not allowed to")
            .with_fix("allow the account first, if it shall have access")
    }
}

fn cross_region(case: &ConnectionCase<'_>) -> Check {
    let name = CheckName::CrossRegion;
    let home = &case.service.service.region;
    let from = case.connection.observed.endpoint_region.as_deref();
    let Some(from) = from.filter(|region| *region != home.as_str()) else {
        return Check::pass(
            name,
            format!("the endpoint is in the service's own Region, {home}"),
        );
    };
    let Some(seen) = case.service.seen() else {
        return Check::unknown(name, "the service has not been read yet", LOOK_AGAIN);
    };
    if seen.supported_regions.iter().any(|region| region == from) {
        Check::pass(name, format!("the service is open to {from}"))
    } else {
        Check::warn(
            name,
            format!("the endpoint is in {from}, which the service is not open to"),
        )
    }
}

fn address_type(case: &ConnectionCase<'_>) -> Check {
    let name = CheckName::AddressType;
    let Some(kind) = case.connection.observed.ip_address_type.as_deref() else {
        return Check::pass(name, "AWS does not tell the endpoint's type");
    };
    let Some(seen) = case.service.seen() else {
        return Check::unknown(name, "the service has not been read yet", LOOK_AGAIN);
    };
    let needed: &[&str] = match kind {
        "dualstack" => &["ipv4", "ipv6"],
        "ipv6" => &["ipv6"],
        _ => &["ipv4"],
    };
    let offered = &seen.supported_ip_address_types;
    let lacks = |needed: &&&str| !offered.iter().any(|offer| offer == **needed);
    let evidence = format!(
        "the endpoint is {kind}, the service offers {}",
        listed(offered)
    );
    // AWS sends no list for services older than it.
    if offered.is_empty() || needed.iter().find(lacks).is_none() {
        Check::pass(name, evidence)
    } else {
        Check::warn(name, evidence)
    }
}

/// The zones that an endpoint's zonal DNS names carry: names of the consumer's account, which mean other zones in ours.
fn zone_names(case: &ConnectionCase<'_>) -> BTreeSet<String> {
    let observed = &case.connection.observed;
    let region = observed
        .endpoint_region
        .as_deref()
        .unwrap_or(case.service.service.region.as_str());
    let names = observed.dns_entries.iter().filter_map(|entry| {
        // vpce-0123-abcd-eu-west-1a.vpce-svc-….vpce.amazonaws.com; the regional name has no zone.
        let label = entry.dns_name.split('.').next()?;
        let at = label.rfind(region)?;
        let zone = label.get(at..)?;
        (zone.len() > region.len()).then(|| zone.to_owned())
    });
    names.collect()
}

fn endpoint_zones(case: &ConnectionCase<'_>) -> Check {
    let name = CheckName::EndpointZones;
    let (Some(facts), Some(seen)) = (case.service.facts, case.service.seen()) else {
        return Check::unknown(name, "the service has not been looked at yet", LOOK_AGAIN);
    };
    let offered = zones::of_service(seen, facts);
    let mut bare = BTreeSet::new();
    for one in &facts.balancers {
        let found = one
            .balancer
            .told()
            .and_then(|balancer| targets::bare_zones(balancer, one));
        let Some(zones) = found else {
            let evidence = "the health of the targets is not known";
            return Check::unknown(name, evidence, "see the service's checks");
        };
        bare.extend(zones);
    }
    let theirs = zone_names(case);
    let shown = if theirs.is_empty() {
        "the endpoint shows no zonal names".to_owned()
    } else {
        format!("the endpoint is in {} zones", theirs.len())
    };
    let evidence = format!("{shown}, the service in {}", listed(&offered));
    if bare.is_empty() {
        return Check::pass(name, format!("{evidence}, and all reach a healthy target"));
    }
    let labels = listed(bare.iter().map(|zone| facts.zone_label(zone)));
    let evidence = format!("{evidence}, without a healthy target for {labels}");
    let all_bare = bare.len() >= offered.len();
    if all_bare {
        return Check::fail(name, evidence)
            .because("no zone reaches a healthy target")
            .with_fix("see `target_health`");
    }
    // Only in one and the same account do two zone names mean the same zone.
    let ours = case.connection.owner == case.service.service.account
        && matches!(facts.zones, Read::Told { .. });
    if ours && !theirs.is_empty() {
        let hit: Vec<_> = theirs.intersection(&bare).collect();
        if hit.is_empty() {
            return Check::pass(
                name,
                format!("{evidence}; the endpoint is in none of these"),
            );
        }
        let labels = listed(hit.iter().map(|zone| facts.zone_label(zone)));
        return Check::fail(name, format!("{evidence}; the endpoint is in {labels}"))
            .because("the endpoint has a zone whose traffic goes nowhere")
            .with_fix("give that zone healthy targets, or switch cross-zone balancing on");
    }
    Check::warn(name, evidence)
}

#[cfg(test)]
mod tests;
