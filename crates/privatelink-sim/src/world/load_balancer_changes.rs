//! What is changed on a Network Load Balancer after it was made: security groups, IP address type, and its state by hand.

use privatelink::LoadBalancerArn;

use super::load_balancers::{
    LoadBalancer, LoadBalancerState, check_prefix, invalid, one_of, validation,
};
use super::services::Service;
use super::{Caller, Place, World};
use crate::AwsError;

/// The states of ELBv2.
const STATES: [&str; 4] = ["provisioning", "active", "active_impaired", "failed"];

impl World {
    /// Chooses the security groups anew, and whether their inbound rules are judged on PrivateLink traffic. A Network Load
    /// Balancer that was created without security groups never has any, and one that was created with some never has none.
    pub fn set_security_groups(
        &mut self,
        caller: &Caller,
        arn: &str,
        groups: Vec<String>,
        enforce: Option<&str>,
    ) -> Result<LoadBalancer, AwsError> {
        let enforce = match enforce {
            None => None,
            Some("on") => Some(true),
            Some("off") => Some(false),
            Some(other) => {
                return Err(validation(&format!(
                    "'{other}' is not a valid value for 'EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic'"
                )));
            }
        };
        let balancer = self.network_load_balancer(caller, arn)?;
        if balancer.security_groups.is_empty() {
            return Err(invalid(
                "Security groups cannot be set on a load balancer of type 'network' that was created without any",
            ));
        }
        if groups.is_empty() {
            return Err(invalid(
                "A load balancer of type 'network' with security groups must keep at least one",
            ));
        }
        let vpc_id = balancer.vpc_id.clone();
        self.place(caller).check_security_groups(&groups, &vpc_id)?;
        let balancer = self.network_load_balancer(caller, arn)?;
        balancer.security_groups = groups;
        if let Some(enforce) = enforce {
            balancer.enforce_on_private_link = enforce;
        }
        Ok(balancer.clone())
    }

    /// Changes the IP address type. Not to `ipv4` under an endpoint service that offers IPv6, which needs every load balancer
    /// to be `dualstack`: AWS documents the need, not what happens when it is broken afterwards.
    pub fn set_ip_address_type(
        &mut self,
        caller: &Caller,
        arn: &str,
        ip_type: &str,
    ) -> Result<String, AwsError> {
        let ip_type = one_of(
            Some(ip_type.to_owned()),
            &["ipv4", "dualstack"],
            "IpAddressType",
        )?;
        let balancer = self.network_load_balancer(caller, arn)?;
        let (arn, prefix) = (balancer.arn.clone(), balancer.source_nat_prefix);
        check_prefix(prefix, &ip_type)?;
        let place = self.place(caller);
        place.check_udp(&arn, &ip_type, prefix)?;
        place.check_ipv6_services(&arn, &ip_type, caller)?;
        let balancer = self.network_load_balancer(caller, arn.as_str())?;
        if ip_type == "ipv4" && balancer.addresses.values().any(|a| a.ipv6.is_some()) {
            return Err(invalid("The load balancer has IPv6 addresses"));
        }
        balancer.ip_address_type.clone_from(&ip_type);
        Ok(ip_type)
    }

    /// Sets the state that a load balancer shows; `None` gives it back to its own life.
    pub fn set_load_balancer_state(
        &mut self,
        caller: &Caller,
        arn: &str,
        state: Option<LoadBalancerState>,
    ) -> Result<(), AwsError> {
        if let Some(state) = &state
            && !STATES.contains(&state.code.as_str())
        {
            return Err(validation(&format!(
                "'{}' is not a state of a load balancer",
                state.code
            )));
        }
        self.load_balancer(caller, arn)?.forced_state = state;
        Ok(())
    }
}

