//! Registers an endpoint service: to be created from load balancers, or adopted by its AWS id.
//!
//! Only the intent is recorded here. The worker creates or reads the service in AWS; what AWS says about it, a refusal included, shows
//! up on the service.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, LoadBalancerArn, Region, ServiceId};
use serde_json::json;

use super::code::Code;
use super::principals::{has_everybody, normalised_principals, refuse_everybody};
use super::{AppContext, AppError, text};
use crate::domain::account_region::AccountRegion;
use crate::domain::actor::Actor;
use crate::domain::endpoint_service::{Origin, RegisteredService, ServiceSync, WantedName};
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::lifecycle::Lifecycle;
use crate::domain::sync::SyncState;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, StoreError, account_regions, drifts, endpoint_services};

/// The most load balancers that one service may have here.
const MOST_LOAD_BALANCERS: usize = 20;

/// Where a service is to live.
#[derive(Debug)]
pub enum Place {
    /// By our id.
    Id(AccountRegionId),
    /// By AWS's words.
    Named(AccountId, Region),
}

/// What a service is registered with.
#[derive(Debug)]
pub struct NewService {
    /// Where it lives.
    pub place: Place,
    /// What people call it.
    pub name: String,
    /// Created or adopted.
    pub source: Source,
    /// Principals that may connect, in any form that [`crate::domain::principal::normalise`] takes.
    pub allowed_principals: Vec<String>,
    /// Whether it is meant that everybody with an AWS account may connect unasked.
    pub confirm_open_to_everybody: bool,
}

/// How the service comes to be.
#[derive(Debug)]
pub enum Source {
    /// Create it from these load balancers.
    LoadBalancers {
        /// Network Load Balancers of the same account and Region.
        arns: Vec<LoadBalancerArn>,
        /// Whether each connection has to be accepted.
        acceptance_required: bool,
    },
    /// Take over the service that has this id.
    Existing(ServiceId),
}

/// Registers it and makes it due.
#[tracing::instrument(skip_all, fields(service.name = %new.name))]
pub async fn register_service(
    ctx: &AppContext,
    actor: &Actor,
    new: NewService,
) -> Result<RegisteredService, AppError> {
    let name = text::checked_line("name", &new.name, 128)?;
    let allowed_principals = checked_principals(&new)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let place = find_place(&mut tx, &new.place).await?;
    let (origin, arns, acceptance_required, aws_service_id) = match new.source {
        Source::LoadBalancers {
            arns,
            acceptance_required,
        } => {
            check_load_balancers(&arns, &place.place.account, &place.place.region)?;
            (Origin::Created, arns, acceptance_required, None)
        }
        Source::Existing(id) => (Origin::Adopted, Vec::new(), true, Some(id)),
    };
    let service = RegisteredService {
        origin,
        acceptance_required,
        load_balancer_arns: arns,
        open_to_everybody: !acceptance_required && has_everybody(&allowed_principals),
        allowed_principals,
        aws_service_id,
        ..unregistered(&place, name, &actor.name, at)
    };
    record_registered(&mut tx, actor, &service, None)
        .await
        .map_err(|error| match error {
            StoreError::Duplicate { .. } => AppError::new(
                Code::ServiceExists,
                "this endpoint service is registered already in this account and Region",
            )
            .field("aws_service_id"),
            other => other.into(),
        })?;
    ctx.commit(tx).await?;
    Ok(service)
}

/// A registration of a service that exists in AWS.
pub(super) fn adopting(
    place: &AccountRegion,
    name: String,
    id: ServiceId,
    by: &str,
    at: DateTime<Utc>,
) -> RegisteredService {
    RegisteredService {
        origin: Origin::Adopted,
        aws_service_id: Some(id),
        ..unregistered(place, name, by, at)
    }
}

