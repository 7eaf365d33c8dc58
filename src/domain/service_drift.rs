//! What of a registered service AWS shows otherwise than it is desired here, while no change of ours is on its way. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privatelink::{EndpointService, LoadBalancerArn};
use serde_json::{Map, Value, json};

use super::drift::DriftKind;
use super::drift_inbox::{Found, Inapplicable};
use super::endpoint_service::{Origin, RegisteredService};
use super::service_plan::{Desired, Seen, TAG, unknown_principals};

/// What of a service can differ. The words are those of the REST API.
const ACCEPTANCE: &str = "acceptance_required";
const BALANCERS: &str = "load_balancer_arns";
const REGIONS: &str = "supported_regions";
const TYPES: &str = "supported_ip_address_types";
const TAGS: &str = "tags";
const PRINCIPALS: &str = "allowed_principals";

/// Every disagreement about a service: at most one of the kind `service_reconfigured`, with all members that differ, because bringing AWS back
/// brings all of them back; and one of the kind `unknown_principal` for each principal.
pub fn of_service(
    service: &RegisteredService,
    shown: &EndpointService,
    principals: &[String],
) -> Vec<Found> {
    let evidence = json!({
        "name": service.name,
        "aws_service_id": shown.service_id,
        "state": shown.state,
        "acceptance_required": shown.acceptance_required,
    });
    let mut found = Vec::new();
    let (before, after) = differing(service, shown, principals);
    if !before.is_empty() {
        found.push(Found {
            kind: DriftKind::ServiceReconfigured,
            subject: shown.service_id.to_string(),
            before: before.into(),
            after: after.into(),
            evidence: evidence.clone(),
        });
    }
    let (desired, seen) = (Desired::of(service), Seen::of(shown, principals));
    let unknown = unknown_principals(&desired, &seen).into_iter();
    found.extend(unknown.map(|principal| Found {
        kind: DriftKind::UnknownPrincipal,
        before: json!({ PRINCIPALS: [] }),
        after: json!({ PRINCIPALS: [principal] }),
        subject: principal,
        evidence: evidence.clone(),
    }));
    found
}

/// The members that differ, as desired and as shown. Of tags and principals only what is ours.
fn differing(
    service: &RegisteredService,
    shown: &EndpointService,
    principals: &[String],
) -> (Map<String, Value>, Map<String, Value>) {
    let (desired, seen) = (Desired::of(service), Seen::of(shown, principals));
    let (mut before, mut after) = (Map::new(), Map::new());
    let mut differ = |member: &str, was: Value, is: Value| {
        if was != is {
            before.insert(member.to_owned(), was);
            after.insert(member.to_owned(), is);
        }
    };
    differ(
        ACCEPTANCE,
        json!(desired.acceptance_required),
        json!(seen.acceptance_required),
    );
    differ(
        BALANCERS,
        json!(balancers(&service.load_balancer_arns)),
        json!(balancers(&shown.network_load_balancer_arns)),
    );
    if let Some(regions) = &desired.regions {
        let abroad = |regions: &BTreeSet<String>| {
            let mut regions = regions.clone();
            regions.remove(&desired.home);
            json!(regions)
        };
        differ(REGIONS, abroad(regions), abroad(&seen.regions));
    }
    if let Some(types) = &desired.ip_address_types {
        differ(TYPES, json!(types), json!(seen.ip_address_types));
    }
    let differing = |key: &&String| desired.tags.get(*key) != seen.tags.get(*key);
    let keys: Vec<&String> = desired.tags.keys().filter(differing).collect();
    let of = |tags: &BTreeMap<String, String>| -> Value {
        let pairs = keys
            .iter()
            .map(|key| ((*key).clone(), json!(tags.get(*key))));
        pairs.collect::<Map<String, Value>>().into()
    };
    differ(TAGS, of(&desired.tags), of(&seen.tags));
    let missing = &desired.principals - &seen.principals;
    differ(PRINCIPALS, json!(missing), json!([]));
    (before, after)
}

fn balancers(arns: &[LoadBalancerArn]) -> BTreeSet<&str> {
    arns.iter().map(LoadBalancerArn::as_str).collect()
}

/// The service with what AWS shows for what is desired, in every member that differs. What becomes ours with it we may take away later.
pub fn adopted(
    mut service: RegisteredService,
    shown: &EndpointService,
    principals: &[String],
) -> Result<RegisteredService, Inapplicable> {
    let (before, _) = differing(&service, shown, principals);
    let seen = Seen::of(shown, principals);
    if before.contains_key(TAGS) {
        adopt_tags(&mut service, &seen)?;
    }
    service.acceptance_required = shown.acceptance_required;
    service
        .load_balancer_arns
        .clone_from(&shown.network_load_balancer_arns);
    if before.contains_key(REGIONS) {
        let mut regions = seen.regions.clone();
        regions.remove(service.region.as_str());
        service.supported_regions = Some(regions.into_iter().collect());
    }
    if before.contains_key(TYPES) {
        service.supported_ip_address_types = Some(seen.ip_address_types.into_iter().collect());
    }
    let allowed = |principal: &String| seen.principals.contains(principal);
    service.allowed_principals.retain(allowed);
    service.granted_principals.retain(allowed);
    Ok(service)
}

fn adopt_tags(service: &mut RegisteredService, seen: &Seen) -> Result<(), Inapplicable> {
    let ours = super::service_plan::tags(service);
    for key in ours.keys() {
        match seen.tags.get(key) {
            Some(value) if ours.get(key) == Some(value) => {}
            _ if service.origin == Origin::Created && key == TAG => {
                return Err(Inapplicable::NotAdoptable(format!(
                    "the tag {TAG} says which registration made the service; revert it"
                )));
            }
            Some(value) => {
                service.tags.insert(key.clone(), value.clone());
            }
            None if service.tags.remove(key).is_some() && !is_made_anew(service, key) => {
                service.set_tag_keys.retain(|set| set != key);
            }
            None => {
                return Err(Inapplicable::NotAdoptable(format!(
                    "the tag {key} always comes with a service that Portcullis created; revert it"
                )));
            }
        }
    }
    Ok(())
}

/// Whether a tag of this key is desired even where nobody asked for it.
fn is_made_anew(service: &RegisteredService, key: &str) -> bool {
    super::service_plan::tags(service).contains_key(key)
}

/// Whether the ordinary sync can bring everything back that differs. Load balancers it does not touch.
pub fn revertible(
    service: &RegisteredService,
    shown: &EndpointService,
    principals: &[String],
) -> Result<(), Inapplicable> {
    let (before, _) = differing(service, shown, principals);
    if before.contains_key(BALANCERS) {
        let why = "the load balancers of a service are not changed from here; put them back in AWS, or adopt them";
        return Err(Inapplicable::NotRevertible(why.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
