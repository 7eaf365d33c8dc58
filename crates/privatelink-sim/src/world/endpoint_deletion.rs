//! `DeleteVpcEndpoints`.

use privatelink::{ConnectionState, VpcEndpointId};

use super::endpoints::parse_endpoint;
use super::lifecycle::Phase;
use super::{Caller, Grave, World, addresses, later};
use crate::AwsError;
use crate::error::Unsuccessful;

impl World {
    /// Deletes endpoints one by one. Each that could not be deleted is an item of the answer.
    pub fn delete_endpoints(
        &mut self,
        caller: &Caller,
        ids: &[String],
    ) -> Result<Vec<Unsuccessful>, AwsError> {
        self.sweep(caller.now);
        if ids.is_empty() {
            return Err(AwsError::missing("VpcEndpointId"));
        }
        Ok(ids
            .iter()
            .filter_map(|id| {
                let done = caller
                    .forced_failure(id)
                    .map_or_else(|| self.delete_endpoint(caller, id), Err);
                done.err().map(|error| Unsuccessful {
                    resource_id: id.clone(),
                    error,
                })
            })
            .collect())
    }

    fn delete_endpoint(&mut self, caller: &Caller, id: &str) -> Result<(), AwsError> {
        let deleted_at = later(caller.now, self.behavior.endpoint_deleting_ms);
        let gone_at = later(deleted_at, self.behavior.endpoint_linger_ms);
        // The per-item code has no "Id" in its name, unlike the code of Describe.
        let missing = || {
            AwsError::new(
                "InvalidVpcEndpoint.NotFound",
                format!("The Vpc Endpoint '{id}' does not exist"),
            )
        };
        let endpoint = parse_endpoint(id)?;
        if self.delete_gateway_endpoint(caller, &endpoint)
            || self.delete_lattice_endpoint(caller, &endpoint)
        {
            return Ok(());
        }
        let service = self
            .place(caller)
            .endpoints
            .get(&endpoint)
            .map(|endpoint| endpoint.service.clone())
            .ok_or_else(missing)?;
        let life = self
            .service(&service)
            .and_then(|service| service.connections.get(&endpoint))
            .map(|connection| &connection.life)
            .ok_or_else(missing)?;
        match life.state_at(caller.now) {
            None | Some(ConnectionState::Deleted) => return Err(missing()),
            Some(ConnectionState::Deleting) => return Ok(()),
            Some(_) => {}
        }
        self.check_not_routed(caller, &endpoint)?;
        let connection = self
            .service_mut(&service)
            .and_then(|service| service.connections.get_mut(&endpoint));
        if let Some(connection) = connection {
            let phase = Phase::Deleted {
                deleted_at,
                gone_at,
            };
            connection.life.enter(phase, caller.now);
        }
        self.release_interfaces(caller, &endpoint);
        self.notify("Delete", &service, &endpoint, caller.now);
        let grave = Grave::Endpoint {
            owner: caller.account.clone(),
            region: caller.region.clone(),
            endpoint,
        };
        self.graves.entry(gone_at).or_default().push(grave);
        Ok(())
    }

    /// The network interfaces of an endpoint go as soon as it is deleted; the row lingers without them.
    fn release_interfaces(&mut self, caller: &Caller, id: &VpcEndpointId) {
        let place = self.place(caller);
        if let Some(endpoint) = place.endpoints.get_mut(id) {
            for (subnet, held) in endpoint.subnets.iter().zip(&endpoint.addresses) {
                addresses::release(place.subnets.get_mut(subnet), Some(held));
            }
            endpoint.network_interfaces.clear();
            endpoint.addresses.clear();
        }
    }
}
