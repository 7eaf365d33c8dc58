//! Regions and Availability Zones. Zone ids are the same for everybody; zone names are shuffled per account, as in AWS.

use privatelink::{AccountId, AvailabilityZoneId, Region};
use serde::{Deserialize, Serialize};

use super::ids::IdSource;

/// The Regions that need no opt-in, the short word of their zone ids, and which zone numbers exist.
const REGIONS: &[(&str, &str, &[u8])] = &[
    ("ap-northeast-1", "apne1", &[1, 2, 4]),
    ("ap-northeast-2", "apne2", &[1, 2, 3, 4]),
    ("ap-northeast-3", "apne3", &[1, 2, 3]),
    ("ap-south-1", "aps1", &[1, 2, 3]),
    ("ap-southeast-1", "apse1", &[1, 2, 3]),
    ("ap-southeast-2", "apse2", &[1, 2, 3]),
    ("ca-central-1", "cac1", &[1, 2, 4]),
    ("eu-central-1", "euc1", &[1, 2, 3]),
    ("eu-north-1", "eun1", &[1, 2, 3]),
    ("eu-west-1", "euw1", &[1, 2, 3]),
    ("eu-west-2", "euw2", &[1, 2, 3]),
    ("eu-west-3", "euw3", &[1, 2, 3]),
    ("sa-east-1", "sae1", &[1, 2, 3]),
    ("us-east-1", "use1", &[1, 2, 3, 4, 5, 6]),
    ("us-east-2", "use2", &[1, 2, 3]),
    ("us-west-1", "usw1", &[1, 3]),
    ("us-west-2", "usw2", &[1, 2, 3, 4]),
];

/// A zone as one account sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Such as `eu-west-1a`; means a different place in another account.
    pub name: String,
    /// Such as `euw1-az1`; the same place in every account.
    pub id: AvailabilityZoneId,
}

/// Every Region the simulator knows.
pub fn all() -> Vec<Region> {
    REGIONS
        .iter()
        .filter_map(|(name, ..)| name.parse().ok())
        .collect()
}

/// The zones of a Region with the names they have in this account, by name. Empty for a Region that is not known.
pub fn zones(ids: &IdSource, account: &AccountId, region: &Region) -> Vec<Zone> {
    let Some((_, short, numbers)) = REGIONS.iter().find(|(name, ..)| *name == region.as_str())
    else {
        return Vec::new();
    };
    let mut shuffled: Vec<AvailabilityZoneId> = numbers
        .iter()
        .filter_map(|number| format!("{short}-az{number}").parse().ok())
        .collect();
    // Sorting by a number drawn per zone and account is a shuffle that needs no stored state.
    shuffled.sort_by_key(|zone| {
        ids.fixed_number(&["zone", account.as_str(), region.as_str(), zone.as_str()])
    });
    ('a'..)
        .zip(shuffled)
        .map(|(letter, id)| Zone {
            name: format!("{region}{letter}"),
            id,
        })
        .collect()
}

/// The partition of a Region, as ARNs begin.
pub fn partition(region: &Region) -> &'static str {
    if region.as_str().starts_with("cn-") {
        "aws-cn"
    } else if region.as_str().starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn accounts_see_the_same_zones_under_different_names() {
        let ids = IdSource::new(1);
        let region: Region = "us-east-1".parse().unwrap();
        let orders: BTreeSet<Vec<String>> = (0..20)
            .map(|n| format!("{n:012}").parse().unwrap())
            .map(|account| {
                let zones = zones(&ids, &account, &region);
                assert_eq!(zones.len(), 6);
                assert_eq!(zones[0].name, "us-east-1a");
                zones.into_iter().map(|zone| zone.id.to_string()).collect()
            })
            .collect();
        assert!(orders.len() > 10, "hardly shuffled: {orders:?}");
    }

    #[test]
    fn one_account_always_sees_the_same_names() {
        let region: Region = "eu-west-1".parse().unwrap();
        let account = "123456789012".parse().unwrap();
        assert_eq!(
            zones(&IdSource::new(5), &account, &region),
            zones(&IdSource::new(5), &account, &region)
        );
    }
}
