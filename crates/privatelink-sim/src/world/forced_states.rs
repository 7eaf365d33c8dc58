//! States that no call brings about and the control API does: a service or one of its Regions that failed, an endpoint that is
//! `partial` for a while.

use chrono::{DateTime, Utc};
use privatelink::{Region, ServiceId, VpcEndpointId};

use super::remote_access::RemoteState;
use super::services::{no_service, parse_service};
use super::{World, later};
use crate::AwsError;

impl World {
    /// Makes a service `Failed`, or one of its other Regions, or lets it be `Available` again. Endpoints that exist go on; new ones
    /// are refused as if the service were not there.
    pub fn set_service_failed(
        &mut self,
        id: &str,
        region: Option<&Region>,
        failed: bool,
    ) -> Result<(), AwsError> {
        let id: ServiceId = parse_service(id)?;
        let service = self
            .service_mut(&id)
            .filter(|service| service.is_live() && service.aws.is_none())
            .ok_or_else(|| no_service(id.as_str()))?;
        let Some(region) = region else {
            service.failed = failed;
            return Ok(());
        };
        match service.supported_regions.get_mut(region) {
            None | Some(RemoteState::Closed) => Err(AwsError::new(
                "ValidationError",
                format!("The service {id} is not open to consumers in {region}"),
            )),
            Some(state) => {
                *state = if failed {
                    RemoteState::Failed
                } else {
                    RemoteState::Available
                };
                service.region_changes.remove(region);
                Ok(())
            }
        }
    }

