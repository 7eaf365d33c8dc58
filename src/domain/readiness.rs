//! Readiness: would a consumer who connects now get through to a target? Pure checks over what AWS said, each with its evidence.
//!
//! A check never guesses: what could not be read is `unknown`. Only `fail` makes a service not ready; `warn` is for what works
//! today and will hurt in a known way.

use privatelink::{
    AvailabilityZone, Listener, LoadBalancer, LoadBalancerArn, TargetGroup, TargetHealth,
    TargetState,
};
use serde::{Deserialize, Serialize};

use super::text::text_enum;

text_enum!(
    /// How a check came out.
    CheckStatus {
        /// As it should be.
        Pass = "pass",
        /// Works, and will hurt in a known way.
        Warn = "warn",
        /// Consumers cannot connect, or their traffic goes nowhere.
        Fail = "fail",
        /// Could not be read.
        Unknown = "unknown",
    }
);

/// One check and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Check {
    /// Which check: a stable word.
    pub check: String,
    /// How it came out.
    pub status: CheckStatus,
    /// The load balancer it is about; absent for the service as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_arn: Option<String>,
    /// What was seen, as a sentence.
    pub evidence: String,
    /// What to do about it, where something is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What AWS said about one load balancer, or the code it answered instead.
#[derive(Debug, Clone)]
pub struct BalancerFacts {
    /// Which load balancer was asked about.
    pub arn: String,
    /// Its description, or the AWS error code.
    pub balancer: Result<LoadBalancer, String>,
    /// Its listeners, or the AWS error code.
    pub listeners: Result<Vec<Listener>, String>,
    /// Its target groups with their targets, or the AWS error code.
    pub targets: Result<Vec<(TargetGroup, Vec<TargetHealth>)>, String>,
}

/// What AWS said about the service's surroundings.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Every load balancer of the service.
    pub balancers: Vec<BalancerFacts>,
    /// The Region's zones, to tell ids.
    pub zones: Vec<AvailabilityZone>,
    /// The zone names that the service itself reports; empty before it exists.
    pub service_zones: Vec<String>,
}

/// Listener protocols that a Network Load Balancer carries over PrivateLink.
const PROTOCOLS: [&str; 6] = ["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"];

/// Runs every check.
pub fn run(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for balancer in &facts.balancers {
        let about = |check: Check| Check {
            load_balancer_arn: Some(balancer.arn.clone()),
            ..check
        };
        match &balancer.balancer {
            Err(code) => {
                let status = if code.contains("NotFound") {
                    CheckStatus::Fail
                } else {
                    CheckStatus::Unknown
                };
                checks.push(about(check(
                    "load_balancer_exists",
                    status,
                    format!("AWS answered {code} when asked for it"),
                    Some(
                        "check the ARN, and that the role may call elasticloadbalancing:Describe*",
                    ),
                )));
            }
            Ok(description) => {
                checks.push(about(kind(description)));
                checks.push(about(state(description)));
                checks.push(about(zones(description, facts)));
                checks.push(about(security_groups(description)));
                checks.push(about(listeners(&balancer.listeners)));
                checks.push(about(targets(description, &balancer.targets)));
            }
        }
    }
    if facts.balancers.len() > 1 {
        checks.push(equal_listeners(&facts.balancers));
    }
    checks
}

/// Whether something is still coming up by itself, so that the checks will soon come out otherwise: a load balancer that is being
/// provisioned, a target before the end of its first health checks.
pub fn is_settling(facts: &Facts) -> bool {
    facts.balancers.iter().any(|facts| {
        let provisioning = facts
            .balancer
            .as_ref()
            .is_ok_and(|balancer| balancer.state == "provisioning");
        let mut targets = facts
            .targets
            .iter()
            .flatten()
            .flat_map(|(_, health)| health);
        provisioning || targets.any(|target| target.state == TargetState::Initial)
    })
}

/// Whether nothing failed.
pub fn is_ready(checks: &[Check]) -> bool {
    !checks.is_empty() && checks.iter().all(|c| c.status != CheckStatus::Fail)
}

fn check(name: &str, status: CheckStatus, evidence: String, fix: Option<&str>) -> Check {
    Check {
        check: name.to_owned(),
        status,
        load_balancer_arn: None,
        evidence,
        fix: if status == CheckStatus::Pass {
            None
        } else {
            fix.map(str::to_owned)
        },
    }
}

fn verdict(good: bool) -> CheckStatus {
    if good {
        CheckStatus::Pass
    } else {
        CheckStatus::Fail
    }
}

fn kind(balancer: &LoadBalancer) -> Check {
    check(
        "load_balancer_is_network",
        verdict(balancer.kind == "network"),
        format!("type is {}", balancer.kind),
        Some("an endpoint service needs a Network Load Balancer; put one in front"),
    )
}

fn state(balancer: &LoadBalancer) -> Check {
    let status = match balancer.state.as_str() {
        "active" => CheckStatus::Pass,
        "active_impaired" => CheckStatus::Warn,
        // Provisioning included: nothing gets through yet.
        _ => CheckStatus::Fail,
    };
    let reason = balancer
        .state_reason
        .as_deref()
        .map(|r| format!(": {r}"))
        .unwrap_or_default();
    check(
        "load_balancer_is_active",
        status,
        format!("state is {}{reason}", balancer.state),
        Some("wait for provisioning to end, or read the reason in the load balancer's description"),
    )
}

