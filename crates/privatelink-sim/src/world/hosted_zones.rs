//! Private hosted zones: those that endpoints with private DNS hide in their VPC, and those that the control API associates.
//!
//! Route 53 is not simulated; a VPC only needs to know which names are taken.

use std::collections::BTreeSet;

use privatelink::VpcEndpointId;

use super::{Place, World};
use crate::AwsError;

/// The zone that answers for a private name.
fn zone_of(name: &str) -> &str {
    let name = name.strip_prefix("*.").unwrap_or(name);
    name.strip_suffix('.').unwrap_or(name)
}

impl World {
    /// Associates a private hosted zone with a VPC; answers whether it was not before. `InvalidVpcID.NotFound` when no account
    /// has the VPC, `ValidationError` for what is no domain name.
    pub fn put_hosted_zone(&mut self, vpc_id: &str, name: &str) -> Result<bool, AwsError> {
        if !self
            .places()
            .any(|(_, _, place)| place.vpcs.contains_key(vpc_id))
        {
            let message = format!("The vpc ID '{vpc_id}' does not exist");
            return Err(AwsError::new("InvalidVpcID.NotFound", message));
        }
        let zone = zone_of(name).to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if zone.len() > 253
            || zone
                .split('.')
                .any(|label| label.is_empty() || !label.chars().all(fits))
        {
            let message = format!("'{name}' is no domain name");
            return Err(AwsError::new("ValidationError", message));
        }
        let zones = self.hosted_zones.entry(vpc_id.to_owned()).or_default();
        Ok(zones.insert(zone))
    }

    /// Takes a private hosted zone away from a VPC; answers whether there was one.
    pub fn remove_hosted_zone(&mut self, vpc_id: &str, name: &str) -> bool {
        let zone = zone_of(name).to_ascii_lowercase();
        let zones = self.hosted_zones.get_mut(vpc_id);
        let removed = zones.is_some_and(|zones| zones.remove(&zone));
        self.hosted_zones.retain(|_, zones| !zones.is_empty());
        removed
    }

    /// The zones that were associated, by VPC.
    pub fn hosted_zones(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        let all = self.hosted_zones.iter();
        all.map(|(vpc, zones)| (vpc.as_str(), zones))
    }

    /// The zone among these names that the VPC has already: from the control API, or hidden by another endpoint that lives.
    pub(super) fn clashing_zone(
        &self,
        place: &Place,
        vpc_id: &str,
        names: &[String],
        endpoint: Option<&VpcEndpointId>,
    ) -> Option<String> {
        let hidden: BTreeSet<String> = place
            .endpoints
            .values()
            .filter(|other| {
                Some(&other.id) != endpoint && other.private_dns && other.vpc_id == vpc_id
            })
            .filter_map(|other| {
                let service = self.service(&other.service)?;
                let life = &service.connections.get(&other.id)?.life;
                (!life.is_deleted()).then(|| service.private_names())
            })
            .flatten()
            .map(|name| zone_of(&name).to_owned())
            .collect();
        let registered = self.hosted_zones.get(vpc_id);
        names
            .iter()
            .map(|name| zone_of(name))
            .find(|zone| {
                hidden.contains(*zone) || registered.is_some_and(|zones| zones.contains(*zone))
            })
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use crate::world::endpoints::NewEndpoint;
    use crate::world::testing::{CONSUMER, caller, world};

    #[test]
    fn a_zone_of_the_same_name_in_the_vpc_keeps_private_dns_away() {
        let (mut world, me) = (world(), caller(CONSUMER));
        let vpc_id = world.place(&me).vpcs.keys().next().unwrap().clone();
        let new = NewEndpoint {
            vpc_id: vpc_id.clone(),
            service_name: "com.amazonaws.eu-west-1.ecr.dkr".into(),
            private_dns: true,
            ..NewEndpoint::default()
        };
        let zone = "DKR.ecr.eu-west-1.amazonaws.com.";
        assert!(world.put_hosted_zone(&vpc_id, zone).unwrap());
        assert!(!world.put_hosted_zone(&vpc_id, zone).unwrap());
        for (vpc, name, code) in [
            ("vpc-other", "example.com", "InvalidVpcID.NotFound"),
            (vpc_id.as_str(), "not a name", "ValidationError"),
            (vpc_id.as_str(), "", "ValidationError"),
        ] {
            assert_eq!(world.put_hosted_zone(vpc, name).unwrap_err().code, code);
        }
        let error = world.create_endpoint(&me, &new, None).unwrap_err();
        assert_eq!(error.code, "InvalidParameter");
        assert!(error.message.contains("conflicting DNS domain for dkr.ecr"));
        assert_eq!(world.hosted_zones().count(), 1);
        assert!(world.remove_hosted_zone(&vpc_id, zone));
        assert!(!world.remove_hosted_zone(&vpc_id, zone));
        world.create_endpoint(&me, &new, None).unwrap();
    }
}
