//! Brings a service in AWS to what is desired: the plan's steps one after the other, and a read that proves them.

use privatelink::{EndpointServiceChange, GatewayError, LoadBalancerArn, ServiceId};

use super::service_balancers::{explained, refuse_unequal};
use super::service_drift;
use super::sync_services::{Failure, Shown, look, unchanged};
use super::{PassError, Place};
use crate::domain::endpoint_service::{RegisteredService, Waiting};
use crate::domain::service_plan::{Desired, Seen, ServicePlan, Step, plan};
use crate::store::{StoreError, service_changes};

/// The code of a service that everybody was to be let into although it accepts by itself.
const OPEN_TO_EVERYBODY: &str = "open_to_everybody";
/// AWS's code for what cannot be while endpoints are attached.
const ENDPOINTS_ATTACHED: &str = "ExistingVpcEndpointConnections";
/// The code of a Region that AWS is still opening or closing.
const REGION_SETTLING: &str = "region_settling";
/// How many endpoints are named that are in the way.
const MOST_NAMED: i64 = 20;

/// How it ended.
pub(super) struct Followed {
    /// What AWS shows now.
    pub(super) seen: Shown,
    /// The steps that AWS took and does not show yet; none when it shows what is desired.
    pub(super) left: Vec<&'static str>,
    /// The steps that wait for something outside; then the version is not applied.
    pub(super) waiting: Vec<Waiting>,
}

/// Plans from what AWS shows, takes the steps, and reads back. A crash after any step is mended by planning anew.
pub(super) async fn follow(
    place: &Place,
    service: &RegisteredService,
    mut seen: Shown,
) -> Result<Followed, Failure> {
    let id = seen.service.service_id.clone();
    let desired = Desired::of(service);
    let first = planned(&desired, &seen);
    if first.opens_to_everybody && !service.open_to_everybody {
        let message = format!(
            "{id} would accept everybody with an AWS account by itself; nothing was changed. \
             Confirm it with PATCH and confirm_open_to_everybody, or take * out"
        );
        return Err(Failure::Stall(OPEN_TO_EVERYBODY, message));
    }
    let added = |step: &Step| matches!(step, Step::AddLoadBalancers(_));
    if first.steps.iter().any(added) {
        let attached = &seen.service.network_load_balancer_arns;
        refuse_unequal(place, service, attached).await?;
    }
    if !first.steps.is_empty() {
        let (principals, keys) = new_claims(&first.steps);
        claim(place, service, &principals, &keys).await?;
        let mut waiting = take_all(place, service, &seen, &first.steps).await?;
        seen = look(place, service, &id).await?;
        let mut steps = planned(&desired, &seen).steps;
        // The new load balancers are there now: those that they replace can go.
        if first.steps.iter().any(added) && !steps.iter().any(added) {
            let removal = |step: &&Step| matches!(step, Step::RemoveLoadBalancers(_));
            let rest: Vec<Step> = steps.iter().filter(removal).cloned().collect();
            if !rest.is_empty() {
                waiting.extend(take_all(place, service, &seen, &rest).await?);
                seen = look(place, service, &id).await?;
                steps = planned(&desired, &seen).steps;
            }
        }
        if !steps.is_empty() {
            let left = steps.iter().map(Step::word).collect();
            return Ok(Followed {
                seen,
                left,
                waiting,
            });
        }
    }
    let keys: Vec<String> = desired.tags.into_keys().collect();
    let at = place.now();
    let changed_at = (!first.steps.is_empty()).then_some(at);
    let mut tx = place.begin().await?;
    let (id, version) = (service.id, service.version);
    service_changes::record_applied(&mut tx, id, version, &keys, changed_at).await?;
    service_drift::compare_proven(&mut tx, place, id, &seen, at).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Followed {
        seen,
        left: Vec::new(),
        waiting: Vec::new(),
    })
}

fn planned(desired: &Desired, seen: &Shown) -> ServicePlan {
    plan(desired, &Seen::of(&seen.service, &seen.principals))
}

/// Takes the steps in their order and answers which have to wait. One that has to wait does not keep the others, with two exceptions: while
/// one that narrows waits, none is taken that widens; and load balancers are removed after a read that shows the new ones.
async fn take_all(
    place: &Place,
    service: &RegisteredService,
    seen: &Shown,
    steps: &[Step],
) -> Result<Vec<Waiting>, Failure> {
    let id = &seen.service.service_id;
    let replaces = steps
        .iter()
        .any(|step| matches!(step, Step::AddLoadBalancers(_)));
    let (mut waiting, mut narrow) = (Vec::new(), true);
    for step in steps {
        let too_soon = replaces && matches!(step, Step::RemoveLoadBalancers(_));
        if too_soon || (step.widens() && !narrow) {
            continue;
        }
        let refused = if let Some(message) = settling(seen, step) {
            Some((REGION_SETTLING.to_owned(), message, false))
        } else {
            // Each call may have waited for a token: what is desired by now is what counts.
            unchanged(place, service).await?;
            take(place, id, step).await?
        };
        match refused {
            None => {
                tracing::info!(service.id = %service.id, step = step.word(), "changed an endpoint service");
            }
            Some((code, message, by_endpoints)) => {
                narrow &= !step.narrows();
                let why = (code, message, by_endpoints);
                waiting.push(waits(place, service, step, why).await?);
            }
        }
    }
    Ok(waiting)
}

/// Why Regions cannot be changed now: AWS is still at it.
fn settling(seen: &Shown, step: &Step) -> Option<String> {
    let (Step::AddRegions(regions) | Step::RemoveRegions(regions)) = step else {
        return None;
    };
    let moving = seen.service.remote_regions.iter().find(|row| {
        regions.contains(&row.region)
            && matches!(row.state.as_deref(), Some("Pending" | "Deleting"))
    })?;
    let state = moving.state.as_deref().unwrap_or_default();
    Some(format!(
        "{} is {state} in AWS and can be changed once that is over",
        moving.region
    ))
}

