//! Load balancers of ELBv2, and what keeps them from being deleted.
//!
//! Network Load Balancers are modelled in full. Application Load Balancers exist only so that they can be told apart: they
//! are made, listed, tagged and deleted, and every other call about one says that it is not modelled.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AvailabilityZoneId, LoadBalancerArn};
use serde::{Deserialize, Serialize};

use super::gateway_load_balancers::is_gateway;
use super::load_balancer_subnets::{NodeAddress, SubnetMapping};
use super::select::Tags;
use super::{Caller, World, later, regions};
use crate::AwsError;

/// The type of a load balancer. Its ARN tells it too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// `network`, in ARNs `net`.
    #[default]
    Network,
    /// `application`, in ARNs `app`.
    Application,
    /// `gateway`, in ARNs `gwy`.
    Gateway,
}

impl LoadBalancerKind {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Application => "application",
            Self::Gateway => "gateway",
        }
    }

    /// The word in ARNs.
    pub fn arn_part(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::Application => "app",
            Self::Gateway => "gwy",
        }
    }
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of AWS's with two values and a name of its own"
)]
pub struct LoadBalancer {
    /// `arn:…:loadbalancer/net/NAME/16 hexadecimal digits`.
    pub arn: LoadBalancerArn,
    /// Unique in the account and Region.
    pub name: String,
    /// `internal` or `internet-facing`.
    pub scheme: String,
    /// `ipv4` or `dualstack`.
    pub ip_address_type: String,
    /// The VPC of its subnets.
    pub vpc_id: String,
    /// One subnet per zone: zone id and subnet id.
    pub subnets: Vec<(AvailabilityZoneId, String)>,
    /// The fixed addresses of its nodes, by subnet.
    #[serde(default)]
    pub addresses: BTreeMap<String, NodeAddress>,
    /// Security groups, when it was created with any.
    pub security_groups: Vec<String>,
    /// Whether the inbound rules of the security groups are judged on PrivateLink traffic. AWS's default is on.
    #[serde(default = "on")]
    pub enforce_on_private_link: bool,
    /// Whether UDP traffic is sent on from an IPv6 prefix of each subnet.
    #[serde(default)]
    pub source_nat_prefix: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When `provisioning` ends.
    pub active_at: DateTime<Utc>,
    /// The state that was set by hand.
    #[serde(default)]
    pub forced_state: Option<LoadBalancerState>,
    /// `load_balancing.cross_zone.enabled`.
    pub cross_zone: bool,
    /// `deletion_protection.enabled`.
    pub deletion_protection: bool,
    /// Other attributes that were set.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The owner's tags.
    pub tags: Tags,
}

/// The state of a load balancer as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancerState {
    /// `provisioning`, `active`, `active_impaired` or `failed`.
    pub code: String,
    /// What AWS says about it; none while it is active.
    #[serde(default)]
    pub reason: Option<String>,
}

fn on() -> bool {
    true
}

impl LoadBalancer {
    /// Its type, as the ARN says.
    pub fn kind(&self) -> LoadBalancerKind {
        if self.arn.is_network() {
            LoadBalancerKind::Network
        } else if is_gateway(&self.arn) {
            LoadBalancerKind::Gateway
        } else {
            LoadBalancerKind::Application
        }
    }

    /// `provisioning`, `active`, or what was set by hand.
    pub fn state_at(&self, at: DateTime<Utc>) -> &str {
        match &self.forced_state {
            Some(state) => &state.code,
            None if at < self.active_at => "provisioning",
            None => "active",
        }
    }

    /// What AWS says about the state, if it says anything.
    pub fn state_reason(&self) -> Option<&str> {
        self.forced_state.as_ref()?.reason.as_deref()
    }

    /// `on` or `off`; nothing without security groups, which is when AWS leaves it out.
    pub fn enforcement(&self) -> Option<&'static str> {
        let has_groups = !self.security_groups.is_empty();
        (has_groups && self.kind() == LoadBalancerKind::Network)
            .then(|| on_or_off(self.enforce_on_private_link))
    }

    /// The DNS name. Those of internal Application Load Balancers have a prefix of their own.
    pub fn dns_name(&self) -> String {
        let id = self.arn.as_str().rsplit('/').next().unwrap_or_default();
        let region = self.arn.region();
        match (self.kind(), self.scheme.as_str()) {
            (LoadBalancerKind::Network, _) => {
                format!("{}-{id}.elb.{region}.amazonaws.com", self.name)
            }
            (_, "internal") => format!("internal-{}-{id}.{region}.elb.amazonaws.com", self.name),
            _ => format!("{}-{id}.{region}.elb.amazonaws.com", self.name),
        }
    }
}

