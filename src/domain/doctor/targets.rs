//! Checks of target groups and their targets.

use std::collections::BTreeSet;

use privatelink::{LoadBalancer, TargetState};

use super::catalogue::CheckName;
use super::check::{Check, CheckStatus, listed};
use super::facts::{BalancerFacts, Facts, GroupFacts, Read};

/// Whether the targets that take part are healthy, group by group: a listener's traffic does not go to another's targets.
pub(super) fn health(facts: &BalancerFacts, all: &Facts) -> Check {
    let name = CheckName::TargetHealth;
    if facts.groups.told().is_none() {
        return Check::unread(name, &facts.groups);
    }
    let (mut worst, mut lines) = (CheckStatus::Pass, Vec::new());
    let mut starting = true;
    for group in facts.used_groups() {
        if group.health.told().is_none() {
            return Check::unread(name, &group.health);
        }
        let count = |state| group.count(&state);
        let healthy = count(TargetState::Healthy);
        let status = if healthy == 0 && count(TargetState::Unavailable) > 0 {
            // Health checks that are switched off prove nothing.
            CheckStatus::Unknown
        } else if healthy == 0 {
            CheckStatus::Fail
        } else if healthy + count(TargetState::Draining) + count(TargetState::Unused)
            == group.total()
        {
            CheckStatus::Pass
        } else {
            CheckStatus::Warn
        };
        if status != CheckStatus::Pass {
            starting &= count(TargetState::Initial) > 0;
        }
        worst = worse(worst, status);
        lines.push(describe(group, healthy, all));
    }
    if lines.is_empty() {
        return Check::fail(name, "no target group behind any listener");
    }
    let check = Check::new(name, worst, listed(lines));
    match worst {
        CheckStatus::Pass => check,
        CheckStatus::Unknown => check
            .because("the health checks tell nothing")
            .with_fix("switch the health checks of the target group on"),
        CheckStatus::Warn | CheckStatus::Fail if starting => check
            .because("the first health checks of new targets have not ended")
            .with_fix("wait for them"),
        CheckStatus::Warn | CheckStatus::Fail => {
            let expects =
                |g: &&GroupFacts| g.attributes.told().is_some_and(|a| a.proxy_protocol_v2);
            if facts.used_groups().iter().any(expects) {
                check.because("targets fail their health checks; PROXY protocol v2 is on, and targets that do not expect its header fail")
            } else {
                check
            }
        }
    }
}

