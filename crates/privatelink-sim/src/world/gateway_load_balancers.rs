//! Gateway Load Balancers: told apart from Network Load Balancers by their ARN, without a scheme, a DNS name or security groups.

use std::collections::BTreeMap;

use privatelink::LoadBalancerArn;

use super::listeners::Listener;
use super::load_balancers::{LoadBalancer, LoadBalancerKind, NewLoadBalancer};
use super::select::Tags;
use super::targets::{NewTargetGroup, TargetGroup};
use super::{Caller, World};
use crate::AwsError;

/// The only protocol that Gateway Load Balancers and their target groups speak.
pub const GENEVE: &str = "GENEVE";

/// The port of GENEVE, which no request may choose.
pub const GENEVE_PORT: u16 = 6081;

/// Whether the ARN is a Gateway Load Balancer's (`loadbalancer/gwy/…`).
pub fn is_gateway(arn: &LoadBalancerArn) -> bool {
    let resource = arn.as_str().splitn(6, ':').nth(5);
    resource.is_some_and(|r| r.starts_with("loadbalancer/gwy/"))
}

impl World {
    /// Makes a Gateway Load Balancer. The same name with the same subnets answers with the one there is.
    pub fn create_gateway_load_balancer(
        &mut self,
        caller: &Caller,
        new: NewLoadBalancer,
    ) -> Result<LoadBalancer, AwsError> {
        if new.scheme.is_some() || !new.security_groups.is_empty() {
            return Err(AwsError::new(
                "InvalidConfigurationRequest",
                "A load balancer of type gateway has neither a scheme nor security groups",
            ));
        }
        let new = NewLoadBalancer {
            kind: LoadBalancerKind::Gateway,
            ..new
        };
        self.create_load_balancer(caller, new)
    }

    /// Makes the listener of a Gateway Load Balancer: one, for everything, with GENEVE and no port or protocol in the request.
    pub fn create_gateway_listener(
        &mut self,
        caller: &Caller,
        load_balancer: &str,
        target_groups: Vec<String>,
        tags: Tags,
    ) -> Result<Listener, AwsError> {
        let balancer = self.load_balancer(caller, load_balancer)?.arn.clone();
        let id = self.ids.next_hex16();
        let place = self.place(caller);
        for arn in &target_groups {
            let group = place.target_groups.get(arn);
            let group = group.ok_or_else(|| super::targets::no_target_group(arn))?;
            if group.protocol != GENEVE {
                return Err(AwsError::new(
                    "InvalidConfigurationRequest",
                    format!("The target group '{arn}' does not use GENEVE"),
                ));
            }
        }
        if place
            .listeners
            .values()
            .any(|l| l.load_balancer == balancer)
        {
            return Err(AwsError::new(
                "DuplicateListener",
                "A load balancer of type gateway has one listener",
            ));
        }
        let path = balancer.as_str();
        let listener = Listener {
            arn: format!("{}/{id}", path.replacen(":loadbalancer/", ":listener/", 1)),
            load_balancer: balancer,
            port: GENEVE_PORT,
            protocol: GENEVE.to_owned(),
            target_groups,
            weights: BTreeMap::new(),
            stickiness: None,
            tls: None,
            attributes: BTreeMap::new(),
            tags,
        };
        place
            .listeners
            .insert(listener.arn.clone(), listener.clone());
        Ok(listener)
    }

    /// Makes a target group of appliances, which listen on the port of GENEVE and on no other.
    pub fn create_gateway_target_group(
        &mut self,
        caller: &Caller,
        new: NewTargetGroup,
    ) -> Result<TargetGroup, AwsError> {
        let kind = new.target_type.as_deref();
        if new.port != GENEVE_PORT || !matches!(kind, None | Some("instance" | "ip")) {
            return Err(AwsError::new(
                "InvalidConfigurationRequest",
                "A target group with GENEVE has port 6081 and the target type instance or ip",
            ));
        }
        self.create_target_group(caller, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{PROVIDER, caller, gateway_load_balancer, load_balancer, world};

    fn group(world: &mut World, me: &Caller, protocol: &str, port: u16) -> NewTargetGroup {
        NewTargetGroup {
            name: format!("g-{port}-{}", protocol.to_ascii_lowercase()),
            protocol: protocol.to_owned(),
            port,
            vpc_id: world.place(me).vpcs.keys().next().cloned(),
            ..NewTargetGroup::default()
        }
    }

    #[test]
    fn a_gateway_load_balancer_has_an_arn_of_its_own_kind_and_no_scheme() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = gateway_load_balancer(&mut world, &me, "wall");
        assert!(is_gateway(&arn) && !arn.is_network());
        assert_eq!(world.load_balancer(&me, arn.as_str()).unwrap().scheme, "");
        assert_eq!(world.load_balancers(&me, &[], &[]).unwrap().len(), 1);
        assert_eq!(gateway_load_balancer(&mut world, &me, "wall"), arn);
        load_balancer(&mut world, &me, "edge");
        let new = NewLoadBalancer {
            name: "edge".into(),
            subnets: world.place(&me).subnets.keys().cloned().collect(),
            ..NewLoadBalancer::default()
        };
        let error = world.create_gateway_load_balancer(&me, new).unwrap_err();
        assert_eq!(error.code, "DuplicateLoadBalancerName");
        let new = NewLoadBalancer {
            name: "open".into(),
            scheme: Some("internal".into()),
            ..NewLoadBalancer::default()
        };
        let error = world.create_gateway_load_balancer(&me, new).unwrap_err();
        assert_eq!(error.code, "InvalidConfigurationRequest");
    }

    #[test]
    fn its_one_listener_forwards_to_groups_that_speak_geneve() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let arn = gateway_load_balancer(&mut world, &me, "wall").to_string();
        let tcp = group(&mut world, &me, "TCP", 80);
        let tcp = world.create_target_group(&me, tcp).unwrap();
        let wrong = group(&mut world, &me, GENEVE, 443);
        let error = world.create_gateway_target_group(&me, wrong).unwrap_err();
        assert_eq!(error.code, "InvalidConfigurationRequest");
        let good = group(&mut world, &me, GENEVE, GENEVE_PORT);
        let good = world.create_gateway_target_group(&me, good).unwrap();
        let mut listen =
            |group: String| world.create_gateway_listener(&me, &arn, vec![group], Tags::new());
        assert_eq!(
            listen(tcp.arn).unwrap_err().code,
            "InvalidConfigurationRequest"
        );
        let made = listen(good.arn.clone()).unwrap();
        assert_eq!((made.protocol.as_str(), made.port), (GENEVE, GENEVE_PORT));
        assert!(made.arn.contains(":listener/gwy/wall/"));
        assert_eq!(listen(good.arn).unwrap_err().code, "DuplicateListener");
    }
}