impl Place {
    /// No load balancer stops being `dualstack` under an endpoint service that offers IPv6.
    pub(super) fn check_ipv6_services(
        &self,
        arn: &LoadBalancerArn,
        ip_type: &str,
        caller: &Caller,
    ) -> Result<(), AwsError> {
        let offers_ipv6 = |s: &Service| s.ip_address_types.iter().any(|kind| kind == "ipv6");
        let mut users = self.services.values().filter(|s| s.uses(arn, caller.now));
        let needs_ipv6 = users.any(offers_ipv6);
        if ip_type == "ipv4" && needs_ipv6 {
            return Err(invalid(
                "The load balancer must stay dualstack while an endpoint service with IPv6 uses it",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::load_balancers::NewLoadBalancer;
    use crate::world::testing::{PROVIDER, caller, load_balancer, new_service, world};

    fn guarded(world: &mut World, me: &Caller) -> (String, Vec<String>) {
        let place = world.place(me);
        let groups: Vec<_> = place.security_groups.keys().cloned().collect();
        let new = NewLoadBalancer {
            name: "guarded".into(),
            subnets: place.subnets.keys().cloned().collect(),
            security_groups: groups.clone(),
            ..NewLoadBalancer::default()
        };
        let arn = world.create_load_balancer(me, new).unwrap().arn.to_string();
        (arn, groups)
    }

    #[test]
    fn enforcement_is_on_until_it_is_switched_off_and_absent_without_groups() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let (arn, groups) = guarded(&mut world, &me);
        let seen = |world: &mut World| world.load_balancer(&me, &arn).unwrap().enforcement();
        assert_eq!(seen(&mut world), Some("on"));
        let set = |world: &mut World, enforce| {
            world
                .set_security_groups(&me, &arn, groups.clone(), enforce)
                .map(|lb| lb.enforcement())
        };
        assert_eq!(set(&mut world, Some("off")).unwrap(), Some("off"));
        assert_eq!(set(&mut world, None).unwrap(), Some("off"));
        assert_eq!(
            set(&mut world, Some("maybe")).unwrap_err().code,
            "ValidationError"
        );
        let bare = load_balancer(&mut world, &me, "bare").to_string();
        assert_eq!(world.load_balancer(&me, &bare).unwrap().enforcement(), None);
    }

    #[test]
    fn security_groups_can_neither_be_added_later_nor_all_be_removed() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let (arn, groups) = guarded(&mut world, &me);
        let none = world.set_security_groups(&me, &arn, vec![], None);
        assert_eq!(none.unwrap_err().code, "InvalidConfigurationRequest");
        let bare = load_balancer(&mut world, &me, "bare").to_string();
        let late = world.set_security_groups(&me, &bare, groups, None);
        assert_eq!(late.unwrap_err().code, "InvalidConfigurationRequest");
    }

    #[test]
    fn security_groups_of_others_and_of_other_vpcs_are_refused() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let (arn, _) = guarded(&mut world, &me);
        let vpc = world.create_vpc(&me, "10.0.0.0/16", crate::world::select::Tags::new());
        let vpc = vpc.unwrap().id;
        let place = world.place(&me);
        let elsewhere = place.security_groups.values().find(|g| g.vpc_id == vpc);
        let elsewhere = elsewhere.unwrap().id.clone();
        let other = caller(crate::world::testing::CONSUMER);
        let theirs = world.place(&other).security_groups.keys().next().cloned();
        for (group, code) in [
            (elsewhere, "InvalidConfigurationRequest"),
            (theirs.unwrap(), "InvalidSecurityGroup"),
        ] {
            let refused = world.set_security_groups(&me, &arn, vec![group], None);
            assert_eq!(refused.unwrap_err().code, code);
        }
    }

    #[test]
    fn a_state_set_by_hand_shows_until_it_is_given_back() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge").to_string();
        let state = |code: &str| LoadBalancerState {
            code: code.into(),
            reason: Some("zone lost".into()),
        };
        world
            .set_load_balancer_state(&me, &arn, Some(state("active_impaired")))
            .unwrap();
        let lb = world.load_balancer(&me, &arn).unwrap();
        assert_eq!(lb.state_at(me.now), "active_impaired");
        assert_eq!(lb.state_reason(), Some("zone lost"));
        let odd = world.set_load_balancer_state(&me, &arn, Some(state("sleepy")));
        assert_eq!(odd.unwrap_err().code, "ValidationError");
        world.set_load_balancer_state(&me, &arn, None).unwrap();
        let lb = world.load_balancer(&me, &arn).unwrap();
        assert_eq!((lb.state_at(me.now), lb.state_reason()), ("active", None));
    }

    #[test]
    fn the_ip_address_type_goes_there_and_back_unless_a_prefix_needs_it() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge").to_string();
        assert_eq!(
            world.set_ip_address_type(&me, &arn, "dualstack").unwrap(),
            "dualstack"
        );
        world.load_balancer(&me, &arn).unwrap().source_nat_prefix = true;
        let error = world.set_ip_address_type(&me, &arn, "ipv4").unwrap_err();
        assert_eq!(error.code, "InvalidConfigurationRequest");
        let error = world.set_ip_address_type(&me, &arn, "ipv6").unwrap_err();
        assert_eq!(error.code, "ValidationError");
    }

    #[test]
    fn a_load_balancer_stays_dualstack_under_a_service_with_ipv6() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = load_balancer(&mut world, &me, "edge");
        let set = |world: &mut World, kind| world.set_ip_address_type(&me, arn.as_str(), kind);
        set(&mut world, "dualstack").unwrap();
        let mut new = new_service(&arn, true);
        new.ip_address_types = vec!["ipv4".into(), "ipv6".into()];
        let service = world.create_service(&me, &new, None).unwrap().id;
        let error = set(&mut world, "ipv4").unwrap_err();
        assert_eq!(error.code, "InvalidConfigurationRequest");
        let without = crate::world::services::ServiceChange {
            remove_ip_address_types: vec!["ipv6".into()],
            ..Default::default()
        };
        world
            .modify_service(&me, service.as_str(), &without)
            .unwrap();
        assert_eq!(set(&mut world, "ipv4").unwrap(), "ipv4");
    }
}
