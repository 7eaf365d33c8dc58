//! Rules of private DNS names.

use super::*;
use crate::world::endpoint_changes::EndpointChange;
use crate::world::select::{Filters, Paging};
use crate::world::services::ServiceChange;
use crate::world::testing::{after, endpoint, new_endpoint, shop};

fn name_it(world: &mut World, provider: &Caller, service: &ServiceId, name: &str) -> PrivateDns {
    let change = ServiceChange {
        private_dns_name: Some(name.to_owned()),
        ..ServiceChange::default()
    };
    world
        .modify_service(provider, service.as_str(), &change)
        .unwrap();
    described(world, provider);
    described(world, provider).unwrap()
}

fn described(world: &mut World, provider: &Caller) -> Option<PrivateDns> {
    let (filters, paging) = (Filters::default(), Paging::default());
    let page = world
        .describe_services(provider, &[], &filters, &paging)
        .unwrap();
    page.items[0].private_dns.clone()
}

fn verified(world: &mut World, provider: &Caller, service: &ServiceId) -> (PrivateDns, Caller) {
    let dns = name_it(world, provider, service, "api.example.com");
    let record = format!("{}.api.example.com.", dns.record_name);
    world.put_txt(&record, &dns.record_value, provider.now);
    world
        .start_private_dns_verification(provider, service.as_str())
        .unwrap();
    let provider = after(provider, 60_000);
    let dns = described(world, &provider).unwrap();
    assert_eq!(dns.state, DnsState::Verified);
    (dns, provider)
}

#[test]
fn the_record_is_missing_on_the_first_read_after_a_change() {
    let (mut world, provider, _, service) = shop(true);
    let change = ServiceChange {
        private_dns_name: Some("api.example.com".to_owned()),
        ..ServiceChange::default()
    };
    world
        .modify_service(&provider, service.as_str(), &change)
        .unwrap();
    assert!(described(&mut world, &provider).unwrap().hidden);
    let dns = described(&mut world, &provider).unwrap();
    assert!(!dns.hidden);
    assert_eq!(dns.record_name.len(), 21);
    assert!(dns.record_name.starts_with('_') && dns.record_value.starts_with("vpce:"));
}

#[test]
fn a_check_fails_without_the_record_and_succeeds_with_it() {
    let (mut world, provider, _, service) = shop(true);
    let dns = name_it(&mut world, &provider, &service, "api.example.com");
    let record = format!("{}.api.example.com", dns.record_name);
    let lower = dns.record_value.to_ascii_lowercase();
    world.put_txt(&record, &lower, provider.now);
    world
        .start_private_dns_verification(&provider, service.as_str())
        .unwrap();
    let state = |world: &mut World, me: &Caller| described(world, me).unwrap().state;
    assert_eq!(state(&mut world, &provider), DnsState::PendingVerification);
    let provider = after(&provider, 60_000);
    assert_eq!(state(&mut world, &provider), DnsState::Failed, "wrong case");
    world.put_txt(&record, &dns.record_value, provider.now);
    let provider = after(&provider, 60_000);
    assert_eq!(
        state(&mut world, &provider),
        DnsState::Failed,
        "nobody asked"
    );
    world
        .start_private_dns_verification(&provider, service.as_str())
        .unwrap();
    let provider = after(&provider, 60_000);
    assert_eq!(state(&mut world, &provider), DnsState::Verified);
}

#[test]
fn a_parent_domain_or_its_apex_proves_a_name_and_a_wildcard() {
    for (name, record) in [
        ("a.b.example.com", "example.com"),
        ("*.example.com", "LABEL.example.com"),
        ("a.example.com", "LABEL.example.com"),
    ] {
        let (mut world, provider, _, service) = shop(true);
        let dns = name_it(&mut world, &provider, &service, name);
        let record = record.replace("LABEL", &dns.record_name);
        world.put_txt(&record, &dns.record_value, provider.now);
        assert!(world.is_proven(&dns), "{name} by {record}");
    }
}

#[test]
fn a_verified_name_falls_back_when_its_record_disappears_and_new_endpoints_are_refused() {
    let (mut world, provider, consumer, service) = shop(false);
    let (dns, provider) = verified(&mut world, &provider, &service);
    let consumer = Caller {
        now: provider.now,
        seen_at: provider.now,
        ..consumer
    };
    let old = endpoint(&mut world, &consumer, &service);
    let record = format!("{}.api.example.com", dns.record_name);
    assert!(world.remove_txt(&record, None, provider.now));
    assert!(!world.remove_txt(&record, None, provider.now));
    let provider = after(&provider, 60_000);
    let dns = described(&mut world, &provider).unwrap();
    assert_eq!(dns.state, DnsState::PendingVerification);
    let consumer = after(&consumer, 60_000);
    let new = new_endpoint(&mut world, &consumer, &service);
    let error = world.create_endpoint(&consumer, &new, None).unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
    assert!(world.endpoint(&consumer, &old).is_ok());
}

