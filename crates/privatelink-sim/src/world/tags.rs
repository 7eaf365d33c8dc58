//! `CreateTags` and `DeleteTags` for everything that the simulator keeps tags on.

use super::select::Tags;
use super::{Caller, Place, World};
use crate::AwsError;

/// AWS keeps at most this many tags on a resource.
const MAX_TAGS: usize = 50;

impl World {
    /// Sets tags on resources. One unknown id fails the call and changes nothing.
    pub fn create_tags(
        &mut self,
        caller: &Caller,
        ids: &[String],
        tags: &Tags,
    ) -> Result<(), AwsError> {
        check_tags(tags)?;
        for id in ids {
            let present = self.tags_of(caller, id)?;
            if present
                .keys()
                .chain(tags.keys())
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                > MAX_TAGS
            {
                return Err(AwsError::new(
                    "TagLimitExceeded",
                    format!("A resource has at most {MAX_TAGS} tags"),
                ));
            }
        }
        for id in ids {
            self.tags_of(caller, id)?.extend(tags.clone());
        }
        Ok(())
    }

    /// Removes tags: by key, or by key and value, or all when none is named.
    pub fn delete_tags(
        &mut self,
        caller: &Caller,
        ids: &[String],
        tags: &[(String, Option<String>)],
    ) -> Result<(), AwsError> {
        for id in ids {
            self.tags_of(caller, id)?;
        }
        for id in ids {
            self.tags_of(caller, id)?.retain(|key, value| {
                !tags.is_empty()
                    && !tags
                        .iter()
                        .any(|(k, v)| k == key && v.as_ref().is_none_or(|v| v == value))
            });
        }
        Ok(())
    }

    fn tags_of(&mut self, caller: &Caller, id: &str) -> Result<&mut Tags, AwsError> {
        if id.starts_with("vpce-con-") {
            let found = self.index().connection(id);
            return found
                .and_then(|(service, endpoint)| {
                    let service = self.place(caller).services.get_mut(&service)?;
                    service.connections.get_mut(&endpoint)
                })
                .filter(|connection| connection.id == id)
                .map(|connection| &mut connection.tags)
                .ok_or_else(|| unknown("InvalidVpcEndpointConnectionId", id));
        }
        if id.starts_with("vpce-svc-perm-") {
            let found = self.index().service_of_grant(id);
            return found
                .and_then(|service| self.place(caller).services.get_mut(&service))
                .and_then(|service| service.grants.values_mut().find(|grant| grant.id == id))
                .map(|grant| &mut grant.tags)
                .ok_or_else(|| unknown("InvalidVpcEndpointServicePermissionId", id));
        }
        tags_of(self.place(caller), id)
    }
}

fn unknown(kind: &str, id: &str) -> AwsError {
    AwsError::new(
        format!("{kind}.NotFound"),
        format!("The ID '{id}' does not exist"),
    )
}

/// Refuses keys and values that AWS would refuse.
pub(crate) fn check_tags(tags: &Tags) -> Result<(), AwsError> {
    for (key, value) in tags {
        if key.is_empty()
            || key.chars().count() > 128
            || key.contains(char::is_control)
            || key.to_ascii_lowercase().starts_with("aws:")
        {
            return Err(AwsError::bad_value("Tag.Key", key));
        }
        if value.chars().count() > 256 || value.contains(char::is_control) {
            return Err(AwsError::bad_value("Tag.Value", value));
        }
    }
    Ok(())
}