/// The step as one that waits, with what is in its way.
async fn waits(
    place: &Place,
    service: &RegisteredService,
    step: &Step,
    (code, message, by_endpoints): (String, String, bool),
) -> Result<Waiting, PassError> {
    let (endpoints, endpoint_count) = if by_endpoints {
        let id = service.id;
        place
            .read(async |conn| service_changes::attached_endpoints(conn, id, MOST_NAMED).await)
            .await?
    } else {
        (Vec::new(), 0)
    };
    let (step, values) = (step.word().to_owned(), step.values());
    let before = service
        .waiting
        .iter()
        .find(|row| row.step == step && row.values == values);
    if before.is_none() {
        tracing::warn!(service.id = %service.id, step, sync.code = code, "a step has to wait");
    }
    Ok(Waiting {
        since: before.map_or_else(|| place.now(), |row| row.since),
        step,
        values,
        code,
        message,
        endpoints,
        endpoint_count,
    })
}

/// What is to be said of a step that attached endpoints keep from being taken.
fn choice(step: &Step) -> &'static str {
    match step {
        Step::RemoveLoadBalancers(_) => {
            "AWS removes a load balancer only while no endpoint is attached: keep it by listing it in load_balancer_arns again, \
             or revoke the connections and wait for the endpoints to go"
        }
        Step::SetPrivateDnsName(_) | Step::RemovePrivateDnsName => {
            "AWS changes the private DNS name only while no endpoint is attached: keep the name, or revoke the connections and \
             wait for the endpoints to go"
        }
        _ => {
            "AWS takes this only while no endpoint is attached that needs it: keep it as it was, or revoke those connections"
        }
    }
}

/// What becomes ours with these steps: principals and keys of tags.
fn new_claims(steps: &[Step]) -> (Vec<String>, Vec<String>) {
    let (mut principals, mut keys) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::AddPrincipals(added) => principals.extend(added.iter().cloned()),
            Step::SetTags(tags) => keys.extend(tags.iter().map(|(key, _)| key.clone())),
            _ => {}
        }
    }
    (principals, keys)
}

/// Notes what is about to be put into AWS by us.
pub(super) async fn claim(
    place: &Place,
    service: &RegisteredService,
    principals: &[String],
    tag_keys: &[String],
) -> Result<(), Failure> {
    if principals.is_empty() && tag_keys.is_empty() {
        return Ok(());
    }
    let (id, version) = (service.id, service.version);
    let mut tx = place.begin().await?;
    if !service_changes::claim(&mut tx, id, version, principals, tag_keys).await? {
        return Err(Failure::Changed);
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Makes the one call of a step. Answers code and words if endpoints are in the way.
async fn take(
    place: &Place,
    id: &ServiceId,
    step: &Step,
) -> Result<Option<(String, String, bool)>, Failure> {
    match call(place, id, step).await {
        Ok(()) => Ok(None),
        Err(GatewayError::Invalid { code, .. }) if code == ENDPOINTS_ATTACHED => {
            Ok(Some((code, choice(step).to_owned(), true)))
        }
        Err(error) if matches!(step, Step::AddLoadBalancers(_)) => {
            Err(explained(place, error).await)
        }
        Err(error) => Err(error.into()),
    }
}

async fn call(place: &Place, id: &ServiceId, step: &Step) -> Result<(), GatewayError> {
    let gateway = &place.gateway;
    let none = EndpointServiceChange::default();
    let change = match step {
        Step::RemovePrincipals(gone) => return gateway.modify_principals(id, &[], gone).await,
        Step::AddPrincipals(new) => return gateway.modify_principals(id, new, &[]).await,
        Step::SetTags(tags) => return gateway.set_service_tags(id, tags).await,
        Step::RemoveTags(keys) => return gateway.remove_service_tags(id, keys).await,
        Step::MakeOwnerPay => return gateway.make_service_owner_pay(id).await,
        Step::RequireAcceptance | Step::WaiveAcceptance => EndpointServiceChange {
            acceptance_required: Some(matches!(step, Step::RequireAcceptance)),
            ..none
        },
        Step::AddIpAddressTypes(types) => EndpointServiceChange {
            add_supported_ip_address_types: types.clone(),
            ..none
        },
        Step::RemoveIpAddressTypes(types) => EndpointServiceChange {
            remove_supported_ip_address_types: types.clone(),
            ..none
        },
        Step::AddRegions(regions) => EndpointServiceChange {
            add_supported_regions: regions.clone(),
            ..none
        },
        Step::RemoveRegions(regions) => EndpointServiceChange {
            remove_supported_regions: regions.clone(),
            ..none
        },
        Step::AddLoadBalancers(arns) => EndpointServiceChange {
            add_network_load_balancer_arns: parsed(arns),
            ..none
        },
        Step::RemoveLoadBalancers(arns) => EndpointServiceChange {
            remove_network_load_balancer_arns: parsed(arns),
            ..none
        },
        Step::SetPrivateDnsName(name) => EndpointServiceChange {
            private_dns_name: Some(name.clone()),
            ..none
        },
        Step::RemovePrivateDnsName => EndpointServiceChange {
            remove_private_dns_name: true,
            ..none
        },
    };
    gateway.modify_endpoint_service(id, &change).await
}

/// The plan's words as ARNs, which they were made from.
fn parsed(arns: &[String]) -> Vec<LoadBalancerArn> {
    arns.iter().filter_map(|arn| arn.parse().ok()).collect()
}
