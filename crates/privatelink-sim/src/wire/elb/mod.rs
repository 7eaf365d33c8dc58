//! ELBv2 on the wire: which action is where.

mod attributes;
mod certificates;
mod gateway;
mod limits;
mod listeners;
mod load_balancers;
mod tags;
mod target_groups;
mod targets;

use super::params::Params;
use crate::AwsError;
use crate::api::Api;
use crate::world::elb_tags::check_elb_tags;
use crate::world::select::{Listed, Paging, Tags};
use crate::world::{Caller, World};

type Action = fn(&mut World, &Caller, &Params<'_>) -> Result<String, AwsError>;

/// Every action that is simulated.
const ACTIONS: &[(&str, Action)] = &[
    ("AddListenerCertificates", certificates::add),
    ("AddTags", tags::add),
    ("CreateListener", listeners::create),
    ("CreateLoadBalancer", load_balancers::create),
    ("CreateTargetGroup", target_groups::create),
    ("DeleteListener", listeners::delete),
    ("DeleteLoadBalancer", load_balancers::delete),
    ("DeleteTargetGroup", target_groups::delete),
    ("DeregisterTargets", targets::deregister),
    ("DescribeAccountLimits", limits::describe),
    ("DescribeListenerAttributes", attributes::describe_listener),
    ("DescribeListenerCertificates", certificates::describe),
    ("DescribeListeners", listeners::describe),
    (
        "DescribeLoadBalancerAttributes",
        attributes::describe_load_balancer,
    ),
    ("DescribeLoadBalancers", load_balancers::describe),
    ("DescribeTags", tags::describe),
    (
        "DescribeTargetGroupAttributes",
        attributes::describe_target_group,
    ),
    ("DescribeTargetGroups", target_groups::describe),
    ("DescribeTargetHealth", targets::health),
    ("ModifyListener", listeners::modify),
    ("ModifyListenerAttributes", attributes::modify_listener),
    (
        "ModifyLoadBalancerAttributes",
        attributes::modify_load_balancer,
    ),
    ("ModifyTargetGroup", target_groups::modify),
    (
        "ModifyTargetGroupAttributes",
        attributes::modify_target_group,
    ),
    ("RegisterTargets", targets::register),
    ("RemoveListenerCertificates", certificates::remove),
    ("RemoveTags", tags::remove),
    ("SetIpAddressType", load_balancers::set_ip_address_type),
    ("SetSecurityGroups", load_balancers::set_security_groups),
    ("SetSubnets", load_balancers::set_subnets),
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
    match ACTIONS.iter().find(|(name, _)| *name == action) {
        Some((_, act)) => act(world, me, params),
        None => Err(super::unknown_action(Api::Elb, action)),
    }
}

/// AWS takes at most this many ARNs or names in one Describe.
const MAX_NAMED: usize = 20;

/// The tags of a request. A key that comes twice is refused.
fn read_tags(p: &Params<'_>) -> Result<Tags, AwsError> {
    let list = p.member_structures("Tags")?;
    let tags = super::params::tag_pairs(&list)?;
    if tags.len() < list.len() {
        return Err(AwsError::new(
            "DuplicateTagKeys",
            "A tag key was specified more than once",
        ));
    }
    check_elb_tags(&tags)?;
    Ok(tags)
}

/// What a Describe names, by ARN or by name but not both, and not too many.
fn check_named(arns: &[String], names: &[String]) -> Result<(), AwsError> {
    if !arns.is_empty() && !names.is_empty() {
        return Err(AwsError::new(
            "ValidationError",
            "Names and ARNs cannot be specified at the same time",
        ));
    }
    if arns.len().max(names.len()) > MAX_NAMED {
        return Err(AwsError::new(
            "ValidationError",
            format!("At most {MAX_NAMED} names or ARNs in one call"),
        ));
    }
    Ok(())
}

/// One page of rows: `PageSize` of 1 to 400 and an opaque `Marker`. Rows come by rising key, and a marker names the last key
/// that was given out, so that rows which come or go in between shift no page.
fn page<T>(
    p: &Params<'_>,
    listing: &str,
    limit: Option<usize>,
    mut rows: Vec<T>,
    key: impl Fn(&T) -> String,
) -> Result<Listed<T>, AwsError> {
    const LARGEST: usize = 400;
    let size = p.number::<usize>("PageSize")?.unwrap_or(LARGEST);
    if !(1..=LARGEST).contains(&size) {
        return Err(AwsError::new(
            "ValidationError",
            "PageSize must be 1 to 400",
        ));
    }
    let paging = Paging {
        max: Some(size),
        token: p.text("Marker"),
        scope: p.scope(),
    };
    // ELBv2 documents no code for a marker that it did not give out.
    let after = paging
        .after(listing)
        .map_err(|_| AwsError::new("ValidationError", "The marker is not valid"))?;
    rows.sort_by_key(&key);
    let keyed = rows.into_iter().map(|row| (key(&row), row));
    let rest = keyed.filter(|(key, _)| after.as_ref().is_none_or(|last| key > last));
    Ok(paging.take(listing, limit, rest))
}
