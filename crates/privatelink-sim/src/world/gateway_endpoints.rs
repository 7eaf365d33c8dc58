//! Gateway endpoints to S3 and `DynamoDB`. They are not PrivateLink: no connection, no acceptance, only routes.

use chrono::{DateTime, Utc};
use privatelink::{ConnectionState, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::endpoint_changes::check_policy;
use super::endpoint_kinds::wrong_type;
use super::endpoints::no_endpoint;
use super::network::no_vpc_for_endpoint;
use super::route_tables::no_table;
use super::select::Tags;
use super::services::new_id;
use super::{Caller, Grave, Place, World, later};
use crate::AwsError;

/// A gateway endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayEndpoint {
    /// `vpce-…`.
    pub id: VpcEndpointId,
    /// `com.amazonaws.REGION.s3` or `….dynamodb`.
    pub service_name: String,
    /// The VPC.
    pub vpc_id: String,
    /// The route tables that hold its route.
    pub route_tables: Vec<String>,
    /// The endpoint policy; none means full access.
    pub policy: Option<String>,
    /// The owner's tags.
    pub tags: Tags,
    /// When it was created; it is available at once.
    pub created_at: DateTime<Utc>,
    /// When it was deleted, when that is finished, and when it is no longer listed.
    pub deletion: Option<[DateTime<Utc>; 3]>,
}

impl GatewayEndpoint {
    /// Where it is in its life at a moment; `None` when it is not listed.
    pub fn state_at(&self, at: DateTime<Utc>) -> Option<ConnectionState> {
        match self.deletion {
            _ if at < self.created_at => None,
            Some([_, _, gone]) if at >= gone => None,
            Some([_, done, _]) if at >= done => Some(ConnectionState::Deleted),
            Some([asked, ..]) if at >= asked => Some(ConnectionState::Deleting),
            _ => Some(ConnectionState::Available),
        }
    }

    /// Whether a route table holds its route.
    pub fn routes(&self, table: &str) -> bool {
        self.deletion.is_none() && self.route_tables.iter().any(|id| id == table)
    }
}

/// What `CreateVpcEndpoint` is asked for with the type `Gateway`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewGatewayEndpoint {
    /// The VPC.
    pub vpc_id: String,
    /// `com.amazonaws.REGION.s3` or `….dynamodb`.
    pub service_name: String,
    /// Route tables of the VPC.
    pub route_tables: Vec<String>,
    /// The endpoint policy.
    pub policy: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// What `ModifyVpcEndpoint` is asked for on a gateway endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayChange {
    /// Back to full access.
    pub reset_policy: bool,
    /// Another policy.
    pub policy: Option<String>,
    /// Route tables to add.
    pub add_route_tables: Vec<String>,
    /// Route tables to remove.
    pub remove_route_tables: Vec<String>,
}

const ACTION: &str = "CreateVpcEndpoint";

impl World {
    /// Makes a gateway endpoint. A route table holds at most one route to each service.
    pub fn create_gateway_endpoint(
        &mut self,
        caller: &Caller,
        new: &NewGatewayEndpoint,
        client_token: Option<&str>,
    ) -> Result<GatewayEndpoint, AwsError> {
        self.sweep(caller.now);
        if let Some(made) = self.replayed(caller, ACTION, client_token, new)? {
            let made: VpcEndpointId = new_id(&made)?;
            let found = self.place(caller).gateway_endpoints.get(&made);
            return found.cloned().ok_or_else(|| no_endpoint(made.as_str()));
        }
        let place = self.place(caller);
        if !place.vpcs.contains_key(&new.vpc_id) {
            return Err(no_vpc_for_endpoint(&new.vpc_id));
        }
        if let Some(policy) = &new.policy {
            check_policy(policy)?;
        }
        if !super::route_tables::SERVICES
            .iter()
            .any(|service| new.service_name == format!("com.amazonaws.{}.{service}", caller.region))
        {
            self.furnish_asked(caller, &[]);
            let service = self.visible_service(caller, &new.service_name)?;
            return Err(wrong_type("Gateway", service.type_name()));
        }
        let place = self.place(caller);
        check_tables(place, &new.vpc_id, &new.service_name, &new.route_tables)?;
        let id: VpcEndpointId = new_id(&self.ids.ec2("vpce-"))?;
        let made = GatewayEndpoint {
            id: id.clone(),
            service_name: new.service_name.clone(),
            vpc_id: new.vpc_id.clone(),
            route_tables: new.route_tables.clone(),
            policy: new.policy.clone(),
            tags: new.tags.clone(),
            created_at: caller.now,
            deletion: None,
        };
        let place = self.place(caller);
        place.gateway_endpoints.insert(id.clone(), made.clone());
        self.remember(caller, ACTION, client_token, new, id.as_str());
        Ok(made)
    }

