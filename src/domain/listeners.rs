//! Whether load balancers of one service listen alike. In each zone AWS gives an endpoint one of them at random, so a port that one of them
//! lacks works for some consumers only.

use std::collections::BTreeSet;

use privatelink::{Listener, LoadBalancerArn};

/// What differs between these load balancers, as a sentence; `None` when they listen alike.
pub fn difference(balancers: &[(LoadBalancerArn, Vec<Listener>)]) -> Option<String> {
    let of = |listeners: &[Listener]| -> BTreeSet<(u16, String)> {
        let pairs = listeners.iter().map(|l| (l.port, l.protocol.clone()));
        pairs.collect()
    };
    let sets: Vec<(&LoadBalancerArn, BTreeSet<(u16, String)>)> = balancers
        .iter()
        .map(|(arn, listeners)| (arn, of(listeners)))
        .collect();
    let all: BTreeSet<&(u16, String)> = sets.iter().flat_map(|(_, set)| set).collect();
    let lacking: Vec<String> = sets
        .iter()
        .filter_map(|(arn, set)| {
            let missing = all.iter().filter(|pair| !set.contains(**pair));
            let missing: Vec<String> = missing
                .map(|(port, protocol)| format!("{protocol} {port}"))
                .collect();
            (!missing.is_empty()).then(|| format!("{arn} has no {}", missing.join(", ")))
        })
        .collect();
    (!lacking.is_empty()).then(|| lacking.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(name: &str, listeners: &[(&str, u16)]) -> (LoadBalancerArn, Vec<Listener>) {
        let arn = format!(
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/{name}/0123456789abcdef"
        );
        let listeners = listeners.iter().map(|(protocol, port)| Listener {
            arn: format!("listener-of-{name}"),
            port: *port,
            protocol: (*protocol).to_owned(),
            target_group_arns: vec![format!("of-{name}")],
        });
        (arn.parse().unwrap(), listeners.collect())
    }

    #[test]
    fn the_order_and_the_targets_of_listeners_do_not_matter() {
        let one = balancer("one", &[("TCP", 443), ("UDP", 53)]);
        let two = balancer("two", &[("UDP", 53), ("TCP", 443)]);
        assert_eq!(difference(&[one.clone(), two]), None);
        assert_eq!(difference(&[one]), None);
        assert_eq!(difference(&[]), None);
    }

    #[test]
    fn what_each_lacks_is_named() {
        let one = balancer("one", &[("TCP", 443)]);
        let two = balancer("two", &[("TCP", 443), ("TLS", 8443)]);
        let three = balancer("three", &[("TLS", 443)]);
        let told = difference(&[one.clone(), two.clone()]).unwrap();
        assert!(told.contains("net/one/"), "{told}");
        assert!(told.ends_with("has no TLS 8443"), "{told}");
        let told = difference(&[one, two, three]).unwrap();
        assert!(told.contains("has no TCP 443, TLS 8443"), "{told}");
        assert_eq!(told.matches("has no").count(), 3, "{told}");
    }
}
