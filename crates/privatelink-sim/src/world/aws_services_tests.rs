//! Rules of AWS's own services and of the endpoints to them.

use super::*;
use crate::world::endpoints::NewEndpoint;
use crate::world::gateway_endpoints::NewGatewayEndpoint;
use crate::world::select::{Filters, Paging};
use crate::world::testing::{CONSUMER, after, caller, shop, world};

fn names(world: &mut World, me: &Caller, filter: &str, value: &str) -> Vec<(String, &'static str)> {
    let (filters, paging) = (Filters::one(filter, value), Paging::default());
    let page = world
        .visible_services(me, &[], &[], &filters, &paging)
        .unwrap();
    let rows = page.items.into_iter();
    rows.map(|row| (row.service.name(), row.service.type_name()))
        .collect()
}

fn to(world: &mut World, me: &Caller, short: &str) -> NewEndpoint {
    let place = world.place(me);
    NewEndpoint {
        vpc_id: place.vpcs.keys().next().unwrap().clone(),
        service_name: format!("com.amazonaws.{}.{short}", me.region),
        subnets: place.subnets.keys().take(1).cloned().collect(),
        ..NewEndpoint::default()
    }
}

#[test]
fn aws_services_are_listed_beside_those_of_accounts() {
    let (mut world, provider, me, service) = shop(true);
    let all = names(&mut world, &me, "service-type", "*");
    assert_eq!(all.len(), INTERFACE.len() + 3);
    let mut sorted = all.clone();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(all, sorted);
    let s3 = names(
        &mut world,
        &me,
        "service-name",
        "com.amazonaws.eu-west-1.s3",
    );
    let types: Vec<_> = s3.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(types.len(), 2);
    assert!(types.contains(&"Gateway") && types.contains(&"Interface"));
    assert_eq!(names(&mut world, &me, "service-type", "Gateway").len(), 2);
    assert_eq!(
        names(&mut world, &me, "owner", "amazon").len(),
        INTERFACE.len() + 2
    );
    let owner = provider.account.as_str();
    assert_eq!(names(&mut world, &me, "owner", owner).len(), 1);
    let id = service.as_str();
    world
        .set_owner_alias(id, Some("aws-marketplace".into()))
        .unwrap();
    assert_eq!(names(&mut world, &me, "owner", "aws-marketplace").len(), 1);
    let error = world.set_owner_alias(id, Some("me".into())).unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
    world.set_owner_alias(id, None).unwrap();
    assert!(names(&mut world, &me, "owner", "aws-marketplace").is_empty());
}

#[test]
fn pages_of_services_join_without_gap_or_overlap() {
    let (mut world, me) = (world(), caller(CONSUMER));
    let whole = names(&mut world, &me, "service-type", "*");
    let mut paging = Paging {
        max: Some(5),
        ..Paging::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = world
            .visible_services(&me, &[], &[], &Filters::default(), &paging)
            .unwrap();
        seen.extend(
            page.items
                .iter()
                .map(|row| (row.service.name(), row.service.type_name())),
        );
        match page.next {
            Some(token) => paging.token = Some(token),
            None => break,
        }
    }
    assert_eq!(seen, whole);
}

#[test]
fn an_endpoint_to_aws_needs_no_acceptance_and_has_its_private_names() {
    let (mut world, me) = (world(), caller(CONSUMER));
    let mut new = to(&mut world, &me, "sqs");
    new.private_dns = true;
    let row = world.create_endpoint(&me, &new, None).unwrap();
    assert_eq!(row.state.to_string(), "pending");
    let last = row.dns_names.last().unwrap();
    assert_eq!(last, "sqs.eu-west-1.amazonaws.com");
    assert!(row.dns_names[0].ends_with(".sqs.eu-west-1.vpce.amazonaws.com"));
    let error = world.create_endpoint(&me, &new, None).unwrap_err();
    assert!(error.message.contains("conflicting DNS domain"), "{error}");
    let later = after(&me, 1_000);
    let id = row.endpoint.id.to_string();
    let row = world.endpoint(&later, &id).unwrap();
    assert_eq!(row.state.to_string(), "available");
    assert!(world.delete_endpoints(&later, &[id]).unwrap().is_empty());
    world.create_endpoint(&later, &new, None).unwrap();
    let mut plain = to(&mut world, &later, "dynamodb");
    plain.private_dns = true;
    let error = world.create_endpoint(&later, &plain, None).unwrap_err();
    assert!(
        error
            .message
            .contains("does not provide a private DNS name")
    );
    let unknown = to(&mut world, &later, "nonsense");
    let error = world.create_endpoint(&later, &unknown, None).unwrap_err();
    assert_eq!(error.code, "InvalidServiceName");
}

#[test]
fn s3_for_the_resolver_only_needs_a_gateway_endpoint_beside_it() {
    let (mut world, me) = (world(), caller(CONSUMER));
    let mut new = to(&mut world, &me, "s3");
    new.dns.only_for_inbound_resolver = Some(true);
    new.private_dns = true;
    let error = world.create_endpoint(&me, &new, None).unwrap_err();
    assert!(
        error.message.contains("must have a Gateway endpoint"),
        "{error}"
    );
    let gateway = NewGatewayEndpoint {
        vpc_id: new.vpc_id.clone(),
        service_name: new.service_name.clone(),
        ..NewGatewayEndpoint::default()
    };
    world.create_gateway_endpoint(&me, &gateway, None).unwrap();
    let row = world.create_endpoint(&me, &new, None).unwrap();
    assert!(row.dns_names[0].starts_with("*.vpce-"), "as S3 does");
    let mut other = to(&mut world, &me, "sts");
    other.dns.only_for_inbound_resolver = Some(false);
    let error = world.create_endpoint(&me, &other, None).unwrap_err();
    assert!(error.message.contains("not supported"), "{error}");
}

#[test]
fn an_endpoint_of_another_type_than_the_services_is_refused() {
    let (mut world, _, me, service) = shop(true);
    let place = world.place(&me);
    let vpc_id = place.vpcs.keys().next().unwrap().clone();
    for name in [
        "com.amazonaws.eu-west-1.sqs".to_owned(),
        format!("com.amazonaws.vpce.eu-west-1.{service}"),
    ] {
        let new = NewGatewayEndpoint {
            vpc_id: vpc_id.clone(),
            service_name: name,
            ..NewGatewayEndpoint::default()
        };
        let error = world.create_gateway_endpoint(&me, &new, None).unwrap_err();
        assert_eq!(
            error.message,
            "Endpoint type (Gateway) does not match available service types ([Interface])."
        );
    }
}
