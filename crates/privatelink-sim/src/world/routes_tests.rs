//! Rules of routes to Gateway Load Balancer endpoints.

use super::*;
use crate::world::route_tables::RouteRow;
use crate::world::select::{Filters, Paging};
use crate::world::testing::{CONSUMER, after, endpoint, firewall, shop};

fn block(cidr: &str) -> Destination {
    Destination {
        ipv4: Some(cidr.to_owned()),
        ..Destination::default()
    }
}

fn routes(world: &mut World, me: &Caller, table: &str) -> Vec<RouteRow> {
    let (filters, paging) = (Filters::one("route-table-id", table), Paging::default());
    let mut page = world.route_tables(me, &[], &filters, &paging).unwrap();
    page.items.remove(0).routes
}

#[test]
fn a_route_leads_to_an_available_endpoint_and_keeps_it_from_being_deleted() {
    let (mut world, _, me, service) = firewall(false);
    let hop = endpoint(&mut world, &me, &service);
    let table = world.place(&me).route_tables.keys().next().unwrap().clone();
    let all = block("0.0.0.0/0");
    let error = world.create_route(&me, &table, &all, &hop).unwrap_err();
    assert_eq!(error.code, "IncorrectState", "it is pending");
    let me = after(&me, 1_000);
    world.create_route(&me, &table, &all, &hop).unwrap();
    let error = world.create_route(&me, &table, &all, &hop).unwrap_err();
    assert_eq!(error.code, "RouteAlreadyExists");
    let route = &routes(&mut world, &me, &table)[0];
    assert_eq!((route.endpoint.as_str(), route.state), (&*hop, "active"));
    let ids = [hop.clone()];
    let refused = world.delete_endpoints(&me, &ids).unwrap();
    assert_eq!(refused[0].error.code, "InvalidParameter");
    assert!(
        refused[0]
            .error
            .message
            .contains("removed from route table")
    );
    world.delete_route(&me, &table, &all).unwrap();
    let error = world.delete_route(&me, &table, &all).unwrap_err();
    assert_eq!(error.code, "InvalidRoute.NotFound");
    assert!(world.delete_endpoints(&me, &ids).unwrap().is_empty());
}

#[test]
fn a_route_to_an_endpoint_that_was_cut_off_is_a_black_hole() {
    let (mut world, provider, me, service) = firewall(false);
    let hop = endpoint(&mut world, &me, &service);
    let (me, provider) = (after(&me, 1_000), after(&provider, 1_000));
    let table = world.place(&me).route_tables.keys().next().unwrap().clone();
    let to = block("10.9.8.7/16");
    world.create_route(&me, &table, &to, &hop).unwrap();
    world
        .reject_connections(&provider, service.as_str(), &[hop])
        .unwrap();
    let route = &routes(&mut world, &me, &table)[0];
    assert_eq!(route.destination, "10.9.0.0/16");
    assert_eq!(route.state, "blackhole");
    for (name, value, hits) in [
        ("route.state", "blackhole", 1),
        ("route.destination-cidr-block", "10.9.0.0/16", 1),
        ("route.destination-cidr-block", "10.0.0.0/16", 0),
        ("route.gateway-id", "vpce-*", 1),
        ("route.origin", "CreateRoute", 1),
        ("association.main", "true", 1),
    ] {
        let (filters, paging) = (Filters::one(name, value), Paging::default());
        let page = world.route_tables(&me, &[], &filters, &paging).unwrap();
        assert_eq!(page.items.len(), hits, "{name}={value}");
    }
}

#[test]
fn routes_that_cannot_be_are_refused() {
    let (mut world, _, me, service) = firewall(false);
    let hop = endpoint(&mut world, &me, &service);
    let me = after(&me, 1_000);
    let table = world.place(&me).route_tables.keys().next().unwrap().clone();
    let nothing = Destination::default();
    let list = Destination {
        prefix_list: Some("pl-00000000".into()),
        ..Destination::default()
    };
    let both = Destination {
        prefix_list: Some("pl-00000000".into()),
        ..block("10.0.0.0/8")
    };
    for (table, to, hop, code) in [
        (&*table, &nothing, &*hop, "MissingParameter"),
        (&table, &both, &hop, "InvalidParameterCombination"),
        (&table, &list, &hop, "InvalidPrefixListID.NotFound"),
        (&table, &block("10.0.0.0"), &hop, "InvalidParameterValue"),
        (&table, &block("172.31.0.0/16"), &hop, "RouteAlreadyExists"),
        (
            "rtb-0",
            &block("10.0.0.0/8"),
            &hop,
            "InvalidRouteTableID.NotFound",
        ),
        (
            &table,
            &block("10.0.0.0/8"),
            "vpce-00000000000000000",
            "InvalidVpcEndpointId.NotFound",
        ),
    ] {
        let error = world.create_route(&me, table, to, hop).unwrap_err();
        assert_eq!(error.code, code, "{to:?} {hop}");
    }
    let error = world
        .replace_route(&me, &table, &block("10.0.0.0/8"), &hop)
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue", "nothing to replace");
    let error = world
        .delete_route(&me, &table, &block("172.31.0.0/16"))
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue", "the local route");
}

#[test]
fn interface_endpoints_are_no_next_hops() {
    let (mut world, _, me, service) = shop(false);
    let id = endpoint(&mut world, &me, &service);
    let me = after(&me, 1_000);
    assert_eq!(me.account.as_str(), CONSUMER);
    let table = world.place(&me).route_tables.keys().next().unwrap().clone();
    let error = world
        .create_route(&me, &table, &block("0.0.0.0/0"), &id)
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
}
