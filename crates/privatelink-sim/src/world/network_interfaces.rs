//! The network interfaces of endpoints, as `DescribeNetworkInterfaces` lists them. There are no others here.

use privatelink::VpcEndpointId;

use super::addresses::Addresses;
use super::endpoint_kinds::EndpointKind;
use super::ids::{hash, mix};
use super::network::{all_exist, is_named};
use super::select::{Filters, Listed, Paging, Tags};
use super::{Caller, World};
use crate::AwsError;

/// A network interface of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInterface {
    /// `eni-…`.
    pub id: String,
    /// The endpoint it belongs to.
    pub endpoint: VpcEndpointId,
    /// `vpc_endpoint` or `gateway_load_balancer_endpoint`.
    pub kind: &'static str,
    /// The VPC.
    pub vpc_id: String,
    /// The subnet.
    pub subnet: String,
    /// Name and id of the zone.
    pub zone: (String, String),
    /// Security groups by id and name.
    pub groups: Vec<(String, String)>,
    /// Its addresses.
    pub addresses: Addresses,
    /// The name of its IPv4 address inside the VPC.
    pub private_dns_name: Option<String>,
}

impl NetworkInterface {
    /// What AWS writes about it.
    pub fn description(&self) -> String {
        format!("VPC Endpoint Interface {}", self.endpoint)
    }

    /// A hardware address that follows from the id.
    pub fn mac(&self) -> String {
        let bytes = mix(hash(&self.id)).to_le_bytes();
        let tail: Vec<String> = bytes.iter().take(5).map(|b| format!("{b:02x}")).collect();
        format!("02:{}", tail.join(":"))
    }
}

/// What the interfaces of one endpoint have in common.
struct Owner<'a> {
    id: &'a VpcEndpointId,
    kind: &'static str,
    vpc_id: &'a str,
    subnets: &'a [String],
    groups: &'a [String],
    interfaces: &'a [String],
    addresses: &'a [Addresses],
}

const LISTING: &str = "DescribeNetworkInterfaces";

