//! Rules of endpoints to VPC Lattice and of their associations.

use super::*;
use crate::world::lattice::Registration;
use crate::world::select::{Filters, Paging};
use crate::world::testing::{CONSUMER, after, caller, world};

fn arn(tail: &str) -> String {
    format!("arn:aws:vpc-lattice:eu-west-1:111111111111:{tail}")
}

/// One of each: a group of two, a resource alone, blocks, and a network of the group and the resource.
fn registered() -> (World, Caller) {
    let (mut world, me) = (world(), caller(CONSUMER));
    let group = arn("resourceconfiguration/rcfg-0a");
    let registration: Registration = serde_json::from_value(serde_json::json!({
        "resource_configurations": [
            {"arn": group, "type": "GROUP"},
            {"arn": arn("resourceconfiguration/rcfg-0b"), "type": "CHILD", "group": group, "domain": "b.example.com"},
            {"arn": arn("resourceconfiguration/rcfg-0c"), "type": "CHILD", "group": group},
            {"arn": arn("resourceconfiguration/rcfg-0d"), "type": "SINGLE", "domain": "d.example.com", "domain_verified": true},
            {"arn": arn("resourceconfiguration/rcfg-0e"), "type": "CIDR", "cidrs": ["10.9.0.0/16"]},
        ],
        "service_networks": [
            {"arn": arn("servicenetwork/sn-0a"), "name": "shared", "resources": [group, arn("resourceconfiguration/rcfg-0d")]},
        ],
    }))
    .unwrap();
    world.register_lattice(registration.clone()).unwrap();
    assert_eq!(world.registered_lattice().resource_configurations.len(), 5);
    (world, me)
}

fn wanted(world: &mut World, me: &Caller, kind: LatticeKind, tail: &str) -> NewLatticeEndpoint {
    let place = world.place(me);
    NewLatticeEndpoint {
        kind,
        target: arn(tail),
        vpc_id: place.vpcs.keys().next().unwrap().clone(),
        subnets: place.subnets.keys().take(1).cloned().collect(),
        ..NewLatticeEndpoint::default()
    }
}

#[test]
fn each_type_takes_its_own_kind_of_target() {
    let (mut world, me) = registered();
    for (kind, tail, code) in [
        (LatticeKind::Resource, "resourceconfiguration/rcfg-0a", ""),
        (LatticeKind::Resource, "resourceconfiguration/rcfg-0d", ""),
        (LatticeKind::Tunnel, "resourceconfiguration/rcfg-0e", ""),
        (LatticeKind::ServiceNetwork, "servicenetwork/sn-0a", ""),
        (
            LatticeKind::Resource,
            "resourceconfiguration/rcfg-0b",
            "InvalidParameter",
        ),
        (
            LatticeKind::Resource,
            "resourceconfiguration/rcfg-0e",
            "InvalidParameter",
        ),
        (
            LatticeKind::Tunnel,
            "resourceconfiguration/rcfg-0d",
            "InvalidParameter",
        ),
        (
            LatticeKind::Resource,
            "resourceconfiguration/rcfg-99",
            "InvalidResourceConfigurationArn.NotFound",
        ),
        (
            LatticeKind::Resource,
            "servicenetwork/sn-0a",
            "InvalidResourceConfigurationArn.Malformed",
        ),
        (
            LatticeKind::ServiceNetwork,
            "servicenetwork/sn-99",
            "InvalidServiceNetworkArn.NotFound",
        ),
    ] {
        let new = wanted(&mut world, &me, kind, tail);
        let made = world.create_lattice_endpoint(&me, &new, None);
        let code_seen = made.err().map(|error| error.code).unwrap_or_default();
        assert_eq!(code_seen, code, "{kind:?} to {tail}");
    }
}

