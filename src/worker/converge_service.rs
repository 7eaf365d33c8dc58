//! Brings a service in AWS to what is desired: the plan's steps one after the other, and a read that proves them.

use privatelink::{EndpointServiceChange, ServiceId};

use super::service_drift;
use super::sync_services::{Failure, Shown, look};
use super::{PassError, Place};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::service_plan::{Desired, Seen, ServicePlan, Step, plan};
use crate::store::{StoreError, service_changes};

/// The code of a service that everybody was to be let into although it accepts by itself.
const OPEN_TO_EVERYBODY: &str = "open_to_everybody";

/// How it ended.
pub(super) struct Followed {
    /// What AWS shows now.
    pub(super) seen: Shown,
    /// The steps that AWS took and does not show yet; none when it shows what is desired.
    pub(super) left: Vec<&'static str>,
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
    if !first.steps.is_empty() {
        let (principals, keys) = new_claims(&first.steps);
        claim(place, service, &principals, &keys).await?;
        for step in &first.steps {
            take(place, &id, step).await?;
            tracing::info!(service.id = %service.id, step = step.word(), "changed an endpoint service");
        }
        seen = look(place, service, &id).await?;
        let steps = planned(&desired, &seen).steps;
        if !steps.is_empty() {
            let left = steps.iter().map(Step::word).collect();
            return Ok(Followed { seen, left });
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
    let left = Vec::new();
    Ok(Followed { seen, left })
}

fn planned(desired: &Desired, seen: &Shown) -> ServicePlan {
    plan(desired, &Seen::of(&seen.service, &seen.principals))
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
) -> Result<(), PassError> {
    if principals.is_empty() && tag_keys.is_empty() {
        return Ok(());
    }
    let mut tx = place.begin().await?;
    service_changes::claim(&mut tx, service.id, principals, tag_keys).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Makes the one call of a step.
async fn take(place: &Place, id: &ServiceId, step: &Step) -> Result<(), PassError> {
    let gateway = &place.gateway;
    let none = EndpointServiceChange::default();
    let change = match step {
        Step::RemovePrincipals(gone) => {
            return Ok(gateway.modify_principals(id, &[], gone).await?);
        }
        Step::AddPrincipals(new) => return Ok(gateway.modify_principals(id, new, &[]).await?),
        Step::SetTags(tags) => return Ok(gateway.set_service_tags(id, tags).await?),
        Step::RemoveTags(keys) => return Ok(gateway.remove_service_tags(id, keys).await?),
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
    };
    Ok(gateway.modify_endpoint_service(id, &change).await?)
}
