//! The plan for a service: which steps bring AWS from what it shows to what is desired, in an order that never opens the service wider than
//! either. Pure and total.
//!
//! Only what is ours is taken away: principals that we granted and tags that we set. What somebody else put there is shown, not removed.

use std::collections::{BTreeMap, BTreeSet};

use privatelink::EndpointService;

use super::endpoint_service::{Origin, RegisteredService};

/// The tag that says which registration created a service. With the client token it finds a service again after a crash.
pub const TAG: &str = "portcullis:service";
/// The principal that means every AWS account.
pub const EVERYBODY: &str = "*";

/// What a service shall be in AWS, and what of it is ours to take away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// Whether each connection has to be accepted.
    pub acceptance_required: bool,
    /// Principals that shall be allowed.
    pub principals: BTreeSet<String>,
    /// IP address types; `None` leaves them to AWS.
    pub ip_address_types: Option<BTreeSet<String>>,
    /// Other Regions; `None` leaves them as they are.
    pub regions: Option<BTreeSet<String>>,
    /// Tags that shall be set.
    pub tags: BTreeMap<String, String>,
    /// Principals that we granted.
    pub granted: BTreeSet<String>,
    /// Keys of tags that we set.
    pub tagged: BTreeSet<String>,
    /// The service's own Region, which is never sent.
    pub home: String,
}

impl Desired {
    /// What is desired of a registered service.
    pub fn of(service: &RegisteredService) -> Self {
        Self {
            acceptance_required: service.acceptance_required,
            principals: set(&service.allowed_principals),
            ip_address_types: service.supported_ip_address_types.as_deref().map(set),
            regions: service.supported_regions.as_deref().map(set),
            tags: tags(service),
            granted: set(&service.granted_principals),
            tagged: set(&service.set_tag_keys),
            home: service.region.to_string(),
        }
    }
}

/// The tags that a service shall have: those that were asked for, and on a service that we created its name and its registration.
pub fn tags(service: &RegisteredService) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    if service.origin == Origin::Created {
        tags.insert("Name".to_owned(), service.name.clone());
        tags.insert(TAG.to_owned(), service.id.to_string());
    }
    tags.extend(service.tags.clone());
    tags
}

/// What AWS shows of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether each connection has to be accepted.
    pub acceptance_required: bool,
    /// Principals that are allowed.
    pub principals: BTreeSet<String>,
    /// IP address types.
    pub ip_address_types: BTreeSet<String>,
    /// Other Regions that are open or about to be. Those that are closed are none of these.
    pub regions: BTreeSet<String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

impl Seen {
    /// From a description and the list of principals.
    pub fn of(service: &EndpointService, principals: &[String]) -> Self {
        Self {
            acceptance_required: service.acceptance_required,
            principals: set(principals),
            ip_address_types: set(&service.supported_ip_address_types),
            regions: set(&service.supported_regions),
            tags: service.tags.iter().cloned().collect(),
        }
    }
}

fn set(values: &[String]) -> BTreeSet<String> {
    values.iter().cloned().collect()
}

/// One call to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Connections shall wait for acceptance.
    RequireAcceptance,
    /// These may no longer connect.
    RemovePrincipals(Vec<String>),
    /// IP address types to add.
    AddIpAddressTypes(Vec<String>),
    /// IP address types to remove.
    RemoveIpAddressTypes(Vec<String>),
    /// Regions to open.
    AddRegions(Vec<String>),
    /// Regions to close.
    RemoveRegions(Vec<String>),
    /// Tags to set.
    SetTags(Vec<(String, String)>),
    /// Tags to remove, by key.
    RemoveTags(Vec<String>),
    /// These may connect.
    AddPrincipals(Vec<String>),
    /// Connections shall be accepted by themselves.
    WaiveAcceptance,
}

