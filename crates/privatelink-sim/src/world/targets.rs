//! Target groups, their targets and the targets' health.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::load_balancers::check_name;
use super::select::Tags;
use super::{Caller, Place, World, later, regions};
use crate::AwsError;

/// A target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// `arn:…:targetgroup/NAME/16 hexadecimal digits`.
    pub arn: String,
    /// Unique in the account and Region.
    pub name: String,
    /// `TCP`, `TLS`, `UDP` and so on.
    pub protocol: String,
    /// The port that targets have unless they say another.
    pub port: u16,
    /// The VPC.
    pub vpc_id: Option<String>,
    /// `instance`, `ip` or `alb`.
    pub target_type: String,
    /// Targets by id and port.
    pub targets: BTreeMap<String, Target>,
    /// The owner's tags.
    pub tags: Tags,
}

/// A registered target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Instance id, IP address or load balancer ARN.
    pub id: String,
    /// The port.
    pub port: u16,
    /// The zone, by its name in this account, when it was given.
    pub availability_zone: Option<String>,
    /// When the first health check succeeds.
    pub healthy_at: DateTime<Utc>,
    /// The health that was set by hand.
    pub health: Option<Health>,
}

/// The health of a target as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining` or `unavailable`.
    pub state: String,
    /// AWS's reason code; none for healthy targets.
    #[serde(default)]
    pub reason: Option<String>,
    /// The reason in words.
    #[serde(default)]
    pub description: Option<String>,
}

/// A target as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRef {
    /// Instance id, IP address or load balancer ARN.
    pub id: String,
    /// The port; the target group's when missing.
    pub port: Option<u16>,
    /// The zone by name, or `all`.
    pub availability_zone: Option<String>,
}

/// What `CreateTargetGroup` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTargetGroup {
    /// At most 32 letters, digits and hyphens.
    pub name: String,
    /// The protocol.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// The VPC.
    pub vpc_id: Option<String>,
    /// `instance` (the default), `ip` or `alb`.
    pub target_type: Option<String>,
    /// Tags.
    pub tags: Tags,
}

impl World {
    /// Makes a target group.
    pub fn create_target_group(
        &mut self,
        caller: &Caller,
        new: NewTargetGroup,
    ) -> Result<TargetGroup, AwsError> {
        check_name(&new.name)?;
        let target_type = new.target_type.unwrap_or_else(|| "instance".to_owned());
        if !["instance", "ip", "alb"].contains(&target_type.as_str()) {
            return Err(AwsError::new(
                "ValidationError",
                format!("'{target_type}' is not a target type of a network load balancer"),
            ));
        }
        let id = self.ids.next_hex16();
        let place = self.place(caller);
        if place
            .target_groups
            .values()
            .any(|group| group.name == new.name)
        {
            return Err(AwsError::new(
                "DuplicateTargetGroupName",
                format!("A target group with the same name '{}' exists", new.name),
            ));
        }
        let group = TargetGroup {
            arn: format!(
                "arn:{}:elasticloadbalancing:{}:{}:targetgroup/{}/{id}",
                regions::partition(&caller.region),
                caller.region,
                caller.account,
                new.name
            ),
            name: new.name,
            protocol: new.protocol,
            port: new.port,
            vpc_id: new.vpc_id,
            target_type,
            targets: BTreeMap::new(),
            tags: new.tags,
        };
        place.target_groups.insert(group.arn.clone(), group.clone());
        Ok(group)
    }

    /// Lists target groups: all, or those named, or those a load balancer forwards to. With each, the load balancers using it.
    pub fn target_groups(
        &mut self,
        caller: &Caller,
        load_balancer: Option<&str>,
        arns: &[String],
        names: &[String],
    ) -> Result<Vec<(TargetGroup, Vec<String>)>, AwsError> {
        if let Some(arn) = load_balancer {
            self.load_balancer(caller, arn)?;
        }
        let place = self.place(caller);
        if let Some(unknown) = arns
            .iter()
            .find(|arn| !place.target_groups.contains_key(*arn))
        {
            return Err(no_target_group(unknown));
        }
        if let Some(unknown) = names
            .iter()
            .find(|n| !place.target_groups.values().any(|g| g.name == **n))
        {
            return Err(no_target_group(unknown));
        }
        // One walk over the listeners, not one for each group: a large account has a thousand of both.
        let mut users: HashMap<&str, Vec<String>> = HashMap::new();
        for listener in place.listeners.values() {
            for arn in &listener.target_groups {
                let user = listener.load_balancer.to_string();
                let users = users.entry(arn).or_default();
                if users.last() != Some(&user) {
                    users.push(user);
                }
            }
        }
        Ok(place
            .target_groups
            .values()
            .filter(|g| arns.is_empty() || arns.contains(&g.arn))
            .filter(|g| names.is_empty() || names.contains(&g.name))
            .map(|g| (g, users.remove(g.arn.as_str()).unwrap_or_default()))
            .filter(|(_, users)| load_balancer.is_none_or(|arn| users.iter().any(|u| u == arn)))
            .map(|(g, users)| (g.clone(), users))
            .collect())
    }

