//! Cross-Region access: the Regions a service's consumers may come from besides its own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use privatelink::{AvailabilityZoneId, LoadBalancerArn, Region};
use serde::{Deserialize, Serialize};

use super::elb_attributes::has_own_idle_timeout;
use super::services::Service;
use super::{Caller, World, later};
use crate::AwsError;

/// Zones whose load balancers AWS cannot use for consumers in other Regions.
const UNUSABLE: [&str; 5] = [
    "use1-az3",
    "usw1-az2",
    "apne1-az3",
    "apne2-az2",
    "apne2-az4",
];

/// Whether consumers may come from a Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteState {
    /// They may.
    Available,
    /// They no longer may; the row stays, and so do the endpoints that exist.
    Closed,
    /// They cannot, as the control API says.
    Failed,
}

/// The Regions that were ever added to a service.
pub type RemoteRegions = BTreeMap<Region, RemoteState>;

/// When the last change of each Region is finished.
pub type RegionChanges = BTreeMap<Region, DateTime<Utc>>;

impl Service {
    /// Whether consumers in a Region may make endpoints at a moment.
    pub fn serves(&self, region: &Region, at: DateTime<Utc>) -> bool {
        *region == self.region || self.region_state_at(region, at) == Some("Available")
    }

    /// The state of a Region that was ever added, as the wire says it.
    pub fn region_state_at(&self, region: &Region, at: DateTime<Utc>) -> Option<&'static str> {
        let moving = self.region_changes.get(region).is_some_and(|end| at < *end);
        Some(match self.supported_regions.get(region)? {
            RemoteState::Failed => "Failed",
            RemoteState::Available if moving => "Pending",
            RemoteState::Available => "Available",
            RemoteState::Closed if moving => "Deleting",
            RemoteState::Closed => "Closed",
        })
    }

    /// Refuses to change Regions that are `Pending` or `Deleting`. Undocumented.
    pub(super) fn check_settled(
        &self,
        names: &[String],
        at: DateTime<Utc>,
    ) -> Result<(), AwsError> {
        for name in names {
            let state = name.parse().ok();
            let state = state.and_then(|region| self.region_state_at(&region, at));
            if let Some(state @ ("Pending" | "Deleting")) = state {
                let message = format!("Cannot change region {name}: it is {state}");
                return Err(AwsError::new("InvalidParameter", message));
            }
        }
        Ok(())
    }

    /// Whether any Region but its own is open.
    pub fn is_remote(&self) -> bool {
        is_remote(&self.supported_regions)
    }

    /// Refuses subnets in zones that the service has not. Zones need not match across Regions.
    pub(super) fn check_zones(
        &self,
        subnets: &[(AvailabilityZoneId, String)],
        from: &Region,
    ) -> Result<(), AwsError> {
        let outside = subnets.iter().find(|(zone, _)| !self.zones.contains(zone));
        match outside {
            Some((_, subnet)) if *from == self.region => Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "The VPC endpoint service {} does not support the availability zone of the subnet: {subnet}.",
                    self.name()
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Whether any of these Regions is open.
pub(super) fn is_remote(regions: &RemoteRegions) -> bool {
    let mut states = regions.values();
    states.any(|state| *state == RemoteState::Available)
}

impl World {
    /// Refuses load balancers with a TCP idle timeout of their own, which cross-Region access does not support. AWS documents
    /// that, not the code.
    pub(super) fn check_idle_timeouts(
        &mut self,
        caller: &Caller,
        balancers: &[LoadBalancerArn],
    ) -> Result<(), AwsError> {
        let listeners = self.place(caller).listeners.values();
        let chosen = listeners
            .filter(|listener| balancers.contains(&listener.load_balancer))
            .find(|listener| has_own_idle_timeout(&listener.attributes));
        match chosen {
            Some(listener) => Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "Remote access does not support a custom TCP idle timeout, as the listener {} has",
                    listener.arn
                ),
            )),
            None => Ok(()),
        }
    }

    /// When the Regions that differ are finished.
    pub(super) fn region_changes(
        &self,
        now: DateTime<Utc>,
        before: &RemoteRegions,
        after: &RemoteRegions,
    ) -> RegionChanges {
        let changed = after
            .iter()
            .filter(|(region, state)| before.get(region) != Some(state));
        changed
            .map(|(region, state)| {
                let takes = match state {
                    RemoteState::Available => self.behavior.remote_region_pending_ms,
                    RemoteState::Closed | RemoteState::Failed => {
                        self.behavior.remote_region_deleting_ms
                    }
                };
                (region.clone(), later(now, takes))
            })
            .collect()
    }

    /// A service's Regions after some were added and some removed. The home Region is implied and may not be named.
    pub(super) fn changed_regions(
        &self,
        home: &Region,
        present: &RemoteRegions,
        add: &[String],
        remove: &[String],
    ) -> Result<RemoteRegions, AwsError> {
        let refuse = |why: String| AwsError::new("InvalidParameter", why);
        let mut regions = present.clone();
        for name in remove {
            let open = name
                .parse::<Region>()
                .ok()
                .and_then(|region| regions.get_mut(&region))
                .filter(|state| **state != RemoteState::Closed);
            match open {
                Some(state) => *state = RemoteState::Closed,
                None => return Err(refuse(format!("Cannot remove region {name}"))),
            }
        }
        for name in add {
            let region: Region = name
                .parse()
                .ok()
                .filter(|region| self.regions().contains(region))
                .ok_or_else(|| refuse(format!("The region {name} is not supported")))?;
            if region == *home {
                return Err(refuse(format!(
                    "Cannot add region {name}: it is the service's own"
                )));
            }
            let before = regions.insert(region, RemoteState::Available);
            if before.is_some_and(|state| state != RemoteState::Closed) {
                return Err(refuse(format!(
                    "Cannot add region {name}: it is there already"
                )));
            }
        }
        Ok(regions)
    }
}

/// Whether a service with these zones can serve other Regions: it has two or more, and none that AWS cannot use.
pub(super) fn check_remote_zones(zones: &BTreeSet<AvailabilityZoneId>) -> Result<(), AwsError> {
    let (unusable, usable): (Vec<&str>, Vec<&str>) = zones
        .iter()
        .map(AvailabilityZoneId::as_str)
        .partition(|zone| UNUSABLE.contains(zone));
    if !unusable.is_empty() {
        return Err(AwsError::new(
            "InvalidParameter",
            format!(
                "The availability zones {} cannot be used for remote access. Allowed: {}",
                unusable.join(", "),
                usable.join(", ")
            ),
        ));
    }
    if usable.len() < 2 {
        return Err(AwsError::new(
            "InvalidParameter",
            "A service with remote access must span at least two availability zones",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "remote_access_tests.rs"]
mod tests;
