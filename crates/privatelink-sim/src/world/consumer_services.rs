//! Services as a consumer sees them: only what is permitted, only in this Region, only zones both sides have.

use std::ops::Bound;

use privatelink::{AccountId, ServiceId};

use super::principals::{names_of, permits, permits_any};
use super::select::{Filters, Listed, Paging};
use super::services::Service;
use super::{Caller, World};
use crate::AwsError;

/// A service with what the consumer is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleService {
    /// The service, without its connections.
    pub service: Service,
    /// Zone names in the consumer's account.
    pub zone_names: Vec<String>,
}

const LISTING: &str = "DescribeVpcEndpointServices";

impl World {
    /// The service of this name in the caller's Region, if the caller may connect to it.
    pub(crate) fn visible_service(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<&Service, AwsError> {
        self.visible_service_in(caller, caller.region.as_str(), name)
    }

    /// The service of this name in a Region, if the caller may connect to it from where it is.
    pub(crate) fn visible_service_in(
        &self,
        caller: &Caller,
        region: &str,
        name: &str,
    ) -> Result<&Service, AwsError> {
        if let Some(aws) = self
            .aws_services_named(region, name)
            .into_iter()
            .find(|service| {
                !service.has_gateway_type() && service.serves(&caller.region, caller.now)
            })
        {
            return Ok(aws);
        }
        name.strip_prefix("com.amazonaws.vpce.")
            .and_then(|rest| rest.strip_prefix(region))
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|id| id.parse().ok())
            .and_then(|id| self.service(&id))
            .filter(|service| {
                service.is_open(caller.now)
                    && service.region.as_str() == region
                    && service.serves(&caller.region, caller.now)
            })
            .filter(|service| owns(service, &caller.account) || permits(&service.grants, caller))
            .ok_or_else(|| {
                let shown: String = name.chars().take(256).collect();
                AwsError::new(
                    "InvalidServiceName",
                    format!("The Vpc Endpoint Service '{shown}' does not exist"),
                )
            })
    }

