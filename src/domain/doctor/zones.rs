//! Checks of zones, by id wherever an id is known: names are shuffled per account.

use std::collections::BTreeSet;

use privatelink::{EndpointService, LoadBalancer};

use super::catalogue::CheckName;
use super::check::{Check, LOOK_AGAIN, listed};
use super::facts::{Facts, Read};

/// Zones whose load balancers AWS cannot use for consumers in other Regions, as its guide to cross-Region access lists them.
const NOT_ACROSS_REGIONS: [&str; 5] = [
    "use1-az3",
    "usw1-az2",
    "apne1-az3",
    "apne2-az2",
    "apne2-az4",
];

/// The zones of a load balancer, as ids; those whose id is not known by name.
fn of_balancer(balancer: &LoadBalancer, facts: &Facts) -> BTreeSet<String> {
    let names = balancer.availability_zones.iter();
    names.map(|name| facts.zone_label(name)).collect()
}

/// The zones of a service, likewise. AWS tells the ids of late; the names are those of the owner's account and so can be mapped.
pub(super) fn of_service(service: &EndpointService, facts: &Facts) -> BTreeSet<String> {
    if service.availability_zone_ids.is_empty() {
        let names = service.availability_zones.iter();
        return names.map(|name| facts.zone_label(name)).collect();
    }
    let ids = service.availability_zone_ids.iter();
    ids.map(ToString::to_string).collect()
}

pub(super) fn enabled(balancer: &LoadBalancer, facts: &Facts) -> Check {
    let name = CheckName::AvailabilityZones;
    let zones = of_balancer(balancer, facts);
    let evidence = format!("zones {}", listed(&zones));
    match zones.len() {
        0 => Check::fail(name, "no zones"),
        1 => Check::warn(name, evidence),
        _ => Check::pass(name, evidence),
    }
}

pub(super) fn known(
    balancer: &LoadBalancer,
    facts: &Facts,
    service: Option<&EndpointService>,
) -> Check {
    let name = CheckName::ZonesKnown;
    let Some(service) = service else {
        return Check::unknown(name, "there is no service in AWS yet", LOOK_AGAIN);
    };
    if !matches!(facts.zones, Read::Told { .. }) {
        return Check::unread(name, &facts.zones);
    }
    let known = of_service(service, facts);
    let new: Vec<String> = of_balancer(balancer, facts)
        .into_iter()
        .filter(|zone| !known.contains(zone))
        .collect();
    if new.is_empty() {
        return Check::pass(name, format!("the service has zones {}", listed(&known)));
    }
    let evidence = format!(
        "the service does not know {} of the load balancer",
        listed(new)
    );
    Check::warn(name, evidence)
}

pub(super) fn served(facts: &Facts, service: &EndpointService) -> Check {
    let name = CheckName::ZonesServed;
    if !matches!(facts.zones, Read::Told { .. }) {
        return Check::unread(name, &facts.zones);
    }
    let mut served = BTreeSet::new();
    for facts_of_one in &facts.balancers {
        match facts_of_one.balancer.told() {
            Some(balancer) => served.extend(of_balancer(balancer, facts)),
            None => return Check::unread(name, &facts_of_one.balancer),
        }
    }
    let offered = of_service(service, facts);
    let bare: Vec<_> = offered.difference(&served).collect();
    if bare.is_empty() {
        return Check::pass(name, format!("zones {}", listed(&offered)));
    }
    Check::fail(name, format!("no load balancer in {}", listed(bare)))
}

pub(super) fn cross_region(facts: &Facts, service: &EndpointService) -> Check {
    let name = CheckName::CrossRegionZones;
    if service.supported_regions.is_empty() {
        return Check::pass(name, "the service is not open to other Regions");
    }
    let zones = of_service(service, facts);
    let unusable: Vec<_> = NOT_ACROSS_REGIONS
        .into_iter()
        .filter(|zone| zones.contains(*zone))
        .collect();
    let regions = listed(&service.supported_regions);
    if !unusable.is_empty() {
        let evidence = format!(
            "open to {regions}, with {} among its zones",
            listed(unusable)
        );
        return Check::fail(name, evidence);
    }
    let evidence = format!("open to {regions}, with zones {}", listed(&zones));
    if zones.len() < 2 {
        Check::fail(name, evidence)
    } else {
        Check::pass(name, evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::doctor::CheckStatus::{self, Fail, Pass, Unknown, Warn};
    use crate::domain::doctor::testing::{Broken, balancer, sound, sound_service, table};

    #[test]
    fn each_thing_that_breaks_changes_its_own_check() {
        use CheckName as N;
        let broken: &[Broken] = &[(N::ZonesKnown, Warn, |f| {
            balancer(f).availability_zones.push("eu-west-1c".into());
            // The targets of the new zone are not what this is about.
            let Read::Told { value, .. } = &mut f.balancers[0].attributes else {
                panic!()
            };
            value.cross_zone = true;
        })];
        table(broken);
    }

    #[test]
    fn one_zone_warns_and_none_fails() {
        let mut facts = sound();
        balancer(&mut facts).availability_zones.truncate(1);
        let copy = facts.clone();
        assert_eq!(enabled(balancer(&mut facts), &copy).status, Warn);
        balancer(&mut facts).availability_zones.clear();
        assert_eq!(enabled(balancer(&mut facts), &copy).status, Fail);
    }

    #[test]
    fn a_zone_that_lost_its_load_balancer_fails_whatever_the_names() {
        let mut facts = sound();
        let mut service = sound_service();
        // Names of another account's shuffle: the ids decide.
        service.availability_zones = vec!["eu-west-1b".into(), "eu-west-1c".into()];
        assert_eq!(served(&facts, &service).status, Pass);
        balancer(&mut facts).availability_zones.truncate(1);
        let check = served(&facts, &service);
        assert_eq!(check.status, Fail);
        assert_eq!(check.evidence, "no load balancer in euw1-az1");
        // Without ids the names are those of the same account.
        service.availability_zone_ids.clear();
        service.availability_zones = vec!["eu-west-1a".into()];
        assert_eq!(served(&facts, &service).status, Pass);
    }

    #[test]
    fn without_the_ids_nothing_is_concluded() {
        let mut facts = sound();
        facts.zones = Read::denied("ec2:DescribeAvailabilityZones");
        let service = sound_service();
        assert_eq!(served(&facts, &service).status, Unknown);
        let copy = facts.clone();
        assert_eq!(
            known(balancer(&mut facts), &copy, Some(&service)).status,
            Unknown
        );
        assert_eq!(known(balancer(&mut facts), &copy, None).status, Unknown);
    }

    #[test]
    fn other_regions_need_two_zones_that_aws_can_use() {
        let cases: [(&[&str], &[&str], CheckStatus); 4] = [
            (&[], &["use1-az3"], Pass),
            (&["us-west-2"], &["use1-az1", "use1-az2"], Pass),
            (&["us-west-2"], &["use1-az1"], Fail),
            (&["us-west-2"], &["use1-az1", "use1-az2", "use1-az3"], Fail),
        ];
        for (regions, zones, want) in cases {
            let mut service = sound_service();
            service.supported_regions = regions.iter().map(ToString::to_string).collect();
            service.availability_zone_ids = zones.iter().map(|z| z.parse().unwrap()).collect();
            assert_eq!(
                cross_region(&sound(), &service).status,
                want,
                "{regions:?} {zones:?}"
            );
        }
    }
}
