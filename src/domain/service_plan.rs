//! The plan for a service: which steps bring AWS from what it shows to what is desired, in an order that never opens the service wider than
//! either. Pure and total.
//!
//! Only what is ours is taken away: principals that we granted, tags that we set and load balancers that somebody here took out. What somebody
//! else put there is shown, not removed.

use std::collections::{BTreeMap, BTreeSet};

use privatelink::{EndpointService, LoadBalancerArn};

use super::endpoint_service::{Origin, RegisteredService, WantedName};
use super::principal;

/// The tag that says which registration created a service. With the client token it finds a service again after a crash.
pub const TAG: &str = "portcullis:service";
/// The principal that means every AWS account.
pub const EVERYBODY: &str = "*";
/// AWS's word for an owner who pays for the endpoints.
pub const SERVICE_OWNER: &str = "ServiceOwner";

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
    /// Load balancers that shall be behind it; empty leaves them as they are.
    pub load_balancers: BTreeSet<String>,
    /// Load balancers that somebody took out of the service.
    pub dropped: BTreeSet<String>,
    /// The private DNS name.
    pub private_dns_name: WantedName,
    /// Whether the owner pays for the endpoints.
    pub owner_pays: bool,
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
            load_balancers: arns(&service.load_balancer_arns),
            dropped: arns(&service.dropped_load_balancer_arns),
            private_dns_name: service.private_dns_name.clone(),
            owner_pays: service.service_owner_pays,
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
    /// The load balancers behind it.
    pub load_balancers: BTreeSet<String>,
    /// The private DNS name.
    pub private_dns_name: Option<String>,
    /// Whether the owner pays for the endpoints.
    pub owner_pays: bool,
}

impl Seen {
    /// From a description and the list of principals.
    pub fn of(service: &EndpointService, principals: &[String]) -> Self {
        Self {
            acceptance_required: service.acceptance_required,
            // A bare account and its root are one principal, in whichever way AWS writes it.
            principals: principals.iter().map(|p| principal::canonical(p)).collect(),
            ip_address_types: set(&service.supported_ip_address_types),
            regions: set(&service.supported_regions),
            tags: service.tags.iter().cloned().collect(),
            load_balancers: arns(&service.network_load_balancer_arns),
            private_dns_name: service
                .private_dns_name
                .as_ref()
                .map(|dns| dns.name.clone()),
            owner_pays: service.payer_responsibility.as_deref() == Some(SERVICE_OWNER),
        }
    }
}

fn arns(arns: &[LoadBalancerArn]) -> BTreeSet<String> {
    arns.iter().map(ToString::to_string).collect()
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
    /// Load balancers to put behind it.
    AddLoadBalancers(Vec<String>),
    /// Load balancers to take away.
    RemoveLoadBalancers(Vec<String>),
    /// The private DNS name to give it.
    SetPrivateDnsName(String),
    /// It shall have no private DNS name.
    RemovePrivateDnsName,
    /// The owner shall pay for the endpoints.
    MakeOwnerPay,
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
            Self::AddLoadBalancers(_) => "add_load_balancers",
            Self::RemoveLoadBalancers(_) => "remove_load_balancers",
            Self::SetPrivateDnsName(_) => "set_private_dns_name",
            Self::RemovePrivateDnsName => "remove_private_dns_name",
            Self::MakeOwnerPay => "make_owner_pay",
        }
    }

    /// What it is about; tags as `key=value`.
    pub fn values(&self) -> Vec<String> {
        match self {
            Self::RequireAcceptance
            | Self::WaiveAcceptance
            | Self::RemovePrivateDnsName
            | Self::MakeOwnerPay => Vec::new(),
            Self::SetPrivateDnsName(name) => vec![name.clone()],
            Self::RemovePrincipals(values)
            | Self::AddIpAddressTypes(values)
            | Self::RemoveIpAddressTypes(values)
            | Self::AddRegions(values)
            | Self::RemoveRegions(values)
            | Self::RemoveTags(values)
            | Self::AddPrincipals(values)
            | Self::AddLoadBalancers(values)
            | Self::RemoveLoadBalancers(values) => values.clone(),
            Self::SetTags(tags) => tags.iter().map(|(k, v)| format!("{k}={v}")).collect(),
        }
    }

    /// Whether fewer may connect after it. While such a step is not taken, none is that [`Step::widens`].
    pub fn narrows(&self) -> bool {
        matches!(
            self,
            Self::RequireAcceptance | Self::RemovePrincipals(_) | Self::RemoveRegions(_)
        )
    }

    /// Whether more may connect after it.
    pub fn widens(&self) -> bool {
        matches!(
            self,
            Self::WaiveAcceptance | Self::AddPrincipals(_) | Self::AddRegions(_)
        )
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
    push(
        &mut steps,
        Step::AddLoadBalancers,
        &(&desired.load_balancers - &seen.load_balancers),
    );
    match (&desired.private_dns_name, &seen.private_dns_name) {
        (WantedName::Name(wanted), shown) if shown.as_ref() != Some(wanted) => {
            steps.push(Step::SetPrivateDnsName(wanted.clone()));
        }
        (WantedName::Absent, Some(_)) => steps.push(Step::RemovePrivateDnsName),
        _ => {}
    }
    // What cannot be undone comes late, and before more consumers can make endpoints that somebody pays for.
    if desired.owner_pays && !seen.owner_pays {
        steps.push(Step::MakeOwnerPay);
    }
    let added = &desired.principals - &seen.principals;
    push(&mut steps, Step::AddPrincipals, &added);
    let waives = !desired.acceptance_required && seen.acceptance_required;
    if waives {
        steps.push(Step::WaiveAcceptance);
    }
    // Last of all, since it may have to wait for endpoints to go. Never the ones that stay, and never all.
    let dropped = &desired.dropped - &desired.load_balancers;
    if !desired.load_balancers.is_empty() {
        let removed = &dropped & &seen.load_balancers;
        push(&mut steps, Step::RemoveLoadBalancers, &removed);
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

/// Load balancers that AWS has behind the service and that nobody here asked for: neither desired nor taken out.
pub fn unknown_load_balancers(desired: &Desired, seen: &Seen) -> Vec<String> {
    let known = &desired.load_balancers | &desired.dropped;
    (&seen.load_balancers - &known).into_iter().collect()
}

#[cfg(test)]
mod tests;
