//! Checks of listeners.

use std::collections::BTreeSet;

use privatelink::{EndpointService, ListenerAttributes};

use super::catalogue::CheckName;
use super::check::{Check, listed};
use super::facts::{BalancerFacts, ListenerFacts};

/// Listener protocols that a Network Load Balancer carries over PrivateLink.
const PROTOCOLS: [&str; 6] = ["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"];

pub(super) fn usable(facts: &BalancerFacts) -> Check {
    let name = CheckName::Listeners;
    let Some(all) = facts.listeners.told() else {
        return Check::unread(name, &facts.listeners);
    };
    let mut usable = all
        .iter()
        .filter(|l| PROTOCOLS.contains(&l.listener.protocol.as_str()))
        .map(ListenerFacts::label)
        .peekable();
    if usable.peek().is_some() {
        return Check::pass(name, listed(usable));
    }
    let evidence = format!("{} listeners, none of TCP, TLS, UDP or QUIC", all.len());
    Check::fail(name, evidence)
}

pub(super) fn forward(facts: &BalancerFacts) -> Check {
    let name = CheckName::ListenerTargets;
    let Some(listeners) = facts.listeners.told() else {
        return Check::unread(name, &facts.listeners);
    };
    let Some(groups) = facts.groups.told() else {
        return Check::unread(name, &facts.groups);
    };
    let mut lost = Vec::new();
    for listener in listeners {
        let arns = &listener.listener.target_group_arns;
        let reached: Vec<_> = groups
            .iter()
            .filter(|g| arns.contains(&g.group.arn))
            .collect();
        // A group whose targets were not told is not empty for all that is known.
        let empty = |g: &&super::facts::GroupFacts| g.health.told().is_some() && g.total() == 0;
        if reached.is_empty() {
            lost.push(format!("{} has no target group", listener.label()));
        } else if reached.iter().all(empty) {
            lost.push(format!("{} has no targets", listener.label()));
        }
    }
    if !lost.is_empty() {
        return Check::fail(name, listed(lost));
    }
    if let Some(unread) = groups.iter().find(|g| g.health.told().is_none()) {
        return Check::unread(name, &unread.health);
    }
    let names = groups.iter().map(|g| g.group.name.as_str());
    Check::pass(name, format!("target groups {}", listed(names)))
}

/// AWS documents that cross-Region access and a TCP idle time-out other than the default exclude each other.
pub(super) fn idle_timeout(facts: &BalancerFacts, service: Option<&EndpointService>) -> Check {
    let name = CheckName::IdleTimeout;
    let Some(listeners) = facts.listeners.told() else {
        return Check::unread(name, &facts.listeners);
    };
    let default = ListenerAttributes::DEFAULT_TCP_IDLE_TIMEOUT_SECONDS;
    let own: Vec<String> = listeners
        .iter()
        .filter_map(|l| {
            let seconds = l.attributes.told()?.tcp_idle_timeout_seconds?;
            (seconds != default).then(|| format!("{} after {seconds} s", l.label()))
        })
        .collect();
    let regions = service.map_or(&[][..], |s| &s.supported_regions);
    if !own.is_empty() {
        let evidence = format!("idle connections end on {}", listed(own));
        if regions.is_empty() {
            return Check::warn(name, evidence);
        }
        let evidence = format!("{evidence}, and the service is open to {}", listed(regions));
        return Check::fail(name, evidence);
    }
    if let Some(unread) = listeners.iter().find(|l| l.attributes.told().is_none()) {
        return Check::unread(name, &unread.attributes);
    }
    Check::pass(name, format!("{default} s, where there is one"))
}