    /// Deletes a target group; `ResourceInUse` while a listener forwards to it.
    pub fn delete_target_group(&mut self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let place = self.place(caller);
        if !users(place, arn).is_empty() {
            return Err(AwsError::new(
                "ResourceInUse",
                format!("Target group '{arn}' is currently in use by a listener or a rule"),
            ));
        }
        place.target_groups.remove(arn);
        Ok(())
    }

    /// Registers targets; one that is registered already stays as it is.
    pub fn register_targets(
        &mut self,
        caller: &Caller,
        arn: &str,
        targets: &[TargetRef],
    ) -> Result<(), AwsError> {
        let healthy_at = later(caller.now, self.behavior.target_initial_ms);
        let group = self.target_group(caller, arn)?;
        if let Some(wrong) = targets.iter().find(|target| {
            group.target_type == "ip" && target.id.parse::<std::net::IpAddr>().is_err()
        }) {
            return Err(AwsError::new(
                "InvalidTarget",
                format!(
                    "The IP address '{}' is not a valid IPv4 or IPv6 address",
                    wrong.id
                ),
            ));
        }
        for target in targets {
            let port = target.port.unwrap_or(group.port);
            group
                .targets
                .entry(target_key(&target.id, port))
                .or_insert_with(|| Target {
                    id: target.id.clone(),
                    port,
                    availability_zone: target.availability_zone.clone(),
                    healthy_at,
                    health: None,
                });
        }
        Ok(())
    }

    /// Takes targets out; without a port, the target group's.
    pub fn deregister_targets(
        &mut self,
        caller: &Caller,
        arn: &str,
        targets: &[TargetRef],
    ) -> Result<(), AwsError> {
        let group = self.target_group(caller, arn)?;
        for target in targets {
            let port = target.port.unwrap_or(group.port);
            group.targets.remove(&target_key(&target.id, port));
        }
        Ok(())
    }

