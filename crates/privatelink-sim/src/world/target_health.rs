//! Targets: registered, judged, drained. There is no traffic, so a target in use becomes healthy unless somebody says otherwise.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Utc};

use super::elb_attributes::deregistration_delay_ms;
use super::load_balancer_subnets::contains;
use super::load_balancers::{LoadBalancerKind, validation};
use super::targets::{Health, Target, TargetGroup, TargetRef, users};
use super::{Caller, Place, World, later};
use crate::AwsError;

/// Whether ELBv2 has this state with this reason. A reason belongs to its states, as documented, and `healthy` has none; the
/// documentation names none for `unhealthy.draining`, which takes those of both its halves here.
fn is_health(state: &str, reason: Option<&str>) -> bool {
    const REGISTERING: &[&str] = &["Elb.RegistrationInProgress", "Elb.InitialHealthChecking"];
    const SICK: &[&str] = &[
        "Target.ResponseCodeMismatch",
        "Target.Timeout",
        "Target.FailedHealthChecks",
        "Elb.InternalError",
    ];
    const UNUSED: &[&str] = &[
        "Target.NotRegistered",
        "Target.NotInUse",
        "Target.InvalidState",
        "Target.IpUnusable",
    ];
    const LEAVING: &str = "Target.DeregistrationInProgress";
    const UNKNOWN: &[&str] = &["Target.HealthCheckDisabled", "Elb.InternalError"];
    let has = |reasons: &[&str]| reason.is_none_or(|reason| reasons.contains(&reason));
    match state {
        "healthy" => reason.is_none(),
        "initial" => has(REGISTERING),
        "unhealthy" => has(SICK),
        "unhealthy.draining" => has(SICK) || has(&[LEAVING]),
        "unused" => has(UNUSED),
        "draining" => has(&[LEAVING]),
        "unavailable" => has(UNKNOWN),
        _ => false,
    }
}

impl World {
    /// Registers targets; one that is registered already stays as it is, one that drains comes back.
    pub fn register_targets(
        &mut self,
        caller: &Caller,
        arn: &str,
        targets: &[TargetRef],
    ) -> Result<(), AwsError> {
        let healthy_at = later(caller.now, self.behavior.target_initial_ms);
        let zones: Vec<_> = self.zones(&caller.account, &caller.region);
        let group = self.target_group(caller, arn)?.clone();
        let place = self.place(caller);
        let mut new = Vec::new();
        for target in targets {
            let zone_of = |ip: Ipv4Addr| {
                let mut subnets = place.subnets.values();
                let home = subnets
                    .find(|s| Some(&s.vpc_id) == group.vpc_id.as_ref() && contains(&s.cidr, ip))?;
                zones
                    .iter()
                    .find(|z| z.id == home.zone)
                    .map(|z| z.name.clone())
            };
            let zone = match group.target_type.as_str() {
                "ip" => {
                    let known = |name: &str| zones.iter().any(|zone| zone.name == name);
                    zone_of_address(&group, target, zone_of, known)?
                }
                kind => {
                    check_other(place, kind, target)?;
                    None
                }
            };
            check_quic(&group, target)?;
            new.push(Target {
                id: target.id.clone(),
                port: target.port.unwrap_or(group.port),
                availability_zone: zone,
                quic_server_id: target.quic_server_id.clone(),
                registered_at: caller.now,
                healthy_at,
                draining_until: None,
                health: None,
            });
        }
        let group = self.target_group(caller, arn)?;
        forget_drained(group, caller.now);
        let more = new
            .iter()
            .filter(|t| !group.targets.contains_key(&key(&t.id, t.port)));
        if group.target_type == "alb" && group.targets.len() + more.count() > 1 {
            return Err(AwsError::new(
                "TooManyTargets",
                "A target group of type 'alb' has one target",
            ));
        }
        for target in new {
            let key = key(&target.id, target.port);
            let drains = |old: &Target| old.draining_until.is_some();
            if group.targets.get(&key).is_none_or(drains) {
                group.targets.insert(key, target);
            }
        }
        Ok(())
    }

    /// Takes targets out; without a port, the target group's. Those in use drain for the group's delay. What is not
    /// registered is out already.
    pub fn deregister_targets(
        &mut self,
        caller: &Caller,
        arn: &str,
        targets: &[TargetRef],
    ) -> Result<(), AwsError> {
        let used = !users(self.place(caller), arn).is_empty();
        let group = self.target_group(caller, arn)?;
        let until = later(caller.now, deregistration_delay_ms(group));
        for target in targets {
            let key = key(&target.id, target.port.unwrap_or(group.port));
            if let Some(target) = group.targets.get_mut(&key) {
                target
                    .draining_until
                    .get_or_insert(if used { until } else { caller.now });
            }
        }
        forget_drained(group, caller.now);
        Ok(())
    }

