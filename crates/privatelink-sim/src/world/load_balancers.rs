//! Network Load Balancers and what keeps them from being deleted.

use chrono::{DateTime, Utc};
use privatelink::{AvailabilityZoneId, LoadBalancerArn};
use serde::{Deserialize, Serialize};

use super::select::Tags;
use super::{Caller, World, later, network, regions};
use crate::AwsError;

/// A Network Load Balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Security groups, when it was created with any.
    pub security_groups: Vec<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When `provisioning` ends.
    pub active_at: DateTime<Utc>,
    /// `load_balancing.cross_zone.enabled`.
    pub cross_zone: bool,
    /// `deletion_protection.enabled`.
    pub deletion_protection: bool,
    /// The owner's tags.
    pub tags: Tags,
}

impl LoadBalancer {
    /// `provisioning` or `active`.
    pub fn state_at(&self, at: DateTime<Utc>) -> &'static str {
        if at < self.active_at {
            "provisioning"
        } else {
            "active"
        }
    }

    /// The DNS name.
    pub fn dns_name(&self) -> String {
        let id = self.arn.as_str().rsplit('/').next().unwrap_or_default();
        format!("{}-{id}.elb.{}.amazonaws.com", self.name, self.arn.region())
    }
}

/// What `CreateLoadBalancer` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLoadBalancer {
    /// At most 32 letters, digits and hyphens.
    pub name: String,
    /// `internal` or `internet-facing` (the default).
    pub scheme: Option<String>,
    /// `ipv4` (the default) or `dualstack`.
    pub ip_address_type: Option<String>,
    /// At least one, each in another zone of one VPC.
    pub subnets: Vec<String>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// Tags.
    pub tags: Tags,
}