    /// Whether this is a gateway endpoint of the caller's.
    pub fn is_gateway_endpoint(&mut self, caller: &Caller, id: &str) -> bool {
        let id: Option<VpcEndpointId> = id.parse().ok();
        id.is_some_and(|id| self.place(caller).gateway_endpoints.contains_key(&id))
    }

    /// Changes the route tables or the policy. Done at once.
    pub fn modify_gateway_endpoint(
        &mut self,
        caller: &Caller,
        id: &str,
        change: &GatewayChange,
    ) -> Result<(), AwsError> {
        if let Some(policy) = &change.policy {
            check_policy(policy)?;
        }
        let place = self.place(caller);
        let found = id
            .parse()
            .ok()
            .and_then(|id| place.gateway_endpoints.get(&id));
        let mut changed = found
            .filter(|endpoint| endpoint.deletion.is_none())
            .cloned()
            .ok_or_else(|| no_endpoint(id))?;
        let absent = change
            .remove_route_tables
            .iter()
            .find(|table| !changed.route_tables.contains(table));
        if let Some(absent) = absent {
            return Err(no_table(absent));
        }
        check_tables(
            place,
            &changed.vpc_id,
            &changed.service_name,
            &change.add_route_tables,
        )?;
        let tables = &mut changed.route_tables;
        tables.retain(|table| !change.remove_route_tables.contains(table));
        tables.extend(change.add_route_tables.iter().cloned());
        if change.reset_policy {
            changed.policy = None;
        }
        if change.policy.is_some() {
            changed.policy.clone_from(&change.policy);
        }
        place.gateway_endpoints.insert(changed.id.clone(), changed);
        Ok(())
    }

    /// Deletes a gateway endpoint and its routes; false when there is none of this id.
    pub(super) fn delete_gateway_endpoint(&mut self, caller: &Caller, id: &VpcEndpointId) -> bool {
        let done = later(caller.now, self.behavior.endpoint_deleting_ms);
        let gone = later(done, self.behavior.endpoint_linger_ms);
        let found = self.place(caller).gateway_endpoints.get_mut(id);
        let Some(endpoint) = found.filter(|e| e.state_at(caller.now).is_some()) else {
            return false;
        };
        if endpoint.deletion.is_none() {
            endpoint.deletion = Some([caller.now, done, gone]);
            let grave = Grave::Endpoint {
                owner: caller.account.clone(),
                region: caller.region.clone(),
                endpoint: id.clone(),
            };
            self.graves.entry(gone).or_default().push(grave);
        }
        true
    }
}

/// Route tables must be of the VPC and hold no route to the service yet.
fn check_tables(
    place: &Place,
    vpc_id: &str,
    service_name: &str,
    tables: &[String],
) -> Result<(), AwsError> {
    for id in tables {
        let table = place.route_tables.get(id).ok_or_else(|| no_table(id))?;
        if table.vpc_id != vpc_id {
            return Err(AwsError::new(
                "InvalidParameter",
                format!("The route table {id} is not in the VPC {vpc_id}"),
            ));
        }
        let taken = |e: &GatewayEndpoint| e.service_name == service_name && e.routes(id);
        if place.gateway_endpoints.values().any(taken) {
            return Err(AwsError::new(
                "RouteAlreadyExists",
                format!("The route table {id} already has a route to {service_name}"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "gateway_endpoints_tests.rs"]
mod tests;