pub(super) fn equal(balancers: &[BalancerFacts]) -> Check {
    let name = CheckName::ListenersEqual;
    let mut sets: Vec<(&str, BTreeSet<String>)> = Vec::new();
    for facts in balancers {
        let Some(all) = facts.listeners.told() else {
            return Check::unread(name, &facts.listeners);
        };
        let label = facts
            .balancer
            .told()
            .map_or(facts.arn.as_str(), |b| &b.name);
        sets.push((label, all.iter().map(ListenerFacts::label).collect()));
    }
    let union: BTreeSet<String> = sets.iter().flat_map(|(_, set)| set.clone()).collect();
    let lacking: Vec<String> = sets
        .iter()
        .filter(|(_, set)| *set != union)
        .map(|(label, set)| format!("{label} lacks {}", listed(union.difference(set))))
        .collect();
    if lacking.is_empty() {
        Check::pass(name, format!("all listen on {}", listed(&union)))
    } else {
        Check::fail(name, listed(lacking))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doctor::CheckStatus::{Fail, Pass, Unknown, Warn};
    use crate::domain::doctor::facts::Read;
    use crate::domain::doctor::testing::{Broken, group, listener, sound, sound_service, table};

    #[test]
    fn each_thing_that_breaks_changes_its_own_check() {
        use CheckName as N;
        let broken: &[Broken] = &[
            (N::Listeners, Fail, |f| {
                listener(f).listener.protocol = "GENEVE".into();
            }),
            (N::IdleTimeout, Warn, |f| {
                listener(f).attributes = Read::Told {
                    at: chrono::DateTime::UNIX_EPOCH,
                    value: ListenerAttributes {
                        tcp_idle_timeout_seconds: Some(600),
                    },
                };
            }),
            (N::IdleTimeout, Unknown, |f| {
                listener(f).attributes =
                    Read::denied("elasticloadbalancing:DescribeListenerAttributes");
            }),
            (N::IdleTimeout, Unknown, |f| {
                listener(f).attributes = Read::NotYet;
            }),
        ];
        table(broken);
    }

    #[test]
    fn no_listener_at_all_fails() {
        let mut facts = sound();
        facts.balancers[0].listeners = Read::Told {
            at: chrono::DateTime::UNIX_EPOCH,
            value: Vec::new(),
        };
        assert_eq!(usable(&facts.balancers[0]).status, Fail);
        facts.balancers[0].listeners = Read::denied("elasticloadbalancing:DescribeListeners");
        assert_eq!(usable(&facts.balancers[0]).status, Unknown);
    }

    #[test]
    fn a_listener_must_lead_to_a_target() {
        let mut facts = sound();
        listener(&mut facts).listener.target_group_arns = vec!["another".into()];
        let check = forward(&facts.balancers[0]);
        assert_eq!(
            (check.status, check.evidence.as_str()),
            (Fail, "TCP 443 has no target group")
        );
        let mut facts = sound();
        group(&mut facts).health = Read::Told {
            at: chrono::DateTime::UNIX_EPOCH,
            value: Vec::new(),
        };
        let check = forward(&facts.balancers[0]);
        assert_eq!(
            (check.status, check.evidence.as_str()),
            (Fail, "TCP 443 has no targets")
        );
        group(&mut facts).health = Read::denied("elasticloadbalancing:DescribeTargetHealth");
        assert_eq!(forward(&facts.balancers[0]).status, Unknown);
    }

    #[test]
    fn an_idle_time_out_of_ones_own_fails_with_other_regions() {
        let mut facts = sound();
        listener(&mut facts).attributes = Read::Told {
            at: chrono::DateTime::UNIX_EPOCH,
            value: ListenerAttributes {
                tcp_idle_timeout_seconds: Some(60),
            },
        };
        let mut service = sound_service();
        let facts = &facts.balancers[0];
        assert_eq!(idle_timeout(facts, Some(&service)).status, Warn);
        service.supported_regions = vec!["us-east-1".into()];
        assert_eq!(idle_timeout(facts, Some(&service)).status, Fail);
    }

    #[test]
    fn it_is_said_which_load_balancer_lacks_which_port() {
        let mut facts = sound();
        let second = facts.balancers[0].clone();
        facts.balancers.push(second);
        assert_eq!(equal(&facts.balancers).status, Pass);
        listener(&mut facts).listener.port = 8443;
        let check = equal(&facts.balancers);
        assert_eq!(check.status, Fail);
        assert_eq!(check.evidence, "edge lacks TCP 443, edge lacks TCP 8443");
        facts.balancers[1].listeners = Read::denied("elasticloadbalancing:DescribeListeners");
        assert_eq!(equal(&facts.balancers).status, Unknown);
    }
}
