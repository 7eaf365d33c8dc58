//! EC2: which action is where, and the pieces that several of them write.

mod connections;
mod deletion;
mod endpoints;
mod filters;
pub(super) mod ids;
mod interfaces;
mod lattice;
mod network;
mod notifications;
mod permissions;
mod places;
mod prefix_lists;
mod routes;
mod services;
mod tags;

use privatelink::LoadBalancerArn;

use super::params::Params;
use super::xml::Xml;
use crate::AwsError;
use crate::api::Api;
use crate::error::Unsuccessful;
use crate::world::gateway_load_balancers::is_gateway;
use crate::world::payers::Payers;
use crate::world::select::Tags;
use crate::world::{Caller, World};

type Action = fn(&mut World, &Caller, &Params<'_>) -> Result<String, AwsError>;

/// Every action that is simulated.
const ACTIONS: &[(&str, Action)] = &[
    ("AcceptVpcEndpointConnections", connections::accept),
    ("CreateRouteTable", routes::create),
    ("DescribeRouteTables", routes::describe),
    ("DescribePrefixLists", prefix_lists::describe),
    ("DescribeManagedPrefixLists", prefix_lists::managed),
    ("DescribeVpcEndpointAssociations", lattice::associations),
    ("CreateSecurityGroup", network::create_security_group),
    ("CreateSubnet", network::create_subnet),
    ("CreateTags", tags::create),
    ("CreateVpc", network::create_vpc),
    ("CreateVpcEndpoint", endpoints::create),
    (
        "CreateVpcEndpointConnectionNotification",
        notifications::create,
    ),
    ("CreateVpcEndpointServiceConfiguration", services::create),
    (
        "DeleteVpcEndpointConnectionNotifications",
        notifications::delete,
    ),
    (
        "DescribeVpcEndpointConnectionNotifications",
        notifications::describe,
    ),
    (
        "ModifyVpcEndpointConnectionNotification",
        notifications::modify,
    ),
    ("DeleteTags", tags::delete),
    ("DeleteVpcEndpointServiceConfigurations", services::delete),
    ("DeleteVpcEndpoints", endpoints::delete),
    ("DescribeAvailabilityZones", places::availability_zones),
    ("DescribeRegions", places::regions),
    ("DescribeSecurityGroups", network::security_groups),
    ("DescribeSubnets", network::subnets),
    ("DescribeVpcEndpointConnections", connections::describe),
    (
        "DescribeVpcEndpointServiceConfigurations",
        services::describe,
    ),
    (
        "DescribeVpcEndpointServicePermissions",
        permissions::describe,
    ),
    ("DescribeVpcEndpointServices", services::describe_visible),
    ("DescribeVpcEndpoints", endpoints::describe),
    ("DescribeVpcs", network::vpcs),
    ("ModifyVpcAttribute", network::modify_vpc),
    ("DescribeVpcAttribute", network::vpc_attribute),
    ("ModifyVpcEndpoint", endpoints::modify),
    (
        "ModifyVpcEndpointPayerResponsibility",
        endpoints::modify_payer,
    ),
    ("ModifyVpcEndpointServiceConfiguration", services::modify),
    (
        "ModifyVpcEndpointServicePayerResponsibility",
        services::modify_payer,
    ),
    ("ModifyVpcEndpointServicePermissions", permissions::modify),
    ("RejectVpcEndpointConnections", connections::reject),
    (
        "StartVpcEndpointServicePrivateDnsVerification",
        services::start_verification,
    ),
    ("GetManagedPrefixListEntries", prefix_lists::entries),
    ("DescribeNetworkInterfaces", interfaces::describe),
    ("DeleteVpc", deletion::vpc),
    ("DeleteSubnet", deletion::subnet),
    ("DeleteSecurityGroup", deletion::group),
    ("DeleteRouteTable", deletion::table),
    ("AssociateVpcCidrBlock", network::associate_vpc),
    ("AssociateSubnetCidrBlock", network::associate_subnet),
    ("CreateRoute", routes::create_route),
    ("ReplaceRoute", routes::replace_route),
    ("DeleteRoute", routes::delete_route),
];

/// The names of all of them.
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name)
}

pub(super) fn answer(
    action: &str,
    world: &mut World,
    me: &Caller,
    params: &Params<'_>,
) -> Result<String, AwsError> {
    let Some((_, act)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
        return Err(super::unknown_action(Api::Ec2, action));
    };
    if params.flag("DryRun")? == Some(true) {
        let refused = tried(*act, world, me, params);
        return Err(filters::explained(action, params, refused));
    }
    act(world, me, params).map_err(|refused| filters::explained(action, params, refused))
}

/// What `DryRun` hears: the request is done to a copy of the world, which is thrown away.
fn tried(act: Action, world: &World, me: &Caller, params: &Params<'_>) -> AwsError {
    // Faults that befall single items are not used up by a trial.
    let me = Caller {
        forced: Vec::new(),
        ..me.clone()
    };
    let done = act(&mut world.clone(), &me, params);
    let refused = done.err().filter(|refused| {
        let about_the_request = BEFORE_THE_WORLD.contains(&refused.code.as_str())
            || refused.code.ends_with(".Malformed");
        world.behavior.dry_run_tries || about_the_request
    });
    refused.unwrap_or_else(|| {
        AwsError::with_status(
            412,
            "DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
        )
    })
}

/// Codes that say what is wrong with a request whatever the world looks like.
const BEFORE_THE_WORLD: [&str; 10] = [
    "FilterLimitExceeded",
    "InvalidFilter",
    "InvalidMaxResults",
    "InvalidNextToken",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidVpcEndpointType",
    "MissingParameter",
    "UnknownParameter",
    "UnsupportedOperation",
];

fn write_tags(xml: &mut Xml, tags: &Tags) {
    xml.items("tagSet", tags, |xml, (key, value)| {
        xml.leaf("key", key);
        xml.leaf("value", value);
    });
}

/// Newer than most SDKs, which skip what they do not know.
fn write_payers(xml: &mut Xml, payers: &Payers) {
    xml.items("payerResponsibilitySet", payers, |xml, (scope, payer)| {
        xml.leaf("scope", scope);
        xml.leaf("payerResponsibilityType", payer);
    });
}

fn write_unsuccessful(failures: &[Unsuccessful]) -> String {
    Xml::fragment(|xml| {
        xml.items("unsuccessful", failures, |xml, failure| {
            xml.node("error", |xml| {
                xml.leaf("code", &failure.error.code);
                xml.leaf("message", &failure.error.message);
            });
            xml.leaf("resourceId", &failure.resource_id);
        });
    })
}

fn write_return() -> String {
    Xml::fragment(|xml| xml.leaf("return", true))
}

fn write_dns(xml: &mut Xml, names: &[String]) {
    xml.items("dnsEntrySet", names, |xml, name| {
        xml.leaf("dnsName", name);
        xml.leaf("hostedZoneId", super::HOSTED_ZONE);
    });
}

/// One of two lists: a service never has load balancers of both types.
fn write_load_balancers(xml: &mut Xml, arns: &[LoadBalancerArn]) {
    let gateway = arns.iter().any(is_gateway);
    let name = if gateway {
        "gatewayLoadBalancerArnSet"
    } else {
        "networkLoadBalancerArnSet"
    };
    xml.texts(name, arns);
}