    /// The targets of a group, or those named, with their health.
    pub fn target_health(
        &mut self,
        caller: &Caller,
        arn: &str,
        targets: &[TargetRef],
    ) -> Result<Vec<(Target, Health)>, AwsError> {
        let group = self.target_group(caller, arn)?.clone();
        let used = !users(self.place(caller), arn).is_empty();
        if targets.is_empty() {
            let all = group.targets.into_values();
            return Ok(all
                .map(|t| (health_of(&t, used, caller.seen_at), t))
                .map(|(h, t)| (t, h))
                .collect());
        }
        Ok(targets
            .iter()
            .map(|asked| {
                let port = asked.port.unwrap_or(group.port);
                match group.targets.get(&target_key(&asked.id, port)) {
                    Some(target) => (target.clone(), health_of(target, used, caller.seen_at)),
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
        let mut changed = 0;
        let group = self.target_group(caller, arn)?;
        for target in group.targets.values_mut().filter(|t| t.id == target_id) {
            target.health = health.cloned();
            changed += 1;
        }
        if changed == 0 {
            return Err(AwsError::new(
                "InvalidTarget",
                format!("'{target_id}' is not registered"),
            ));
        }
        Ok(changed)
    }

    pub(crate) fn target_group(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<&mut TargetGroup, AwsError> {
        self.place(caller)
            .target_groups
            .get_mut(arn)
            .ok_or_else(|| no_target_group(arn))
    }
}

fn health_of(target: &Target, used: bool, at: DateTime<Utc>) -> Health {
    let says = |state: &str, reason: &str, description: &str| Health {
        state: state.to_owned(),
        reason: Some(reason.to_owned()),
        description: Some(description.to_owned()),
    };
    match &target.health {
        Some(set) => set.clone(),
        None if !used => says(
            "unused",
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        ),
        None if at < target.healthy_at => says(
            "initial",
            "Elb.RegistrationInProgress",
            "Target registration is in progress",
        ),
        None => Health {
            state: "healthy".to_owned(),
            reason: None,
            description: None,
        },
    }
}

fn not_registered(asked: &TargetRef, port: u16, now: DateTime<Utc>) -> (Target, Health) {
    let target = Target {
        id: asked.id.clone(),
        port,
        availability_zone: None,
        healthy_at: now,
        health: None,
    };
    let health = Health {
        state: "unused".to_owned(),
        reason: Some("Target.NotRegistered".to_owned()),
        description: Some("Target is not registered to the target group".to_owned()),
    };
    (target, health)
}

fn target_key(id: &str, port: u16) -> String {
    format!("{id} {port}")
}

/// The load balancers that forward to a target group.
fn users(place: &Place, target_group: &str) -> Vec<String> {
    let mut users: Vec<String> = place
        .listeners
        .values()
        .filter(|l| l.target_groups.iter().any(|arn| arn == target_group))
        .map(|l| l.load_balancer.to_string())
        .collect();
    users.dedup();
    users
}

pub(super) fn no_target_group(name: &str) -> AwsError {
    AwsError::new(
        "TargetGroupNotFound",
        format!("One or more target groups not found: '{name}'"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{PROVIDER, caller, load_balancer, world};

    fn group(world: &mut World, me: &Caller) -> String {
        let new = NewTargetGroup {
            name: "tg".into(),
            protocol: "TCP".into(),
            port: 443,
            vpc_id: None,
            target_type: Some("ip".into()),
            tags: Tags::new(),
        };
        world.create_target_group(me, new).unwrap().arn
    }

    fn at(id: &str) -> TargetRef {
        TargetRef {
            id: id.into(),
            port: None,
            availability_zone: None,
        }
    }

    #[test]
    fn a_target_is_unused_then_initial_then_healthy() {
        let (mut world, mut me) = (world(), caller(PROVIDER));
        world.behavior.target_initial_ms = 1_000;
        let arn = group(&mut world, &me);
        world
            .register_targets(&me, &arn, &[at("10.0.0.1")])
            .unwrap();
        let state = |world: &mut World, me: &Caller| {
            world.target_health(me, &arn, &[]).unwrap()[0]
                .1
                .state
                .clone()
        };
        assert_eq!(state(&mut world, &me), "unused");
        let lb = load_balancer(&mut world, &me, "edge").to_string();
        world
            .create_listener(&me, &lb, 443, "TCP", vec![arn.clone()], Tags::new())
            .unwrap();
        assert_eq!(state(&mut world, &me), "initial");
        me.seen_at = later(me.now, 1_000);
        assert_eq!(state(&mut world, &me), "healthy");
    }

    #[test]
    fn health_can_be_set_and_given_back() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = group(&mut world, &me);
        world
            .register_targets(&me, &arn, &[at("10.0.0.1")])
            .unwrap();
        let sick = Health {
            state: "unhealthy".into(),
            reason: Some("Target.FailedHealthChecks".into()),
            description: None,
        };
        world
            .set_target_health(&me, &arn, "10.0.0.1", Some(&sick))
            .unwrap();
        assert_eq!(world.target_health(&me, &arn, &[]).unwrap()[0].1, sick);
        world
            .set_target_health(&me, &arn, "10.0.0.1", None)
            .unwrap();
        assert_eq!(
            world.target_health(&me, &arn, &[]).unwrap()[0].1.state,
            "unused"
        );
        assert!(
            world
                .set_target_health(&me, &arn, "10.0.0.9", None)
                .is_err()
        );
    }

    #[test]
    fn a_group_in_use_cannot_be_deleted() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = group(&mut world, &me);
        let lb = load_balancer(&mut world, &me, "edge").to_string();
        let listener = world
            .create_listener(&me, &lb, 443, "TCP", vec![arn.clone()], Tags::new())
            .unwrap();
        assert_eq!(
            world.delete_target_group(&me, &arn).unwrap_err().code,
            "ResourceInUse"
        );
        world.delete_listener(&me, &listener.arn).unwrap();
        assert!(world.delete_target_group(&me, &arn).is_ok());
    }

    #[test]
    fn a_host_name_is_no_ip_target() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = group(&mut world, &me);
        let error = world
            .register_targets(&me, &arn, &[at("example.com")])
            .unwrap_err();
        assert_eq!(error.code, "InvalidTarget");
    }
}
