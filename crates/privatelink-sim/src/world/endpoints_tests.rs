//! Rules of consumer endpoints: permission, zones, tokens, names, deletion, snapshots.

use super::*;
use crate::world::network_creation::NewSubnet;
use crate::world::testing::*;

#[test]
fn without_permission_a_service_looks_as_if_it_did_not_exist() {
    let (mut world, provider, consumer, id) = shop(true);
    let stranger = caller("999999999999");
    let new = new_endpoint(&mut world, &stranger, &id);
    let refused = world.create_endpoint(&stranger, &new, None).unwrap_err();
    assert_eq!(refused.code, "InvalidServiceName");
    let mut nowhere = new_endpoint(&mut world, &consumer, &id);
    nowhere.service_name = "com.amazonaws.vpce.eu-west-1.vpce-svc-00000000000000000".into();
    assert_eq!(
        world
            .create_endpoint(&consumer, &nowhere, None)
            .unwrap_err()
            .code,
        "InvalidServiceName"
    );
    world
        .modify_principals(&provider, id.as_str(), &["*".into()], &[])
        .unwrap();
    assert!(world.create_endpoint(&stranger, &new, None).is_ok());
}

#[test]
fn a_subnet_in_a_zone_the_service_has_not_is_refused() {
    let (mut world, _, consumer, id) = shop(true);
    let mut new = new_endpoint(&mut world, &consumer, &id);
    let last = world
        .place(&consumer)
        .subnets
        .values()
        .max_by(|a, b| a.zone.cmp(&b.zone))
        .unwrap();
    new.subnets = vec![last.id.clone()];
    let error = world.create_endpoint(&consumer, &new, None).unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
    assert!(
        error
            .message
            .contains("does not support the availability zone of the subnet")
    );
}

#[test]
fn two_subnets_in_one_zone_are_refused() {
    let (mut world, _, consumer, id) = shop(true);
    let mut new = new_endpoint(&mut world, &consumer, &id);
    let zone = world.place(&consumer).subnets[&new.subnets[0]]
        .zone
        .to_string();
    let twin = NewSubnet {
        vpc_id: new.vpc_id.clone(),
        cidr: Some("172.31.240.0/24".into()),
        zone: Some(zone),
        ..NewSubnet::default()
    };
    let twin = world.create_subnet(&consumer, twin).unwrap();
    new.subnets.push(twin.id);
    let error = world.create_endpoint(&consumer, &new, None).unwrap_err();
    assert_eq!(error.code, "DuplicateSubnetsInSameZone");
}

#[test]
fn a_token_makes_one_endpoint() {
    let (mut world, _, consumer, id) = shop(true);
    let mut new = new_endpoint(&mut world, &consumer, &id);
    let mut create = |new: &NewEndpoint| {
        world
            .create_endpoint(&consumer, new, Some("t"))
            .map(|r| r.endpoint.id)
    };
    let first = create(&new).unwrap();
    assert_eq!(create(&new).unwrap(), first);
    new.ip_address_type = Some("ipv4".into());
    assert_eq!(
        create(&new).unwrap_err().code,
        "IdempotentParameterMismatch"
    );
}

#[test]
fn names_are_regional_first_and_zonal_by_the_consumers_zone_names() {
    let (mut world, _, consumer, id) = shop(true);
    let new = new_endpoint(&mut world, &consumer, &id);
    let zone = world.place(&consumer).subnets[&new.subnets[0]].zone.clone();
    let zones = world.zones(&consumer.account, &consumer.region);
    let name = &zones.iter().find(|z| z.id == zone).unwrap().name;
    let row = world.create_endpoint(&consumer, &new, None).unwrap();
    assert_eq!(row.dns_names.len(), 2);
    assert!(row.dns_names[0].ends_with(&format!(".{id}.eu-west-1.vpce.amazonaws.com")));
    assert!(
        row.dns_names[1].contains(name.as_str()),
        "{:?}",
        row.dns_names
    );
}

#[test]
fn a_deleted_endpoint_lingers_on_both_sides_and_then_vanishes_from_both() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoint = endpoint(&mut world, &consumer, &id);
    let ids = std::slice::from_ref(&endpoint);
    assert!(world.delete_endpoints(&consumer, ids).unwrap().is_empty());
    let seen = |world: &mut World, ms: u64| {
        let (filters, paging) = (Filters::default(), Paging::default());
        let theirs = world
            .connections(&after(&provider, ms), &filters, &paging)
            .unwrap();
        let ours = world
            .endpoints(&after(&consumer, ms), &[], &filters, &paging)
            .unwrap();
        let theirs = theirs.items.first().map(|row| row.state.clone());
        assert_eq!(theirs, ours.items.first().map(|row| row.state.clone()));
        theirs
    };
    assert_eq!(seen(&mut world, 0), Some(ConnectionState::Deleting));
    let deleting = world.behavior.endpoint_deleting_ms;
    assert_eq!(seen(&mut world, deleting), Some(ConnectionState::Deleted));
    let gone = deleting + world.behavior.endpoint_linger_ms;
    assert_eq!(seen(&mut world, gone), None);
    world.sweep(later(START, gone));
    assert!(world.place(&consumer).endpoints.is_empty());
    assert!(
        world
            .own_service(&provider, id.as_str())
            .unwrap()
            .connections
            .is_empty()
    );
}

#[test]
fn deleting_what_is_not_there_is_an_item_and_describing_it_an_error() {
    let (mut world, me) = (world(), caller(CONSUMER));
    let id = "vpce-00000000000000000".to_owned();
    let failed = world
        .delete_endpoints(&me, std::slice::from_ref(&id))
        .unwrap();
    assert_eq!(failed[0].error.code, "InvalidVpcEndpoint.NotFound");
    assert_eq!(
        world.endpoint(&me, &id).unwrap_err().code,
        "InvalidVpcEndpointId.NotFound"
    );
    assert_eq!(
        world.endpoint(&me, "vpce-x").unwrap_err().code,
        "InvalidVpcEndpointId.Malformed"
    );
}

#[test]
fn nobody_sees_or_deletes_the_endpoint_of_another() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoint = endpoint(&mut world, &consumer, &id);
    assert!(world.endpoint(&provider, &endpoint).is_err());
    let failed = world.delete_endpoints(&provider, &[endpoint]).unwrap();
    assert_eq!(failed[0].error.code, "InvalidVpcEndpoint.NotFound");
}

#[test]
fn a_world_survives_a_snapshot() {
    let (mut world, provider, consumer, id) = shop(true);
    let endpoint = endpoint(&mut world, &consumer, &id);
    world.delete_endpoints(&consumer, &[endpoint]).unwrap();
    let text = serde_json::to_string(&world).unwrap();
    let mut copy: World = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&copy).unwrap(), text);
    let new = new_endpoint(&mut world, &consumer, &id);
    let one = world.create_endpoint(&consumer, &new, None).unwrap();
    let two = copy.create_endpoint(&consumer, &new, None).unwrap();
    assert_eq!(one, two, "ids go on where they stopped");
    assert!(copy.own_service(&provider, id.as_str()).is_ok());
}