/// What every new registration has, due at once.
fn unregistered(
    place: &AccountRegion,
    name: String,
    by: &str,
    at: DateTime<Utc>,
) -> RegisteredService {
    RegisteredService {
        id: EndpointServiceId::new(at),
        account_region_id: place.id,
        account: place.place.account.clone(),
        region: place.place.region.clone(),
        name,
        origin: Origin::Created,
        acceptance_required: true,
        load_balancer_arns: Vec::new(),
        allowed_principals: Vec::new(),
        supported_ip_address_types: None,
        supported_regions: None,
        tags: BTreeMap::new(),
        open_to_everybody: false,
        granted_principals: Vec::new(),
        set_tag_keys: Vec::new(),
        version: 1,
        applied_version: 0,
        aws_service_id: None,
        service_name: None,
        observed: None,
        checks: None,
        sync: ServiceSync {
            state: SyncState::Due,
            due_at: at,
            attempts: 0,
            code: None,
            message: None,
        },
        created_at: at,
        created_by: by.to_owned(),
        check_requested_at: None,
        stall: None,
        dropped_load_balancer_arns: Vec::new(),
        listeners_may_differ: false,
        refresh_zones_at: None,
        private_dns_name: WantedName::AsItIs,
        service_owner_pays: false,
        private_dns: None,
        waiting: Vec::new(),
        lifecycle: Lifecycle::default(),
    }
}

/// Writes a registration with its audit entry, and settles the drift that the service was while nobody had registered it. A collision with
/// another registration of the same service leaves the transaction usable.
pub(super) async fn record_registered(
    conn: &mut PgConnection,
    actor: &Actor,
    service: &RegisteredService,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    if let Some(aws_id) = &service.aws_service_id {
        drifts::lock_unknown_service(conn, service.account_region_id, aws_id).await?;
    }
    endpoint_services::insert(conn, service).await?;
    let at = service.created_at;
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.register",
        subject: Subject::EndpointService(service.id),
        before: None,
        after: Some(json!({
            "name": service.name,
            "origin": service.origin,
            "account_id": service.account,
            "region": service.region,
            "aws_service_id": service.aws_service_id,
            "load_balancer_arns": service.load_balancer_arns,
            "acceptance_required": service.acceptance_required,
            "allowed_principals": service.allowed_principals,
            "open_to_everybody": service.open_to_everybody,
        })),
        reason,
        decision: None,
    };
    audit::record(conn, entry).await?;
    let Some(aws_id) = &service.aws_service_id else {
        return Ok(());
    };
    let why = reason.unwrap_or("the service was registered");
    drifts::settle_unknown_service(conn, service.account_region_id, aws_id, actor, why, at).await
}

async fn find_place(conn: &mut PgConnection, place: &Place) -> Result<AccountRegion, AppError> {
    let (id, said) = match place {
        Place::Id(id) => (Some(*id), id.to_string()),
        Place::Named(account, region) => {
            let id = account_regions::id_by_place(conn, account, region).await?;
            (id, format!("account {account} in {region}"))
        }
    };
    let found = match id {
        Some(id) => account_regions::by_id(conn, id).await?,
        None => None,
    };
    found.ok_or_else(|| {
        let detail = format!("{said} is not registered; add it with POST /v1/account-regions");
        AppError::new(Code::AccountRegionNotFound, detail)
    })
}

/// Refuses what cannot back a service of this account and Region: too few or too many, another type or place, one twice.
pub(super) fn check_load_balancers(
    arns: &[LoadBalancerArn],
    account: &AccountId,
    region: &Region,
) -> Result<(), AppError> {
    let refuse = |field: String, detail: String| {
        Err(AppError::new(Code::InvalidRequest, detail).field(field))
    };
    if arns.is_empty() || arns.len() > MOST_LOAD_BALANCERS {
        let detail = format!(
            "give 1 to {MOST_LOAD_BALANCERS} load balancers, not {}",
            arns.len()
        );
        return refuse("load_balancer_arns".to_owned(), detail);
    }
    for (index, arn) in arns.iter().enumerate() {
        let field = format!("load_balancer_arns[{index}]");
        if !arn.is_network() {
            return refuse(field, format!("{arn} is not a Network Load Balancer"));
        }
        if arn.account() != account.as_str() || arn.region() != region.as_str() {
            let detail = format!("{arn} is not in account {account} in {region}");
            return refuse(field, detail);
        }
        if arns.iter().take(index).any(|earlier| earlier == arn) {
            return refuse(field, format!("{arn} is given twice"));
        }
    }
    Ok(())
}

fn checked_principals(new: &NewService) -> Result<Vec<String>, AppError> {
    let all = normalised_principals(&new.allowed_principals)?;
    let accepts_by_itself = matches!(
        new.source,
        Source::LoadBalancers {
            acceptance_required: false,
            ..
        }
    );
    if accepts_by_itself && !new.confirm_open_to_everybody {
        refuse_everybody(&all)?;
    }
    Ok(all)
}
