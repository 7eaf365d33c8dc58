//! From ELBv2's rows to the port's.

use aws_sdk_elasticloadbalancingv2::types as elb;
use privatelink::{
    Listener, ListenerAttributes, LoadBalancer, LoadBalancerAttributes, TargetGroup,
    TargetGroupAttributes, TargetHealth, TargetState,
};

use super::{named, parsed};

/// The attribute that spreads traffic over zones; of load balancers and of target groups.
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

/// One load balancer; `None` when AWS left out its ARN.
pub(crate) fn load_balancer(row: &elb::LoadBalancer) -> Option<LoadBalancer> {
    let state = row.state();
    Some(LoadBalancer {
        arn: parsed("load balancer ARN", row.load_balancer_arn())?,
        name: row.load_balancer_name().unwrap_or_default().to_owned(),
        kind: row.r#type().map_or("", |kind| kind.as_str()).to_owned(),
        state: state
            .and_then(|state| state.code())
            .map_or("", |code| code.as_str())
            .to_owned(),
        state_reason: state.and_then(|state| state.reason()).map(str::to_owned),
        scheme: row.scheme().map_or("", |scheme| scheme.as_str()).to_owned(),
        ip_address_type: row.ip_address_type().map(|kind| kind.as_str().to_owned()),
        availability_zones: row
            .availability_zones()
            .iter()
            .filter_map(|zone| zone.zone_name())
            .map(str::to_owned)
            .collect(),
        security_groups: row.security_groups().to_vec(),
        // The wire says "on" or "off", and nothing where there are no security groups.
        enforce_security_groups_on_private_link: row
            .enforce_security_group_inbound_rules_on_private_link_traffic()
            .map(|word| word == "on"),
    })
}

/// What is read of a load balancer's attributes. AWS sends all that apply; both are off unless it says otherwise.
pub(crate) fn load_balancer_attributes(
    rows: &[elb::LoadBalancerAttribute],
) -> LoadBalancerAttributes {
    let is_true = |key| {
        rows.iter()
            .any(|row| row.key() == Some(key) && row.value() == Some("true"))
    };
    LoadBalancerAttributes {
        cross_zone: is_true(CROSS_ZONE),
        deletion_protection: is_true("deletion_protection.enabled"),
    }
}

/// What is read of a listener's attributes.
pub(crate) fn listener_attributes(rows: &[elb::ListenerAttribute]) -> ListenerAttributes {
    let row = rows
        .iter()
        .find(|row| row.key() == Some("tcp.idle_timeout.seconds"));
    ListenerAttributes {
        tcp_idle_timeout_seconds: row
            .and_then(elb::ListenerAttribute::value)
            .and_then(|value| value.parse().ok()),
    }
}

/// What is read of a target group's attributes.
pub(crate) fn target_group_attributes(rows: &[elb::TargetGroupAttribute]) -> TargetGroupAttributes {
    let value = |key| {
        rows.iter()
            .find(|row| row.key() == Some(key))
            .and_then(elb::TargetGroupAttribute::value)
    };
    TargetGroupAttributes {
        // `use_load_balancer_configuration` is neither.
        cross_zone: value(CROSS_ZONE).and_then(|value| value.parse().ok()),
        proxy_protocol_v2: value("proxy_protocol_v2.enabled") == Some("true"),
    }
}

/// One listener; `None` when AWS left out its ARN or its port.
pub(crate) fn listener(row: &elb::Listener) -> Option<Listener> {
    Some(Listener {
        arn: named("listener ARN", row.listener_arn())?,
        port: port(row.port())?,
        protocol: row
            .protocol()
            .map_or("", |protocol| protocol.as_str())
            .to_owned(),
        target_group_arns: forwards_to(row.default_actions()),
    })
}

/// A forward names its target group directly, in a weighted list, or the same one in both.
fn forwards_to(actions: &[elb::Action]) -> Vec<String> {
    let mut arns: Vec<String> = Vec::new();
    for action in actions {
        let weighted = action
            .forward_config()
            .map(elb::ForwardActionConfig::target_groups)
            .unwrap_or_default()
            .iter()
            .filter_map(elb::TargetGroupTuple::target_group_arn);
        for arn in action.target_group_arn().into_iter().chain(weighted) {
            if !arns.iter().any(|known| known == arn) {
                arns.push(arn.to_owned());
            }
        }
    }
    arns
}

