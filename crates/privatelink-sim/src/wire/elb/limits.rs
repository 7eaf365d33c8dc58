//! The account's quotas on the wire. Of these the simulator enforces those of listeners and certificates on a load balancer.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::{Caller, World};

/// AWS's defaults, as far as they concern Network Load Balancers.
const LIMITS: [(&str, u32); 9] = [
    ("certificates-per-network-load-balancer", 25),
    ("listeners-per-network-load-balancer", 50),
    ("network-load-balancer-enis-per-vpc", 1_200),
    ("network-load-balancers", 50),
    ("target-groups", 3_000),
    ("target-groups-per-action-on-network-load-balancer", 1),
    (
        "targets-per-availability-zone-per-network-load-balancer",
        500,
    ),
    ("targets-per-network-load-balancer", 3_000),
    ("targets-per-target-group", 1_000),
];

pub(super) fn describe(
    world: &mut World,
    _me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let limit = world.behavior.page_size_limit;
    let rows = LIMITS.to_vec();
    let page = super::page(p, "DescribeAccountLimits", limit, rows, |(name, _)| {
        (*name).to_owned()
    })?;
    p.finish()?;
    Ok(Xml::fragment(|xml| {
        xml.members("Limits", &page.items, |xml, (name, max)| {
            xml.leaf("Name", name);
            xml.leaf("Max", max);
        });
        xml.optional("NextMarker", page.next);
    }))
}