#[test]
fn a_consumer_gets_the_private_name_only_when_it_is_verified_and_accepted() {
    let (mut world, provider, consumer, service) = shop(true);
    let mut new = new_endpoint(&mut world, &consumer, &service);
    new.private_dns = true;
    let refused =
        |world: &mut World, me: &Caller| world.create_endpoint(me, &new, None).unwrap_err().message;
    assert!(refused(&mut world, &consumer).contains("does not provide"));
    name_it(&mut world, &provider, &service, "api.example.com");
    assert!(refused(&mut world, &consumer).contains("has not verified"));
    let (_, provider) = verified(&mut world, &provider, &service);
    let consumer = after(&consumer, 60_000);
    assert!(refused(&mut world, &consumer).contains("after the endpoint connection is accepted"));
    let id = endpoint(&mut world, &consumer, &service);
    let change = EndpointChange {
        private_dns: Some(true),
        ..EndpointChange::default()
    };
    assert!(world.modify_endpoint(&consumer, &id, &change).is_err());
    world
        .accept_connections(&provider, service.as_str(), std::slice::from_ref(&id))
        .unwrap();
    let error = world.modify_endpoint(&consumer, &id, &change).unwrap_err();
    assert!(error.message.contains("it is pending"), "{error}");
    let mut eager = world.clone();
    eager.behavior.private_dns_while_pending = true;
    eager.modify_endpoint(&consumer, &id, &change).unwrap();
    let consumer = after(&consumer, 1_000);
    world.modify_endpoint(&consumer, &id, &change).unwrap();
    let row = world.endpoint(&consumer, &id).unwrap();
    assert!(row.endpoint.private_dns);
    assert_eq!(
        row.dns_names.last().map(String::as_str),
        Some("api.example.com")
    );
    let provider = after(&provider, 2_000);
    let second = endpoint(&mut world, &consumer, &service);
    world
        .accept_connections(&provider, service.as_str(), std::slice::from_ref(&second))
        .unwrap();
    let consumer = after(&consumer, 2_000);
    let error = world
        .modify_endpoint(&consumer, &second, &change)
        .unwrap_err();
    assert!(error.message.contains("conflicting"), "{error}");
}

#[test]
fn a_name_is_cleared_only_when_that_is_said_and_nobody_is_connected() {
    let (mut world, provider, consumer, service) = shop(true);
    name_it(&mut world, &provider, &service, "api.example.com");
    world
        .modify_service(&provider, service.as_str(), &ServiceChange::default())
        .unwrap();
    assert!(described(&mut world, &provider).is_some());
    let remove = ServiceChange {
        remove_private_dns_name: true,
        ..ServiceChange::default()
    };
    let id = endpoint(&mut world, &consumer, &service);
    let error = world
        .modify_service(&provider, service.as_str(), &remove)
        .unwrap_err();
    assert_eq!(error.code, "ExistingVpcEndpointConnections");
    world.delete_endpoints(&consumer, &[id]).unwrap();
    let provider = after(&provider, 1_000);
    world
        .modify_service(&provider, service.as_str(), &remove)
        .unwrap();
    assert!(described(&mut world, &provider).is_none());
    let error = world
        .start_private_dns_verification(&provider, service.as_str())
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameter");
}

#[test]
fn names_that_are_none_are_refused() {
    for name in [
        "",
        "com",
        "API.example.com",
        "a..b",
        "-a.example.com",
        "a_b.example.com",
    ] {
        assert!(check_name(name).is_err(), "{name}");
    }
    assert!(check_name("*.example.com").is_ok());
}

#[test]
fn a_snapshot_keeps_names_records_checks_regions_payers_and_gateway_endpoints() {
    let (mut world, provider, consumer, service) = shop(false);
    verified(&mut world, &provider, &service);
    let id = endpoint(&mut world, &consumer, &service);
    let change = ServiceChange {
        add_regions: vec!["us-west-2".to_owned()],
        ..ServiceChange::default()
    };
    let shop_id = service.as_str();
    world.modify_service(&provider, shop_id, &change).unwrap();
    world
        .start_private_dns_verification(&provider, shop_id)
        .unwrap();
    let payer = ("vpc-endpoint-charges", "vpc-endpoint-account");
    world
        .modify_endpoint_payer(&consumer, None, &id, payer)
        .unwrap();
    let table = world.place(&consumer).route_tables.values().next().cloned();
    let table = table.unwrap();
    let gateway = crate::world::gateway_endpoints::NewGatewayEndpoint {
        vpc_id: table.vpc_id,
        service_name: "com.amazonaws.eu-west-1.s3".to_owned(),
        ..Default::default()
    };
    world
        .create_gateway_endpoint(&consumer, &gateway, None)
        .unwrap();
    let text = serde_json::to_string(&world).unwrap();
    let read: World = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}
