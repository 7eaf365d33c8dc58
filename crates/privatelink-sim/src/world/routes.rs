//! Routes that people make: to Gateway Load Balancer endpoints. Those of gateway endpoints come and go with their endpoints.

use privatelink::{ConnectionState, VpcEndpointId};

use super::endpoint_kinds::EndpointKind;
use super::endpoints::{no_endpoint, parse_endpoint};
use super::route_tables::no_table;
use super::{Caller, Place, World, cidr};
use crate::AwsError;

/// Where a route leads from, as a request names it: exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    /// `DestinationCidrBlock`.
    pub ipv4: Option<String>,
    /// `DestinationIpv6CidrBlock`.
    pub ipv6: Option<String>,
    /// `DestinationPrefixListId`.
    pub prefix_list: Option<String>,
}

impl World {
    /// Makes a route to a Gateway Load Balancer endpoint that is available.
    pub fn create_route(
        &mut self,
        caller: &Caller,
        table: &str,
        to: &Destination,
        endpoint: &str,
    ) -> Result<(), AwsError> {
        let to = self.destination(caller, to)?;
        self.check_next_hop(caller, table, endpoint)?;
        let place = self.place(caller);
        if is_local(place, table, &to) || holds(place, table, &to) {
            return Err(AwsError::new(
                "RouteAlreadyExists",
                format!("The route identified by {to} already exists."),
            ));
        }
        if let Some(table) = place.route_tables.get_mut(table) {
            table.routes.insert(to, endpoint.to_owned());
        }
        Ok(())
    }

    /// Points a route at another endpoint.
    pub fn replace_route(
        &mut self,
        caller: &Caller,
        table: &str,
        to: &Destination,
        endpoint: &str,
    ) -> Result<(), AwsError> {
        let to = self.destination(caller, to)?;
        self.check_next_hop(caller, table, endpoint)?;
        let place = self.place(caller);
        if is_local(place, table, &to) {
            return Err(AwsError::not_modelled("Replacing the local route"));
        }
        if !holds(place, table, &to) {
            return Err(AwsError::new(
                "InvalidParameterValue",
                format!(
                    "There is no route defined for '{to}' in the route table. Use CreateRoute instead."
                ),
            ));
        }
        if let Some(table) = place.route_tables.get_mut(table) {
            table.routes.insert(to, endpoint.to_owned());
        }
        Ok(())
    }

    /// Deletes a route. The local route and those of gateway endpoints cannot be deleted this way.
    pub fn delete_route(
        &mut self,
        caller: &Caller,
        table: &str,
        to: &Destination,
    ) -> Result<(), AwsError> {
        let to = self.destination(caller, to)?;
        let lists = self.prefix_lists(&caller.region);
        let place = self.place(caller);
        if !place.route_tables.contains_key(table) {
            return Err(no_table(table));
        }
        let gateways = place.gateway_endpoints.values();
        let of_gateway = gateways
            .filter(|gateway| gateway.routes(table))
            .any(|gateway| {
                let list = lists.iter().find(|list| list.id == to);
                list.is_some_and(|list| list.name == gateway.service_name)
            });
        if is_local(place, table, &to) || of_gateway {
            let what = if of_gateway { "VPC endpoint" } else { "local" };
            return Err(AwsError::new(
                "InvalidParameterValue",
                format!("cannot remove {what} route {to} in route table {table}"),
            ));
        }
        let gone = place
            .route_tables
            .get_mut(table)
            .and_then(|table| table.routes.remove(&to));
        gone.map(|_| ()).ok_or_else(|| {
            AwsError::new(
                "InvalidRoute.NotFound",
                format!("no route with destination-cidr-block {to} in route table {table}"),
            )
        })
    }

    /// The destination as it is kept: a block without host bits, or the id of a prefix list there is.
    fn destination(&self, caller: &Caller, to: &Destination) -> Result<String, AwsError> {
        match (&to.ipv4, &to.ipv6, &to.prefix_list) {
            (Some(block), None, None) => cidr::V4::parse(block)
                .map(cidr::V4::canonical)
                .ok_or_else(|| AwsError::bad_value("destinationCidrBlock", block)),
            (None, Some(block), None) => cidr::V6::parse(block)
                .map(cidr::V6::canonical)
                .ok_or_else(|| AwsError::bad_value("destinationIpv6CidrBlock", block)),
            (None, None, Some(list)) => {
                let lists = self.prefix_lists(&caller.region);
                if lists.iter().any(|known| known.id == *list) {
                    Ok(list.clone())
                } else {
                    Err(super::prefix_lists::no_prefix_list(list))
                }
            }
            (None, None, None) => Err(AwsError::missing("destinationCidrBlock")),
            _ => Err(AwsError::new(
                "InvalidParameterCombination",
                "Exactly one destination must be given",
            )),
        }
    }

    fn check_next_hop(
        &mut self,
        caller: &Caller,
        table: &str,
        endpoint: &str,
    ) -> Result<(), AwsError> {
        let id = parse_endpoint(endpoint)?;
        let place = self.place(caller);
        let vpc = place.route_tables.get(table).map(|table| &table.vpc_id);
        let vpc = vpc.ok_or_else(|| no_table(table))?.clone();
        let row = self.endpoint(caller, endpoint).map_err(|error| {
            if self.is_gateway_endpoint(caller, id.as_str()) {
                not_a_hop(endpoint)
            } else {
                error
            }
        })?;
        if row.endpoint.kind != EndpointKind::GatewayLoadBalancer {
            return Err(not_a_hop(endpoint));
        }
        if row.endpoint.vpc_id != vpc {
            return Err(AwsError::new(
                "InvalidParameterValue",
                format!("route table {table} and endpoint {endpoint} belong to different networks"),
            ));
        }
        match row.state {
            ConnectionState::Available => Ok(()),
            ConnectionState::Deleted => Err(no_endpoint(endpoint)),
            state => Err(AwsError::new(
                "IncorrectState",
                format!("The Vpc Endpoint '{endpoint}' is in state {state}, not available"),
            )),
        }
    }

    /// Refuses to delete an endpoint that a route leads to.
    pub(super) fn check_not_routed(
        &mut self,
        caller: &Caller,
        endpoint: &VpcEndpointId,
    ) -> Result<(), AwsError> {
        let tables = self.place(caller).route_tables.values();
        let used = tables
            .flat_map(|table| table.routes.values())
            .any(|target| target == endpoint.as_str());
        if used {
            return Err(AwsError::new(
                "InvalidParameter",
                "Endpoint must be removed from route table before deletion",
            ));
        }
        Ok(())
    }
}

fn not_a_hop(endpoint: &str) -> AwsError {
    AwsError::new(
        "InvalidParameterValue",
        format!("The Vpc Endpoint '{endpoint}' is not of type GatewayLoadBalancer"),
    )
}

fn holds(place: &Place, table: &str, to: &str) -> bool {
    let table = place.route_tables.get(table);
    table.is_some_and(|table| table.routes.contains_key(to))
}

fn is_local(place: &Place, table: &str, to: &str) -> bool {
    let vpc = place.route_tables.get(table).map(|table| &table.vpc_id);
    let vpc = vpc.and_then(|id| place.vpcs.get(id));
    vpc.is_some_and(|vpc| vpc.cidr == to || vpc.ipv6.as_deref() == Some(to))
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