fn worse(one: CheckStatus, other: CheckStatus) -> CheckStatus {
    let rank = |status| match status {
        CheckStatus::Pass => 0,
        CheckStatus::Warn => 1,
        CheckStatus::Unknown => 2,
        CheckStatus::Fail => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// How many targets of a group are healthy, and what is the matter with the others, zone by zone.
fn describe(group: &GroupFacts, healthy: u32, all: &Facts) -> String {
    let others: Vec<String> = group
        .health
        .told()
        .into_iter()
        .flatten()
        .filter(|c| c.state != TargetState::Healthy.as_str())
        .map(|c| {
            let reason = c.reason.as_deref().unwrap_or(&c.state);
            let zone = c.zone.as_deref();
            let place = zone.map(|zone| format!(" in {}", all.zone_label(zone)));
            format!("{} {reason}{}", c.count, place.unwrap_or_default())
        })
        .collect();
    let name = &group.group.name;
    let line = format!("{healthy} of {} targets of {name} healthy", group.total());
    if others.is_empty() {
        line
    } else {
        format!("{line} ({})", listed(others))
    }
}

/// The zones of a load balancer whose traffic reaches no healthy target, by name; `None` where that cannot be told.
pub(super) fn bare_zones(
    balancer: &LoadBalancer,
    facts: &BalancerFacts,
) -> Option<BTreeSet<String>> {
    facts.groups.told()?;
    let mut bare = BTreeSet::new();
    for group in facts.used_groups() {
        let counts = group.health.told()?;
        let healthy = |zone: &String| {
            counts.iter().any(|c| {
                c.state == TargetState::Healthy.as_str()
                    && c.zone.as_ref().is_none_or(|z| z == zone)
            })
        };
        let zones = balancer.availability_zones.iter();
        let without: Vec<_> = zones.filter(|zone| !healthy(zone)).cloned().collect();
        if without.is_empty() {
            continue;
        }
        if crosses_zones(facts, group)? {
            // Every zone reaches every target: none does only when there is no healthy one.
            if group.count(&TargetState::Healthy) == 0 {
                bare.extend(without);
            }
        } else {
            bare.extend(without);
        }
    }
    Some(bare)
}

/// The zones of a service whose traffic reaches a healthy target, by id, or by name where the id is not known; `None` where that cannot be told.
pub fn healthy_zones(facts: &Facts) -> Option<BTreeSet<String>> {
    let mut healthy = BTreeSet::new();
    for one in &facts.balancers {
        let balancer = one.balancer.told()?;
        let bare = bare_zones(balancer, one)?;
        if one.used_groups().is_empty() {
            continue;
        }
        let zones = balancer.availability_zones.iter();
        let good = zones.filter(|zone| !bare.contains(*zone));
        healthy.extend(good.map(|zone| facts.zone_label(zone)));
    }
    Some(healthy)
}

/// Whether traffic to a group crosses zones: the group's own word, else the load balancer's.
fn crosses_zones(facts: &BalancerFacts, group: &GroupFacts) -> Option<bool> {
    let own = group.attributes.told()?.cross_zone;
    own.or_else(|| facts.attributes.told().map(|a| a.cross_zone))
}

pub(super) fn zones(balancer: &LoadBalancer, facts: &BalancerFacts, all: &Facts) -> Check {
    let name = CheckName::TargetZones;
    let Some(bare) = bare_zones(balancer, facts) else {
        return unread(name, facts);
    };
    let used = facts.used_groups();
    let crossing = used
        .iter()
        .filter(|group| crosses_zones(facts, group) == Some(true))
        .count();
    let word = match crossing {
        0 => "off",
        n if n == used.len() => "on",
        _ => "on for some target groups",
    };
    let evidence = format!("cross-zone balancing is {word}");
    if bare.is_empty() {
        return Check::pass(name, evidence);
    }
    let bare = bare.iter().map(|zone| all.zone_label(zone));
    Check::warn(
        name,
        format!("{evidence}, no healthy target in {}", listed(bare)),
    )
}

/// The first thing that was not told of what a check of targets needs.
fn unread(name: CheckName, facts: &BalancerFacts) -> Check {
    if facts.groups.told().is_none() {
        return Check::unread(name, &facts.groups);
    }
    for group in facts.used_groups() {
        if group.health.told().is_none() {
            return Check::unread(name, &group.health);
        }
        if group.attributes.told().is_none() {
            return Check::unread(name, &group.attributes);
        }
    }
    Check::unread(name, &facts.attributes)
}

pub(super) fn unused(facts: &BalancerFacts) -> Check {
    let name = CheckName::TargetsUnused;
    let Some(groups) = facts.groups.told() else {
        return Check::unread(name, &facts.groups);
    };
    let unused: Vec<String> = groups
        .iter()
        .filter(|group| group.count(&TargetState::Unused) > 0)
        .map(|group| {
            let count = group.count(&TargetState::Unused);
            format!(
                "{count} of {} targets of {}",
                group.total(),
                group.group.name
            )
        })
        .collect();
    if !unused.is_empty() {
        return Check::warn(name, listed(unused));
    }
    match groups.iter().find(|group| group.health.told().is_none()) {
        Some(group) => Check::unread(name, &group.health),
        None => Check::pass(name, "none is unused"),
    }
}

pub(super) fn proxy_protocol(facts: &BalancerFacts) -> Check {
    let name = CheckName::ProxyProtocol;
    let Some(groups) = facts.groups.told() else {
        return Check::unread(name, &facts.groups);
    };
    let on: Vec<&str> = groups
        .iter()
        .filter(|g| g.attributes.told().is_some_and(|a| a.proxy_protocol_v2))
        .map(|g| g.group.name.as_str())
        .collect();
    if !on.is_empty() {
        return Check::warn(name, format!("on for {}", listed(on)));
    }
    let told = |g: &&GroupFacts| matches!(g.attributes, Read::Told { .. });
    match groups.iter().find(|g| !told(g)) {
        Some(group) => Check::unread(name, &group.attributes),
        None => Check::pass(name, "off for all target groups"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doctor::testing::{
        Broken, attributes, group, set_state, sound, table, table_of,
    };
    use CheckName as N;
    use CheckStatus::{Fail, Unknown, Warn};

    #[test]
    fn each_thing_that_breaks_changes_its_own_check() {
        let broken: &[Broken] = &[
            (N::ProxyProtocol, Warn, |f| {
                attributes(f).proxy_protocol_v2 = true;
            }),
            (N::TargetsUnused, Warn, |f| {
                let Read::Told { value, .. } = &mut group(f).health else {
                    panic!()
                };
                value.push(super::super::facts::TargetCount {
                    zone: Some("eu-west-1c".into()),
                    state: "unused".into(),
                    reason: Some("Target.NotInUse".into()),
                    count: 1,
                });
            }),
            (N::ProxyProtocol, Unknown, |f| {
                group(f).attributes =
                    Read::denied("elasticloadbalancing:DescribeTargetGroupAttributes");
            }),
        ];
        table(broken);
    }

    #[test]
    fn health_and_zones_change_together_where_they_must() {
        let sick = Some("Target.FailedHealthChecks");
        // One zone is sick: some targets are unhealthy, and the zone's traffic goes nowhere.
        let mut facts = sound();
        set_state(group(&mut facts), 0, "unhealthy", sick);
        table_of(&facts, &[(N::TargetHealth, Warn), (N::TargetZones, Warn)]);
        // With cross-zone balancing, by the load balancer or by the group, no zone is cut off.
        let Read::Told { value, .. } = &mut facts.balancers[0].attributes else {
            panic!()
        };
        value.cross_zone = true;
        table_of(&facts, &[(N::TargetHealth, Warn)]);
        attributes(&mut facts).cross_zone = Some(false);
        table_of(&facts, &[(N::TargetHealth, Warn), (N::TargetZones, Warn)]);
        let mut facts = sound();
        set_state(group(&mut facts), 0, "unhealthy", sick);
        attributes(&mut facts).cross_zone = Some(true);
        table_of(&facts, &[(N::TargetHealth, Warn)]);
        // Whether it is on cannot be told.
        group(&mut facts).attributes = Read::NotYet;
        let want = [
            (N::TargetHealth, Warn),
            (N::TargetZones, Unknown),
            (N::ProxyProtocol, Unknown),
        ];
        table_of(&facts, &want);
        // All are sick.
        let mut facts = sound();
        for place in 0..2 {
            set_state(group(&mut facts), place, "unhealthy", sick);
        }
        table_of(&facts, &[(N::TargetHealth, Fail), (N::TargetZones, Warn)]);
    }

    #[test]
    fn new_targets_are_waited_for_and_health_checks_that_are_off_prove_nothing() {
        let mut facts = sound();
        for place in 0..2 {
            set_state(
                group(&mut facts),
                place,
                "initial",
                Some("Elb.InitialHealthChecking"),
            );
        }
        let check = health(&facts.balancers[0], &facts);
        assert_eq!(
            (check.status, check.fix.as_deref()),
            (Fail, Some("wait for them"))
        );
        for place in 0..2 {
            set_state(
                group(&mut facts),
                place,
                "unavailable",
                Some("Target.HealthCheckDisabled"),
            );
        }
        assert_eq!(health(&facts.balancers[0], &facts).status, Unknown);
    }

    #[test]
    fn a_sick_group_is_not_made_good_by_another() {
        let mut facts = sound();
        let Read::Told { value: groups, .. } = &mut facts.balancers[0].groups else {
            panic!()
        };
        let mut second = groups[0].clone();
        second.group.arn = "tg2".into();
        second.group.name = "admin".into();
        for place in 0..2 {
            set_state(&mut second, place, "unhealthy", Some("Target.Timeout"));
        }
        groups.push(second);
        // No listener uses it: it is not asked.
        assert_eq!(
            health(&facts.balancers[0], &facts).status,
            CheckStatus::Pass
        );
        let Read::Told {
            value: listeners, ..
        } = &mut facts.balancers[0].listeners
        else {
            panic!()
        };
        listeners[0].listener.target_group_arns.push("tg2".into());
        let check = health(&facts.balancers[0], &facts);
        assert_eq!(check.status, Fail);
        assert!(
            check.evidence.contains("0 of 2 targets of admin healthy"),
            "{}",
            check.evidence
        );
    }

    #[test]
    fn sick_targets_behind_the_proxy_protocol_have_a_likely_reason() {
        let mut facts = sound();
        set_state(
            group(&mut facts),
            0,
            "unhealthy",
            Some("Target.FailedHealthChecks"),
        );
        attributes(&mut facts).proxy_protocol_v2 = true;
        let check = health(&facts.balancers[0], &facts);
        assert!(check.cause.unwrap().contains("PROXY protocol v2"));
        let want = "1 of 2 targets of edge healthy (1 Target.FailedHealthChecks in euw1-az3)";
        assert_eq!(check.evidence, want);
    }
}
