//! Rules of cross-Region access.

use super::*;
use crate::world::Caller;
use crate::world::endpoints::NewEndpoint;
use crate::world::listeners::NewListener;
use crate::world::select::{Filters, Paging};
use crate::world::services::ServiceChange;
use crate::world::testing::{load_balancer, new_endpoint, shop, target_group};
use privatelink::ServiceId;

fn open(world: &mut World, provider: &Caller, service: &ServiceId, region: &str) {
    change(world, provider, service, &[region], &[]).unwrap();
}

fn change(
    world: &mut World,
    provider: &Caller,
    service: &ServiceId,
    add: &[&str],
    remove: &[&str],
) -> Result<(), AwsError> {
    let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let change = ServiceChange {
        add_regions: strings(add),
        remove_regions: strings(remove),
        ..ServiceChange::default()
    };
    world.modify_service(provider, service.as_str(), &change)
}

fn abroad(consumer: &Caller) -> Caller {
    Caller {
        region: "us-west-2".parse().unwrap(),
        ..consumer.clone()
    }
}

fn request(world: &mut World, me: &Caller, service: &ServiceId) -> NewEndpoint {
    NewEndpoint {
        service_name: format!("com.amazonaws.vpce.eu-west-1.{service}"),
        service_region: Some("eu-west-1".to_owned()),
        ..new_endpoint(world, me, service)
    }
}

#[test]
fn a_consumer_connects_from_an_open_region_when_it_names_the_services_region() {
    let (mut world, provider, consumer, service) = shop(true);
    let me = abroad(&consumer);
    let new = request(&mut world, &me, &service);
    let refused = world.create_endpoint(&me, &new, None).unwrap_err();
    assert_eq!(refused.code, "InvalidServiceName");
    open(&mut world, &provider, &service, "us-west-2");
    let blind = NewEndpoint {
        service_region: None,
        ..new.clone()
    };
    let refused = world.create_endpoint(&me, &blind, None).unwrap_err();
    assert_eq!(refused.code, "InvalidServiceName");
    let row = world.create_endpoint(&me, &new, None).unwrap();
    assert_eq!(row.service_region.as_str(), "eu-west-1");
    let local = new_endpoint(&mut world, &consumer, &service);
    world.create_endpoint(&consumer, &local, None).unwrap();
    for (value, count) in [
        ("us-west-2", 1),
        ("cross-region", 1),
        ("eu-west-1", 1),
        ("*", 2),
    ] {
        let filters = Filters::one("vpc-endpoint-region", value);
        let paging = Paging::default();
        let page = world.connections(&provider, &filters, &paging).unwrap();
        assert_eq!(page.items.len(), count, "{value}");
    }
}

#[test]
fn a_closed_region_keeps_its_row_and_its_endpoints_and_opens_again() {
    let (mut world, provider, consumer, service) = shop(true);
    let me = abroad(&consumer);
    open(&mut world, &provider, &service, "us-west-2");
    let new = request(&mut world, &me, &service);
    let old = world.create_endpoint(&me, &new, None).unwrap().endpoint.id;
    change(&mut world, &provider, &service, &[], &["us-west-2"]).unwrap();
    let regions = |world: &mut World| {
        let service = world.own_service(&provider, service.as_str()).unwrap();
        service.supported_regions.clone()
    };
    assert_eq!(
        regions(&mut world).values().collect::<Vec<_>>(),
        [&RemoteState::Closed]
    );
    assert!(world.create_endpoint(&me, &new, None).is_err());
    assert!(world.endpoint(&me, old.as_str()).is_ok());
    let error = change(&mut world, &provider, &service, &[], &["us-west-2"]).unwrap_err();
    assert!(error.message.starts_with("Cannot remove region"));
    open(&mut world, &provider, &service, "us-west-2");
    assert!(world.create_endpoint(&me, &new, None).is_ok());
}