#[test]
fn an_endpoint_goes_from_pending_to_available_and_lingers_when_deleted() {
    let (mut world, me) = registered();
    let new = wanted(
        &mut world,
        &me,
        LatticeKind::Resource,
        "resourceconfiguration/rcfg-0d",
    );
    let made = world.create_lattice_endpoint(&me, &new, Some("t")).unwrap();
    let again = world.create_lattice_endpoint(&me, &new, Some("t")).unwrap();
    assert_eq!(made.id, again.id);
    assert_eq!(made.life.state_at(me.now), Some(ConnectionState::Pending));
    let later = after(&me, 1_000);
    assert_eq!(
        made.life.state_at(later.now),
        Some(ConnectionState::Available)
    );
    let change = EndpointChange {
        private_dns: Some(true),
        ..EndpointChange::default()
    };
    world
        .modify_lattice_endpoint(&later, made.id.as_str(), &change)
        .unwrap();
    let (scope, payer) = ("resource-gateway-charges", "resource-gateway-account");
    let id = made.id.as_str();
    let payers = world.modify_endpoint_payer(&later, None, id, (scope, payer));
    assert_eq!(payers.unwrap()[scope], payer);
    let ids = [made.id.to_string()];
    assert!(world.delete_endpoints(&later, &ids).unwrap().is_empty());
    let page = world
        .all_endpoints(&later, &ids, &Filters::default(), &Paging::default())
        .unwrap();
    assert_eq!(page.items.len(), 1);
    let gone = after(&later, 100_000_000);
    world.sweep(gone.now);
    let error = world
        .all_endpoints(&gone, &ids, &Filters::default(), &Paging::default())
        .unwrap_err();
    assert_eq!(error.code, "InvalidVpcEndpointId.NotFound");
}

#[test]
fn a_network_is_associated_with_each_of_its_resources() {
    let (mut world, me) = registered();
    let mut new = wanted(
        &mut world,
        &me,
        LatticeKind::ServiceNetwork,
        "servicenetwork/sn-0a",
    );
    new.private_dns = true;
    let made = world.create_lattice_endpoint(&me, &new, None).unwrap();
    let list = |world: &mut World, name: &str, value: &str| {
        let (filters, paging) = (Filters::one(name, value), Paging::default());
        world
            .associations(&me, &[], &filters, &paging)
            .unwrap()
            .items
    };
    let all = list(&mut world, "vpc-endpoint-id", made.id.as_str());
    assert_eq!(all.len(), 3, "two children and one alone");
    assert!(all.iter().all(|row| row.dns_name.contains("-snra-")));
    let private: Vec<_> = all
        .iter()
        .filter_map(|row| row.private_name.as_deref())
        .collect();
    assert_eq!(private, ["d.example.com"], "the other is not verified");
    for (name, value, hits) in [
        ("associated-resource-accessibility", "PENDING", 3),
        ("associated-resource-id", "rcfg-0c", 1),
        ("resource-configuration-group-arn", "*rcfg-0a", 2),
        ("service-network-arn", "*sn-0a", 3),
        ("association-id", "vpce-rsc-asc-*", 3),
        ("association-id", "vpce-con-*", 0),
    ] {
        assert_eq!(list(&mut world, name, value).len(), hits, "{name}={value}");
    }
    let one = Paging {
        max: Some(1),
        ..Paging::default()
    };
    let page = world
        .associations(&me, &[], &Filters::default(), &one)
        .unwrap();
    assert!(page.items.len() == 1 && page.next.is_some());
    let unknown = ["vpce-00000000000000000".to_owned()];
    let error = world
        .associations(&me, &unknown, &Filters::default(), &one)
        .unwrap_err();
    assert_eq!(error.code, "InvalidVpcEndpointId.NotFound");
}

#[test]
fn what_makes_no_sense_is_not_registered() {
    let (mut world, _) = registered();
    for resource in [
        serde_json::json!({"arn": "arn:aws:s3:::x", "type": "SINGLE"}),
        serde_json::json!({"arn": arn("resourceconfiguration/rcfg-1"), "type": "CIDR"}),
        serde_json::json!({"arn": arn("resourceconfiguration/rcfg-1"), "type": "CHILD"}),
        serde_json::json!({"arn": arn("resourceconfiguration/rcfg-1"), "type": "CHILD", "group": "none"}),
    ] {
        let new = serde_json::json!({ "resource_configurations": [resource] });
        let new: Registration = serde_json::from_value(new).unwrap();
        let error = world.register_lattice(new).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
    }
    assert_eq!(world.registered_lattice().resource_configurations.len(), 5);
}
