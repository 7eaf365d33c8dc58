//! What subnets, security groups and address types an endpoint may have.

use super::Place;
use super::network::{no_group, no_subnet};
use crate::AwsError;

pub(super) fn check_ip_type(wanted: &str, supported: &[String]) -> Result<(), AwsError> {
    let needs: &[&str] = match wanted {
        "ipv4" => &["ipv4"],
        "ipv6" => &["ipv6"],
        "dualstack" => &["ipv4", "ipv6"],
        other => return Err(AwsError::bad_value("IpAddressType", other)),
    };
    if needs.iter().all(|kind| supported.iter().any(|s| s == kind)) {
        return Ok(());
    }
    Err(AwsError::new(
        "InvalidParameter",
        format!("The service does not support the IP address type {wanted}"),
    ))
}

/// The zones of subnets, which must be in the VPC and in different zones.
pub(super) fn subnet_zones(
    place: &Place,
    vpc_id: &str,
    subnets: &[String],
) -> Result<Vec<(privatelink::AvailabilityZoneId, String)>, AwsError> {
    let mut zones: Vec<(privatelink::AvailabilityZoneId, String)> = Vec::new();
    for id in subnets {
        let subnet = place.subnets.get(id).ok_or_else(|| no_subnet(id))?;
        if subnet.vpc_id != vpc_id {
            return Err(AwsError::new(
                "InvalidParameter",
                format!("The subnet {id} is not in the VPC {vpc_id}"),
            ));
        }
        if zones.iter().any(|(zone, _)| *zone == subnet.zone) {
            return Err(AwsError::new(
                "DuplicateSubnetsInSameZone",
                format!("Found another VPC endpoint subnet in the availability zone of {id}"),
            ));
        }
        zones.push((subnet.zone.clone(), id.clone()));
    }
    Ok(zones)
}

/// Security groups, which must be in the VPC; its default one when none is named.
pub(super) fn endpoint_groups(
    place: &Place,
    vpc_id: &str,
    groups: &[String],
) -> Result<Vec<String>, AwsError> {
    if groups.is_empty() {
        let default = place
            .security_groups
            .values()
            .find(|group| group.vpc_id == vpc_id && group.name == "default");
        return Ok(default.map(|group| group.id.clone()).into_iter().collect());
    }
    for id in groups {
        let known = place.security_groups.get(id);
        if known.is_none_or(|group| group.vpc_id != vpc_id) {
            return Err(no_group(id));
        }
    }
    Ok(groups.to_vec())
}
