//! Rules of a load balancer's subnets and fixed addresses.

use super::*;
use crate::world::load_balancers::NewLoadBalancer;
use crate::world::testing::{CONSUMER, PROVIDER, caller, endpoint, load_balancer, shop, world};

fn subnets(world: &mut World, me: &Caller) -> Vec<Subnet> {
    let mut all: Vec<_> = world.place(me).subnets.values().cloned().collect();
    all.sort_by(|a, b| a.zone.cmp(&b.zone));
    all
}

fn change(subnets: &[Subnet]) -> SubnetsChange {
    SubnetsChange {
        subnets: subnets.iter().map(|s| s.id.clone()).collect(),
        ..SubnetsChange::default()
    }
}

fn mapping(subnet: &Subnet, address: NodeAddress) -> SubnetMapping {
    SubnetMapping {
        subnet_id: subnet.id.clone(),
        address,
    }
}

fn create(
    world: &mut World,
    me: &Caller,
    scheme: &str,
    mappings: Vec<SubnetMapping>,
) -> Result<LoadBalancer, AwsError> {
    let new = NewLoadBalancer {
        name: format!("edge-{}", world.place(me).load_balancers.len()),
        scheme: Some(scheme.into()),
        mappings,
        ..NewLoadBalancer::default()
    };
    world.create_load_balancer(me, new)
}

fn private(ip: &str) -> NodeAddress {
    NodeAddress {
        private_ipv4: Some(ip.into()),
        ..NodeAddress::default()
    }
}

fn elastic(id: &str) -> NodeAddress {
    NodeAddress {
        allocation_id: Some(id.into()),
        ..NodeAddress::default()
    }
}

/// The address so far into a subnet's block.
fn host(subnet: &Subnet, number: u32) -> String {
    let (first, _) = bounds(&subnet.cidr).unwrap();
    Ipv4Addr::from(first + number).to_string()
}

#[test]
fn subnets_are_the_callers_own_in_one_vpc_and_one_per_zone() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge").to_string();
    let mine = subnets(&mut world, &me);
    let theirs = subnets(&mut world, &caller(CONSUMER));
    let zone = mine[0].zone.to_string();
    let twin = crate::world::network_creation::NewSubnet {
        vpc_id: mine[0].vpc_id.clone(),
        cidr: Some("172.31.240.0/24".to_owned()),
        zone: Some(zone),
        ..Default::default()
    };
    let twin = world.create_subnet(&me, twin);
    let twin = twin.unwrap();
    for (asked, code) in [
        (vec![], "ValidationError"),
        (theirs, "SubnetNotFound"),
        (
            vec![mine[0].clone(), twin.clone()],
            "InvalidConfigurationRequest",
        ),
        (vec![twin, mine[1].clone()], "InvalidConfigurationRequest"),
    ] {
        let refused = world.set_subnets(&me, &arn, change(&asked));
        assert_eq!(refused.unwrap_err().code, code);
    }
    let grown = world.set_subnets(&me, &arn, change(&mine)).unwrap();
    assert_eq!(grown.subnets.len(), 3);
    let shrunk = world.set_subnets(&me, &arn, change(&mine[..1])).unwrap();
    assert_eq!(shrunk.subnets.len(), 1);
}

#[test]
fn a_subnet_cannot_be_removed_while_endpoints_are_attached_but_added() {
    let (mut world, provider, consumer, id) = shop(true);
    endpoint(&mut world, &consumer, &id);
    let arn = world.own_service(&provider, id.as_str()).unwrap();
    let arn = arn.load_balancers[0].to_string();
    let all = subnets(&mut world, &provider);
    let refused = world.set_subnets(&provider, &arn, change(&all[..1]));
    assert_eq!(refused.unwrap_err().code, "InvalidConfigurationRequest");
    assert!(world.set_subnets(&provider, &arn, change(&all)).is_ok());
    // The service goes on with the zones it knew.
    let service = world.own_service(&provider, id.as_str()).unwrap();
    assert_eq!(service.zones.len(), 2);
}