impl World {
    /// Makes a Network Load Balancer. The same name with the same settings answers with the one there is, as ELBv2 does.
    pub fn create_load_balancer(
        &mut self,
        caller: &Caller,
        new: NewLoadBalancer,
    ) -> Result<LoadBalancer, AwsError> {
        check_name(&new.name)?;
        let scheme = one_of(new.scheme, &["internet-facing", "internal"], "Scheme")?;
        let ip_type = one_of(new.ip_address_type, &["ipv4", "dualstack"], "IpAddressType")?;
        let id = self.ids.next_hex16();
        let active_at = later(caller.now, self.behavior.load_balancer_provisioning_ms);
        let place = self.place(caller);
        let mut subnets: Vec<(AvailabilityZoneId, String)> = Vec::new();
        let mut vpc_id = None;
        for subnet_id in &new.subnets {
            let subnet = place.subnets.get(subnet_id).ok_or_else(|| {
                AwsError::new(
                    "SubnetNotFound",
                    format!("The subnet ID '{subnet_id}' does not exist"),
                )
            })?;
            if *vpc_id.get_or_insert_with(|| subnet.vpc_id.clone()) != subnet.vpc_id {
                return Err(invalid("All subnets must belong to the same VPC"));
            }
            if subnets.iter().any(|(zone, _)| *zone == subnet.zone) {
                return Err(invalid(
                    "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
                ));
            }
            subnets.push((subnet.zone.clone(), subnet.id.clone()));
        }
        let vpc_id = vpc_id.ok_or_else(|| {
            AwsError::new("ValidationError", "At least one subnet must be specified")
        })?;
        network::all_exist(
            &new.security_groups,
            |id| place.security_groups.contains_key(id),
            |id| {
                AwsError::new(
                    "InvalidSecurityGroup",
                    format!("The security group '{id}' does not exist"),
                )
            },
        )?;
        if let Some(same) = place.load_balancers.values().find(|lb| lb.name == new.name) {
            return if same.scheme == scheme && same.subnets == subnets {
                Ok(same.clone())
            } else {
                Err(AwsError::new(
                    "DuplicateLoadBalancerName",
                    format!(
                        "A load balancer with the same name '{}' exists, but with different settings",
                        new.name
                    ),
                ))
            };
        }
        let arn = format!(
            "arn:{}:elasticloadbalancing:{}:{}:loadbalancer/net/{}/{id}",
            regions::partition(&caller.region),
            caller.region,
            caller.account,
            new.name
        );
        let balancer = LoadBalancer {
            arn: arn
                .parse()
                .map_err(|_| AwsError::new("ValidationError", "The name is not valid"))?,
            name: new.name,
            scheme,
            ip_address_type: ip_type,
            vpc_id,
            subnets,
            security_groups: new.security_groups,
            created_at: caller.now,
            active_at,
            cross_zone: false,
            deletion_protection: false,
            tags: new.tags,
        };
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

    /// One load balancer of the caller's.
    pub fn load_balancer(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<&mut LoadBalancer, AwsError> {
        arn.parse::<LoadBalancerArn>()
            .ok()
            .and_then(|arn| self.place(caller).load_balancers.get_mut(&arn))
            .ok_or_else(no_load_balancer)
    }

    /// Deletes a load balancer with its listeners. Refused while an endpoint service uses it (`ResourceInUse`) or while it is
    /// protected (`OperationNotPermitted`); deleting what does not exist is a success, as in ELBv2.
    pub fn delete_load_balancer(&mut self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let Ok(balancer) = self.load_balancer(caller, arn) else {
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
        let arn = balancer.arn.clone();
        let place = self.place(caller);
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

pub(super) fn no_load_balancer() -> AwsError {
    AwsError::new(
        "LoadBalancerNotFound",
        "One or more load balancers not found",
    )
}

pub(super) fn invalid(message: &str) -> AwsError {
    AwsError::new("InvalidConfigurationRequest", message)
}

pub(super) fn check_name(name: &str) -> Result<(), AwsError> {
    let good = (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        Ok(())
    } else {
        Err(AwsError::new(
            "ValidationError",
            "A name has 1 to 32 letters, digits and hyphens and does not begin or end with a hyphen",
        ))
    }
}

/// The value, or the first of the allowed ones when none was given.
fn one_of(value: Option<String>, allowed: &[&str], parameter: &str) -> Result<String, AwsError> {
    match value {
        None => Ok(allowed.first().copied().unwrap_or_default().to_owned()),
        Some(value) if allowed.contains(&value.as_str()) => Ok(value),
        Some(value) => Err(AwsError::new(
            "ValidationError",
            format!("'{value}' is not a valid value for '{parameter}'"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::world::testing::{PROVIDER, caller, load_balancer, service, world};

    #[test]
    fn a_load_balancer_in_use_cannot_be_deleted() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge");
        service(&mut world, &me, &arn, true);
        let error = world.delete_load_balancer(&me, arn.as_str()).unwrap_err();
        assert_eq!(error.code, "ResourceInUse");
    }

    #[test]
    fn a_protected_load_balancer_cannot_be_deleted() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge");
        world
            .load_balancer(&me, arn.as_str())
            .unwrap()
            .deletion_protection = true;
        let error = world.delete_load_balancer(&me, arn.as_str()).unwrap_err();
        assert_eq!(error.code, "OperationNotPermitted");
    }

    #[test]
    fn a_deleted_load_balancer_is_not_found_and_deleting_it_again_succeeds() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge").to_string();
        world.delete_load_balancer(&me, &arn).unwrap();
        let error = world
            .load_balancers(&me, std::slice::from_ref(&arn), &[])
            .unwrap_err();
        assert_eq!(error.code, "LoadBalancerNotFound");
        assert!(world.delete_load_balancer(&me, &arn).is_ok());
    }

    #[test]
    fn a_new_load_balancer_is_provisioning_for_a_while_if_asked_to() {
        let (mut world, mut me) = (world(), caller(PROVIDER));
        world.behavior.load_balancer_provisioning_ms = 1_000;
        let arn = load_balancer(&mut world, &me, "edge").to_string();
        let state = |world: &mut crate::world::World, me: &crate::world::Caller| {
            world.load_balancer(me, &arn).unwrap().state_at(me.now)
        };
        assert_eq!(state(&mut world, &me), "provisioning");
        me.now = crate::world::later(me.now, 1_000);
        assert_eq!(state(&mut world, &me), "active");
    }
}
