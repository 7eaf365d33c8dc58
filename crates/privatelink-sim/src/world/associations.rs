//! `DescribeVpcEndpointAssociations`: what each endpoint to VPC Lattice leads to.

use privatelink::{ConnectionState, VpcEndpointId};

use super::endpoints::{no_endpoint, parse_endpoint};
use super::lattice::{ResourceConfiguration, ResourceKind};
use super::lattice_endpoints::{LatticeEndpoint, LatticeKind};
use super::select::{Filters, Listed, Paging, Tags};
use super::{Caller, World};
use crate::AwsError;

/// One association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// `vpce-rsc-asc-…`.
    pub id: String,
    /// The endpoint.
    pub endpoint: VpcEndpointId,
    /// ARN and name of the service network that the endpoint leads to.
    pub network: Option<(String, String)>,
    /// The resource configuration.
    pub resource: String,
    /// The group it is part of.
    pub group: Option<String>,
    /// The documented word for its state: `AVAILABLE`, `PENDING` or `FAILED`.
    pub state: &'static str,
    /// The name of the resource in public DNS.
    pub dns_name: String,
    /// The custom domain, where private DNS answers for it.
    pub private_name: Option<String>,
    /// Why it failed.
    pub failure: Option<super::endpoint_changes::LastError>,
}

impl Association {
    /// The word on the wire: samples show others than the documentation lists.
    pub fn accessibility(&self, documented: bool) -> &'static str {
        match self.state {
            state if documented => state,
            "AVAILABLE" => "Accessible",
            "PENDING" => "Pending",
            _ => "Failed",
        }
    }
}

const LISTING: &str = "DescribeVpcEndpointAssociations";

impl World {
    /// Lists associations: none for endpoints that do not lead to VPC Lattice. An unknown endpoint fails the call.
    pub fn associations(
        &mut self,
        caller: &Caller,
        endpoints: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<Association>, AwsError> {
        filters.check(&[
            "associated-resource-accessibility",
            "associated-resource-id",
            "association-id",
            "resource-configuration-group-arn",
            "service-network-arn",
            "vpc-endpoint-id",
        ])?;
        let after = paging.after(LISTING)?;
        let limit = self.behavior.page_size_limit;
        for id in endpoints {
            let known = parse_endpoint(id)?;
            let place = self.place(caller);
            let exists = place.endpoints.contains_key(&known)
                || place.gateway_endpoints.contains_key(&known)
                || place.lattice_endpoints.contains_key(&known);
            if !exists {
                return Err(no_endpoint(id));
            }
        }
        let rows = self.place(caller).lattice_endpoints.values().cloned();
        let rows: Vec<LatticeEndpoint> = rows
            .filter(|row| endpoints.is_empty() || endpoints.iter().any(|id| id == row.id.as_str()))
            .collect();
        let mut all: Vec<Association> = rows
            .iter()
            .flat_map(|row| self.associations_of(caller, row))
            .filter(|row| filters.allow(&Tags::new(), |name| field(row, name)))
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        let rows = all
            .into_iter()
            .filter(|row| after.as_ref().is_none_or(|last| row.id > *last))
            .map(|row| (row.id.clone(), row));
        Ok(paging.take(LISTING, limit, rows))
    }

    fn associations_of(&self, caller: &Caller, row: &LatticeEndpoint) -> Vec<Association> {
        let state = match row.life.state_at(caller.seen_at) {
            Some(ConnectionState::Available) => "AVAILABLE",
            Some(ConnectionState::Pending) => "PENDING",
            Some(ConnectionState::Failed) => "FAILED",
            _ => return Vec::new(),
        };
        let network = (row.kind == LatticeKind::ServiceNetwork)
            .then(|| self.lattice.networks.get(&row.target))
            .flatten();
        let targets: Vec<&String> = match network {
            Some(network) => network.resources.iter().collect(),
            None => vec![&row.target],
        };
        targets
            .into_iter()
            .flat_map(|arn| self.parts_of(arn))
            .map(|resource| {
                let id = self
                    .ids
                    .fixed("vpce-rsc-asc-", &[row.id.as_str(), &resource.arn]);
                Association {
                    dns_name: dns_name(row, resource, &id),
                    id,
                    endpoint: row.id.clone(),
                    network: network.map(|n| (n.arn.clone(), n.name.clone())),
                    resource: resource.arn.clone(),
                    group: resource.group.clone(),
                    state,
                    private_name: private_name(row, resource),
                    failure: row.failure.clone().filter(|_| state == "FAILED"),
                }
            })
            .collect()
    }

    /// The resources behind an ARN: the children of a group, or the one of the ARN itself.
    fn parts_of(&self, arn: &str) -> Vec<&ResourceConfiguration> {
        let all = self.lattice.resources.values();
        match self.lattice.resources.get(arn) {
            Some(group) if group.kind == ResourceKind::Group => all
                .filter(|resource| resource.group.as_deref() == Some(arn))
                .collect(),
            found => found.into_iter().collect(),
        }
    }
}

/// As in samples: the endpoint, the association when there may be several, the resource, and words of the Region.
fn dns_name(row: &LatticeEndpoint, resource: &ResourceConfiguration, association: &str) -> String {
    let tail = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
    let region = resource.arn.split(':').nth(3).unwrap_or_default();
    let middle = match row.kind {
        LatticeKind::ServiceNetwork => association.replacen("vpce-rsc-asc-", "-snra-", 1),
        LatticeKind::Resource | LatticeKind::Tunnel => String::new(),
    };
    format!(
        "{}{middle}.{}.4232ccc.vpc-lattice-rsc.{region}.on.aws",
        row.id,
        tail(&resource.arn)
    )
}

fn private_name(row: &LatticeEndpoint, resource: &ResourceConfiguration) -> Option<String> {
    let domain = resource.domain.as_ref().filter(|_| row.private_dns)?;
    let specified = row.dns.specified_domains.contains(domain);
    let wanted = match row.dns.preference.as_deref() {
        Some("ALL_DOMAINS") => true,
        Some("VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS") => resource.domain_verified || specified,
        Some("SPECIFIED_DOMAINS_ONLY") => specified,
        // The default, as VERIFIED_DOMAINS_ONLY.
        _ => resource.domain_verified,
    };
    wanted.then(|| domain.clone())
}

fn field(row: &Association, name: &str) -> Vec<String> {
    match name {
        "associated-resource-accessibility" => vec![row.state.to_owned()],
        "associated-resource-id" => row
            .resource
            .rsplit('/')
            .next()
            .map(str::to_owned)
            .into_iter()
            .collect(),
        "association-id" => vec![row.id.clone()],
        "resource-configuration-group-arn" => row.group.clone().into_iter().collect(),
        "service-network-arn" => row.network.iter().map(|(arn, _)| arn.clone()).collect(),
        "vpc-endpoint-id" => vec![row.endpoint.to_string()],
        _ => Vec::new(),
    }
}
