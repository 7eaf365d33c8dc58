//! AWS's own prefix lists: the addresses of the services that have gateway endpoints.

use privatelink::Region;
use serde::{Deserialize, Serialize};

use super::network::{all_exist, is_named};
use super::route_tables::SERVICES;
use super::select::{Filters, Listed, Paging, Tags};
use super::{Caller, World, cidr};
use crate::AwsError;

/// The addresses of a service as AWS publishes them: here invented, from the blocks for documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrefixList {
    /// `pl-…`.
    pub id: String,
    /// `com.amazonaws.REGION.s3` or `….dynamodb`.
    pub name: String,
    /// Goes up with every change of the addresses.
    pub version: u64,
    /// The blocks.
    pub cidrs: Vec<String>,
}

/// What became of a prefix list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedList {
    version: u64,
    cidrs: Vec<String>,
}

impl World {
    /// The prefix lists of a Region, by id.
    pub fn prefix_lists(&self, region: &Region) -> Vec<PrefixList> {
        let mut lists: Vec<PrefixList> = SERVICES
            .iter()
            .map(|service| {
                let words = ["prefix-list", region.as_str(), service];
                let id = format!("pl-{:08x}", self.ids.fixed_number(&words) >> 32);
                let first: &[&str] = match *service {
                    "s3" => &["192.0.2.0/24", "198.51.100.0/25"],
                    _ => &["203.0.113.0/24"],
                };
                let changed = self.changed_prefix_lists.get(&id).cloned();
                let now = changed.unwrap_or_else(|| ChangedList {
                    version: 1,
                    cidrs: first.iter().map(|&cidr| cidr.to_owned()).collect(),
                });
                PrefixList {
                    id,
                    name: format!("com.amazonaws.{region}.{service}"),
                    version: now.version,
                    cidrs: now.cidrs,
                }
            })
            .collect();
        lists.sort_by(|a, b| a.id.cmp(&b.id));
        lists
    }

    /// Gives a service other addresses, as AWS does now and then. Routes name the list and need no change.
    pub fn change_prefix_list(
        &mut self,
        region: &Region,
        service: &str,
        cidrs: &[String],
    ) -> Result<PrefixList, AwsError> {
        let blocks: Option<Vec<String>> = cidrs
            .iter()
            .map(|text| Some(cidr::V4::parse(text)?.canonical()))
            .collect();
        let blocks = blocks
            .filter(|blocks| !blocks.is_empty())
            .ok_or_else(|| AwsError::bad_value("cidrs", &cidrs.join(" ")))?;
        let lists = self.prefix_lists(region).into_iter();
        let mut list = lists
            .filter(|_| self.regions().contains(region))
            .find(|list| list.name == format!("com.amazonaws.{region}.{service}"))
            .ok_or_else(|| AwsError::bad_value("service", service))?;
        list.version += 1;
        list.cidrs = blocks;
        let changed = ChangedList {
            version: list.version,
            cidrs: list.cidrs.clone(),
        };
        self.changed_prefix_lists.insert(list.id.clone(), changed);
        Ok(list)
    }

    /// Lists prefix lists for one of the two actions that do. An unknown id fails the call.
    pub fn described_prefix_lists(
        &self,
        caller: &Caller,
        listing: &str,
        ids: &[String],
        filters: &Filters,
        paging: &Paging,
    ) -> Result<Listed<PrefixList>, AwsError> {
        let managed = listing == "DescribeManagedPrefixLists";
        let mut known = vec!["prefix-list-id", "prefix-list-name"];
        if managed {
            known.push("owner-id");
        }
        filters.check(&known)?;
        let lists = self.prefix_lists(&caller.region);
        all_exist(
            ids,
            |id| lists.iter().any(|list| list.id == *id),
            no_prefix_list,
        )?;
        let after = paging.after(listing)?;
        let rows = lists
            .into_iter()
            .filter(|list| is_named(ids, &list.id, after.as_deref()))
            .filter(|list| {
                filters.allow(&Tags::new(), |name| match name {
                    "owner-id" => vec!["AWS".to_owned()],
                    "prefix-list-id" => vec![list.id.clone()],
                    _ => vec![list.name.clone()],
                })
            })
            .map(|list| (list.id.clone(), list));
        Ok(paging.take(listing, self.behavior.page_size_limit, rows))
    }