    /// The targets of a group, or those named, with their health.
    pub fn target_health(
        &mut self,
        caller: &Caller,
        arn: &str,
        targets: &[TargetRef],
    ) -> Result<Vec<(Target, Health)>, AwsError> {
        let zones = self.zones(&caller.account, &caller.region);
        let group = self.target_group(caller, arn)?.clone();
        let place = self.place(caller);
        let users = users(place, arn);
        let in_use = users
            .iter()
            .filter_map(|user| place.load_balancers.get(&user.parse().ok()?))
            .flat_map(|lb| lb.subnets.iter())
            .filter_map(|(id, _)| zones.iter().find(|zone| zone.id == *id))
            .map(|zone| zone.name.as_str());
        let view = View {
            enabled: (!users.is_empty()).then(|| in_use.collect()),
            at: caller.seen_at,
        };
        let listed = |target: &&Target| target.draining_until.is_none_or(|end| view.at < end);
        if targets.is_empty() {
            let all = group.targets.values().filter(listed);
            return Ok(all.map(|t| (t.clone(), view.health_of(t))).collect());
        }
        Ok(targets
            .iter()
            .map(|asked| {
                let port = asked.port.unwrap_or(group.port);
                let there = group.targets.get(&key(&asked.id, port)).filter(listed);
                match there {
                    Some(target) => (target.clone(), view.health_of(target)),
                    None => not_registered(asked, port, caller.now),
                }
            })
            .collect())
    }

    /// Sets the health that a target shows; `None` gives it back to its own checks.
    pub fn set_target_health(
        &mut self,
        caller: &Caller,
        arn: &str,
        target_id: &str,
        health: Option<&Health>,
    ) -> Result<usize, AwsError> {
        let changed = self.set_health(caller, arn, health, |target| target.id == target_id)?;
        if changed == 0 {
            return Err(AwsError::new(
                "InvalidTarget",
                format!("'{target_id}' is not registered"),
            ));
        }
        Ok(changed)
    }

    /// Sets the health of all targets of a group, or of those in one zone, and says how many there are.
    pub fn set_group_health(
        &mut self,
        caller: &Caller,
        arn: &str,
        zone: Option<&str>,
        health: Option<&Health>,
    ) -> Result<usize, AwsError> {
        self.set_health(caller, arn, health, |target| {
            zone.is_none() || target.availability_zone.as_deref() == zone
        })
    }

    /// Sets the health of all targets in a zone, whatever their group, and says how many there are.
    pub fn set_zone_health(
        &mut self,
        caller: &Caller,
        zone: &str,
        health: Option<&Health>,
    ) -> Result<usize, AwsError> {
        let arns: Vec<_> = self.place(caller).target_groups.keys().cloned().collect();
        let mut changed = 0;
        for arn in arns {
            changed += self.set_group_health(caller, &arn, Some(zone), health)?;
        }
        Ok(changed)
    }

    fn set_health(
        &mut self,
        caller: &Caller,
        arn: &str,
        health: Option<&Health>,
        chosen: impl Fn(&Target) -> bool,
    ) -> Result<usize, AwsError> {
        if let Some(health) = health {
            let reason = health.reason.as_deref();
            if !is_health(&health.state, reason) {
                return Err(validation(&format!(
                    "'{}' with reason '{}' is not a health of ELBv2",
                    health.state,
                    reason.unwrap_or_default()
                )));
            }
        }
        let mut changed = 0;
        let group = self.target_group(caller, arn)?;
        for target in group.targets.values_mut().filter(|target| chosen(target)) {
            target.health = health.cloned();
            changed += 1;
        }
        Ok(changed)
    }
}

/// What decides about the health of a group's targets.
struct View<'a> {
    /// The zones that are enabled on the load balancers in front, by name; none when there is none in front.
    enabled: Option<BTreeSet<&'a str>>,
    at: DateTime<Utc>,
}

impl View<'_> {
    fn health_of(&self, target: &Target) -> Health {
        if target.draining_until.is_some() {
            return says(
                "draining",
                "Target.DeregistrationInProgress",
                "Target deregistration is in progress",
            );
        }
        if let Some(set) = &target.health {
            return set.clone();
        }
        let Some(enabled) = &self.enabled else {
            return says(
                "unused",
                "Target.NotInUse",
                "Target group is not configured to receive traffic from the load balancer",
            );
        };
        let zone = target.availability_zone.as_deref();
        if zone.is_some_and(|zone| zone != "all" && !enabled.contains(zone)) {
            return says(
                "unused",
                "Target.NotInUse",
                "Target is in an Availability Zone that is not enabled for the load balancer",
            );
        }
        // The first half of the time before a target is healthy is registration, the second the first health checks.
        let checked_at = target.registered_at + (target.healthy_at - target.registered_at) / 2;
        if self.at < target.healthy_at && self.at < checked_at {
            return says(
                "initial",
                "Elb.RegistrationInProgress",
                "Target registration is in progress",
            );
        }
        if self.at < target.healthy_at {
            return says(
                "initial",
                "Elb.InitialHealthChecking",
                "Initial health checks in progress",
            );
        }
        Health {
            state: "healthy".to_owned(),
            reason: None,
            description: None,
        }
    }
}

