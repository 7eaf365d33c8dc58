//! The doctor: why does a service or a connection not work? Pure checks over what was read of AWS and over our own rows, each with its
//! evidence, its cause and what to do about it.
//!
//! A check never guesses: what could not be read is `unknown`. Only `fail` means that consumers cannot connect or that their traffic goes
//! nowhere; `warn` is for what works today and will hurt in a known way. [`catalogue`] has every check there is.

mod balancer;
pub mod catalogue;
pub mod check;
pub mod connection;
pub mod diagnosis;
pub mod facts;
mod listeners;
mod notifications;
pub mod service;
pub mod states;
mod targets;
#[cfg(test)]
mod testing;
mod zones;

use privatelink::{EndpointService, TargetState};

pub use catalogue::CheckName;
pub use check::{Check, CheckStatus};
pub use diagnosis::Diagnosis;
pub use facts::{Facts, Read};
pub use targets::healthy_zones;

/// The checks of what is behind a service: load balancers, listeners, targets, zones, notifications. `service` is what AWS last said of the
/// service itself, where there is one yet.
pub fn infrastructure(facts: &Facts, service: Option<&EndpointService>) -> Vec<Check> {
    let mut checks = Vec::new();
    for balancer in &facts.balancers {
        let mut all = vec![balancer::exists(balancer)];
        if let Read::Told { value, .. } = &balancer.balancer {
            all.extend([
                balancer::is_network(value),
                balancer::is_active(value),
                balancer::scheme(value),
                balancer::deletion_protection(balancer),
                balancer::security_groups(value),
                balancer::address_family(value, service),
                zones::enabled(value, facts),
                zones::known(value, facts, service),
                listeners::usable(balancer),
                listeners::forward(balancer),
                listeners::idle_timeout(balancer, service),
                targets::health(balancer, facts),
                targets::zones(value, balancer, facts),
                targets::unused(balancer),
                targets::proxy_protocol(balancer),
            ]);
        }
        checks.extend(all.into_iter().map(|check| check.about(&balancer.arn)));
    }
    if facts.balancers.len() > 1 {
        checks.push(listeners::equal(&facts.balancers));
    }
    if let Some(service) = service {
        checks.push(zones::served(facts, service));
        checks.push(zones::cross_region(facts, service));
        checks.push(notifications::present(&facts.notifications));
    }
    checks
}

/// Whether nothing failed.
pub fn is_ready(checks: &[Check]) -> bool {
    !checks.is_empty() && checks.iter().all(|c| c.status != CheckStatus::Fail)
}

/// Whether something is still coming up by itself, so that the checks will soon come out otherwise: a load balancer that is being
/// provisioned, a target before the end of its first health checks.
pub fn is_settling(facts: &Facts) -> bool {
    facts.balancers.iter().any(|facts| {
        let provisioning = facts
            .balancer
            .told()
            .is_some_and(|balancer| balancer.state == "provisioning");
        let mut targets = facts.groups.told().into_iter().flatten();
        provisioning || targets.any(|group| group.count(&TargetState::Initial) > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::testing::{balancer, group, set_state, sound, sound_service};
    use super::*;

    #[test]
    fn a_sound_service_passes_every_check_and_shows_zone_ids() {
        let checks = infrastructure(&sound(), Some(&sound_service()));
        for check in &checks {
            assert_eq!(check.status, CheckStatus::Pass, "{check:#?}");
            assert_eq!((&check.cause, &check.fix), (&None, &None), "{check:#?}");
        }
        assert!(is_ready(&checks));
        let zones = checks.iter().find(|c| c.check == "availability_zones");
        assert_eq!(zones.unwrap().evidence, "zones euw1-az1, euw1-az3");
    }

    #[test]
    fn nothing_read_is_not_ready() {
        assert!(!is_ready(&[]));
    }

    #[test]
    fn only_what_comes_up_by_itself_is_settling() {
        assert!(!is_settling(&sound()));
        for (state, settling) in [("provisioning", true), ("failed", false)] {
            let mut facts = sound();
            balancer(&mut facts).state = state.into();
            assert_eq!(is_settling(&facts), settling, "{state}");
        }
        for (state, settling) in [("initial", true), ("unhealthy", false), ("unused", false)] {
            let mut facts = sound();
            set_state(group(&mut facts), 0, state, None);
            assert_eq!(is_settling(&facts), settling, "{state}");
        }
        // What could not be read does not come up: it is looked at in its turn.
        let mut unread = sound();
        unread.balancers[0].balancer = Read::denied("elasticloadbalancing:DescribeLoadBalancers");
        unread.balancers[0].groups = Read::denied("elasticloadbalancing:DescribeTargetGroups");
        assert!(!is_settling(&unread));
    }
}
