//! Listeners on the wire.

use super::{read_tags, write_forward};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::gateway_load_balancers::{GENEVE, GENEVE_PORT, is_gateway};
use crate::world::listeners::Listener;
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["MutualAuthentication"])?;
    // A TLS listener is only a listener here: nothing is ever terminated.
    p.ignore(&["SslPolicy", "Certificates", "AlpnPolicy"]);
    let arn = p.required("LoadBalancerArn")?;
    let gateway = arn.parse().is_ok_and(|arn| is_gateway(&arn));
    let (protocol, port) = if gateway {
        super::gateway::check_listener(p)?;
        (GENEVE.to_owned(), GENEVE_PORT)
    } else {
        let port = p.number::<u16>("Port")?;
        let port = port.ok_or_else(|| AwsError::missing("Port"))?;
        (p.required("Protocol")?, port)
    };
    let mut target_groups = Vec::new();
    for action in p.member_structures("DefaultActions")? {
        let kind = action.required("Type")?;
        if kind != "forward" {
            return Err(AwsError::not_modelled(&format!(
                "A listener action of type {kind}"
            )));
        }
        action.ignore(&["Order"]);
        if let Some(arn) = action.text("TargetGroupArn") {
            target_groups.push(arn);
        }
        if let Some(config) = action.inside("ForwardConfig") {
            config.ignore(&["TargetGroupStickinessConfig"]);
            for group in config.member_structures("TargetGroups")? {
                group.ignore(&["Weight"]);
                let arn = group.required("TargetGroupArn")?;
                if !target_groups.contains(&arn) {
                    target_groups.push(arn);
                }
                group.finish()?;
            }
            config.finish()?;
        }
        action.finish()?;
    }
    let tags = read_tags(p)?;
    p.finish()?;
    let listener = if gateway {
        world.create_gateway_listener(me, &arn, target_groups, tags)?
    } else {
        world.create_listener(me, &arn, port, &protocol, target_groups, tags)?
    };
    Ok(Xml::fragment(|xml| {
        xml.members("Listeners", [&listener], write);
    }))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, arns) = (p.text("LoadBalancerArn"), p.members("ListenerArns")?);
    if arn.is_none() && arns.is_empty() {
        return Err(AwsError::new(
            "ValidationError",
            "You must specify either listener ARNs or a load balancer ARN",
        ));
    }
    let rows = world.listeners(me, arn.as_deref(), &arns)?;
    let (rows, next) = super::page(p, world.behavior.page_size_limit, rows)?;
    p.finish()?;
    Ok(Xml::fragment(|xml| {
        xml.members("Listeners", &rows, write);
        xml.optional("NextMarker", next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("ListenerArn")?;
    p.finish()?;
    world.delete_listener(me, &arn)?;
    Ok(String::new())
}

fn write(xml: &mut Xml, listener: &Listener) {
    xml.leaf("ListenerArn", &listener.arn);
    xml.leaf("LoadBalancerArn", &listener.load_balancer);
    xml.leaf("Port", listener.port);
    xml.leaf("Protocol", &listener.protocol);
    write_forward(xml, &listener.target_groups);
}