/// A switch as ELBv2 writes it.
pub fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What `CreateLoadBalancer` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLoadBalancer {
    /// At most 32 letters, digits and hyphens.
    pub name: String,
    /// The type. A request without one means an Application Load Balancer; here the default is what PrivateLink needs.
    pub kind: LoadBalancerKind,
    /// `internal` or `internet-facing` (the default).
    pub scheme: Option<String>,
    /// `ipv4` (the default) or `dualstack`.
    pub ip_address_type: Option<String>,
    /// At least one, each in another zone of one VPC; or the mappings.
    pub subnets: Vec<String>,
    /// Subnets with fixed addresses, instead of `subnets`.
    pub mappings: Vec<SubnetMapping>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// `EnablePrefixForIpv6SourceNat`; needs `dualstack`.
    pub source_nat_prefix: bool,
    /// Tags.
    pub tags: Tags,
}

impl World {
    /// Makes a load balancer. The same name with the same settings answers with the one there is, as ELBv2 does.
    pub fn create_load_balancer(
        &mut self,
        caller: &Caller,
        new: NewLoadBalancer,
    ) -> Result<LoadBalancer, AwsError> {
        check_name(&new.name)?;
        if new.name.starts_with("internal-") {
            return Err(validation(
                "The load balancer name cannot begin with 'internal-'",
            ));
        }
        let scheme = if new.kind == LoadBalancerKind::Gateway {
            String::new()
        } else {
            one_of(new.scheme, &["internet-facing", "internal"], "Scheme")?
        };
        let ip_type = one_of(new.ip_address_type, &["ipv4", "dualstack"], "IpAddressType")?;
        check_prefix(new.source_nat_prefix, &ip_type)?;
        let id = self.ids.next_hex16();
        let active_at = later(caller.now, self.behavior.load_balancer_provisioning_ms);
        let place = self.place(caller);
        let wanted = place.wanted_subnets(&new.subnets, &new.mappings, &scheme, &ip_type)?;
        if new.kind == LoadBalancerKind::Application && wanted.subnets.len() < 2 {
            return Err(validation(
                "At least two subnets in two different Availability Zones must be specified",
            ));
        }
        place.check_security_groups(&new.security_groups, &wanted.vpc_id)?;
        let arn = format!(
            "arn:{}:elasticloadbalancing:{}:{}:loadbalancer/{}/{}/{id}",
            regions::partition(&caller.region),
            caller.region,
            caller.account,
            new.kind.arn_part(),
            new.name
        );
        let balancer = LoadBalancer {
            arn: arn
                .parse()
                .map_err(|_| validation("The name is not valid"))?,
            name: new.name,
            scheme,
            ip_address_type: ip_type,
            vpc_id: wanted.vpc_id,
            subnets: wanted.subnets,
            addresses: wanted.addresses,
            security_groups: new.security_groups,
            enforce_on_private_link: true,
            source_nat_prefix: new.source_nat_prefix,
            created_at: caller.now,
            active_at,
            forced_state: None,
            cross_zone: new.kind == LoadBalancerKind::Application,
            deletion_protection: false,
            attributes: BTreeMap::new(),
            tags: new.tags,
        };
        let mut there = place.load_balancers.values();
        if let Some(same) = there.find(|lb| lb.name == balancer.name) {
            return if same.was_made_like(&balancer) {
                Ok(same.clone())
            } else {
                Err(AwsError::new(
                    "DuplicateLoadBalancerName",
                    format!(
                        "A load balancer with the same name '{}' exists, but with different settings",
                        balancer.name
                    ),
                ))
            };
        }
        place.check_addresses_free(&balancer.addresses, None)?;
        place
            .load_balancers
            .insert(balancer.arn.clone(), balancer.clone());
        Ok(balancer)
    }

    /// Lists load balancers, all of them or those named by ARN or name. One unknown ARN or name fails the call.
    pub fn load_balancers(
        &mut self,
        caller: &Caller,
        arns: &[String],
        names: &[String],
    ) -> Result<Vec<LoadBalancer>, AwsError> {
        for arn in arns {
            parse(caller, arn)?;
        }
        let place = self.place(caller);
        let all = || place.load_balancers.values();
        let known = arns
            .iter()
            .all(|arn| all().any(|lb| lb.arn.as_str() == arn))
            && names.iter().all(|name| all().any(|lb| lb.name == *name));
        if !known {
            return Err(no_load_balancer());
        }
        Ok(all()
            .filter(|lb| {
                (arns.is_empty() && names.is_empty())
                    || arns.iter().any(|arn| lb.arn.as_str() == arn)
                    || names.contains(&lb.name)
            })
            .cloned()
            .collect())
    }

