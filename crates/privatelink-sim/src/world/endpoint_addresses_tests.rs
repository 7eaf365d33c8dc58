//! Rules of the addresses that endpoints have in their subnets.

use super::*;
use crate::world::addresses::SubnetAddresses;
use crate::world::endpoint_changes::EndpointChange;
use crate::world::network_creation::NewSubnet;
use crate::world::services::ServiceChange;
use crate::world::testing::{after, endpoint, new_endpoint, shop};

fn fixed(subnet: &str, ipv4: Option<&str>, ipv6: Option<&str>) -> SubnetAddresses {
    SubnetAddresses {
        subnet: subnet.to_owned(),
        ipv4: ipv4.map(str::to_owned),
        ipv6: ipv6.map(str::to_owned),
    }
}

#[test]
fn every_interface_has_an_address_of_its_own_until_it_goes() {
    let (mut world, _, me, service) = shop(false);
    let ids: Vec<String> = (0..3)
        .map(|_| endpoint(&mut world, &me, &service))
        .collect();
    let rows: Vec<_> = ids
        .iter()
        .map(|id| world.endpoint(&me, id).unwrap().endpoint)
        .collect();
    let given: BTreeSet<_> = rows.iter().map(|e| e.addresses[0].ipv4.unwrap()).collect();
    assert_eq!(given.len(), 3);
    let subnet = rows[0].subnets[0].clone();
    assert_eq!(world.place(&me).subnets[&subnet].available(), 4_088);
    world.delete_endpoints(&me, &ids).unwrap();
    assert_eq!(world.place(&me).subnets[&subnet].available(), 4_091);
}

#[test]
fn a_fixed_address_must_be_inside_its_subnet_and_free() {
    let (mut world, _, me, service) = shop(false);
    let mut new = new_endpoint(&mut world, &me, &service);
    let subnet = new.subnets[0].clone();
    let base = world.place(&me).subnets[&subnet].cidr.replace(".0/20", "");
    let address = |last: u8| format!("{base}.{last}");
    for (wanted, code) in [
        (
            fixed(&subnet, Some("10.0.0.9"), None),
            "InvalidParameterValue",
        ),
        (fixed(&subnet, Some("nine"), None), "InvalidParameterValue"),
        (
            fixed(&subnet, Some(&address(3)), None),
            "InvalidParameterValue",
        ),
        (fixed(&subnet, None, None), "InvalidParameter"),
        (
            fixed(&subnet, Some(&address(9)), Some("2001:db8::1")),
            "InvalidParameter",
        ),
        (
            fixed("subnet-0", Some(&address(9)), None),
            "InvalidSubnetID.NotFound",
        ),
    ] {
        new.fixed = vec![wanted];
        let error = world.create_endpoint(&me, &new, None).unwrap_err();
        assert_eq!(error.code, code, "{:?}", new.fixed);
    }
    new.fixed = vec![fixed(&subnet, Some(&address(9)), None)];
    let first = world.create_endpoint(&me, &new, None).unwrap().endpoint;
    assert_eq!(first.addresses[0].ipv4.unwrap().to_string(), address(9));
    let error = world.create_endpoint(&me, &new, None).unwrap_err();
    assert_eq!(error.code, "InvalidIPAddress.InUse");
    let me = after(&me, 1_000);
    let change = EndpointChange {
        fixed: vec![fixed(&subnet, Some(&address(10)), None)],
        ..EndpointChange::default()
    };
    world
        .modify_endpoint(&me, first.id.as_str(), &change)
        .unwrap();
    let moved = world.endpoint(&me, first.id.as_str()).unwrap().endpoint;
    assert_eq!(moved.addresses[0].ipv4.unwrap().to_string(), address(10));
    assert_ne!(moved.network_interfaces, first.network_interfaces);
    world.create_endpoint(&me, &new, None).unwrap();
}

#[test]
fn dualstack_needs_both_families_in_the_service_and_in_every_subnet() {
    let (mut world, provider, me, service) = shop(false);
    let mut new = new_endpoint(&mut world, &me, &service);
    new.ip_address_type = Some("dualstack".into());
    let refusal = |world: &mut World, new: &NewEndpoint| {
        let error = world.create_endpoint(&me, new, None).unwrap_err();
        assert_eq!(error.code, "InvalidParameter");
        error.message
    };
    assert!(refusal(&mut world, &new).contains("The service does not support"));
    let change = ServiceChange {
        add_ip_address_types: vec!["ipv6".into()],
        ..ServiceChange::default()
    };
    let error = world
        .modify_service(&provider, service.as_str(), &change)
        .unwrap_err();
    assert!(error.message.contains("dualstack"), "{error}");
    for balancer in world.place(&provider).load_balancers.values_mut() {
        balancer.ip_address_type = "dualstack".into();
    }
    world
        .modify_service(&provider, service.as_str(), &change)
        .unwrap();
    assert!(refusal(&mut world, &new).contains("The subnet"));
    let vpc = world.associate_vpc_ipv6(&me, &new.vpc_id).unwrap();
    let block = vpc.ipv6.unwrap().replace("/56", "/64");
    let subnet = new.subnets[0].clone();
    world.associate_subnet_ipv6(&me, &subnet, &block).unwrap();
    let made = world.create_endpoint(&me, &new, None).unwrap().endpoint;
    assert!(made.addresses[0].ipv4.is_some() && made.addresses[0].ipv6.is_some());
    new.ip_address_type = Some("ipv6".into());
    assert!(
        refusal(&mut world, &new).contains("The subnet"),
        "it has IPv4"
    );
    let zone = world.place(&me).subnets[&subnet].zone.to_string();
    let native = NewSubnet {
        vpc_id: new.vpc_id.clone(),
        ipv6: Some(next_block(&block)),
        zone: Some(zone),
        ..NewSubnet::default()
    };
    new.subnets = vec![world.create_subnet(&me, native).unwrap().id];
    let made = world.create_endpoint(&me, &new, None).unwrap().endpoint;
    assert!(made.addresses[0].ipv4.is_none() && made.addresses[0].ipv6.is_some());
}

#[test]
fn a_type_stays_while_endpoints_have_it_and_quotas_bind_when_switched_on() {
    let (mut world, provider, me, service) = shop(false);
    endpoint(&mut world, &me, &service);
    for balancer in world.place(&provider).load_balancers.values_mut() {
        balancer.ip_address_type = "dualstack".into();
    }
    let change = ServiceChange {
        add_ip_address_types: vec!["ipv6".into()],
        remove_ip_address_types: vec!["ipv4".into()],
        ..ServiceChange::default()
    };
    let id = service.as_str();
    let error = world.modify_service(&provider, id, &change).unwrap_err();
    assert_eq!(error.code, "ExistingVpcEndpointConnections");
    world.behavior.ip_type_removal_with_endpoints = true;
    world.behavior.endpoints_per_vpc = Some(1);
    let new = new_endpoint(&mut world, &me, &service);
    let error = world.create_endpoint(&me, &new, None).unwrap_err();
    assert_eq!(error.code, "VpcEndpointLimitExceeded");
    world.modify_service(&provider, id, &change).unwrap();
}

/// The /64 behind this one.
fn next_block(block: &str) -> String {
    let base: std::net::Ipv6Addr = block.split_once('/').unwrap().0.parse().unwrap();
    format!(
        "{}/64",
        std::net::Ipv6Addr::from(u128::from(base) + (1 << 64))
    )
}