impl World {
    /// Lists network interfaces. An unknown id fails the call.
    pub fn network_interfaces(
        &mut self,
        caller: &Caller,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<NetworkInterface>, AwsError> {
        filters.check(&[
            "addresses.primary",
            "addresses.private-ip-address",
            "availability-zone",
            "availability-zone-id",
            "description",
            "group-id",
            "group-name",
            "interface-type",
            "ipv6-addresses.ipv6-address",
            "mac-address",
            "network-interface-id",
            "owner-id",
            "private-dns-name",
            "private-ip-address",
            "requester-managed",
            "status",
            "subnet-id",
            "tag-key",
            "vpc-id",
        ])?;
        let limit = self.behavior.page_size_limit;
        let after = paging.after(LISTING)?;
        let mut rows = self.all_interfaces(caller);
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        all_exist(
            ids,
            |id| rows.iter().any(|row| row.id == *id),
            |id| {
                AwsError::new(
                    "InvalidNetworkInterfaceID.NotFound",
                    format!("The networkInterface ID '{id}' does not exist"),
                )
            },
        )?;
        let rows = rows
            .into_iter()
            .filter(|row| is_named(ids, &row.id, after.as_deref()))
            .filter(|row| filters.allow(&Tags::new(), |name| field(caller, row, name)))
            .map(|row| (row.id.clone(), row));
        Ok(paging.take(LISTING, limit, rows))
    }

    fn all_interfaces(&mut self, caller: &Caller) -> Vec<NetworkInterface> {
        let zones = self.zones(&caller.account, &caller.region);
        let place = self.place(caller);
        let private = place.endpoints.values().map(|endpoint| Owner {
            id: &endpoint.id,
            kind: match endpoint.kind {
                EndpointKind::Interface => "vpc_endpoint",
                EndpointKind::GatewayLoadBalancer => "gateway_load_balancer_endpoint",
            },
            vpc_id: &endpoint.vpc_id,
            subnets: &endpoint.subnets,
            groups: &endpoint.security_groups,
            interfaces: &endpoint.network_interfaces,
            addresses: &endpoint.addresses,
        });
        let lattice = place.lattice_endpoints.values().map(|endpoint| Owner {
            id: &endpoint.id,
            kind: "vpc_endpoint",
            vpc_id: &endpoint.vpc_id,
            subnets: &endpoint.subnets,
            groups: &endpoint.security_groups,
            interfaces: &endpoint.network_interfaces,
            addresses: &endpoint.addresses,
        });
        private
            .chain(lattice)
            .flat_map(|owner| {
                let groups: Vec<(String, String)> = owner
                    .groups
                    .iter()
                    .map(|id| {
                        let group = place.security_groups.get(id);
                        (
                            id.clone(),
                            group.map(|g| g.name.clone()).unwrap_or_default(),
                        )
                    })
                    .collect();
                let named = place
                    .vpcs
                    .get(owner.vpc_id)
                    .is_some_and(|v| v.dns.hostnames);
                let rows: Vec<NetworkInterface> = owner
                    .interfaces
                    .iter()
                    .zip(owner.subnets)
                    .enumerate()
                    .map(|(at, (id, subnet))| {
                        let addresses = owner.addresses.get(at).copied().unwrap_or_default();
                        let zone_id = place.subnets.get(subnet).map(|s| s.zone.clone());
                        let zone = zones.iter().find(|zone| Some(&zone.id) == zone_id.as_ref());
                        NetworkInterface {
                            id: id.clone(),
                            endpoint: owner.id.clone(),
                            kind: owner.kind,
                            vpc_id: owner.vpc_id.to_owned(),
                            subnet: subnet.clone(),
                            zone: zone
                                .map(|zone| (zone.name.clone(), zone.id.to_string()))
                                .unwrap_or_default(),
                            groups: groups.clone(),
                            addresses,
                            private_dns_name: addresses.ipv4.filter(|_| named).map(|address| {
                                let dashed = address.to_string().replace('.', "-");
                                format!("ip-{dashed}.{}.compute.internal", caller.region)
                            }),
                        }
                    })
                    .collect();
                rows
            })
            .collect()
    }
}

fn field(caller: &Caller, row: &NetworkInterface, name: &str) -> Vec<String> {
    let ipv4 = || row.addresses.ipv4.iter().map(ToString::to_string).collect();
    match name {
        "addresses.primary" | "requester-managed" => vec!["true".to_owned()],
        "addresses.private-ip-address" | "private-ip-address" => ipv4(),
        "availability-zone" => vec![row.zone.0.clone()],
        "availability-zone-id" => vec![row.zone.1.clone()],
        "description" => vec![row.description()],
        "group-id" => row.groups.iter().map(|(id, _)| id.clone()).collect(),
        "group-name" => row.groups.iter().map(|(_, name)| name.clone()).collect(),
        "interface-type" => vec![row.kind.to_owned()],
        "ipv6-addresses.ipv6-address" => {
            row.addresses.ipv6.iter().map(ToString::to_string).collect()
        }
        "mac-address" => vec![row.mac()],
        "network-interface-id" => vec![row.id.clone()],
        "owner-id" => vec![caller.account.to_string()],
        "private-dns-name" => row.private_dns_name.iter().cloned().collect(),
        "status" => vec!["in-use".to_owned()],
        "subnet-id" => vec![row.subnet.clone()],
        "vpc-id" => vec![row.vpc_id.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{endpoint, firewall, shop};

    #[test]
    fn interfaces_come_and_go_with_their_endpoints() {
        let (mut world, _, me, service) = shop(false);
        let id = endpoint(&mut world, &me, &service);
        let list = |world: &mut World, name: &str, value: &str| {
            let (filters, paging) = (Filters::one(name, value), Paging::default());
            world
                .network_interfaces(&me, &[], &filters, &paging)
                .unwrap()
                .items
        };
        let row = list(&mut world, "interface-type", "vpc_endpoint").remove(0);
        assert_eq!(row.description(), format!("VPC Endpoint Interface {id}"));
        assert_eq!(row.groups[0].1, "default");
        let address = row.addresses.ipv4.unwrap().to_string();
        for (name, value) in [
            ("private-ip-address", address.as_str()),
            ("subnet-id", &row.subnet),
            ("availability-zone", &row.zone.0),
            ("description", "*vpce-*"),
            ("mac-address", &row.mac()),
            ("private-dns-name", "ip-172-31-*.compute.internal"),
        ] {
            assert_eq!(list(&mut world, name, value).len(), 1, "{name}={value}");
        }
        assert!(list(&mut world, "status", "available").is_empty());
        world.delete_endpoints(&me, &[id]).unwrap();
        assert!(list(&mut world, "status", "*").is_empty());
        let error = world
            .network_interfaces(&me, &[row.id], &Filters::default(), &Paging::default())
            .unwrap_err();
        assert_eq!(error.code, "InvalidNetworkInterfaceID.NotFound");
    }

    #[test]
    fn next_hops_have_interfaces_without_groups() {
        let (mut world, _, me, service) = firewall(false);
        endpoint(&mut world, &me, &service);
        let filters = Filters::one("interface-type", "gateway_load_balancer_endpoint");
        let page = world.network_interfaces(&me, &[], &filters, &Paging::default());
        let rows = page.unwrap().items;
        assert!(rows.len() == 1 && rows[0].groups.is_empty());
    }
}
