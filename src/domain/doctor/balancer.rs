//! Checks of a load balancer as a whole.

use privatelink::{EndpointService, LoadBalancer};

use super::catalogue::CheckName;
use super::check::{Check, CheckStatus};
use super::facts::{BalancerFacts, Read};

pub(super) fn exists(facts: &BalancerFacts) -> Check {
    let name = CheckName::LoadBalancerExists;
    match &facts.balancer {
        Read::Told { value, .. } => Check::pass(name, format!("it is called {}", value.name)),
        Read::Refused(refusal) if facts.balancer.is_not_found() => Check::fail(
            name,
            format!("AWS answered {} when asked for it", refusal.code),
        ),
        unread @ (Read::Refused(_) | Read::NotYet) => Check::unread(name, unread),
    }
}

pub(super) fn is_network(balancer: &LoadBalancer) -> Check {
    let status = if balancer.kind == "network" {
        CheckStatus::Pass
    } else {
        CheckStatus::Fail
    };
    let evidence = format!("type is {}", balancer.kind);
    Check::new(CheckName::LoadBalancerIsNetwork, status, evidence)
}

pub(super) fn is_active(balancer: &LoadBalancer) -> Check {
    let status = match balancer.state.as_str() {
        "active" => CheckStatus::Pass,
        "active_impaired" => CheckStatus::Warn,
        // Nothing gets through yet, or any more.
        "provisioning" | "failed" => CheckStatus::Fail,
        _ => CheckStatus::Unknown,
    };
    let reason = balancer
        .state_reason
        .as_deref()
        .map(|r| format!(": {r}"))
        .unwrap_or_default();
    let evidence = format!("state is {}{reason}", balancer.state);
    Check::new(CheckName::LoadBalancerIsActive, status, evidence)
}

pub(super) fn scheme(balancer: &LoadBalancer) -> Check {
    let name = CheckName::LoadBalancerScheme;
    let evidence = format!("scheme is {}", balancer.scheme);
    if balancer.scheme == "internal" {
        Check::pass(name, evidence)
    } else {
        Check::warn(name, evidence)
    }
}

pub(super) fn deletion_protection(facts: &BalancerFacts) -> Check {
    let name = CheckName::DeletionProtection;
    match facts.attributes.told() {
        None => Check::unread(name, &facts.attributes),
        Some(attributes) if attributes.deletion_protection => Check::pass(name, "it is on"),
        Some(_) => Check::warn(name, "it is off"),
    }
}

pub(super) fn security_groups(balancer: &LoadBalancer) -> Check {
    let name = CheckName::SecurityGroups;
    let groups = balancer.security_groups.len();
    if groups == 0 {
        return Check::pass(name, "no security groups");
    }
    let evidence =
        |word| format!("{groups} security groups, inbound rules {word} on PrivateLink traffic");
    match balancer.enforce_security_groups_on_private_link {
        Some(false) => Check::pass(name, evidence("not enforced")),
        Some(true) => Check::warn(name, evidence("enforced")),
        // AWS's default.
        None => Check::warn(name, evidence("enforced unless AWS says otherwise")),
    }
}

pub(super) fn address_family(balancer: &LoadBalancer, service: Option<&EndpointService>) -> Check {
    let name = CheckName::AddressFamily;
    let offered = service.map_or(&[][..], |s| &s.supported_ip_address_types);
    let family = balancer.ip_address_type.as_deref().unwrap_or("not told");
    let offer = if offered.is_empty() {
        "what AWS chooses".to_owned()
    } else {
        offered.join(" and ")
    };
    let evidence = format!("the service offers {offer}, the load balancer is {family}");
    if offered.iter().any(|kind| kind == "ipv6") && family != "dualstack" {
        Check::fail(name, evidence)
    } else {
        Check::pass(name, evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doctor::testing::{Broken, balancer, sound_service, table};

    #[test]
    fn each_thing_that_breaks_changes_its_own_check() {
        use CheckName as N;
        use CheckStatus::{Fail, Unknown, Warn};
        const ATTRIBUTES: &str = "elasticloadbalancing:DescribeLoadBalancerAttributes";
        let broken: &[Broken] = &[
            (N::LoadBalancerIsNetwork, Fail, |f| {
                balancer(f).kind = "application".into();
            }),
            (N::LoadBalancerIsActive, Fail, |f| {
                balancer(f).state = "provisioning".into();
            }),
            (N::LoadBalancerIsActive, Warn, |f| {
                balancer(f).state = "active_impaired".into();
            }),
            (N::LoadBalancerIsActive, Fail, |f| {
                balancer(f).state = "failed".into();
            }),
            (N::LoadBalancerIsActive, Unknown, |f| {
                balancer(f).state = "resting".into();
            }),
            (N::LoadBalancerScheme, Warn, |f| {
                balancer(f).scheme = "internet-facing".into();
            }),
            (N::SecurityGroups, Warn, |f| {
                balancer(f).security_groups = vec!["sg-0123456789abcdef0".into()];
                balancer(f).enforce_security_groups_on_private_link = Some(true);
            }),
            (N::SecurityGroups, Warn, |f| {
                balancer(f).security_groups = vec!["sg-0123456789abcdef0".into()];
            }),
            (N::DeletionProtection, Warn, |f| {
                let Read::Told { value, .. } = &mut f.balancers[0].attributes else {
                    panic!()
                };
                value.deletion_protection = false;
            }),
            (N::AddressFamily, Fail, |f| {
                balancer(f).ip_address_type = Some("ipv4".into());
            }),
            (N::DeletionProtection, Unknown, |f| {
                f.balancers[0].attributes = Read::denied(ATTRIBUTES);
            }),
        ];
        table(broken);
    }

    #[test]
    fn rules_that_are_not_enforced_pass() {
        let mut facts = crate::domain::doctor::testing::sound();
        balancer(&mut facts).security_groups = vec!["sg-0123456789abcdef0".into()];
        balancer(&mut facts).enforce_security_groups_on_private_link = Some(false);
        let check = security_groups(balancer(&mut facts));
        assert_eq!(check.status, CheckStatus::Pass);
    }

    #[test]
    fn a_load_balancer_without_ipv6_carries_a_service_without_it() {
        let mut facts = crate::domain::doctor::testing::sound();
        balancer(&mut facts).ip_address_type = Some("ipv4".into());
        let mut service = sound_service();
        service.supported_ip_address_types = vec!["ipv4".into()];
        let check = address_family(balancer(&mut facts), Some(&service));
        assert_eq!(check.status, CheckStatus::Pass);
    }

    #[test]
    fn what_aws_does_not_know_fails_and_what_it_would_not_tell_is_unknown() {
        use crate::domain::doctor::facts::{Refusal, RefusalKind};
        let mut facts = crate::domain::doctor::testing::sound();
        let facts = &mut facts.balancers[0];
        facts.balancer = Read::Refused(Refusal {
            kind: RefusalKind::NotFound,
            action: "elasticloadbalancing:DescribeLoadBalancers".into(),
            code: "LoadBalancerNotFound".into(),
        });
        assert_eq!(exists(facts).status, CheckStatus::Fail);
        facts.balancer = Read::denied("elasticloadbalancing:DescribeLoadBalancers");
        assert_eq!(exists(facts).status, CheckStatus::Unknown);
    }
}
