//! Deleting VPCs, subnets, security groups and route tables: refused while endpoints, load balancers or each other use them.

use super::endpoints::Endpoint;
use super::network::{no_group, no_subnet, no_vpc};
use super::route_tables::no_table;
use super::{Caller, Place, World};
use crate::AwsError;

impl World {
    /// Deletes a VPC with its main route table and its default security group.
    pub fn delete_vpc(&mut self, caller: &Caller, id: &str) -> Result<(), AwsError> {
        self.place(caller);
        let used = match self.existing_place(&caller.account, &caller.region) {
            Some(place) if place.vpcs.contains_key(id) => {
                place.subnets.values().any(|subnet| subnet.vpc_id == id)
                    || place
                        .security_groups
                        .values()
                        .any(|group| group.vpc_id == id && group.name != "default")
                    || place
                        .route_tables
                        .values()
                        .any(|table| table.vpc_id == id && !table.is_main)
                    || place.load_balancers.values().any(|lb| lb.vpc_id == id)
                    || self.has_endpoints(place, id)
            }
            _ => return Err(no_vpc(id)),
        };
        if used {
            return Err(in_use(&format!("The vpc '{id}'")));
        }
        let place = self.place(caller);
        place.vpcs.remove(id);
        place.security_groups.retain(|_, group| group.vpc_id != id);
        place.route_tables.retain(|_, table| table.vpc_id != id);
        Ok(())
    }

    /// Deletes a subnet without interfaces.
    pub fn delete_subnet(&mut self, caller: &Caller, id: &str) -> Result<(), AwsError> {
        let place = self.place(caller);
        if !place.subnets.contains_key(id) {
            return Err(no_subnet(id));
        }
        let holds = |subnets: &[String], interfaces: &[String]| {
            !interfaces.is_empty() && subnets.iter().any(|subnet| subnet == id)
        };
        let used = place
            .endpoints
            .values()
            .any(|e| holds(&e.subnets, &e.network_interfaces))
            || place
                .lattice_endpoints
                .values()
                .any(|e| holds(&e.subnets, &e.network_interfaces))
            || place
                .load_balancers
                .values()
                .any(|lb| lb.subnets.iter().any(|(_, subnet)| subnet == id));
        if used {
            return Err(in_use(&format!("The subnet '{id}'")));
        }
        place.subnets.remove(id);
        Ok(())
    }

    /// Deletes a security group that no interface and no load balancer has. The default one of a VPC stays.
    pub fn delete_security_group(&mut self, caller: &Caller, id: &str) -> Result<(), AwsError> {
        let place = self.place(caller);
        let group = place.security_groups.get(id).ok_or_else(|| no_group(id))?;
        if group.name == "default" {
            return Err(AwsError::new(
                "CannotDelete",
                format!(
                    "the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"
                ),
            ));
        }
        let holds = |groups: &[String], interfaces: &[String]| {
            !interfaces.is_empty() && groups.iter().any(|group| group == id)
        };
        let used = place
            .endpoints
            .values()
            .any(|e| holds(&e.security_groups, &e.network_interfaces))
            || place
                .lattice_endpoints
                .values()
                .any(|e| holds(&e.security_groups, &e.network_interfaces))
            || place
                .load_balancers
                .values()
                .any(|lb| lb.security_groups.iter().any(|group| group == id));
        if used {
            return Err(AwsError::new(
                "DependencyViolation",
                format!("resource {id} has a dependent object"),
            ));
        }
        place.security_groups.remove(id);
        Ok(())
    }

    /// Deletes a route table with the routes in it, unless it is a main one or a gateway endpoint has a route there.
    pub fn delete_route_table(&mut self, caller: &Caller, id: &str) -> Result<(), AwsError> {
        let place = self.place(caller);
        let table = place.route_tables.get(id).ok_or_else(|| no_table(id))?;
        if table.is_main || place.gateway_endpoints.values().any(|g| g.routes(id)) {
            return Err(in_use(&format!("The routeTable '{id}'")));
        }
        place.route_tables.remove(id);
        Ok(())
    }

    fn has_endpoints(&self, place: &Place, vpc_id: &str) -> bool {
        let alive = |endpoint: &Endpoint| {
            let service = self.service(&endpoint.service);
            let connection = service.and_then(|s| s.connections.get(&endpoint.id));
            connection.is_some_and(|connection| !connection.life.is_deleted())
        };
        place
            .endpoints
            .values()
            .any(|endpoint| endpoint.vpc_id == vpc_id && alive(endpoint))
            || place
                .gateway_endpoints
                .values()
                .any(|endpoint| endpoint.vpc_id == vpc_id && endpoint.deletion.is_none())
            || place
                .lattice_endpoints
                .values()
                .any(|endpoint| endpoint.vpc_id == vpc_id && !endpoint.life.is_deleted())
    }
}

