//! Attributes of load balancers, target groups and listeners: which there are, their defaults and what values they take, as
//! AWS's model documents them for Network Load Balancers.

use std::collections::{BTreeMap, BTreeSet};

use privatelink::LoadBalancerArn;

use super::listeners::Listener;
use super::load_balancer_subnets::carries_udp;
use super::load_balancers::{LoadBalancer, invalid, validation};
use super::targets::TargetGroup;
use super::{Caller, World};
use crate::AwsError;

const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const PROTECTION: &str = "deletion_protection.enabled";
const LOGS: &str = "access_logs.s3.enabled";
const LOGS_BUCKET: &str = "access_logs.s3.bucket";
const DENY_IPV6: &str = "ipv6.deny_all_igw_traffic";
const SECONDARY_IPS: &str = "secondary_ips.auto_assigned.per_subnet";
const DELAY: &str = "deregistration_delay.timeout_seconds";
const DELAY_CUTS: &str = "deregistration_delay.connection_termination.enabled";
const CLIENT_IP: &str = "preserve_client_ip.enabled";
const UNHEALTHY_CUTS: &str = "target_health_state.unhealthy.connection_termination.enabled";
const UNHEALTHY_DRAINS: &str = "target_health_state.unhealthy.draining_interval_seconds";

/// One attribute: its key, its default and what it takes.
type Rule = (&'static str, &'static str, Takes);

/// The values of an attribute.
enum Takes {
    Flag,
    Number(u32, u32),
    /// `off` or a number.
    OffOr(u32, u32),
    OneOf(&'static [&'static str]),
    Text,
}

const LOAD_BALANCER: &[Rule] = &[
    (PROTECTION, "false", Takes::Flag),
    (CROSS_ZONE, "false", Takes::Flag),
    (LOGS, "false", Takes::Flag),
    (LOGS_BUCKET, "", Takes::Text),
    ("access_logs.s3.prefix", "", Takes::Text),
    (DENY_IPV6, "false", Takes::Flag),
    ("zonal_shift.config.enabled", "false", Takes::Flag),
    (
        "dns_record.client_routing_policy",
        "any_availability_zone",
        Takes::OneOf(&[
            "any_availability_zone",
            "availability_zone_affinity",
            "partial_availability_zone_affinity",
        ]),
    ),
    (SECONDARY_IPS, "0", Takes::Number(0, 7)),
];

const TARGET_GROUP: &[Rule] = &[
    (DELAY, "300", Takes::Number(0, 3_600)),
    (DELAY_CUTS, "false", Takes::Flag),
    (
        CROSS_ZONE,
        "use_load_balancer_configuration",
        Takes::OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    (CLIENT_IP, "true", Takes::Flag),
    ("proxy_protocol_v2.enabled", "false", Takes::Flag),
    ("stickiness.enabled", "false", Takes::Flag),
    ("stickiness.type", "source_ip", Takes::OneOf(&["source_ip"])),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
        Takes::OffOr(1, u32::MAX),
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
        Takes::OffOr(1, 100),
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        Takes::Number(1, u32::MAX),
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Takes::OffOr(1, 100),
    ),
    (UNHEALTHY_CUTS, "true", Takes::Flag),
    (UNHEALTHY_DRAINS, "0", Takes::Number(0, 360_000)),
];

/// The idle timeout can be chosen where TCP is passed on. TLS listeners have 350 seconds and UDP flows 120, both fixed.
const TCP_LISTENER: &[Rule] = &[(IDLE, IDLE_DEFAULT, Takes::Number(60, 6_000))];

const IDLE: &str = "tcp.idle_timeout.seconds";
const IDLE_DEFAULT: &str = "350";

/// Keys that belong to other types of load balancer, by how they begin.
const ELSEWHERE: [&str; 16] = [
    "idle_timeout.",
    "client_keep_alive.",
    "connection_logs.",
    "health_check_logs.",
    "routing.http",
    "waf.",
    "load_balancing.algorithm.",
    "slow_start.",
    "stickiness.app_cookie.",
    "stickiness.lb_cookie.",
    "lambda.",
    "target_failover.",
    "send_tcp_reset.",
    "routing.",
    "ipv6.",
    "tcp.",
];

/// Key and value.
pub type Attribute = (String, String);

