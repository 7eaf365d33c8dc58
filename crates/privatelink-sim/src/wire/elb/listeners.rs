//! Listeners on the wire.

use super::{certificates, read_tags};
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::gateway_load_balancers::is_gateway;
use crate::world::listeners::{Listener, ListenerChange, NewListener};
use crate::world::{Caller, World};

pub(super) fn create(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["MutualAuthentication"])?;
    let arn = p.required("LoadBalancerArn")?;
    if arn.parse().is_ok_and(|arn| is_gateway(&arn)) {
        return super::gateway::create_listener(world, me, p, &arn);
    }
    let (forward, stickiness) = read_forward(p)?;
    let new = NewListener {
        load_balancer: arn,
        port: p
            .number::<u16>("Port")?
            .ok_or_else(|| AwsError::missing("Port"))?,
        protocol: p.required("Protocol")?,
        forward,
        stickiness,
        certificate: read_certificate(p)?,
        ssl_policy: p.text("SslPolicy"),
        alpn_policy: read_alpn(p)?,
        tags: read_tags(p)?,
    };
    p.finish()?;
    world
        .create_listener(me, new)
        .map(|listener| shown(&listener))
}

pub(super) fn modify(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["MutualAuthentication"])?;
    let arn = p.required("ListenerArn")?;
    let (forward, stickiness) = read_forward(p)?;
    let change = ListenerChange {
        port: p.number::<u16>("Port")?,
        protocol: p.text("Protocol"),
        forward,
        stickiness,
        certificate: read_certificate(p)?,
        ssl_policy: p.text("SslPolicy"),
        alpn_policy: read_alpn(p)?,
    };
    p.finish()?;
    let listener = world.modify_listener(me, &arn, change)?;
    Ok(shown(&listener))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (arn, arns) = (p.text("LoadBalancerArn"), p.members("ListenerArns")?);
    if arn.is_some() != arns.is_empty() {
        return Err(AwsError::new(
            "ValidationError",
            "You must specify either listener ARNs or a load balancer ARN",
        ));
    }
    super::check_named(&arns, &[])?;
    let rows = world.listeners(me, arn.as_deref(), &arns)?;
    let limit = world.behavior.page_size_limit;
    let page = super::page(p, "DescribeListeners", limit, rows, |l| l.arn.clone())?;
    p.finish()?;
    Ok(Xml::fragment(|xml| {
        xml.members("Listeners", &page.items, write);
        xml.optional("NextMarker", page.next);
    }))
}

pub(super) fn delete(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let arn = p.required("ListenerArn")?;
    p.finish()?;
    world.delete_listener(me, &arn)?;
    Ok(String::new())
}

/// Target groups with weights.
type Forward = Vec<(String, Option<u16>)>;

/// Where the default action forwards to, and whether clients stay with a target group.
pub(super) fn read_forward(p: &Params<'_>) -> Result<(Forward, Option<bool>), AwsError> {
    let mut forward = Forward::new();
    let mut stays = None;
    let actions = p.member_structures("DefaultActions")?;
    if actions.len() > 1 {
        return Err(AwsError::new(
            "TooManyActions",
            "A listener of a network load balancer has one default action",
        ));
    }
    for action in actions {
        let kind = action.required("Type")?;
        if kind != "forward" {
            return Err(AwsError::not_modelled(&format!(
                "A listener action of type {kind}"
            )));
        }
        action.ignore(&["Order"]);
        let short = action.text("TargetGroupArn");
        if let Some(config) = action.inside("ForwardConfig") {
            if let Some(stickiness) = config.inside("TargetGroupStickinessConfig") {
                // The duration belongs to Application Load Balancers.
                stickiness.not_modelled(&["DurationSeconds"])?;
                stays = stickiness.flag("Enabled")?;
                stickiness.finish()?;
            }
            for group in config.member_structures("TargetGroups")? {
                forward.push((group.required("TargetGroupArn")?, group.number("Weight")?));
                group.finish()?;
            }
            config.finish()?;
        }
        match short {
            Some(arn) if forward.is_empty() => forward.push((arn, None)),
            Some(arn) if forward.len() > 1 || forward.iter().any(|(other, _)| *other != arn) => {
                return Err(AwsError::new(
                    "InvalidLoadBalancerAction",
                    "TargetGroupArn and ForwardConfig must name the same target group",
                ));
            }
            _ => {}
        }
        action.finish()?;
    }
    Ok((forward, stays))
}

/// The default certificate: at most one is taken.
fn read_certificate(p: &Params<'_>) -> Result<Option<String>, AwsError> {
    let list = p.member_structures("Certificates")?;
    if list.len() > 1 {
        return Err(AwsError::new(
            "TooManyCertificates",
            "Exactly one default certificate can be specified",
        ));
    }
    let Some(certificate) = list.first() else {
        return Ok(None);
    };
    let arn = certificates::read_one(certificate)?;
    certificate.finish()?;
    Ok(Some(arn))
}

fn read_alpn(p: &Params<'_>) -> Result<Option<String>, AwsError> {
    let list = p.members("AlpnPolicy")?;
    if list.len() > 1 {
        return Err(AwsError::new(
            "ValidationError",
            "One ALPN policy can be specified",
        ));
    }
    Ok(list.into_iter().next())
}

pub(super) fn shown(listener: &Listener) -> String {
    Xml::fragment(|xml| xml.members("Listeners", [listener], write))
}

fn write(xml: &mut Xml, listener: &Listener) {
    xml.leaf("ListenerArn", &listener.arn);
    xml.leaf("LoadBalancerArn", &listener.load_balancer);
    xml.leaf("Port", listener.port);
    xml.leaf("Protocol", &listener.protocol);
    if let Some(tls) = &listener.tls {
        xml.members("Certificates", [&tls.certificate], |xml, arn| {
            xml.leaf("CertificateArn", arn);
        });
        xml.leaf("SslPolicy", &tls.ssl_policy);
    }
    xml.members("DefaultActions", [listener], write_forward);
    if let Some(policy) = listener
        .tls
        .as_ref()
        .and_then(|tls| tls.alpn_policy.as_ref())
    {
        xml.node("AlpnPolicy", |xml| xml.leaf("member", policy));
    }
}

fn write_forward(xml: &mut Xml, listener: &Listener) {
    xml.leaf("Type", "forward");
    if let [only] = listener.target_groups.as_slice() {
        xml.leaf("TargetGroupArn", only);
    }
    xml.leaf("Order", 1);
    xml.node("ForwardConfig", |xml| {
        xml.members("TargetGroups", &listener.target_groups, |xml, arn| {
            xml.leaf("TargetGroupArn", arn);
            xml.optional("Weight", listener.weights.get(arn));
        });
        if let Some(stays) = listener.stickiness {
            xml.node("TargetGroupStickinessConfig", |xml| {
                xml.leaf("Enabled", stays);
            });
        }
    });
}