    /// One load balancer of the caller's, of any type.
    pub fn load_balancer(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<&mut LoadBalancer, AwsError> {
        let arn = parse(caller, arn)?;
        self.place(caller)
            .load_balancers
            .get_mut(&arn)
            .ok_or_else(no_load_balancer)
    }

    /// One Network Load Balancer of the caller's; what is asked about other types is not modelled.
    pub(crate) fn network_load_balancer(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<&mut LoadBalancer, AwsError> {
        let balancer = self.load_balancer(caller, arn)?;
        match balancer.kind() {
            LoadBalancerKind::Network => Ok(balancer),
            other => Err(AwsError::not_modelled(&format!(
                "This call for a load balancer of type {}",
                other.as_str()
            ))),
        }
    }

    /// Deletes a load balancer with its listeners. Refused while an endpoint service uses it (`ResourceInUse`) or while it is
    /// protected (`OperationNotPermitted`); deleting what does not exist is a success, as in ELBv2.
    pub fn delete_load_balancer(&mut self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let arn = parse(caller, arn)?;
        let place = self.place(caller);
        let Some(balancer) = place.load_balancers.get(&arn) else {
            return Ok(());
        };
        if balancer.deletion_protection {
            return Err(AwsError::new(
                "OperationNotPermitted",
                format!(
                    "Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
                ),
            ));
        }
        if place
            .services
            .values()
            .any(|service| service.uses(&arn, caller.now))
        {
            return Err(AwsError::new(
                "ResourceInUse",
                format!(
                    "Load balancer '{arn}' cannot be deleted because it is currently associated with another service"
                ),
            ));
        }
        place.load_balancers.remove(&arn);
        place
            .listeners
            .retain(|_, listener| listener.load_balancer != arn);
        Ok(())
    }
}

impl LoadBalancer {
    /// Whether both were asked for with the same settings.
    fn was_made_like(&self, other: &Self) -> bool {
        let zones = |lb: &Self| {
            let mut subnets = lb.subnets.clone();
            subnets.sort();
            subnets
        };
        self.kind() == other.kind()
            && self.scheme == other.scheme
            && self.ip_address_type == other.ip_address_type
            && zones(self) == zones(other)
            && self.addresses == other.addresses
            && self.security_groups == other.security_groups
            && self.source_nat_prefix == other.source_nat_prefix
    }
}

/// An IPv6 prefix for source NAT needs IPv6.
pub(super) fn check_prefix(prefix: bool, ip_type: &str) -> Result<(), AwsError> {
    if prefix && ip_type != "dualstack" {
        return Err(invalid(
            "An IPv6 prefix for source NAT needs the IP address type 'dualstack'",
        ));
    }
    Ok(())
}

/// Reads an ARN as ELBv2 does: one that is not well formed or is of another Region is a `ValidationError`, not something
/// that was not found.
pub(super) fn parse(caller: &Caller, arn: &str) -> Result<LoadBalancerArn, AwsError> {
    arn.parse()
        .ok()
        .filter(|arn: &LoadBalancerArn| arn.region() == caller.region.as_str())
        .ok_or_else(|| not_an_arn(arn, "load balancer"))
}

/// The same for ARNs that have no type of their own: `resource` is how theirs begins, such as `targetgroup/`.
pub(super) fn check_arn(
    caller: &Caller,
    arn: &str,
    resource: &str,
    what: &str,
) -> Result<(), AwsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "elasticloadbalancing", region, account, rest]
            if *region == caller.region.as_str()
                && account.parse::<privatelink::AccountId>().is_ok()
                && rest.starts_with(resource) =>
        {
            Ok(())
        }
        _ => Err(not_an_arn(arn, what)),
    }
}

fn not_an_arn(arn: &str, what: &str) -> AwsError {
    let shown: String = arn.chars().take(256).collect();
    validation(&format!("'{shown}' is not a valid {what} ARN"))
}

pub(super) fn no_load_balancer() -> AwsError {
    AwsError::new(
        "LoadBalancerNotFound",
        "One or more load balancers not found",
    )
}

pub(super) fn invalid(message: &str) -> AwsError {
    AwsError::new("InvalidConfigurationRequest", message)
}

pub(super) fn validation(message: &str) -> AwsError {
    AwsError::new("ValidationError", message)
}

pub(super) fn check_name(name: &str) -> Result<(), AwsError> {
    let good = (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        Ok(())
    } else {
        Err(validation(
            "A name has 1 to 32 letters, digits and hyphens and does not begin or end with a hyphen",
        ))
    }
}

/// The value, or the first of the allowed ones when none was given.
pub(super) fn one_of(
    value: Option<String>,
    allowed: &[&str],
    parameter: &str,
) -> Result<String, AwsError> {
    match value {
        None => Ok(allowed.first().copied().unwrap_or_default().to_owned()),
        Some(value) if allowed.contains(&value.as_str()) => Ok(value),
        Some(value) => Err(validation(&format!(
            "'{value}' is not a valid value for '{parameter}'"
        ))),
    }
}

#[cfg(test)]
#[path = "load_balancers_tests.rs"]
mod tests;