    /// The blocks of a prefix list, as it is now: older versions are not kept.
    pub fn prefix_list_entries(
        &self,
        caller: &Caller,
        id: &str,
        version: Option<u64>,
        paging: &Paging,
    ) -> Result<Listed<String>, AwsError> {
        let lists = self.prefix_lists(&caller.region);
        let list = lists.iter().find(|list| list.id == id);
        let list = list.ok_or_else(|| no_prefix_list(id))?;
        match version {
            Some(version) if version < list.version => {
                return Err(AwsError::not_modelled("An older version of a prefix list"));
            }
            Some(version) if version > list.version => {
                return Err(AwsError::bad_value("TargetVersion", &version.to_string()));
            }
            _ => {}
        }
        let listing = format!("GetManagedPrefixListEntries {id} {}", list.version);
        let after = paging.after(&listing)?;
        let mut cidrs = list.cidrs.clone();
        cidrs.sort();
        cidrs.dedup();
        let rows = cidrs
            .into_iter()
            .filter(|cidr| after.as_ref().is_none_or(|last| cidr > last))
            .map(|cidr| (cidr.clone(), cidr));
        Ok(paging.take(&listing, self.behavior.page_size_limit, rows))
    }
}

pub(super) fn no_prefix_list(id: &str) -> AwsError {
    AwsError::new(
        "InvalidPrefixListID.NotFound",
        format!("The prefix list ID '{id}' does not exist"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{CONSUMER, caller, world};

    const LISTING: &str = "DescribePrefixLists";

    #[test]
    fn a_list_follows_awss_addresses_and_keeps_its_id() {
        let (mut world, me) = (world(), caller(CONSUMER));
        let name = "com.amazonaws.eu-west-1.s3";
        let of = |world: &World| {
            let mut lists = world.prefix_lists(&me.region).into_iter();
            lists.find(|list| list.name == name).unwrap()
        };
        let before = of(&world);
        let new = ["10.1.2.3/24".to_owned(), "10.2.0.0/16".to_owned()];
        world.change_prefix_list(&me.region, "s3", &new).unwrap();
        let after = of(&world);
        assert_eq!((&before.id, before.version + 1), (&after.id, after.version));
        assert_eq!(after.cidrs, ["10.1.2.0/24", "10.2.0.0/16"]);
        let elsewhere = "us-east-1".parse().unwrap();
        assert!(
            world
                .prefix_lists(&elsewhere)
                .iter()
                .all(|l| l.version == 1)
        );
        let one = Paging {
            max: Some(1),
            ..Paging::default()
        };
        let page = world
            .prefix_list_entries(&me, &after.id, Some(2), &one)
            .unwrap();
        assert_eq!(page.items, ["10.1.2.0/24"]);
        let next = Paging {
            token: page.next,
            ..one
        };
        let page = world
            .prefix_list_entries(&me, &after.id, None, &next)
            .unwrap();
        assert_eq!((page.items.len(), page.next), (1, None));
        for (version, code) in [(1, "UnsupportedOperation"), (3, "InvalidParameterValue")] {
            let error = world
                .prefix_list_entries(&me, &after.id, Some(version), &Paging::default())
                .unwrap_err();
            assert_eq!(error.code, code);
        }
        for (service, cidrs) in [("ec2", &new[..]), ("s3", &[]), ("s3", &["x".to_owned()])] {
            let error = world.change_prefix_list(&me.region, service, cidrs);
            assert_eq!(error.unwrap_err().code, "InvalidParameterValue");
        }
    }

    #[test]
    fn a_prefix_list_is_found_by_its_name_and_an_unknown_one_is_not() {
        let (world, me) = (world(), caller(CONSUMER));
        let filters = Filters::one("prefix-list-name", "*.s3");
        let paging = Paging::default();
        let found = world.described_prefix_lists(&me, LISTING, &[], &filters, &paging);
        assert_eq!(found.unwrap().items.len(), 1);
        let error = world
            .described_prefix_lists(&me, LISTING, &["pl-0".into()], &Filters::default(), &paging)
            .unwrap_err();
        assert_eq!(error.code, "InvalidPrefixListID.NotFound");
    }
}
