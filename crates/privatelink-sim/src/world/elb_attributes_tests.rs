//! Rules of attributes.

use super::*;
use crate::world::certificates::Tls;
use crate::world::listeners::NewListener;
use crate::world::testing::{PROVIDER, caller, load_balancer, target_group, world};

fn pair(key: &str, value: &str) -> Vec<Attribute> {
    vec![(key.to_owned(), value.to_owned())]
}

fn shown(rows: &[Attribute], key: &str) -> Option<String> {
    let mut found = rows.iter().filter(|(k, _)| k == key);
    found.next().map(|(_, value)| value.clone())
}

#[test]
fn a_network_load_balancer_starts_with_awss_defaults() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge").to_string();
    let rows = world.load_balancer_attributes(&me, &arn).unwrap();
    for (key, value) in [
        (PROTECTION, "false"),
        (CROSS_ZONE, "false"),
        (LOGS, "false"),
        (LOGS_BUCKET, ""),
        ("zonal_shift.config.enabled", "false"),
        ("dns_record.client_routing_policy", "any_availability_zone"),
        (SECONDARY_IPS, "0"),
    ] {
        assert_eq!(shown(&rows, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(shown(&rows, DENY_IPV6), None);
    world.set_ip_address_type(&me, &arn, "dualstack").unwrap();
    let rows = world.load_balancer_attributes(&me, &arn).unwrap();
    assert_eq!(shown(&rows, DENY_IPV6).as_deref(), Some("false"));
}

#[test]
fn load_balancer_attributes_are_checked_before_any_changes() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let arn = load_balancer(&mut world, &me, "edge").to_string();
    let mut modify =
        |changes: &[Attribute]| world.modify_load_balancer_attributes(&me, &arn, changes);
    let policy = "dns_record.client_routing_policy";
    for (key, value, code) in [
        ("colour", "red", "ValidationError"),
        (CROSS_ZONE, "yes", "ValidationError"),
        (policy, "nearest", "ValidationError"),
        (SECONDARY_IPS, "8", "ValidationError"),
        (
            "idle_timeout.timeout_seconds",
            "60",
            "InvalidConfigurationRequest",
        ),
        (DENY_IPV6, "true", "InvalidConfigurationRequest"),
        (LOGS, "true", "InvalidConfigurationRequest"),
    ] {
        let mut changes = pair(PROTECTION, "true");
        changes.extend(pair(key, value));
        assert_eq!(modify(&changes).unwrap_err().code, code, "{key}");
    }
    let twice = [pair(CROSS_ZONE, "true"), pair(CROSS_ZONE, "true")].concat();
    assert_eq!(modify(&twice).unwrap_err().code, "ValidationError");
    let rows = modify(&pair(SECONDARY_IPS, "3")).unwrap();
    assert_eq!(shown(&rows, PROTECTION).as_deref(), Some("false"));
    let fewer = modify(&pair(SECONDARY_IPS, "2")).unwrap_err();
    assert_eq!(fewer.code, "InvalidConfigurationRequest");
    let rows = modify(&pair(CROSS_ZONE, "true")).unwrap();
    assert_eq!(shown(&rows, CROSS_ZONE).as_deref(), Some("true"));
    assert!(world.load_balancer(&me, &arn).unwrap().cross_zone);
}

#[test]
fn the_protocol_decides_about_client_addresses_and_termination() {
    let (mut world, me) = (world(), caller(PROVIDER));
    for (protocol, client_ip, delay_cuts, unhealthy_cuts) in [
        ("TCP", "false", "false", "true"),
        ("TLS", "false", "false", "true"),
        ("UDP", "true", "true", "false"),
        ("TCP_UDP", "true", "true", "false"),
    ] {
        let name = protocol.replace('_', "-");
        let arn = target_group(&mut world, &me, &name, protocol);
        let rows = world.target_group_attributes(&me, &arn).unwrap();
        assert_eq!(
            shown(&rows, CLIENT_IP).as_deref(),
            Some(client_ip),
            "{protocol}"
        );
        assert_eq!(
            shown(&rows, DELAY_CUTS).as_deref(),
            Some(delay_cuts),
            "{protocol}"
        );
        assert_eq!(
            shown(&rows, UNHEALTHY_CUTS).as_deref(),
            Some(unhealthy_cuts),
            "{protocol}"
        );
        assert_eq!(shown(&rows, DELAY).as_deref(), Some("300"));
        assert_eq!(
            shown(&rows, CROSS_ZONE).as_deref(),
            Some("use_load_balancer_configuration")
        );
    }
}

#[test]
fn target_group_attributes_keep_their_rules() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let tcp = target_group(&mut world, &me, "tcp", "TCP");
    let udp = target_group(&mut world, &me, "udp", "UDP");
    for (arn, key, value, code) in [
        (&tcp, DELAY, "3601", "ValidationError"),
        (&tcp, "proxy_protocol_v2.enabled", "on", "ValidationError"),
        (&tcp, "stickiness.type", "lb_cookie", "ValidationError"),
        (
            &tcp,
            "slow_start.duration_seconds",
            "30",
            "InvalidConfigurationRequest",
        ),
        (&tcp, UNHEALTHY_DRAINS, "10", "InvalidConfigurationRequest"),
        (&udp, CLIENT_IP, "false", "InvalidConfigurationRequest"),
        (&udp, UNHEALTHY_CUTS, "true", "InvalidConfigurationRequest"),
    ] {
        let refused = world.modify_target_group_attributes(&me, arn, &pair(key, value));
        assert_eq!(refused.unwrap_err().code, code, "{key}");
    }
    let both = [pair(UNHEALTHY_CUTS, "false"), pair(UNHEALTHY_DRAINS, "10")].concat();
    let rows = world
        .modify_target_group_attributes(&me, &tcp, &both)
        .unwrap();
    assert_eq!(shown(&rows, UNHEALTHY_DRAINS).as_deref(), Some("10"));
    let proxy = pair("proxy_protocol_v2.enabled", "true");
    let rows = world
        .modify_target_group_attributes(&me, &tcp, &proxy)
        .unwrap();
    assert_eq!(shown(&rows, &proxy[0].0).as_deref(), Some("true"));
}

#[test]
fn the_idle_timeout_is_for_tcp_listeners() {
    let (mut world, me) = (world(), caller(PROVIDER));
    let new = NewListener {
        load_balancer: load_balancer(&mut world, &me, "edge").to_string(),
        port: 443,
        protocol: "TCP".into(),
        forward: vec![(target_group(&mut world, &me, "tg", "TCP"), None)],
        ..NewListener::default()
    };
    let arn = world.create_listener(&me, new).unwrap().arn;
    let key = TCP_LISTENER[0].0;
    let rows = world.listener_attributes(&me, &arn).unwrap();
    assert_eq!(rows, pair(key, "350"));
    for (value, good) in [("59", false), ("60", true), ("6000", true), ("6001", false)] {
        let changed = world.modify_listener_attributes(&me, &arn, &pair(key, value));
        assert_eq!(changed.is_ok(), good, "{value}");
    }
    let listener = world.listener(&me, &arn).unwrap();
    listener.protocol = "TLS".into();
    listener.tls = Some(Tls {
        certificate: String::new(),
        more_certificates: Vec::new(),
        ssl_policy: String::new(),
        alpn_policy: None,
    });
    assert!(world.listener_attributes(&me, &arn).unwrap().is_empty());
    let error = world.modify_listener_attributes(&me, &arn, &pair(key, "60"));
    assert_eq!(error.unwrap_err().code, "InvalidConfigurationRequest");
}