    /// Makes an endpoint `partial` for so many milliseconds from now, as far as it would be `available`.
    pub fn set_endpoint_partial(
        &mut self,
        id: &str,
        for_ms: u64,
        now: DateTime<Utc>,
    ) -> Result<(), AwsError> {
        let missing = || {
            AwsError::new(
                "InvalidVpcEndpointId.NotFound",
                format!("No interface endpoint, nor one of VPC Lattice, has the id '{id}'"),
            )
        };
        let endpoint: VpcEndpointId = id.parse().map_err(|_| missing())?;
        let places = self
            .accounts
            .values_mut()
            .flat_map(|regions| regions.values_mut());
        let mut service = None;
        for place in places {
            if let Some(found) = place.lattice_endpoints.get_mut(&endpoint) {
                found.life.be_partial(now, later(now, for_ms));
                return Ok(());
            }
            if let Some(found) = place.endpoints.get(&endpoint) {
                service = Some(found.service.clone());
                break;
            }
        }
        let connection = service
            .and_then(|service| self.service_mut(&service))
            .and_then(|service| service.connections.get_mut(&endpoint))
            .ok_or_else(missing)?;
        connection.life.be_partial(now, later(now, for_ms));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use privatelink::{ConnectionState, ServiceState};

    use crate::world::services::ServiceChange;
    use crate::world::testing::{PROVIDER, world};
    use crate::world::testing::{
        after, caller, endpoint, load_balancer, new_endpoint, new_service, shop,
    };

    #[test]
    fn a_new_service_is_pending_first_and_nobody_connects_to_it() {
        let (mut world, provider, consumer, _) = shop(false);
        world.behavior.service_pending_ms = 1_000;
        let lb = load_balancer(&mut world, &provider, "later");
        let id = world
            .create_service(&provider, &new_service(&lb, false), None)
            .unwrap()
            .id;
        let everybody = ["*".to_owned()];
        world
            .modify_principals(&provider, id.as_str(), &everybody, &[])
            .unwrap();
        let new = new_endpoint(&mut world, &consumer, &id);
        let state = |world: &super::World, me: &crate::world::Caller| {
            world.service(&id).unwrap().state_at(me.now).unwrap()
        };
        assert_eq!(state(&world, &provider), ServiceState::Pending);
        let error = world.create_endpoint(&consumer, &new, None).unwrap_err();
        assert_eq!(error.code, "InvalidServiceName");
        let then = after(&consumer, 1_000);
        assert_eq!(state(&world, &then), ServiceState::Available);
        world.create_endpoint(&then, &new, None).unwrap();
    }

    #[test]
    fn a_failed_service_keeps_its_endpoints_and_takes_no_others() {
        let (mut world, provider, consumer, service) = shop(false);
        let old = endpoint(&mut world, &consumer, &service);
        world
            .set_service_failed(service.as_str(), None, true)
            .unwrap();
        let row = world.own_service(&provider, service.as_str()).unwrap();
        assert_eq!(row.state_at(provider.now), Some(ServiceState::Failed));
        assert!(world.endpoint(&consumer, &old).is_ok());
        let new = new_endpoint(&mut world, &consumer, &service);
        assert!(world.create_endpoint(&consumer, &new, None).is_err());
        world
            .set_service_failed(service.as_str(), None, false)
            .unwrap();
        world.create_endpoint(&consumer, &new, None).unwrap();
        let unknown = world.set_service_failed("vpce-svc-0123456789abcdef0", None, true);
        assert!(unknown.is_err());
    }

    #[test]
    fn a_remote_region_is_pending_then_open_then_deleting_then_closed() {
        let (mut world, provider, _, service) = shop(true);
        world.behavior.remote_region_pending_ms = 300;
        world.behavior.remote_region_deleting_ms = 200;
        let region: privatelink::Region = "us-west-2".parse().unwrap();
        let named = vec![region.to_string()];
        let add = ServiceChange {
            add_regions: named.clone(),
            ..ServiceChange::default()
        };
        let remove = ServiceChange {
            remove_regions: named,
            ..ServiceChange::default()
        };
        let state = |world: &super::World, me: &crate::world::Caller| {
            let service = world.service(&service).unwrap();
            service.region_state_at(&region, me.now).unwrap()
        };
        world
            .modify_service(&provider, service.as_str(), &add)
            .unwrap();
        assert_eq!(state(&world, &provider), "Pending");
        assert!(
            !world
                .service(&service)
                .unwrap()
                .serves(&region, provider.now)
        );
        assert!(
            world
                .modify_service(&provider, service.as_str(), &remove)
                .is_err()
        );
        let me = after(&provider, 300);
        assert_eq!(state(&world, &me), "Available");
        world
            .set_service_failed(service.as_str(), Some(&region), true)
            .unwrap();
        assert_eq!(state(&world, &me), "Failed");
        assert!(!world.service(&service).unwrap().serves(&region, me.now));
        world
            .set_service_failed(service.as_str(), Some(&region), false)
            .unwrap();
        world
            .modify_service(&me, service.as_str(), &remove)
            .unwrap();
        assert_eq!(state(&world, &me), "Deleting");
        assert!(world.modify_service(&me, service.as_str(), &add).is_err());
        let me = after(&me, 200);
        assert_eq!(state(&world, &me), "Closed");
        assert!(
            world
                .set_service_failed(service.as_str(), Some(&region), true)
                .is_err()
        );
        world.modify_service(&me, service.as_str(), &add).unwrap();
    }

    #[test]
    fn an_endpoint_is_partial_for_as_long_as_asked() {
        let (mut world, _, consumer, service) = shop(false);
        let id = endpoint(&mut world, &consumer, &service);
        let me = after(&consumer, 1_000);
        let state = |world: &super::World, me: &crate::world::Caller| {
            let connections = &world.service(&service).unwrap().connections;
            connections.values().next().unwrap().life.state_at(me.now)
        };
        world.set_endpoint_partial(&id, 500, me.now).unwrap();
        assert_eq!(state(&world, &me), Some(ConnectionState::Partial));
        let then = after(&me, 500);
        assert_eq!(state(&world, &then), Some(ConnectionState::Available));
        assert!(
            world
                .set_endpoint_partial("vpce-0123456789abcdef0", 1, me.now)
                .is_err()
        );
    }

    #[test]
    fn a_new_load_balancer_is_not_ready_by_default() {
        let mut world = world();
        world.behavior = crate::Behavior::default();
        let me = caller(PROVIDER);
        let arn = load_balancer(&mut world, &me, "edge");
        let state = |world: &mut super::World, me: &crate::world::Caller| {
            let lb = &world.place(me).load_balancers[&arn];
            lb.state_at(me.now).to_owned()
        };
        assert_eq!(state(&mut world, &me), "provisioning");
        assert_eq!(state(&mut world, &after(&me, 500)), "active");
    }
}