fn says(state: &str, reason: &str, description: &str) -> Health {
    Health {
        state: state.to_owned(),
        reason: Some(reason.to_owned()),
        description: Some(description.to_owned()),
    }
}

fn not_registered(asked: &TargetRef, port: u16, now: DateTime<Utc>) -> (Target, Health) {
    let target = Target {
        id: asked.id.clone(),
        port,
        availability_zone: None,
        quic_server_id: None,
        registered_at: now,
        healthy_at: now,
        draining_until: None,
        health: None,
    };
    let health = says(
        "unused",
        "Target.NotRegistered",
        "Target is not registered to the target group",
    );
    (target, health)
}

/// The zone of an address: found by itself inside the VPC, and to be said outside of it.
fn zone_of_address(
    group: &TargetGroup,
    target: &TargetRef,
    zone_of: impl Fn(Ipv4Addr) -> Option<String>,
    known: impl Fn(&str) -> bool,
) -> Result<Option<String>, AwsError> {
    let wrong = |why: &str| {
        AwsError::new(
            "InvalidTarget",
            format!("The IP address '{}' {why}", target.id),
        )
    };
    let ip: IpAddr = target
        .id
        .parse()
        .map_err(|_| wrong("is not a valid IPv4 or IPv6 address"))?;
    let said = target.availability_zone.as_deref();
    let home = match ip {
        IpAddr::V4(ip) if group.ip_address_type == "ipv4" => {
            let home = zone_of(ip);
            let shared = contains("100.64.0.0/10", ip);
            if home.is_none() && !ip.is_private() && !shared {
                return Err(wrong(
                    "is not in a subnet of the VPC nor in the ranges of RFC 1918 and RFC 6598",
                ));
            }
            home
        }
        // IPv6 blocks of subnets are not modelled: any address counts as inside, in the zone that is said.
        IpAddr::V6(_) if group.ip_address_type == "ipv6" => said.map(str::to_owned),
        _ => return Err(wrong("is not of the target group's IP address type")),
    };
    match (home, said) {
        (Some(home), Some(said)) if home != said => Err(validation(&format!(
            "The IP address '{}' is within the VPC, and cannot have its Availability Zone overridden to '{said}' from '{home}'",
            target.id
        ))),
        (Some(home), _) => Ok(Some(home)),
        (None, Some(said)) if said == "all" || known(said) => Ok(Some(said.to_owned())),
        (None, Some(said)) => Err(validation(&format!(
            "'{said}' is not a valid Availability Zone"
        ))),
        (None, None) if ip.is_ipv6() => Ok(None),
        (None, None) => Err(validation(&format!(
            "The Availability Zone is required for IP address '{}' because it is not in the VPC",
            target.id
        ))),
    }
}

/// Instances are taken by the form of their id, since EC2 instances are not modelled; load balancers must be there.
fn check_other(place: &Place, kind: &str, target: &TargetRef) -> Result<(), AwsError> {
    if target.availability_zone.is_some() {
        return Err(validation(&format!(
            "An Availability Zone cannot be specified for targets of type '{kind}'"
        )));
    }
    let good = if kind == "alb" {
        let arn = target.id.parse().ok();
        let balancer = arn.and_then(|arn| place.load_balancers.get(&arn));
        balancer.is_some_and(|lb| lb.kind() == LoadBalancerKind::Application)
    } else {
        target.id.strip_prefix("i-").is_some_and(|tail| {
            (8..=17).contains(&tail.len()) && tail.bytes().all(|b| b.is_ascii_hexdigit())
        })
    };
    if good {
        Ok(())
    } else {
        let shown: String = target.id.chars().take(256).collect();
        Err(AwsError::new(
            "InvalidTarget",
            format!("The following targets are not valid: '{shown}'"),
        ))
    }
}

/// QUIC needs a server id, and nothing else takes one.
fn check_quic(group: &TargetGroup, target: &TargetRef) -> Result<(), AwsError> {
    let quic = group.protocol.ends_with("QUIC");
    let good = |id: &String| {
        id.strip_prefix("0x").is_some_and(|tail| {
            tail.len() == 16
                && tail
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    };
    match &target.quic_server_id {
        None if quic => Err(validation("A QUIC server ID must be specified")),
        Some(_) if !quic => Err(validation(
            "A QUIC server ID is only for target groups with protocol QUIC or TCP_QUIC",
        )),
        Some(id) if !good(id) => Err(validation(
            "A QUIC server ID is '0x' and 16 hexadecimal digits in lower case",
        )),
        _ => Ok(()),
    }
}

fn forget_drained(group: &mut TargetGroup, now: DateTime<Utc>) {
    let stays = |target: &Target| target.draining_until.is_none_or(|end| now < end);
    group.targets.retain(|_, target| stays(target));
}

fn key(id: &str, port: u16) -> String {
    format!("{id} {port}")
}

#[cfg(test)]
#[path = "target_health_tests.rs"]
mod tests;
