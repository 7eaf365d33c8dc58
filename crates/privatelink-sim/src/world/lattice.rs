//! What endpoints of VPC Lattice lead to. VPC Lattice itself is not simulated: the control API registers its ARNs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{World, cidr};
use crate::AwsError;

/// The type of a resource configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ResourceKind {
    /// One resource.
    Single,
    /// Several, each of which is a child.
    Group,
    /// A part of a group.
    Child,
    /// A resource of AWS's, by ARN.
    Arn,
    /// Blocks of addresses, for tunnels.
    Cidr,
}

/// A resource configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfiguration {
    /// `arn:aws:vpc-lattice:REGION:ACCOUNT:resourceconfiguration/rcfg-…`.
    pub arn: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ResourceKind,
    /// The group that a child is part of, by ARN.
    #[serde(default)]
    pub group: Option<String>,
    /// The custom domain name, which private DNS answers for.
    #[serde(default)]
    pub domain: Option<String>,
    /// Whether its provider proved the domain.
    #[serde(default)]
    pub domain_verified: bool,
    /// The blocks of the type `CIDR`.
    #[serde(default)]
    pub cidrs: Vec<String>,
}

/// A service network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceNetwork {
    /// `arn:aws:vpc-lattice:REGION:ACCOUNT:servicenetwork/sn-…`.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its resource configurations, by ARN.
    #[serde(default)]
    pub resources: Vec<String>,
}

/// Everything that was registered, and the body of the control API's calls about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Resource configurations.
    pub resource_configurations: Vec<ResourceConfiguration>,
    /// Service networks.
    pub service_networks: Vec<ServiceNetwork>,
}

/// What was registered, by ARN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lattice {
    pub(super) resources: BTreeMap<String, ResourceConfiguration>,
    pub(super) networks: BTreeMap<String, ServiceNetwork>,
}

impl World {
    /// Registers resource configurations and service networks, or replaces those of the same ARN. All or nothing.
    pub fn register_lattice(&mut self, new: Registration) -> Result<(), AwsError> {
        let mut next = self.lattice.clone();
        for resource in new.resource_configurations {
            check_arn(&resource.arn, "resourceconfiguration/rcfg-")?;
            let blocks = resource.cidrs.iter().all(|c| cidr::V4::parse(c).is_some());
            if !blocks || resource.cidrs.is_empty() == (resource.kind == ResourceKind::Cidr) {
                return Err(AwsError::bad_value("cidrs", &resource.cidrs.join(" ")));
            }
            if resource.group.is_some() != (resource.kind == ResourceKind::Child) {
                return Err(AwsError::bad_value("group", &resource.arn));
            }
            next.resources.insert(resource.arn.clone(), resource);
        }
        for network in new.service_networks {
            check_arn(&network.arn, "servicenetwork/sn-")?;
            next.networks.insert(network.arn.clone(), network);
        }
        let known = |arn: &String| next.resources.contains_key(arn);
        let groups = next.resources.values().filter_map(|r| r.group.as_ref());
        let named = next.networks.values().flat_map(|n| &n.resources);
        if let Some(unknown) = groups.chain(named).find(|arn| !known(arn)) {
            return Err(AwsError::bad_value("resource_configurations", unknown));
        }
        self.lattice = next;
        Ok(())
    }

    /// What was registered.
    pub fn registered_lattice(&self) -> Registration {
        Registration {
            resource_configurations: self.lattice.resources.values().cloned().collect(),
            service_networks: self.lattice.networks.values().cloned().collect(),
        }
    }
}

fn check_arn(arn: &str, resource: &str) -> Result<(), AwsError> {
    if lattice_arn(arn).is_some_and(|tail| tail.starts_with(resource)) {
        Ok(())
    } else {
        Err(AwsError::bad_value("arn", arn))
    }
}

/// The part of an ARN of VPC Lattice behind the account.
fn lattice_arn(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "vpc-lattice", region, account, tail]
            if !region.is_empty() && account.len() == 12 =>
        {
            Some(tail)
        }
        _ => None,
    }
}

impl Lattice {
    /// The resource configuration of an ARN in a request.
    pub(super) fn resource(&self, arn: &str) -> Result<&ResourceConfiguration, AwsError> {
        let found = self.resources.get(arn);
        found.ok_or_else(|| {
            unknown(
                "InvalidResourceConfigurationArn",
                "resourceconfiguration/",
                arn,
            )
        })
    }

    /// The service network of an ARN in a request.
    pub(super) fn network(&self, arn: &str) -> Result<&ServiceNetwork, AwsError> {
        let found = self.networks.get(arn);
        found.ok_or_else(|| unknown("InvalidServiceNetworkArn", "servicenetwork/", arn))
    }
}

fn unknown(code: &str, resource: &str, arn: &str) -> AwsError {
    let shown: String = arn.chars().take(256).collect();
    let shaped = lattice_arn(arn).is_some_and(|tail| tail.starts_with(resource));
    if shaped {
        AwsError::new(
            format!("{code}.NotFound"),
            format!("The ARN '{shown}' does not exist"),
        )
    } else {
        AwsError::new(
            format!("{code}.Malformed"),
            format!("The ARN '{shown}' is malformed"),
        )
    }
}
