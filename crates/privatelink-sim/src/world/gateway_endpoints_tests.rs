//! Rules of gateway endpoints.

use super::*;
use crate::world::endpoint_listing::AnyEndpoint;
use crate::world::select::{Filters, Paging};
use crate::world::testing::{CONSUMER, after, caller, endpoint, shop, world};

fn wanted(world: &mut World, me: &Caller, service: &str) -> NewGatewayEndpoint {
    let table = world.place(me).route_tables.values().next().unwrap();
    NewGatewayEndpoint {
        vpc_id: table.vpc_id.clone(),
        route_tables: vec![table.id.clone()],
        service_name: format!("com.amazonaws.eu-west-1.{service}"),
        ..NewGatewayEndpoint::default()
    }
}

#[test]
fn a_gateway_endpoint_is_available_at_once_and_leaves_with_its_routes() {
    let (mut world, me) = (world(), caller(CONSUMER));
    let new = wanted(&mut world, &me, "s3");
    let made = world.create_gateway_endpoint(&me, &new, Some("t")).unwrap();
    assert_eq!(made.state_at(me.now), Some(ConnectionState::Available));
    let again = world.create_gateway_endpoint(&me, &new, Some("t")).unwrap();
    assert_eq!(made.id, again.id);
    assert!(made.routes(&new.route_tables[0]));
    let ids = [made.id.to_string()];
    assert!(world.delete_endpoints(&me, &ids).unwrap().is_empty());
    let (filters, paging) = (Filters::default(), Paging::default());
    let page = world.all_endpoints(&me, &ids, &filters, &paging).unwrap();
    assert!(matches!(
        &page.items[0],
        AnyEndpoint::Gateway(row, ConnectionState::Deleting) if !row.routes(&new.route_tables[0])
    ));
    let much_later = after(&me, 100_000_000);
    let left = world.delete_endpoints(&much_later, &ids).unwrap();
    assert_eq!(left[0].error.code, "InvalidVpcEndpoint.NotFound");
}

#[test]
fn a_route_table_has_one_route_to_a_service() {
    let (mut world, me) = (world(), caller(CONSUMER));
    let new = wanted(&mut world, &me, "s3");
    let first = world.create_gateway_endpoint(&me, &new, None).unwrap();
    let error = world.create_gateway_endpoint(&me, &new, None).unwrap_err();
    assert_eq!(error.code, "RouteAlreadyExists");
    let other = wanted(&mut world, &me, "dynamodb");
    world.create_gateway_endpoint(&me, &other, None).unwrap();
    let change = GatewayChange {
        remove_route_tables: new.route_tables.clone(),
        ..GatewayChange::default()
    };
    world
        .modify_gateway_endpoint(&me, first.id.as_str(), &change)
        .unwrap();
    world.create_gateway_endpoint(&me, &new, None).unwrap();
    let error = world
        .modify_gateway_endpoint(&me, first.id.as_str(), &change)
        .unwrap_err();
    assert_eq!(error.code, "InvalidRouteTableID.NotFound");
}

#[test]
fn wrong_requests_are_refused() {
    let (mut world, me) = (world(), caller(CONSUMER));
    let good = wanted(&mut world, &me, "s3");
    let with = |change: &dyn Fn(&mut NewGatewayEndpoint)| {
        let mut new = good.clone();
        change(&mut new);
        new
    };
    for (new, code) in [
        (
            with(&|n| n.vpc_id = "vpc-0".into()),
            "InvalidVpcId.NotFound",
        ),
        (
            with(&|n| n.service_name = "com.amazonaws.us-east-1.s3".into()),
            "InvalidServiceName",
        ),
        (
            with(&|n| n.route_tables = vec!["rtb-0".into()]),
            "InvalidRouteTableID.NotFound",
        ),
        (
            with(&|n| n.policy = Some("x".into())),
            "InvalidPolicyDocument",
        ),
    ] {
        let error = world.create_gateway_endpoint(&me, &new, None).unwrap_err();
        assert_eq!(error.code, code, "{new:?}");
    }
}

#[test]
fn pages_of_both_kinds_join_without_gap_or_overlap() {
    let (mut world, _, me, service) = shop(true);
    let mut made: Vec<String> = (0..5)
        .map(|_| endpoint(&mut world, &me, &service))
        .collect();
    for service in ["s3", "dynamodb"] {
        let new = wanted(&mut world, &me, service);
        let gateway = world.create_gateway_endpoint(&me, &new, None).unwrap();
        made.push(gateway.id.to_string());
    }
    made.sort();
    for size in 1..=8 {
        let mut paging = Paging {
            max: Some(size),
            ..Paging::default()
        };
        let mut seen = Vec::new();
        loop {
            let filters = Filters::default();
            let page = world.all_endpoints(&me, &[], &filters, &paging).unwrap();
            assert!(page.items.len() <= size);
            seen.extend(page.items.iter().map(|row| row.id().to_string()));
            match page.next {
                Some(token) => paging.token = Some(token),
                None => break,
            }
        }
        assert_eq!(seen, made, "pages of {size}");
    }
    let filters = Filters::one("vpc-endpoint-type", "Gateway");
    let page = world.all_endpoints(&me, &[], &filters, &Paging::default());
    assert_eq!(page.unwrap().items.len(), 2);
}