    /// Lists services. One bad name fails the whole call; a service granted to `*` only is listed when asked for by name.
    pub fn visible_services(
        &mut self,
        caller: &Caller,
        names: &[String],
        regions: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<VisibleService>, AwsError> {
        filters.check(&[
            "owner",
            "service-name",
            "service-region",
            "service-type",
            "supported-ip-address-types",
            "tag-key",
        ])?;
        let after = paging.after(LISTING)?;
        let limit = self.behavior.page_size_limit;
        self.settle_private_dns(caller.now);
        let own = [caller.region.to_string()];
        let regions = if regions.is_empty() { &own } else { regions };
        if let Some(unknown) = regions
            .iter()
            .find(|name| !self.regions().iter().any(|r| r.as_str() == *name))
        {
            return Err(AwsError::bad_value("ServiceRegion", unknown));
        }
        self.furnish_asked(caller, regions);
        let world = &*self;
        let from: Option<ServiceId> = after.as_ref().and_then(|key| key.parse().ok());
        let found: Box<dyn Iterator<Item = &Service>> = if names.is_empty() {
            let own_names = names_of(caller);
            let from = from.map_or(Bound::Unbounded, Bound::Excluded);
            let mut aws: Vec<&Service> = world
                .aws_services
                .values()
                .filter(|s| regions.iter().any(|r| r == s.region.as_str()))
                .filter(|s| s.serves(&caller.region, caller.now))
                .collect();
            aws.sort_by_cached_key(|service| key(service));
            let own = world
                .owners
                .range((from, Bound::Unbounded))
                .filter(|(_, (_, region))| regions.iter().any(|r| r == region.as_str()))
                .filter_map(|(id, _)| world.service(id))
                .filter(|s| s.is_open(caller.now) && s.state_at(caller.seen_at).is_some())
                .filter(|s| s.serves(&caller.region, caller.now))
                .filter(move |s| {
                    owns(s, &caller.account) || permits_any(&s.grants, &own_names, caller.now)
                });
            Box::new(aws.into_iter().chain(own))
        } else {
            let matching = names
                .iter()
                .map(|name| world.services_named(caller, regions, name));
            let matching = matching.collect::<Result<Vec<Vec<&Service>>, _>>()?;
            let mut found: Vec<&Service> = matching.into_iter().flatten().collect();
            found.sort_by_cached_key(|service| key(service));
            found.dedup_by(|a, b| a.id == b.id);
            Box::new(found.into_iter())
        };
        let zones = world.zones(&caller.account, &caller.region);
        let rows = found
            .filter(|s| after.as_deref().is_none_or(|last| key(s).as_str() > last))
            .filter(|s| filters.allow(&s.tags, |name| field(s, name)))
            .map(|s| {
                let row = VisibleService {
                    service: s.without_connections(),
                    zone_names: zones
                        .iter()
                        .filter(|zone| s.region == caller.region && s.zones.contains(&zone.id))
                        .map(|zone| zone.name.clone())
                        .collect(),
                };
                (key(s), row)
            });
        Ok(paging.take(LISTING, limit, rows))
    }

    /// The services of a name in any of the Regions: AWS's own may be two of different types.
    fn services_named(
        &self,
        caller: &Caller,
        regions: &[String],
        name: &str,
    ) -> Result<Vec<&Service>, AwsError> {
        let aws: Vec<&Service> = regions
            .iter()
            .flat_map(|region| self.aws_services_named(region, name))
            .filter(|service| service.serves(&caller.region, caller.now))
            .collect();
        if !aws.is_empty() {
            return Ok(aws);
        }
        let mut seen = regions
            .iter()
            .map(|region| self.visible_service_in(caller, region, name));
        // One of the Regions is enough; when none has it, the first refusal is the answer.
        let first = seen
            .next()
            .unwrap_or_else(|| self.visible_service(caller, name));
        let found = first.or_else(|refused| seen.find_map(Result::ok).ok_or(refused))?;
        Ok(vec![found])
    }
}

/// What a listing is sorted by: AWS's own services first, by name, of which two types share one; then the others by id.
fn key(service: &Service) -> String {
    match &service.aws {
        Some(aws) => format!(" {} {}", aws.name, service.id),
        None => service.id.to_string(),
    }
}

fn owns(service: &Service, account: &AccountId) -> bool {
    service.aws.is_none() && service.owner == *account
}

fn field(service: &Service, name: &str) -> Vec<String> {
    match name {
        "owner" => vec![service.owner_shown()],
        "service-name" => vec![service.name()],
        "service-region" => vec![service.region.to_string()],
        "service-type" => vec![service.type_name().to_owned()],
        "supported-ip-address-types" => service.ip_address_types.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{CONSUMER, PROVIDER, caller, load_balancer, service, world};

    fn listed(world: &mut World, caller: &Caller, names: &[String]) -> Result<usize, AwsError> {
        let (filters, paging) = (Filters::one("owner", "1*"), Paging::default());
        Ok(world
            .visible_services(caller, names, &[], &filters, &paging)?
            .items
            .len())
    }

    #[test]
    fn a_service_granted_to_everybody_shows_only_when_asked_for_by_name() {
        let (mut world, provider, consumer) = (world(), caller(PROVIDER), caller(CONSUMER));
        let lb = load_balancer(&mut world, &provider, "edge");
        let id = service(&mut world, &provider, &lb, true);
        let name = world.own_service(&provider, id.as_str()).unwrap().name();
        let names = std::slice::from_ref(&name);
        assert_eq!(
            listed(&mut world, &consumer, names).unwrap_err().code,
            "InvalidServiceName"
        );
        world
            .modify_principals(&provider, id.as_str(), &["*".into()], &[])
            .unwrap();
        assert_eq!(listed(&mut world, &consumer, &[]).unwrap(), 0);
        assert_eq!(listed(&mut world, &consumer, names).unwrap(), 1);
        let root = format!("arn:aws:iam::{CONSUMER}:root");
        world
            .modify_principals(&provider, id.as_str(), &[root], &[])
            .unwrap();
        assert_eq!(listed(&mut world, &consumer, &[]).unwrap(), 1);
    }

    #[test]
    fn pages_show_each_service_once_and_in_order() {
        let (mut world, provider, consumer) = (world(), caller(PROVIDER), caller(CONSUMER));
        let root = format!("arn:aws:iam::{CONSUMER}:root");
        let mut granted = Vec::new();
        for number in 0..8 {
            let lb = load_balancer(&mut world, &provider, &format!("edge-{number}"));
            let id = service(&mut world, &provider, &lb, true);
            if number != 3 {
                let add = std::slice::from_ref(&root);
                world
                    .modify_principals(&provider, id.as_str(), add, &[])
                    .unwrap();
                granted.push(id);
            }
        }
        granted.sort();
        let names: Vec<String> = granted
            .iter()
            .rev()
            .map(|id| format!("com.amazonaws.vpce.eu-west-1.{id}"))
            .collect();
        for names in [&[], names.as_slice()] {
            let (mut seen, mut paging) = (Vec::new(), Paging::default());
            paging.max = Some(3);
            loop {
                let page = world
                    .visible_services(&consumer, names, &[], &Filters::one("owner", "1*"), &paging)
                    .unwrap();
                assert!(page.items.len() <= 3);
                seen.extend(page.items.into_iter().map(|row| row.service.id));
                paging.token = page.next;
                if paging.token.is_none() {
                    break;
                }
            }
            assert_eq!(seen, granted);
        }
    }

    #[test]
    fn one_bad_name_fails_the_whole_call() {
        let (mut world, provider) = (world(), caller(PROVIDER));
        let lb = load_balancer(&mut world, &provider, "edge");
        let id = service(&mut world, &provider, &lb, true);
        let name = world.own_service(&provider, id.as_str()).unwrap().name();
        let error = listed(&mut world, &provider, &[name, "com.example.none".into()]).unwrap_err();
        assert_eq!(error.code, "InvalidServiceName");
    }
}