fn in_use(what: &str) -> AwsError {
    AwsError::new(
        "DependencyViolation",
        format!("{what} has dependencies and cannot be deleted."),
    )
}

#[cfg(test)]
mod tests {
    use crate::world::gateway_endpoints::NewGatewayEndpoint;
    use crate::world::network_creation::NewSubnet;
    use crate::world::select::Tags;
    use crate::world::testing::{new_endpoint, shop};

    #[test]
    fn what_an_endpoint_uses_cannot_be_deleted_before_it() {
        let (mut world, _, me, service) = shop(false);
        let mut new = new_endpoint(&mut world, &me, &service);
        let zone = world.place(&me).subnets[&new.subnets[0]].zone.to_string();
        let vpc = world
            .create_vpc(&me, "10.0.0.0/16", Tags::new())
            .unwrap()
            .id;
        let subnet = NewSubnet {
            vpc_id: vpc.clone(),
            cidr: Some("10.0.0.0/24".into()),
            zone: Some(zone),
            ..NewSubnet::default()
        };
        let subnet = world.create_subnet(&me, subnet).unwrap().id;
        let group = world
            .create_security_group(&me, "own", "own", Some(&vpc), Tags::new())
            .unwrap()
            .id;
        let table = world
            .create_route_table(&me, &vpc, Tags::new(), None)
            .unwrap();
        let table = table.table.id;
        new.vpc_id.clone_from(&vpc);
        new.subnets = vec![subnet.clone()];
        new.security_groups = vec![group.clone()];
        let id = world.create_endpoint(&me, &new, None).unwrap().endpoint.id;
        let gateway = NewGatewayEndpoint {
            vpc_id: vpc.clone(),
            service_name: "com.amazonaws.eu-west-1.s3".into(),
            route_tables: vec![table.clone()],
            ..NewGatewayEndpoint::default()
        };
        let gateway = world.create_gateway_endpoint(&me, &gateway, None).unwrap();
        for refused in [
            world.delete_vpc(&me, &vpc),
            world.delete_subnet(&me, &subnet),
            world.delete_security_group(&me, &group),
            world.delete_route_table(&me, &table),
        ] {
            assert_eq!(refused.unwrap_err().code, "DependencyViolation");
        }
        let ids = [id.to_string(), gateway.id.to_string()];
        assert!(world.delete_endpoints(&me, &ids).unwrap().is_empty());
        world.delete_route_table(&me, &table).unwrap();
        world.delete_security_group(&me, &group).unwrap();
        world.delete_subnet(&me, &subnet).unwrap();
        world.delete_vpc(&me, &vpc).unwrap();
        assert!(
            world
                .place(&me)
                .route_tables
                .values()
                .all(|t| t.vpc_id != vpc)
        );
        for (gone, code) in [
            (world.delete_vpc(&me, &vpc), "InvalidVpcID.NotFound"),
            (
                world.delete_subnet(&me, &subnet),
                "InvalidSubnetID.NotFound",
            ),
            (
                world.delete_security_group(&me, &group),
                "InvalidGroup.NotFound",
            ),
            (
                world.delete_route_table(&me, &table),
                "InvalidRouteTableID.NotFound",
            ),
        ] {
            assert_eq!(gone.unwrap_err().code, code);
        }
    }

    #[test]
    fn the_default_group_and_the_main_table_of_a_vpc_stay() {
        let (mut world, provider, _, _) = shop(true);
        let place = world.place(&provider);
        let group = place.security_groups.keys().next().unwrap().clone();
        let table = place.route_tables.keys().next().unwrap().clone();
        let balancer = place.load_balancers.values().next().unwrap();
        let subnet = balancer.subnets[0].1.clone();
        let error = world.delete_security_group(&provider, &group).unwrap_err();
        assert_eq!(error.code, "CannotDelete");
        let error = world.delete_route_table(&provider, &table).unwrap_err();
        assert_eq!(error.code, "DependencyViolation");
        let error = world.delete_subnet(&provider, &subnet).unwrap_err();
        assert_eq!(
            error.code, "DependencyViolation",
            "a load balancer is in it"
        );
    }
}