#[test]
fn the_home_region_an_unknown_one_and_one_twice_are_refused() {
    let (mut world, provider, _, service) = shop(true);
    open(&mut world, &provider, &service, "us-west-2");
    for (add, remove) in [
        (&["eu-west-1"][..], &[][..]),
        (&["mars-north-1"], &[]),
        (&["us-west-2"], &[]),
        (&[], &["eu-west-1"]),
        (&[], &["us-east-1"]),
    ] {
        let error = change(&mut world, &provider, &service, add, remove).unwrap_err();
        assert_eq!(error.code, "InvalidParameter", "{add:?} {remove:?}");
    }
}

#[test]
fn zones_that_cannot_be_used_remotely_are_refused_and_the_allowed_ones_named() {
    let zones = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect();
    let error = check_remote_zones(&zones(&["use1-az1", "use1-az2", "use1-az3"])).unwrap_err();
    assert!(
        error.message.ends_with("Allowed: use1-az1, use1-az2"),
        "{error}"
    );
    assert!(check_remote_zones(&zones(&["use1-az1"])).is_err());
    assert!(check_remote_zones(&zones(&["use1-az1", "use1-az2"])).is_ok());
}

#[test]
fn a_remote_consumer_sees_the_service_without_zones() {
    let (mut world, provider, consumer, service) = shop(true);
    open(&mut world, &provider, &service, "us-west-2");
    let me = abroad(&consumer);
    let mut seen = |regions: &[String]| {
        let (filters, paging) = (Filters::one("owner", "1*"), Paging::default());
        world
            .visible_services(&me, &[], regions, &filters, &paging)
            .unwrap()
            .items
    };
    assert!(seen(&[]).is_empty());
    let rows = seen(&["eu-west-1".to_owned()]);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].zone_names.is_empty());
}

#[test]
fn a_custom_idle_timeout_and_other_regions_exclude_each_other() {
    let (mut world, provider, _, service) = shop(true);
    let balancer = world.service(&service).unwrap().load_balancers[0].clone();
    let new = NewListener {
        load_balancer: balancer.to_string(),
        port: 443,
        protocol: "TCP".into(),
        forward: vec![(target_group(&mut world, &provider, "tg", "TCP"), None)],
        ..NewListener::default()
    };
    let listener = world.create_listener(&provider, new).unwrap().arn;
    let idle = |world: &mut World, seconds: &str| {
        let wanted = [("tcp.idle_timeout.seconds".to_owned(), seconds.to_owned())];
        world.modify_listener_attributes(&provider, &listener, &wanted)
    };
    idle(&mut world, "600").unwrap();
    let refused = change(&mut world, &provider, &service, &["us-west-2"], &[]).unwrap_err();
    assert_eq!(refused.code, "InvalidParameter");
    assert!(refused.message.contains(&listener), "{}", refused.message);
    let deaf = world.service(&service).unwrap();
    assert!(!deaf.is_remote(), "a refused change changes nothing");
    // AWS's own value is no custom one.
    idle(&mut world, "350").unwrap();
    open(&mut world, &provider, &service, "us-west-2");
    let refused = idle(&mut world, "600").unwrap_err();
    assert_eq!(refused.code, "InvalidConfigurationRequest");
    let slow = load_balancer(&mut world, &provider, "slow");
    let new = NewListener {
        load_balancer: slow.to_string(),
        port: 443,
        protocol: "TCP".into(),
        forward: vec![(target_group(&mut world, &provider, "tg2", "TCP"), None)],
        ..NewListener::default()
    };
    let other = world.create_listener(&provider, new).unwrap().arn;
    let wanted = [("tcp.idle_timeout.seconds".to_owned(), "60".to_owned())];
    world
        .modify_listener_attributes(&provider, &other, &wanted)
        .unwrap();
    let add = ServiceChange {
        add_load_balancers: vec![slow.to_string()],
        ..ServiceChange::default()
    };
    let refused = world.modify_service(&provider, service.as_str(), &add);
    assert_eq!(refused.unwrap_err().code, "InvalidParameter");
    change(&mut world, &provider, &service, &[], &["us-west-2"]).unwrap();
    world
        .modify_service(&provider, service.as_str(), &add)
        .unwrap();
    idle(&mut world, "600").unwrap();
}