/// One target group; `None` when AWS left out its ARN.
pub(crate) fn target_group(row: &elb::TargetGroup) -> Option<TargetGroup> {
    Some(TargetGroup {
        arn: named("target group ARN", row.target_group_arn())?,
        name: row.target_group_name().unwrap_or_default().to_owned(),
        target_type: row
            .target_type()
            .map_or("", |kind| kind.as_str())
            .to_owned(),
    })
}

/// One target's health; `None` when AWS left out which target.
pub(crate) fn target_health(row: &elb::TargetHealthDescription) -> Option<TargetHealth> {
    let target = row.target();
    let health = row.target_health();
    Some(TargetHealth {
        target_id: named("target", target.and_then(|target| target.id()))?,
        port: target.and_then(|target| port(target.port())),
        // "all" is a target outside the VPC: no zone in particular.
        availability_zone: target
            .and_then(|target| target.availability_zone())
            .filter(|zone| *zone != "all")
            .map(str::to_owned),
        state: TargetState::parse(
            health
                .and_then(|health| health.state())
                .map_or("", |state| state.as_str()),
        ),
        reason: health
            .and_then(|health| health.reason())
            .map(|reason| reason.as_str().to_owned()),
    })
}

fn port(raw: Option<i32>) -> Option<u16> {
    raw.and_then(|port| u16::try_from(port).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_read_from_either_place_and_once() {
        let in_config = |arn: &str| {
            let group = elb::TargetGroupTuple::builder().target_group_arn(arn);
            elb::ForwardActionConfig::builder()
                .target_groups(group.build())
                .build()
        };
        let forward = elb::ActionTypeEnum::Forward;
        let both = elb::Action::builder()
            .r#type(forward.clone())
            .target_group_arn("arn:one")
            .forward_config(in_config("arn:one"))
            .build();
        let weighted = elb::Action::builder()
            .r#type(forward)
            .forward_config(in_config("arn:two"))
            .build();
        assert_eq!(forwards_to(&[both, weighted]), ["arn:one", "arn:two"]);
    }

    #[test]
    fn a_target_without_any_word_about_its_health_is_not_healthy() {
        let target = elb::TargetDescription::builder().id("10.0.0.7").build();
        let row = elb::TargetHealthDescription::builder().target(target);
        let read = target_health(&row.build()).unwrap();
        assert_eq!(read.state, TargetState::Unknown(String::new()));
        assert_eq!((read.port, read.availability_zone), (None, None));
    }

    #[test]
    fn enforcement_is_absent_without_security_groups() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/edge/0123456789abcdef";
        let bare = elb::LoadBalancer::builder().load_balancer_arn(arn).build();
        let read = load_balancer(&bare).unwrap();
        assert_eq!(read.enforce_security_groups_on_private_link, None);
        let off = elb::LoadBalancer::builder()
            .load_balancer_arn(arn)
            .enforce_security_group_inbound_rules_on_private_link_traffic("off")
            .build();
        let read = load_balancer(&off).unwrap();
        assert_eq!(read.enforce_security_groups_on_private_link, Some(false));
    }

    #[test]
    fn a_target_group_that_does_as_its_load_balancer_says_neither() {
        let row = |key: &str, value: &str| {
            elb::TargetGroupAttribute::builder()
                .key(key)
                .value(value)
                .build()
        };
        for (word, want) in [
            ("use_load_balancer_configuration", None),
            ("true", Some(true)),
            ("false", Some(false)),
        ] {
            let read = target_group_attributes(&[row(CROSS_ZONE, word)]);
            assert_eq!((read.cross_zone, read.proxy_protocol_v2), (want, false));
        }
        let read = target_group_attributes(&[row("proxy_protocol_v2.enabled", "true")]);
        assert!(read.proxy_protocol_v2);
    }

    #[test]
    fn a_listener_without_an_idle_timeout_has_none() {
        assert_eq!(listener_attributes(&[]).tcp_idle_timeout_seconds, None);
        let row = elb::ListenerAttribute::builder()
            .key("tcp.idle_timeout.seconds")
            .value("600");
        let read = listener_attributes(&[row.build()]);
        assert_eq!(read.tcp_idle_timeout_seconds, Some(600));
    }

    #[test]
    fn a_load_balancers_switches_are_off_unless_aws_says_true() {
        let row = |key: &str, value: &str| {
            elb::LoadBalancerAttribute::builder()
                .key(key)
                .value(value)
                .build()
        };
        let read = load_balancer_attributes(&[row(CROSS_ZONE, "true")]);
        assert!(read.cross_zone && !read.deletion_protection);
        let read = load_balancer_attributes(&[row("deletion_protection.enabled", "true")]);
        assert!(!read.cross_zone && read.deletion_protection);
    }
}
