//! Target groups of Network Load Balancers. Their targets are registered and judged in [`super::target_health`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::gateway_load_balancers::GENEVE;
use super::health_checks::{HealthCheck, HealthCheckChange};
use super::load_balancers::{check_arn, check_name, invalid, one_of, validation};
use super::select::Tags;
use super::{Caller, Place, World, regions};
use crate::AwsError;

/// The protocols of a Network Load Balancer's target groups.
const PROTOCOLS: [&str; 6] = ["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"];

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
    /// `ipv4` or `ipv6`.
    #[serde(default = "ipv4")]
    pub ip_address_type: String,
    /// How targets would be checked. Nothing is: health is set by hand.
    #[serde(default)]
    pub health_check: HealthCheck,
    /// Attributes that were set.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Targets by id and port.
    pub targets: BTreeMap<String, Target>,
    /// The owner's tags.
    pub tags: Tags,
}

fn ipv4() -> String {
    "ipv4".to_owned()
}

/// A registered target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Instance id, IP address or load balancer ARN.
    pub id: String,
    /// The port.
    pub port: u16,
    /// The zone, by its name in this account, or `all`; none for instances and load balancers.
    pub availability_zone: Option<String>,
    /// The id that QUIC routes by.
    #[serde(default)]
    pub quic_server_id: Option<String>,
    /// When it was registered.
    #[serde(default)]
    pub registered_at: DateTime<Utc>,
    /// When the first health checks have succeeded.
    pub healthy_at: DateTime<Utc>,
    /// When it was deregistered, the end of its draining.
    #[serde(default)]
    pub draining_until: Option<DateTime<Utc>>,
    /// The health that was set by hand.
    pub health: Option<Health>,
}

/// The health of a target as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// `initial`, `healthy`, `unhealthy`, `unhealthy.draining`, `unused`, `draining` or `unavailable`.
    pub state: String,
    /// AWS's reason code; none for healthy targets.
    #[serde(default)]
    pub reason: Option<String>,
    /// The reason in words.
    #[serde(default)]
    pub description: Option<String>,
}

/// A target as a request names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetRef {
    /// Instance id, IP address or load balancer ARN.
    pub id: String,
    /// The port; the target group's when missing.
    pub port: Option<u16>,
    /// The zone by name, or `all`.
    pub availability_zone: Option<String>,
    /// `0x` and 16 hexadecimal digits, for QUIC.
    pub quic_server_id: Option<String>,
}

/// What `CreateTargetGroup` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTargetGroup {
    /// At most 32 letters, digits and hyphens.
    pub name: String,
    /// The protocol.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// The VPC; it must be given.
    pub vpc_id: Option<String>,
    /// `instance` (the default), `ip` or `alb`.
    pub target_type: Option<String>,
    /// `ipv4` (the default) or `ipv6`.
    pub ip_address_type: Option<String>,
    /// The health check; what is missing has AWS's default.
    pub health_check: HealthCheckChange,
    /// Tags.
    pub tags: Tags,
}

impl World {
    /// Makes a target group. The same name with the same settings answers with the one there is, as documented.
    pub fn create_target_group(
        &mut self,
        caller: &Caller,
        new: NewTargetGroup,
    ) -> Result<TargetGroup, AwsError> {
        check_name(&new.name)?;
        if ["HTTP", "HTTPS"].contains(&new.protocol.as_str()) {
            return Err(AwsError::not_modelled(&format!(
                "A target group with protocol {}",
                new.protocol
            )));
        }
        let known = new.protocol == GENEVE || PROTOCOLS.contains(&new.protocol.as_str());
        if !known || new.port == 0 {
            return Err(validation(&format!(
                "'{}' on port {} is not valid for a target group",
                new.protocol, new.port
            )));
        }
        let target_type = new.target_type.unwrap_or_else(|| "instance".to_owned());
        if target_type == "lambda" {
            return Err(AwsError::not_modelled("A target group of type lambda"));
        }
        let target_type = one_of(Some(target_type), &["instance", "ip", "alb"], "TargetType")?;
        if target_type == "alb" && new.protocol != "TCP" {
            return Err(invalid(&format!(
                "Protocol '{}' is not supported with target type 'alb'",
                new.protocol
            )));
        }
        let ip_type = one_of(new.ip_address_type, &["ipv4", "ipv6"], "IpAddressType")?;
        let health_check = HealthCheck::chosen(&new.health_check)?;
        let vpc_id = new
            .vpc_id
            .ok_or_else(|| validation("A VPC ID must be specified"))?;
        let id = self.ids.next_hex16();
        let place = self.place(caller);
        if !place.vpcs.contains_key(&vpc_id) {
            return Err(invalid(&format!("The VPC ID '{vpc_id}' is not found")));
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
            vpc_id: Some(vpc_id),
            target_type,
            ip_address_type: ip_type,
            health_check,
            attributes: BTreeMap::new(),
            targets: BTreeMap::new(),
            tags: new.tags,
        };
        let mut there = place.target_groups.values();
        if let Some(same) = there.find(|other| other.name == group.name) {
            return if same.was_made_like(&group) {
                Ok(same.clone())
            } else {
                Err(AwsError::new(
                    "DuplicateTargetGroupName",
                    format!(
                        "A target group with the same name '{}' exists, but with different settings",
                        group.name
                    ),
                ))
            };
        }
        place.target_groups.insert(group.arn.clone(), group.clone());
        Ok(group)
    }

    /// Changes the health check.
    pub fn modify_target_group(
        &mut self,
        caller: &Caller,
        arn: &str,
        change: &HealthCheckChange,
    ) -> Result<(TargetGroup, Vec<String>), AwsError> {
        let group = self.target_group(caller, arn)?;
        group.health_check = group.health_check.changed(change)?;
        let group = group.clone();
        let users = users(self.place(caller), arn);
        Ok((group, users))
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
        for arn in arns {
            check_group_arn(caller, arn)?;
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

    /// Deletes a target group; `ResourceInUse` while a listener forwards to it. What does not exist is deleted already.
    pub fn delete_target_group(&mut self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        check_group_arn(caller, arn)?;
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

    pub(crate) fn target_group(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<&mut TargetGroup, AwsError> {
        check_group_arn(caller, arn)?;
        self.place(caller)
            .target_groups
            .get_mut(arn)
            .ok_or_else(|| no_target_group(arn))
    }
}

impl TargetGroup {
    /// Whether both were asked for with the same settings.
    fn was_made_like(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.port == other.port
            && self.vpc_id == other.vpc_id
            && self.target_type == other.target_type
            && self.ip_address_type == other.ip_address_type
            && self.health_check == other.health_check
    }
}

fn check_group_arn(caller: &Caller, arn: &str) -> Result<(), AwsError> {
    check_arn(caller, arn, "targetgroup/", "target group")
}

/// The load balancers that forward to a target group.
pub(super) fn users(place: &Place, target_group: &str) -> Vec<String> {
    let users: BTreeSet<String> = place
        .listeners
        .values()
        .filter(|l| l.target_groups.iter().any(|arn| arn == target_group))
        .map(|l| l.load_balancer.to_string())
        .collect();
    users.into_iter().collect()
}

pub(super) fn no_target_group(name: &str) -> AwsError {
    AwsError::new(
        "TargetGroupNotFound",
        format!("One or more target groups not found: '{name}'"),
    )
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