fn tags_of<'a>(place: &'a mut Place, id: &str) -> Result<&'a mut Tags, AwsError> {
    let unknown = |kind: &str| unknown(kind, id);
    if id.starts_with("vpce-svc-") {
        let service = id.parse().ok().and_then(|id| place.services.get_mut(&id));
        return service
            .filter(|service| service.is_live())
            .map(|service| &mut service.tags)
            .ok_or_else(|| unknown("InvalidVpcEndpointServiceId"));
    }
    if id.starts_with("vpce-") {
        let known = id.parse().ok();
        if let Some(gateway) = known
            .as_ref()
            .filter(|id| place.gateway_endpoints.contains_key(*id))
        {
            let gateway = place.gateway_endpoints.get_mut(gateway);
            return gateway
                .map(|e| &mut e.tags)
                .ok_or_else(|| unknown("InvalidVpcEndpointId"));
        }
        if let Some(lattice) = known
            .as_ref()
            .and_then(|id| place.lattice_endpoints.get_mut(id))
        {
            return Ok(&mut lattice.tags);
        }
        let endpoint = known.and_then(|id| place.endpoints.get_mut(&id));
        return endpoint
            .map(|e| &mut e.tags)
            .ok_or_else(|| unknown("InvalidVpcEndpointId"));
    }
    if id.starts_with("vpc-") {
        return place
            .vpcs
            .get_mut(id)
            .map(|v| &mut v.tags)
            .ok_or_else(|| unknown("InvalidVpcID"));
    }
    if id.starts_with("subnet-") {
        let subnet = place.subnets.get_mut(id);
        return subnet
            .map(|s| &mut s.tags)
            .ok_or_else(|| unknown("InvalidSubnetID"));
    }
    if id.starts_with("rtb-") {
        let table = place.route_tables.get_mut(id);
        return table
            .map(|t| &mut t.tags)
            .ok_or_else(|| unknown("InvalidRouteTableID"));
    }
    if id.starts_with("sg-") {
        let group = place.security_groups.get_mut(id);
        return group
            .map(|g| &mut g.tags)
            .ok_or_else(|| unknown("InvalidGroup"));
    }
    let shown: String = id.chars().take(64).collect();
    Err(AwsError::new(
        "InvalidID",
        format!("The ID '{shown}' is not valid"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{PROVIDER, caller, endpoint, load_balancer, service, shop, world};

    #[test]
    fn tags_are_set_and_removed() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let lb = load_balancer(&mut world, &me, "edge");
        let id = service(&mut world, &me, &lb, true).to_string();
        let ids = std::slice::from_ref(&id);
        let tags = Tags::from([("team".to_owned(), "edge".to_owned())]);
        world.create_tags(&me, ids, &tags).unwrap();
        assert_eq!(world.own_service(&me, &id).unwrap().tags, tags);
        let other_value = [("team".to_owned(), Some("core".to_owned()))];
        world.delete_tags(&me, ids, &other_value).unwrap();
        assert_eq!(world.own_service(&me, &id).unwrap().tags, tags);
        world
            .delete_tags(&me, ids, &[("team".to_owned(), None)])
            .unwrap();
        assert!(world.own_service(&me, &id).unwrap().tags.is_empty());
    }

    #[test]
    fn an_unknown_id_changes_nothing() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let lb = load_balancer(&mut world, &me, "edge");
        let id = service(&mut world, &me, &lb, true).to_string();
        let tags = Tags::from([("team".to_owned(), "edge".to_owned())]);
        let error = world
            .create_tags(&me, &[id.clone(), "vpc-0".into()], &tags)
            .unwrap_err();
        assert_eq!(error.code, "InvalidVpcID.NotFound");
        assert!(world.own_service(&me, &id).unwrap().tags.is_empty());
    }

    #[test]
    fn connections_and_grants_are_tagged_by_their_owner_only() {
        let (mut world, provider, consumer, service) = shop(true);
        let endpoint = endpoint(&mut world, &consumer, &service);
        let own = world.own_service(&provider, service.as_str()).unwrap();
        let connection = own.connections[&endpoint.parse().unwrap()].id.clone();
        let grant = own.grants.values().next().unwrap().id.clone();
        let ids = [connection, grant];
        let tags = Tags::from([("team".to_owned(), "edge".to_owned())]);
        world.create_tags(&provider, &ids, &tags).unwrap();
        let own = world.own_service(&provider, service.as_str()).unwrap();
        assert_eq!(own.connections.values().next().unwrap().tags, tags);
        assert_eq!(own.grants.values().next().unwrap().tags, tags);
        for id in ids {
            let error = world.create_tags(&consumer, &[id], &tags).unwrap_err();
            assert!(error.code.ends_with(".NotFound"), "{error}");
        }
        for absent in ["vpce-con-0123456789abcdef0", "vpce-svc-perm-", "vpce-con-x"] {
            let error = world.create_tags(&provider, &[absent.into()], &tags);
            assert!(error.unwrap_err().code.ends_with("Id.NotFound"));
        }
    }

    #[test]
    fn control_characters_are_refused_in_keys_and_values() {
        for (key, value) in [
            ("a\u{1}", ""),
            ("a", "b\u{8}"),
            ("a\nb", ""),
            ("a", "\u{7f}"),
        ] {
            let tags = Tags::from([(key.to_owned(), value.to_owned())]);
            let error = check_tags(&tags).unwrap_err();
            assert_eq!(error.code, "InvalidParameterValue", "{key:?} {value:?}");
        }
        let tags = Tags::from([("é ü".to_owned(), "数 b".to_owned())]);
        assert_eq!(check_tags(&tags), Ok(()));
    }

    #[test]
    fn keys_that_belong_to_aws_are_refused() {
        let tags = Tags::from([("Aws:own".to_owned(), String::new())]);
        assert_eq!(check_tags(&tags).unwrap_err().code, "InvalidParameterValue");
    }
}