#[test]
fn a_private_address_is_of_the_subnet_and_free() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let subnet = subnets(&mut world, &me).remove(0);
    for bad in [&host(&subnet, 3), "192.0.2.1", "nonsense"] {
        let refused = create(
            &mut world,
            &me,
            "internal",
            vec![mapping(&subnet, private(bad))],
        );
        assert_eq!(
            refused.unwrap_err().code,
            "InvalidConfigurationRequest",
            "{bad}"
        );
    }
    let wish = vec![mapping(&subnet, private(&host(&subnet, 9)))];
    let public = create(&mut world, &me, "internet-facing", wish.clone());
    assert_eq!(public.unwrap_err().code, "InvalidConfigurationRequest");
    let made = create(&mut world, &me, "internal", wish.clone()).unwrap();
    assert_eq!(
        made.addresses[&subnet.id].private_ipv4,
        Some(host(&subnet, 9))
    );
    let second = create(&mut world, &me, "internal", wish);
    assert_eq!(second.unwrap_err().code, "ResourceInUse");
}

#[test]
fn an_elastic_ip_address_is_for_one_internet_facing_load_balancer() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let all = subnets(&mut world, &me);
    let wish = |id: &str, at: usize| vec![mapping(&all[at], elastic(id))];
    for (scheme, id, code) in [
        (
            "internal",
            "eipalloc-0123456789abcdef0",
            "InvalidConfigurationRequest",
        ),
        ("internet-facing", "eip-1", "AllocationIdNotFound"),
    ] {
        let refused = create(&mut world, &me, scheme, wish(id, 0));
        assert_eq!(refused.unwrap_err().code, code);
    }
    let id = "eipalloc-0123456789abcdef0";
    let made = create(&mut world, &me, "internet-facing", wish(id, 0)).unwrap();
    assert!(made.addresses[&all[0].id].public_ip().is_some());
    let second = create(&mut world, &me, "internet-facing", wish(id, 1));
    assert_eq!(second.unwrap_err().code, "ResourceInUse");
    // A subnet that stays keeps its address and cannot get another one.
    let arn = made.arn.to_string();
    let grown = world.set_subnets(&me, &arn, change(&all[..2])).unwrap();
    assert_eq!(grown.addresses, made.addresses);
    let other = SubnetsChange {
        mappings: wish("eipalloc-0123456789abcdef1", 0),
        ..SubnetsChange::default()
    };
    let refused = world.set_subnets(&me, &arn, other);
    assert_eq!(refused.unwrap_err().code, "InvalidConfigurationRequest");
}

#[test]
fn ipv6_addresses_and_prefixes_need_dualstack() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge").to_string();
    let all = subnets(&mut world, &me);
    let with = |ip_type: &str, prefix| SubnetsChange {
        ip_address_type: Some(ip_type.into()),
        source_nat_prefix: Some(prefix),
        ..change(&all)
    };
    let refused = world.set_subnets(&me, &arn, with("ipv4", true));
    assert_eq!(refused.unwrap_err().code, "InvalidConfigurationRequest");
    let made = world
        .set_subnets(&me, &arn, with("dualstack", true))
        .unwrap();
    assert!(made.source_nat_prefix);
    let v6 = NodeAddress {
        ipv6: Some("2001:db8::1".into()),
        ..NodeAddress::default()
    };
    let refused = create(&mut world, &me, "internal", vec![mapping(&all[0], v6)]);
    assert_eq!(refused.unwrap_err().code, "InvalidConfigurationRequest");
}

#[test]
fn blocks_are_read_to_their_edges() {
    assert!(contains("10.0.0.0/8", Ipv4Addr::new(10, 255, 255, 255)));
    assert!(!contains("10.0.0.0/8", Ipv4Addr::new(11, 0, 0, 0)));
    assert!(contains("0.0.0.0/0", Ipv4Addr::BROADCAST));
    assert!(contains("10.0.0.1/32", Ipv4Addr::new(10, 0, 0, 1)));
    assert!(!contains("10.0.0.1/33", Ipv4Addr::new(10, 0, 0, 1)));
}
