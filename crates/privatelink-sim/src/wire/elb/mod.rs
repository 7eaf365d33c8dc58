//! ELBv2 on the wire: which action is where.

mod attributes;
mod listeners;
mod load_balancers;
mod targets;

use super::params::Params;
use super::xml::Xml;
use crate::AwsError;
use crate::api::Api;
use crate::world::select::Tags;
use crate::world::{Caller, World};

type Action = fn(&mut World, &Caller, &Params<'_>) -> Result<String, AwsError>;

/// Every action that is simulated.
const ACTIONS: &[(&str, Action)] = &[
    ("CreateListener", listeners::create),
    ("CreateLoadBalancer", load_balancers::create),
    ("CreateTargetGroup", targets::create),
    ("DeleteListener", listeners::delete),
    ("DeleteLoadBalancer", load_balancers::delete),
    ("DeleteTargetGroup", targets::delete),
    ("DeregisterTargets", targets::deregister),
    ("DescribeListeners", listeners::describe),
    ("DescribeLoadBalancerAttributes", attributes::describe),
    ("DescribeLoadBalancers", load_balancers::describe),
    ("DescribeTags", attributes::tags),
    ("DescribeTargetGroups", targets::describe),
    ("DescribeTargetHealth", targets::health),
    ("ModifyLoadBalancerAttributes", attributes::modify),
    ("RegisterTargets", targets::register),
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

fn read_tags(p: &Params<'_>) -> Result<Tags, AwsError> {
    super::params::tag_list(&p.member_structures("Tags")?)
}

/// One page of rows: `PageSize` of 1 to 400 and `Marker`, which is the number of rows that were given out.
fn page<T>(
    p: &Params<'_>,
    limit: Option<usize>,
    mut rows: Vec<T>,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    const LARGEST: usize = 400;
    let size = p.number::<usize>("PageSize")?.unwrap_or(LARGEST);
    if !(1..=LARGEST).contains(&size) {
        return Err(AwsError::new(
            "ValidationError",
            "PageSize must be 1 to 400",
        ));
    }
    let size = size.min(limit.unwrap_or(LARGEST)).max(1);
    let start = match p.text("Marker") {
        None => 0,
        Some(marker) => marker
            .parse::<usize>()
            .ok()
            .filter(|start| *start <= rows.len())
            .ok_or_else(|| AwsError::new("ValidationError", "The marker is not valid"))?,
    };
    let mut rest = rows.split_off(start);
    let more = rest.len() > size;
    rest.truncate(size);
    Ok((rest, more.then(|| (start + size).to_string())))
}

fn write_forward(xml: &mut Xml, target_groups: &[String]) {
    xml.members("DefaultActions", target_groups, |xml, arn| {
        xml.leaf("Type", "forward");
        xml.leaf("TargetGroupArn", arn);
        xml.leaf("Order", 1);
        xml.node("ForwardConfig", |xml| {
            xml.members("TargetGroups", [arn], |xml, arn| {
                xml.leaf("TargetGroupArn", arn);
            });
        });
    });
}
