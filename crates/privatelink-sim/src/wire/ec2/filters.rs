//! Filters that EC2 documents and the simulator has not: a client that uses one has made no mistake.

use crate::AwsError;
use crate::wire::params::Params;

/// By action, as AWS's model documents them. What a table of an action names and its listing knows is not looked up here.
const DOCUMENTED: &[(&str, &[&str])] = &[
    (
        "DescribeAvailabilityZones",
        &[
            "group-long-name",
            "group-name",
            "message",
            "parent-zone-id",
            "parent-zone-name",
        ],
    ),
    (
        "DescribeNetworkInterfaces",
        &[
            "addresses.association.owner-id",
            "addresses.association.public-ip",
            "association.allocation-id",
            "association.association-id",
            "association.ip-owner-id",
            "association.public-dns-name",
            "association.public-ip",
            "attachment.attach-time",
            "attachment.attachment-id",
            "attachment.delete-on-termination",
            "attachment.device-index",
            "attachment.instance-id",
            "attachment.instance-owner-id",
            "attachment.status",
            "operator.managed",
            "operator.principal",
            "requester-id",
            "source-dest-check",
        ],
    ),
    (
        "DescribeRouteTables",
        &[
            "association.gateway-id",
            "association.route-table-association-id",
            "association.route-table-id",
            "association.subnet-id",
            "route.destination-cidr-block",
            "route.destination-ipv6-cidr-block",
            "route.destination-prefix-list-id",
            "route.egress-only-internet-gateway-id",
            "route.gateway-id",
            "route.instance-id",
            "route.nat-gateway-id",
            "route.origin",
            "route.state",
            "route.transit-gateway-id",
            "route.vpc-peering-connection-id",
        ],
    ),
    (
        "DescribeSecurityGroups",
        &[
            "egress.ip-permission.cidr",
            "egress.ip-permission.from-port",
            "egress.ip-permission.group-id",
            "egress.ip-permission.group-name",
            "egress.ip-permission.ipv6-cidr",
            "egress.ip-permission.prefix-list-id",
            "egress.ip-permission.protocol",
            "egress.ip-permission.to-port",
            "egress.ip-permission.user-id",
            "ip-permission.cidr",
            "ip-permission.from-port",
            "ip-permission.group-id",
            "ip-permission.group-name",
            "ip-permission.ipv6-cidr",
            "ip-permission.prefix-list-id",
            "ip-permission.protocol",
            "ip-permission.to-port",
            "ip-permission.user-id",
        ],
    ),
    (
        "DescribeSubnets",
        &[
            "available-ip-address-count",
            "customer-owned-ipv4-pool",
            "enable-dns64",
            "enable-lni-at-device-index",
            "ipv6-cidr-block-association.association-id",
            "ipv6-cidr-block-association.ipv6-cidr-block",
            "ipv6-cidr-block-association.state",
            "ipv6-native",
            "map-customer-owned-ip-on-launch",
            "map-public-ip-on-launch",
            "outpost-arn",
            "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
            "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
            "private-dns-name-options-on-launch.hostname-type",
            "subnet-arn",
        ],
    ),
    (
        "DescribeVpcEndpointConnections",
        &["transit-gateway-attachment-id"],
    ),
    (
        "DescribeVpcs",
        &[
            "cidr-block-association.association-id",
            "cidr-block-association.cidr-block",
            "cidr-block-association.state",
            "dhcp-options-id",
            "ipv6-cidr-block-association.association-id",
            "ipv6-cidr-block-association.ipv6-cidr-block",
            "ipv6-cidr-block-association.ipv6-pool",
            "ipv6-cidr-block-association.state",
        ],
    ),
];

/// The refusal of a filter: `InvalidFilter` stays for names that nobody has.
pub(super) fn explained(action: &str, params: &Params<'_>, refused: AwsError) -> AwsError {
    if refused.code != "InvalidFilter" {
        return refused;
    }
    let of_action = DOCUMENTED.iter().find(|(name, _)| *name == action);
    let names = of_action.map_or(&[][..], |(_, names)| names);
    let asked = params.filters().unwrap_or_default().0;
    let known = asked.iter().find(|filter| {
        let name = filter.name.as_str();
        names.contains(&name) && refused.message.contains(&format!("'{name}'"))
    });
    known.map_or(refused, |filter| {
        AwsError::not_modelled(&format!("The filter '{}' of {action}", filter.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_actions_that_there_are_have_filters_to_explain() {
        for (action, names) in DOCUMENTED {
            assert!(super::super::actions().any(|known| known == *action));
            assert!(names.is_sorted() && !names.is_empty(), "{action}");
        }
    }
}
