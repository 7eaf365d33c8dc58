//! Where things are that are asked for by an id alone: the service behind an endpoint, a connection or a grant.
//!
//! The maps are derived from the world. They are not part of a snapshot and are made anew when they are first asked after one.
//! An answer is a hint: whoever gets it looks the thing up, so an entry that is left over does no harm.

use std::collections::HashMap;

use privatelink::{ServiceId, VpcEndpointId};

use super::World;

/// The digits after an id's last hyphen as a number, behind a leading 1 that keeps their count: 16 bytes instead of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tail(u128);

impl Tail {
    fn of(id: &str) -> Option<Self> {
        let (_, digits) = id.rsplit_once('-')?;
        u128::from_str_radix(&format!("1{digits}"), 16)
            .ok()
            .map(Self)
    }

    fn with<T: std::str::FromStr>(self, prefix: &str) -> Option<T> {
        let digits = format!("{:x}", self.0);
        format!("{prefix}{}", digits.get(1..)?).parse().ok()
    }
}

/// The derived maps.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// From endpoints to services.
    endpoints: HashMap<Tail, Tail>,
    /// From `vpce-con-…` to endpoints.
    connections: HashMap<Tail, Tail>,
    /// From `vpce-svc-perm-…` to services.
    grants: HashMap<Tail, Tail>,
}

impl Index {
    fn of(world: &World) -> Self {
        let mut index = Self::default();
        for service in world
            .places()
            .flat_map(|(_, _, place)| place.services.values())
        {
            for (endpoint, connection) in &service.connections {
                index.add_connection(&service.id, endpoint, &connection.id);
            }
            for grant in service.grants.values() {
                index.add_grant(&service.id, &grant.id);
            }
        }
        index
    }

    /// A new connection.
    pub(super) fn add_connection(&mut self, service: &ServiceId, id: &VpcEndpointId, con: &str) {
        let tails = (Tail::of(service.as_str()), Tail::of(id.as_str()));
        if let (Some(service), Some(endpoint)) = tails {
            self.endpoints.insert(endpoint, service);
            if let Some(connection) = Tail::of(con) {
                self.connections.insert(connection, endpoint);
            }
        }
    }

    /// A connection that is gone.
    pub(super) fn remove_connection(&mut self, endpoint: &VpcEndpointId, connection: &str) {
        if let Some(endpoint) = Tail::of(endpoint.as_str()) {
            self.endpoints.remove(&endpoint);
        }
        if let Some(connection) = Tail::of(connection) {
            self.connections.remove(&connection);
        }
    }

    /// A new grant.
    pub(super) fn add_grant(&mut self, service: &ServiceId, grant: &str) {
        if let (Some(service), Some(grant)) = (Tail::of(service.as_str()), Tail::of(grant)) {
            self.grants.insert(grant, service);
        }
    }

    /// A grant that is gone.
    pub(super) fn remove_grant(&mut self, grant: &str) {
        if let Some(grant) = Tail::of(grant) {
            self.grants.remove(&grant);
        }
    }

    /// The service an endpoint goes to.
    pub(super) fn service_of(&self, endpoint: &VpcEndpointId) -> Option<ServiceId> {
        let service = self.endpoints.get(&Tail::of(endpoint.as_str())?)?;
        service.with("vpce-svc-")
    }

    /// The service and the endpoint of a connection.
    pub(super) fn connection(&self, id: &str) -> Option<(ServiceId, VpcEndpointId)> {
        let endpoint = self.connections.get(&Tail::of(id)?)?;
        let service = self.endpoints.get(endpoint)?;
        Some((service.with("vpce-svc-")?, endpoint.with("vpce-")?))
    }

    /// The service of a grant.
    pub(super) fn service_of_grant(&self, id: &str) -> Option<ServiceId> {
        self.grants.get(&Tail::of(id)?)?.with("vpce-svc-")
    }
}

impl World {
    /// The derived maps, made when they are first needed.
    pub(super) fn index(&mut self) -> &mut Index {
        let index = self.index.take().unwrap_or_else(|| Index::of(self));
        self.index.insert(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::select::{Filters, Paging};
    use crate::world::testing::{after, endpoint, shop};

    #[test]
    fn ids_of_any_length_come_back_as_they_were() {
        for id in ["vpce-0123456789abcdef0", "vpce-00000000", "vpce-0123abcd"] {
            let same: VpcEndpointId = Tail::of(id).unwrap().with("vpce-").unwrap();
            assert_eq!(same.as_str(), id);
        }
        assert_ne!(Tail::of("vpce-00000000"), Tail::of("vpce-000000000"));
        for bad in ["", "vpce", "vpce-", "vpce-xyz", "vpce-+1"] {
            assert!(Tail::of(bad).is_none_or(|tail| tail.with::<VpcEndpointId>("vpce-").is_none()));
        }
    }

    #[test]
    fn what_is_kept_while_things_change_is_what_would_be_made_anew() {
        let (mut world, provider, consumer, service) = shop(true);
        let ids: Vec<String> = (0..3)
            .map(|_| endpoint(&mut world, &consumer, &service))
            .collect();
        world
            .modify_principals(&provider, service.as_str(), &["*".into()], &[])
            .unwrap();
        let check = |world: &mut World| {
            let kept = world.index().clone();
            let anew = Index::of(world);
            assert_eq!(kept.endpoints, anew.endpoints);
            assert_eq!(kept.connections, anew.connections);
            assert_eq!(kept.grants, anew.grants);
        };
        check(&mut world);
        world
            .modify_principals(&provider, service.as_str(), &[], &["*".into()])
            .unwrap();
        world.delete_endpoints(&consumer, &ids[..1]).unwrap();
        let much_later = after(&consumer, 24 * 3_600_000);
        world.sweep(much_later.now);
        check(&mut world);
        assert_eq!(world.index().endpoints.len(), 2);
    }

    #[test]
    fn a_world_out_of_a_snapshot_finds_its_connections() {
        let (mut world, provider, consumer, service) = shop(true);
        let id = endpoint(&mut world, &consumer, &service);
        let text = serde_json::to_string(&world).unwrap();
        let mut back: World = serde_json::from_str(&text).unwrap();
        let found = back
            .connections(
                &provider,
                &Filters::one("vpc-endpoint-id", &id),
                &Paging::default(),
            )
            .unwrap();
        assert_eq!(found.items.len(), 1);
    }
}