fn zones(balancer: &LoadBalancer, facts: &Facts) -> Check {
    let id = |name: &String| {
        facts
            .zones
            .iter()
            .find(|z| &z.name == name)
            .map_or_else(|| name.clone(), |z| z.id.to_string())
    };
    let mut ids: Vec<String> = balancer.availability_zones.iter().map(id).collect();
    ids.sort();
    let stale = !facts.service_zones.is_empty()
        && balancer
            .availability_zones
            .iter()
            .any(|zone| !facts.service_zones.contains(zone));
    let (status, fix) = match (ids.len(), stale) {
        (0, _) => (CheckStatus::Fail, "enable zones on the load balancer"),
        (_, true) => (
            CheckStatus::Warn,
            "the service does not know all of them: POST /v1/services/{id}/refresh-zones has AWS read them again",
        ),
        (1, _) => (
            CheckStatus::Warn,
            "consumers in other zones cannot connect: enable more zones",
        ),
        _ => (CheckStatus::Pass, ""),
    };
    check(
        "availability_zones",
        status,
        format!("zones {}", ids.join(", ")),
        Some(fix),
    )
}

fn security_groups(balancer: &LoadBalancer) -> Check {
    let enforced = balancer.enforce_security_groups_on_private_link == Some(true)
        && !balancer.security_groups.is_empty();
    let status = if enforced {
        CheckStatus::Warn
    } else {
        CheckStatus::Pass
    };
    let evidence = if balancer.security_groups.is_empty() {
        "no security groups".to_owned()
    } else {
        format!(
            "{} security groups, inbound rules {} on PrivateLink traffic",
            balancer.security_groups.len(),
            if enforced { "enforced" } else { "not enforced" }
        )
    };
    check(
        "security_groups",
        status,
        evidence,
        Some(
            "rules are judged on the consumer's private address, which cannot be known: switch enforcement off for \
             PrivateLink traffic, or allow the ports from 0.0.0.0/0",
        ),
    )
}

fn listeners(listeners: &Result<Vec<Listener>, String>) -> Check {
    match listeners {
        Err(code) => unread("listeners", code),
        Ok(all) => {
            let usable: Vec<String> = all
                .iter()
                .filter(|l| PROTOCOLS.contains(&l.protocol.as_str()))
                .map(|l| format!("{} {}", l.protocol, l.port))
                .collect();
            let evidence = if usable.is_empty() {
                format!("{} listeners, none of TCP, TLS, UDP or QUIC", all.len())
            } else {
                usable.join(", ")
            };
            check(
                "listeners",
                verdict(!usable.is_empty()),
                evidence,
                Some("add a TCP, TLS or UDP listener"),
            )
        }
    }
}

fn targets(
    balancer: &LoadBalancer,
    targets: &Result<Vec<(TargetGroup, Vec<TargetHealth>)>, String>,
) -> Check {
    let groups = match targets {
        Err(code) => return unread("target_health", code),
        Ok(groups) => groups,
    };
    let all = groups.iter().flat_map(|(_, health)| health).count();
    let healthy: Vec<&TargetHealth> = groups
        .iter()
        .flat_map(|(_, health)| health)
        .filter(|t| t.state == TargetState::Healthy)
        .collect();
    // Without cross-zone balancing a zone whose own targets are down swallows its consumers' traffic.
    let bare: Vec<&String> = balancer
        .availability_zones
        .iter()
        .filter(|zone| {
            !healthy.iter().any(|t| {
                t.availability_zone
                    .as_ref()
                    .is_none_or(|z| z == *zone || z == "all")
            })
        })
        .collect();
    let evidence = format!(
        "{} of {all} targets healthy, cross-zone balancing {}",
        healthy.len(),
        if balancer.cross_zone { "on" } else { "off" }
    );
    if healthy.is_empty() {
        let fix = "register targets and mend their health checks";
        return check("target_health", CheckStatus::Fail, evidence, Some(fix));
    }
    if !balancer.cross_zone && !bare.is_empty() {
        let names: Vec<&str> = bare.iter().map(|z| z.as_str()).collect();
        let evidence = format!("{evidence}, none in {}", names.join(", "));
        let fix = "traffic to those zones goes nowhere: add targets there or switch cross-zone balancing on";
        return check("target_health", CheckStatus::Warn, evidence, Some(fix));
    }
    let status = if healthy.len() == all {
        CheckStatus::Pass
    } else {
        CheckStatus::Warn
    };
    check(
        "target_health",
        status,
        evidence,
        Some("mend the targets that are not healthy"),
    )
}

fn equal_listeners(balancers: &[BalancerFacts]) -> Check {
    let all: Option<Vec<(LoadBalancerArn, Vec<Listener>)>> = balancers
        .iter()
        .map(|b| Some((b.arn.parse().ok()?, b.listeners.clone().ok()?)))
        .collect();
    let Some(all) = all else {
        return unread("listeners_equal", "listeners of one load balancer");
    };
    let difference = super::listeners::difference(&all);
    let equal = difference.is_none();
    let evidence = difference.unwrap_or_else(|| "all load balancers listen alike".to_owned());
    let fix = "AWS gives each consumer zone one of the load balancers at random: make their listeners equal";
    check("listeners_equal", verdict(equal), evidence, Some(fix))
}

fn unread(name: &str, code: &str) -> Check {
    check(
        name,
        CheckStatus::Unknown,
        format!("could not be read: {code}"),
        Some("check that the role may call elasticloadbalancing:Describe*"),
    )
}

#[cfg(test)]
mod tests;
