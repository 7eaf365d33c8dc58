//! Takes over the endpoint services that an AccountRegion has in AWS already: a preview, and the import.
//!
//! Both read the inventory that the worker keeps. Nothing here calls AWS.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::ServiceId;
use serde_json::json;

use super::code::Code;
use super::register_service::{adopting, record_registered};
use super::{AppContext, AppError, text};
use crate::domain::account_region::AccountRegion;
use crate::domain::actor::Actor;
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::inventory::{Inventory, InventoryListing, InventoryService, NotAdopted};
use crate::domain::order::Order;
use crate::store::audit::{self, Entry, Subject};
use crate::store::endpoint_services::{self, Filter};
use crate::store::{PgConnection, StoreError, account_regions, inventory};

/// The most services that may be named.
const MOST_NAMED: usize = 500;

/// What to import.
#[derive(Debug, Default)]
pub struct Import {
    /// Only say what would happen.
    pub dry_run: bool,
    /// Only these services; all that can be taken over unless given.
    pub services: Option<Vec<ServiceId>>,
    /// Ask for a fresh inventory. The answer is from the one there is.
    pub refresh: bool,
    /// Why.
    pub reason: Option<String>,
}

/// What happened to one service, or would.
#[derive(Debug)]
pub struct Imported {
    /// AWS's id.
    pub aws_service_id: ServiceId,
    /// The service as the inventory has it; nothing when it is not there.
    pub service: Option<InventoryService>,
    /// Why it is not taken over; `None` where it is, or would be.
    pub unfit: Option<NotAdopted>,
    /// The registration, where there is one.
    pub registered_as: Option<EndpointServiceId>,
}

/// The outcome of an import or of its preview.
#[derive(Debug)]
pub struct ImportReport {
    /// The listing that it was read from.
    pub listing: InventoryListing,
    /// How fresh the inventory is otherwise: whether somebody wants it newer, and why it could not be made.
    pub inventory: Inventory,
    /// The present time, for the age.
    pub now: DateTime<Utc>,
    /// Every service, or every one that was named, by AWS's id.
    pub services: Vec<Imported>,
}

/// Previews or imports, in one transaction. Repeating an import changes nothing: what is registered already is said to be so.
#[tracing::instrument(skip_all, fields(account_region.id = %id, dry_run = import.dry_run))]
pub async fn import_services(
    ctx: &AppContext,
    actor: &Actor,
    id: AccountRegionId,
    import: Import,
) -> Result<ImportReport, AppError> {
    let reason = import
        .reason
        .as_deref()
        .map(|reason| text::checked("reason", reason, super::decide_connection::LONGEST_REASON))
        .transpose()?;
    if import
        .services
        .as_ref()
        .is_some_and(|named| named.is_empty() || named.len() > MOST_NAMED)
    {
        let detail = format!("name 1 to {MOST_NAMED} services, or leave it out for all");
        return Err(AppError::new(Code::InvalidRequest, detail).field("aws_service_ids"));
    }
    let now = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let place = account_regions::by_id(&mut tx, id).await?.ok_or_else(|| {
        AppError::new(
            Code::AccountRegionNotFound,
            format!("there is no AccountRegion {id}"),
        )
    })?;
    let mut known = inventory::freshness(&mut tx, id).await?;
    let listing = known.listing.ok_or_else(|| no_inventory(&known))?;
    if import.refresh {
        ask_for_fresh(&mut tx, actor, id, reason.as_deref(), now).await?;
        known.wanted_at = Some(now);
    }
    let all = inventory::all(&mut tx, id, import.services.is_some()).await?;
    let mut services = chosen(all, import.services.as_deref());
    if !import.dry_run {
        let mut taken = Vec::new();
        for of in &mut services {
            let (None, Some(service)) = (of.unfit, &of.service) else {
                continue;
            };
            let why = reason.as_deref();
            let made = take_over(&mut tx, actor, &place, service, why, now).await?;
            if let Some(made) = made {
                of.registered_as = Some(made);
                taken.push(made);
            } else {
                // Somebody was quicker.
                of.unfit = Some(NotAdopted::Registered);
                of.registered_as = registration(&mut tx, id, service.id()).await?;
            }
        }
        if !taken.is_empty() {
            let entry = Entry {
                at: now,
                actor,
                action: "account_region.import",
                subject: Subject::AccountRegion(id),
                before: None,
                after: Some(json!({ "services": taken, "inventory_at": listing.at })),
                reason: reason.as_deref(),
                decision: None,
            };
            audit::record(&mut tx, entry).await?;
        }
    }
    ctx.commit(tx).await?;
    Ok(ImportReport {
        listing,
        inventory: known,
        now,
        services,
    })
}

fn no_inventory(known: &Inventory) -> AppError {
    let why = known.error.as_ref().map_or_else(
        || {
            "the worker makes one when it first serves the AccountRegion; try again in a moment"
                .to_owned()
        },
        |error| format!("the last try failed: {}", error.message),
    );
    AppError::new(
        Code::InventoryMissing,
        format!("there is no inventory yet: {why}"),
    )
}

async fn ask_for_fresh(
    conn: &mut PgConnection,
    actor: &Actor,
    id: AccountRegionId,
    reason: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    inventory::want(conn, id, at).await?;
    let entry = Entry {
        at,
        actor,
        action: "account_region.refresh_inventory",
        subject: Subject::AccountRegion(id),
        before: None,
        after: None,
        reason,
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

/// All services, or those that were named, each with why it is not taken over.
fn chosen(all: Vec<InventoryService>, named: Option<&[ServiceId]>) -> Vec<Imported> {
    let wanted: Option<BTreeSet<&ServiceId>> = named.map(|named| named.iter().collect());
    let mut chosen: Vec<Imported> = all
        .into_iter()
        .filter(|service| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.contains(service.id()))
        })
        .map(|service| Imported {
            aws_service_id: service.id().clone(),
            unfit: service.unfit(),
            registered_as: service.registered_as,
            service: Some(service),
        })
        .collect();
    for id in wanted.into_iter().flatten() {
        if !chosen.iter().any(|of| of.aws_service_id == *id) {
            chosen.push(Imported {
                aws_service_id: id.clone(),
                service: None,
                unfit: Some(NotAdopted::NotFound),
                registered_as: None,
            });
        }
    }
    chosen
}

/// The registration of a service by AWS's id.
async fn registration(
    conn: &mut PgConnection,
    place: AccountRegionId,
    aws_service_id: &ServiceId,
) -> Result<Option<EndpointServiceId>, AppError> {
    let filter = Filter {
        account_region: Some(place),
        aws_service_id: Some(aws_service_id),
        ..Filter::default()
    };
    let found = endpoint_services::page(conn, &filter, Order::Desc, None, 1).await?;
    Ok(found.first().map(|service| service.id))
}

/// Registers a service of the inventory as adopted, with what the inventory knows of it; the first read brings the rest up to date. Answers
/// nothing when somebody else has registered it meanwhile.
pub(super) async fn take_over(
    conn: &mut PgConnection,
    actor: &Actor,
    place: &AccountRegion,
    service: &InventoryService,
    reason: Option<&str>,
    at: DateTime<Utc>,
) -> Result<Option<EndpointServiceId>, AppError> {
    let mut new = adopting(place, service.name(), service.id().clone(), &actor.name, at);
    new.acceptance_required = service.described.acceptance_required;
    new.load_balancer_arns
        .clone_from(&service.described.network_load_balancer_arns);
    match record_registered(conn, actor, &new, reason).await {
        Ok(()) => Ok(Some(new.id)),
        Err(StoreError::Duplicate { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