impl Step {
    /// A stable word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::RequireAcceptance => "require_acceptance",
            Self::RemovePrincipals(_) => "remove_principals",
            Self::AddIpAddressTypes(_) => "add_ip_address_types",
            Self::RemoveIpAddressTypes(_) => "remove_ip_address_types",
            Self::AddRegions(_) => "add_regions",
            Self::RemoveRegions(_) => "remove_regions",
            Self::SetTags(_) => "set_tags",
            Self::RemoveTags(_) => "remove_tags",
            Self::AddPrincipals(_) => "add_principals",
            Self::WaiveAcceptance => "waive_acceptance",
        }
    }

    /// What it is about; tags as `key=value`.
    pub fn values(&self) -> Vec<String> {
        match self {
            Self::RequireAcceptance | Self::WaiveAcceptance => Vec::new(),
            Self::RemovePrincipals(values)
            | Self::AddIpAddressTypes(values)
            | Self::RemoveIpAddressTypes(values)
            | Self::AddRegions(values)
            | Self::RemoveRegions(values)
            | Self::RemoveTags(values)
            | Self::AddPrincipals(values) => values.clone(),
            Self::SetTags(tags) => tags.iter().map(|(k, v)| format!("{k}={v}")).collect(),
        }
    }
}

/// What to do, and what it would mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServicePlan {
    /// The steps, in their order. None when AWS shows what is desired.
    pub steps: Vec<Step>,
    /// Whether they would let everybody with an AWS account in, unasked.
    pub opens_to_everybody: bool,
}

/// What brings AWS from `seen` to `desired`. What narrows comes first and what widens last, so that a pass that ends in the middle leaves
/// the service no more open than it was or than it shall be.
pub fn plan(desired: &Desired, seen: &Seen) -> ServicePlan {
    let mut steps = Vec::new();
    if desired.acceptance_required && !seen.acceptance_required {
        steps.push(Step::RequireAcceptance);
    }
    let ours_no_more = &desired.granted - &desired.principals;
    let removed = &ours_no_more & &seen.principals;
    push(&mut steps, Step::RemovePrincipals, &removed);
    if let Some(regions) = &desired.regions {
        let mut regions = regions.clone();
        regions.remove(&desired.home);
        let mut open = seen.regions.clone();
        open.remove(&desired.home);
        push(&mut steps, Step::RemoveRegions, &(&open - &regions));
        push(&mut steps, Step::AddRegions, &(&regions - &open));
    }
    if let Some(types) = &desired.ip_address_types {
        // Adding first: AWS refuses to remove the last one.
        let (missing, surplus) = (
            types - &seen.ip_address_types,
            &seen.ip_address_types - types,
        );
        push(&mut steps, Step::AddIpAddressTypes, &missing);
        push(&mut steps, Step::RemoveIpAddressTypes, &surplus);
    }
    let tags: Vec<(String, String)> = desired
        .tags
        .iter()
        .filter(|(key, value)| seen.tags.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !tags.is_empty() {
        steps.push(Step::SetTags(tags));
    }
    let stale: BTreeSet<String> = desired
        .tagged
        .iter()
        .filter(|key| !desired.tags.contains_key(*key) && seen.tags.contains_key(*key))
        .cloned()
        .collect();
    push(&mut steps, Step::RemoveTags, &stale);
    let added = &desired.principals - &seen.principals;
    push(&mut steps, Step::AddPrincipals, &added);
    let waives = !desired.acceptance_required && seen.acceptance_required;
    if waives {
        steps.push(Step::WaiveAcceptance);
    }
    let everybody = desired.principals.contains(EVERYBODY)
        || (seen.principals.contains(EVERYBODY) && !removed.contains(EVERYBODY));
    ServicePlan {
        opens_to_everybody: !desired.acceptance_required
            && everybody
            && (waives || added.contains(EVERYBODY)),
        steps,
    }
}

fn push(steps: &mut Vec<Step>, step: impl FnOnce(Vec<String>) -> Step, values: &BTreeSet<String>) {
    if !values.is_empty() {
        steps.push(step(values.iter().cloned().collect()));
    }
}

/// Principals that AWS has and that nobody here asked for: neither desired nor granted by us.
pub fn unknown_principals(desired: &Desired, seen: &Seen) -> Vec<String> {
    let known = &desired.principals | &desired.granted;
    (&seen.principals - &known).into_iter().collect()
}

#[cfg(test)]
mod tests;