impl World {
    /// The attributes of a Network Load Balancer.
    pub fn load_balancer_attributes(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<Vec<Attribute>, AwsError> {
        self.network_load_balancer(caller, arn)
            .map(|lb| of_load_balancer(lb))
    }

    /// Changes attributes of a Network Load Balancer: all of them or, if one is refused, none.
    pub fn modify_load_balancer_attributes(
        &mut self,
        caller: &Caller,
        arn: &str,
        changes: &[Attribute],
    ) -> Result<Vec<Attribute>, AwsError> {
        let balancer = self.network_load_balancer(caller, arn)?;
        check("Load balancer", LOAD_BALANCER, changes)?;
        let mut new = balancer.clone();
        for (key, value) in changes {
            match key.as_str() {
                CROSS_ZONE => new.cross_zone = value == "true",
                PROTECTION => new.deletion_protection = value == "true",
                DENY_IPV6 if new.ip_address_type != "dualstack" => {
                    return Err(invalid(&format!(
                        "Load balancer attribute key '{DENY_IPV6}' is not supported on load balancers with IP address type 'ipv4'"
                    )));
                }
                SECONDARY_IPS if number(value) < number(&get(&new.attributes, SECONDARY_IPS)) => {
                    return Err(invalid(
                        "The number of secondary IP addresses cannot be decreased",
                    ));
                }
                _ => {
                    new.attributes.insert(key.clone(), value.clone());
                }
            }
        }
        if get(&new.attributes, LOGS) == "true" && get(&new.attributes, LOGS_BUCKET).is_empty() {
            return Err(invalid("Access logs need the name of an S3 bucket"));
        }
        *balancer = new;
        Ok(of_load_balancer(balancer))
    }

    /// The attributes of a target group.
    pub fn target_group_attributes(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<Vec<Attribute>, AwsError> {
        self.target_group(caller, arn).map(|g| of_target_group(g))
    }

    /// Changes attributes of a target group: all of them or, if one is refused, none.
    pub fn modify_target_group_attributes(
        &mut self,
        caller: &Caller,
        arn: &str,
        changes: &[Attribute],
    ) -> Result<Vec<Attribute>, AwsError> {
        let group = self.target_group(caller, arn)?;
        check("Target group", TARGET_GROUP, changes)?;
        let mut new = group.clone();
        let changes = changes.iter().cloned();
        new.attributes.extend(changes);
        let set = |key: &str| new.attributes.get(key).map(String::as_str);
        let udp = carries_udp(&new.protocol);
        if set(CLIENT_IP) == Some("false") && (udp || new.target_type == "alb") {
            return Err(invalid(&format!(
                "Client IP preservation cannot be disabled for target groups with protocol {} and target type {}",
                new.protocol, new.target_type
            )));
        }
        if set(UNHEALTHY_CUTS) == Some("true") && udp {
            return Err(invalid(&format!(
                "Connection termination on unhealthy targets cannot be enabled for {} target groups",
                new.protocol
            )));
        }
        let drains = set(UNHEALTHY_DRAINS).is_some_and(|seconds| number(seconds) > 0);
        if drains && set(UNHEALTHY_CUTS).unwrap_or(unhealthy_cuts(&new)) == "true" {
            return Err(invalid(
                "A draining interval for unhealthy targets needs their connection termination to be disabled",
            ));
        }
        *group = new;
        Ok(of_target_group(group))
    }

    /// The attributes of a listener.
    pub fn listener_attributes(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<Vec<Attribute>, AwsError> {
        self.listener(caller, arn)
            .map(|listener| of_listener(listener))
    }

    /// Changes attributes of a listener.
    pub fn modify_listener_attributes(
        &mut self,
        caller: &Caller,
        arn: &str,
        changes: &[Attribute],
    ) -> Result<Vec<Attribute>, AwsError> {
        let listener = self.listener(caller, arn)?;
        check("Listener", TCP_LISTENER, changes)?;
        if let (Some((key, _)), []) = (changes.first(), rules_of(listener)) {
            return Err(invalid(&format!(
                "Listener attribute key '{key}' is not supported on {} listeners",
                listener.protocol
            )));
        }
        let mut attributes = listener.attributes.clone();
        attributes.extend(changes.iter().cloned());
        let balancer = listener.load_balancer.clone();
        if has_own_idle_timeout(&attributes) && self.serves_remotely(caller, &balancer) {
            return Err(invalid(&format!(
                "Listener attribute key '{IDLE}' must be {IDLE_DEFAULT} while an endpoint service on the load balancer has consumers in other Regions"
            )));
        }
        let listener = self.listener(caller, arn)?;
        listener.attributes = attributes;
        Ok(of_listener(listener))
    }

    /// Whether a load balancer is behind a service that is open to other Regions.
    fn serves_remotely(&mut self, caller: &Caller, balancer: &LoadBalancerArn) -> bool {
        let mut services = self.place(caller).services.values();
        services.any(|service| service.uses(balancer, caller.now) && service.is_remote())
    }
}

/// Whether a listener's TCP idle timeout is another one than AWS's.
pub(super) fn has_own_idle_timeout(attributes: &BTreeMap<String, String>) -> bool {
    attributes
        .get(IDLE)
        .is_some_and(|value| value != IDLE_DEFAULT)
}

/// Milliseconds that a deregistered target drains.
pub(super) fn deregistration_delay_ms(group: &TargetGroup) -> u64 {
    let set = group.attributes.get(DELAY);
    u64::from(set.map_or(300, |seconds| number(seconds))) * 1_000
}

fn of_load_balancer(balancer: &LoadBalancer) -> Vec<Attribute> {
    let shown = LOAD_BALANCER
        .iter()
        .filter(|(key, ..)| *key != DENY_IPV6 || balancer.ip_address_type == "dualstack");
    shown
        .map(|(key, default, _)| {
            let value = match *key {
                CROSS_ZONE => balancer.cross_zone.to_string(),
                PROTECTION => balancer.deletion_protection.to_string(),
                DENY_IPV6 if !balancer.attributes.contains_key(DENY_IPV6) => {
                    (balancer.scheme == "internal").to_string()
                }
                key => value(&balancer.attributes, key, default),
            };
            ((*key).to_owned(), value)
        })
        .collect()
}

fn of_target_group(group: &TargetGroup) -> Vec<Attribute> {
    let udp = carries_udp(&group.protocol);
    // What the protocol and the target type decide.
    let preserved = udp || group.target_type != "ip";
    let rows = TARGET_GROUP.iter().map(|(key, default, _)| {
        let default = match *key {
            DELAY_CUTS if ["UDP", "TCP_UDP"].contains(&group.protocol.as_str()) => "true",
            CLIENT_IP if !preserved => "false",
            UNHEALTHY_CUTS => unhealthy_cuts(group),
            _ => default,
        };
        ((*key).to_owned(), value(&group.attributes, key, default))
    });
    rows.collect()
}

fn unhealthy_cuts(group: &TargetGroup) -> &'static str {
    if carries_udp(&group.protocol) {
        "false"
    } else {
        "true"
    }
}

fn of_listener(listener: &Listener) -> Vec<Attribute> {
    rules_of(listener)
        .iter()
        .map(|(key, default, _)| ((*key).to_owned(), value(&listener.attributes, key, default)))
        .collect()
}

fn rules_of(listener: &Listener) -> &'static [Rule] {
    if ["TCP", "TCP_UDP", "TCP_QUIC"].contains(&listener.protocol.as_str()) {
        TCP_LISTENER
    } else {
        &[]
    }
}

fn value(set: &BTreeMap<String, String>, key: &str, default: &str) -> String {
    set.get(key).cloned().unwrap_or_else(|| default.to_owned())
}

fn get(set: &BTreeMap<String, String>, key: &str) -> String {
    value(set, key, "")
}

/// A number that was checked when it was set.
fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

/// Checks the keys and values of a request.
fn check(what: &str, rules: &[Rule], changes: &[Attribute]) -> Result<(), AwsError> {
    let mut seen = BTreeSet::new();
    for (key, value) in changes {
        let shown: String = key.chars().take(256).collect();
        let Some((.., takes)) = rules.iter().find(|(known, ..)| known == key) else {
            let elsewhere = ELSEWHERE.iter().any(|start| key.starts_with(start));
            return Err(if elsewhere {
                invalid(&format!(
                    "{what} attribute key '{shown}' is not supported on load balancers with type 'network'"
                ))
            } else {
                validation(&format!("{what} attribute key '{shown}' is not recognized"))
            });
        };
        if !seen.insert(key) {
            return Err(validation(&format!(
                "{what} attribute key '{shown}' is specified more than once"
            )));
        }
        if !takes.value(value) {
            let value: String = value.chars().take(256).collect();
            return Err(validation(&format!(
                "{what} attribute value '{value}' is not valid for the key '{shown}'"
            )));
        }
    }
    Ok(())
}

impl Takes {
    fn value(&self, value: &str) -> bool {
        let between = |least: &u32, most: &u32| {
            let number = value.parse::<u32>().ok();
            number.is_some_and(|number| (*least..=*most).contains(&number))
        };
        match self {
            Self::Flag => ["true", "false"].contains(&value),
            Self::Number(least, most) => between(least, most),
            Self::OffOr(least, most) => value == "off" || between(least, most),
            Self::OneOf(words) => words.contains(&value),
            Self::Text => value.len() <= 1_024,
        }
    }
}

#[cfg(test)]
#[path = "elb_attributes_tests.rs"]
mod tests;
