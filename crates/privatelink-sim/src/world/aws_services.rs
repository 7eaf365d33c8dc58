//! AWS's own services: a modest table of those that VPCs most often have endpoints to, the same in every Region.

use privatelink::{AccountId, Region, ServiceId};
use serde::{Deserialize, Serialize};

use super::principals::Grants;
use super::remote_access::RemoteRegions;
use super::select::Tags;
use super::services::{Service, no_service, parse_service};
use super::{Caller, World, regions};
use crate::AwsError;

/// Name, and whether endpoints can have IPv6. The private name is `NAME.REGION.amazonaws.com`, except as said below.
const INTERFACE: [(&str, bool); 22] = [
    ("autoscaling", false),
    ("dynamodb", false),
    ("ec2", true),
    ("ec2messages", false),
    ("ecr.api", false),
    ("ecr.dkr", false),
    ("ecs", false),
    ("elasticloadbalancing", false),
    ("events", false),
    ("execute-api", false),
    ("kinesis-streams", false),
    ("kms", true),
    ("lambda", true),
    ("logs", true),
    ("monitoring", true),
    ("s3", true),
    ("secretsmanager", true),
    ("sns", true),
    ("sqs", true),
    ("ssm", true),
    ("ssmmessages", false),
    ("sts", false),
];

/// What AWS's own services have and others have not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsService {
    /// Such as `com.amazonaws.eu-west-1.sqs`.
    pub name: String,
    /// The last part of the name.
    pub short: String,
    /// Whether it is the gateway type of a service that has two.
    pub gateway: bool,
    /// The names that work in a VPC whose endpoint has private DNS.
    pub private_names: Vec<String>,
}

impl Service {
    /// The word for its type on the wire.
    pub fn type_name(&self) -> &'static str {
        if self.has_gateway_type() {
            "Gateway"
        } else {
            self.kind().as_str()
        }
    }

    /// Whether it is reached by gateway endpoints, which are not `PrivateLink`.
    pub fn has_gateway_type(&self) -> bool {
        self.aws.as_ref().is_some_and(|aws| aws.gateway)
    }

    /// The owner as consumers see it: an alias, or the account.
    pub fn owner_shown(&self) -> String {
        match &self.owner_alias {
            Some(alias) => alias.clone(),
            None => self.owner.to_string(),
        }
    }
}

/// The private names of a service. Some services have several, some another word than in their name.
fn private_names(short: &str, region: &Region) -> Vec<String> {
    let heads: &[&str] = match short {
        "dynamodb" => &[],
        "ecr.api" => &["api.ecr"],
        "ecr.dkr" => &["dkr.ecr", "*.dkr.ecr"],
        "execute-api" => &["*.execute-api"],
        "kinesis-streams" => &["kinesis"],
        "s3" => &[
            "s3",
            "*.s3",
            "s3-accesspoint",
            "*.s3-accesspoint",
            "*.s3-control",
        ],
        other => &[other],
    };
    heads
        .iter()
        .map(|head| format!("{head}.{region}.amazonaws.com"))
        .collect()
}

impl World {
    /// Makes the records of AWS's own services of a Region, when it has none yet. Their ids do not depend on when.
    pub(super) fn furnish_aws_services(&mut self, region: &Region) {
        if self.aws_services.values().any(|s| s.region == *region) || !self.regions.contains(region)
        {
            return;
        }
        // AWS's own account is nobody's here: consumers see the alias.
        let Ok(owner) = "000000000000".parse::<AccountId>() else {
            return;
        };
        let zones: std::collections::BTreeSet<_> = regions::zones(&self.ids, &owner, region)
            .into_iter()
            .map(|zone| zone.id)
            .collect();
        let interface = INTERFACE.iter().map(|(short, ipv6)| (*short, *ipv6, false));
        let gateway = super::route_tables::SERVICES
            .iter()
            .map(|short| (*short, *short == "s3", true));
        for (short, ipv6, gateway) in interface.chain(gateway) {
            let kind = if gateway { "gateway" } else { "interface" };
            let words = ["aws", region.as_str(), short, kind];
            let Ok(id) = self.ids.fixed("vpce-svc-", &words).parse::<ServiceId>() else {
                continue;
            };
            let types: &[&str] = if ipv6 { &["ipv4", "ipv6"] } else { &["ipv4"] };
            let service = Service {
                id: id.clone(),
                owner: owner.clone(),
                region: region.clone(),
                created_at: chrono::DateTime::UNIX_EPOCH,
                acceptance_required: false,
                load_balancers: Vec::new(),
                zones: zones.clone(),
                ip_address_types: types.iter().map(|&kind| kind.to_owned()).collect(),
                grants: Grants::new(),
                private_dns: None,
                supported_regions: RemoteRegions::new(),
                region_changes: super::remote_access::RegionChanges::new(),
                pending_until: None,
                failed: false,
                service_owner_pays: false,
                tags: Tags::new(),
                connections: std::collections::BTreeMap::new(),
                deletion: None,
                vanished: false,
                aws: Some(AwsService {
                    name: format!("com.amazonaws.{region}.{short}"),
                    short: short.to_owned(),
                    gateway,
                    private_names: if gateway {
                        Vec::new()
                    } else {
                        private_names(short, region)
                    },
                }),
                owner_alias: Some("amazon".to_owned()),
            };
            self.aws_services.insert(id, service);
        }
    }

    /// AWS's own services of this name in a Region: none, one, or two of different types.
    pub(super) fn aws_services_named(&self, region: &str, name: &str) -> Vec<&Service> {
        let all = self.aws_services.values();
        all.filter(|service| {
            service.region.as_str() == region
                && service.aws.as_ref().is_some_and(|aws| aws.name == name)
        })
        .collect()
    }

    /// Shows consumers an alias instead of the owner of a service, as AWS does for its Marketplace; none takes it back.
    pub fn set_owner_alias(&mut self, id: &str, alias: Option<String>) -> Result<(), AwsError> {
        if alias
            .as_deref()
            .is_some_and(|alias| alias != "aws-marketplace")
        {
            return Err(AwsError::bad_value(
                "alias",
                alias.as_deref().unwrap_or_default(),
            ));
        }
        let known = parse_service(id)?;
        if !self.owners.contains_key(&known) {
            return Err(no_service(id));
        }
        if let Some(service) = self.service_mut(&known) {
            service.owner_alias = alias;
        }
        Ok(())
    }

    /// The Regions of a request about services, with AWS's own services in them.
    pub(super) fn furnish_asked(&mut self, caller: &Caller, asked: &[String]) {
        let mut regions: Vec<Region> = asked.iter().filter_map(|name| name.parse().ok()).collect();
        regions.push(caller.region.clone());
        for region in regions {
            self.furnish_aws_services(&region);
        }
    }
}

#[cfg(test)]
#[path = "aws_services_tests.rs"]
mod tests;
