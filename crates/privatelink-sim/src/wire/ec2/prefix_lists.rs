//! Prefix lists on the wire.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::regions::partition;
use crate::world::{Caller, World};

/// The largest page that the model allows for managed prefix lists.
const MAX_PAGE: usize = 100;

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters, paging) = (p.list("PrefixListId")?, p.filters()?, p.paging(1)?);
    p.finish_ec2()?;
    let page = world.described_prefix_lists(me, "DescribePrefixLists", &ids, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("prefixListSet", &page.items, |xml, list| {
            xml.texts("cidrSet", &list.cidrs);
            xml.leaf("prefixListId", &list.id);
            xml.leaf("prefixListName", &list.name);
        });
        xml.optional("nextToken", page.next);
    }))
}

/// AWS's samples show neither version nor size for AWS's own lists.
pub(super) fn managed(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (ids, filters) = (p.list("PrefixListId")?, p.filters()?);
    let paging = p.paging_within(1, MAX_PAGE)?;
    p.finish_ec2()?;
    let listing = "DescribeManagedPrefixLists";
    let page = world.described_prefix_lists(me, listing, &ids, &filters, &paging)?;
    let partition = partition(&me.region);
    Ok(Xml::fragment(|xml| {
        xml.items("prefixListSet", &page.items, |xml, list| {
            xml.leaf("prefixListId", &list.id);
            xml.leaf("addressFamily", "IPv4");
            let state = if list.version > 1 {
                "modify-complete"
            } else {
                "create-complete"
            };
            xml.leaf("state", state);
            let arn = format!(
                "arn:{partition}:ec2:{}:aws:prefix-list/{}",
                me.region, list.id
            );
            xml.leaf("prefixListArn", arn);
            xml.leaf("prefixListName", &list.name);
            xml.node("tagSet", |_| {});
            xml.leaf("ownerId", "AWS");
        });
        xml.optional("nextToken", page.next);
    }))
}

pub(super) fn entries(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (id, version) = (p.required("PrefixListId")?, p.number("TargetVersion")?);
    let paging = p.paging_within(1, MAX_PAGE)?;
    p.finish_ec2()?;
    let page = world.prefix_list_entries(me, &id, version, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("entrySet", &page.items, |xml, cidr| xml.leaf("cidr", cidr));
        xml.optional("nextToken", page.next);
    }))
}
