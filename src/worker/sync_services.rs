//! The sync loop for services: create or adopt, read, grant, check. Each step reads AWS first, so a crash after any of them is mended
//! by running them again.

use chrono::{DateTime, Utc};
use privatelink::{
    AllowedPrincipal, EndpointService, GatewayError, NewEndpointService, PageToken, ServiceId,
};

use super::settings::delta;
use super::{PassError, Place};
use super::{probe, runner};
use crate::domain::backoff;
use crate::domain::endpoint_service::{RegisteredService, ServiceSync};
use crate::domain::readiness;
use crate::domain::sync::SyncState;
use crate::domain::sync_step::{AfterFailure, after_failure};
use crate::store::{StoreError, endpoint_services};

/// The tag that says which registration created a service. With the client token it finds a service again after a crash.
pub const TAG: &str = "portcullis:service";
/// How many services one pass takes up: few, so that a new registration does not wait behind a round of refreshes.
const PASS: i64 = 5;
/// The code of a service that somebody else already registered.
const ALREADY_REGISTERED: &str = "already_registered";
/// The code of a service that everybody was to be let into although it accepts by itself.
const OPEN_TO_EVERYBODY: &str = "open_to_everybody";
/// The code of a service whose row the database refuses to write.
const NOT_RECORDED: &str = "not_recorded";
/// The code of a registered service that AWS no longer has.
const SERVICE_MISSING: &str = "service_missing";

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Services that were due.
    pub due: usize,
    /// Services that are in step now.
    pub in_step: usize,
    /// Services that the worker gave up on in this pass.
    pub stalled: usize,
    /// When the next service is due.
    pub next_due: Option<DateTime<Utc>>,
}

/// Takes up the services that are due now, one after the other. A service that fails does not keep the others.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let (account_region, now) = (place.lease.account_region, place.now());
    let due = place
        .read(async |conn| endpoint_services::due(conn, account_region, now, PASS).await)
        .await?;
    let mut report = Report {
        due: due.len(),
        ..Report::default()
    };
    for service in due {
        let sync = match sync_one(place, &service).await {
            Ok(next) => {
                report.in_step += 1;
                in_step(next)
            }
            Err(Failure::Pass(PassError::Gateway(error))) => {
                failed(place, &service, &error, &mut report)
            }
            Err(Failure::Pass(PassError::Store(
                error @ (StoreError::LostLease | StoreError::Unavailable(_)),
            ))) => return Err(error.into()),
            // A fault of this one row must not keep the others.
            Err(Failure::Pass(PassError::Store(error))) => {
                let message = runner::chain(&error);
                stalled(&service, NOT_RECORDED, message, &mut report)
            }
            Err(Failure::Stall(code, message)) => stalled(&service, code, message, &mut report),
        };
        let mut tx = place.begin().await?;
        endpoint_services::record_sync(&mut tx, service.id, &sync).await?;
        tx.commit().await.map_err(StoreError::from)?;
    }
    report.next_due = place
        .read(async |conn| endpoint_services::next_due(conn, account_region).await)
        .await?;
    Ok(report)
}

/// How one service fails.
enum Failure {
    /// As a pass does; what AWS said decides whether to try again.
    Pass(PassError),
    /// For good, under this code.
    Stall(&'static str, String),
}

impl<E: Into<PassError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Pass(error.into())
    }
}

/// Runs every step and answers when to look next.
async fn sync_one(place: &Place, service: &RegisteredService) -> Result<DateTime<Utc>, Failure> {
    let id = match &service.aws_service_id {
        Some(id) => id.clone(),
        None => create(place, service).await?,
    };
    let at = place.now();
    let seen = match place.gateway.endpoint_service(&id).await {
        Ok(seen) if seen.state.is_gone() => {
            let message = format!("AWS shows {id} as {}", seen.state);
            return Err(Failure::Stall(SERVICE_MISSING, message));
        }
        Ok(seen) => seen,
        Err(error) if error.is_not_found() => {
            let message = format!(
                "AWS has no {id} in this account and Region ({})",
                error.code()
            );
            return Err(Failure::Stall(SERVICE_MISSING, message));
        }
        Err(error) => return Err(error.into()),
    };
    record_seen(place, service, &seen, at).await?;
    grant(place, service, &seen).await?;
    check(place, service, &seen).await?;
    let settings = &place.shared.settings;
    let settled = seen.state.as_str() == "Available";
    let next = if settled {
        settings.service_interval
    } else {
        settings.retry_base
    };
    Ok(place.now() + delta(next))
}

/// Creates the service in AWS. The client token makes a repeat harmless; should AWS have forgotten it, the service is found again by its
/// tag.
async fn create(place: &Place, service: &RegisteredService) -> Result<ServiceId, Failure> {
    let new = NewEndpointService {
        client_token: service.id.to_string(),
        acceptance_required: service.acceptance_required,
        network_load_balancer_arns: service.load_balancer_arns.clone(),
        supported_ip_address_types: Vec::new(),
        tags: vec![
            ("Name".to_owned(), service.name.clone()),
            (TAG.to_owned(), service.id.to_string()),
        ],
    };
    let at = place.now();
    let created = match place.gateway.create_endpoint_service(&new).await {
        Ok(created) => created,
        Err(error @ GatewayError::Invalid { .. }) => match find_by_tag(place, service).await? {
            Some(found) => found,
            None => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    };
    // From here on the service has an id; a crash before this line repeats the create with the same token.
    record_seen(place, service, &created, at).await?;
    tracing::info!(service.id = %service.id, aws.service_id = %created.service_id, "created an endpoint service");
    Ok(created.service_id)
}

async fn find_by_tag(
    place: &Place,
    service: &RegisteredService,
) -> Result<Option<EndpointService>, PassError> {
    let wanted = (TAG.to_owned(), service.id.to_string());
    let mut from: Option<PageToken> = None;
    loop {
        let page = place.gateway.endpoint_services(from.as_ref()).await?;
        let found = page
            .items
            .into_iter()
            .find(|s| !s.state.is_gone() && s.tags.contains(&wanted));
        if found.is_some() || page.next.is_none() || page.next == from {
            return Ok(found);
        }
        from = page.next;
    }
}

async fn record_seen(
    place: &Place,
    service: &RegisteredService,
    seen: &EndpointService,
    at: DateTime<Utc>,
) -> Result<(), Failure> {
    let mut tx = place.begin().await?;
    match endpoint_services::record_observed(&mut tx, service.id, seen, at).await {
        Ok(()) => {}
        Err(StoreError::Duplicate { .. }) => {
            let message = format!("{} is registered under another id already", seen.service_id);
            return Err(Failure::Stall(ALREADY_REGISTERED, message));
        }
        Err(error) => return Err(error.into()),
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Adds the desired principals that AWS does not have. Principals that somebody else added stay.
async fn grant(
    place: &Place,
    service: &RegisteredService,
    seen: &EndpointService,
) -> Result<(), Failure> {
    let id = &seen.service_id;
    if service.allowed_principals.is_empty() {
        return Ok(());
    }
    let mut have: Vec<AllowedPrincipal> = Vec::new();
    let mut from: Option<PageToken> = None;
    loop {
        let page = place.gateway.principals(id, from.as_ref()).await?;
        have.extend(page.items);
        if page.next.is_none() || page.next == from {
            break;
        }
        from = page.next;
    }
    let missing: Vec<String> = service
        .allowed_principals
        .iter()
        .filter(|wanted| !have.iter().any(|p| &p.principal == *wanted))
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !seen.acceptance_required && missing.iter().any(|principal| principal == "*") {
        let message = format!(
            "{id} accepts by itself, so allowing * would open its load balancer to everybody with an AWS account; \
             nothing was allowed"
        );
        return Err(Failure::Stall(OPEN_TO_EVERYBODY, message));
    }
    place.gateway.modify_principals(id, &missing, &[]).await?;
    tracing::info!(service.id = %service.id, added = missing.len(), "added allowed principals");
    Ok(())
}

async fn check(
    place: &Place,
    service: &RegisteredService,
    seen: &EndpointService,
) -> Result<(), Failure> {
    let at = place.now();
    let arns = &seen.network_load_balancer_arns;
    let facts = probe::facts(place.gateway.as_ref(), arns, &seen.availability_zones).await?;
    let checks = readiness::run(&facts);
    let mut tx = place.begin().await?;
    endpoint_services::record_checks(&mut tx, service.id, &checks, at).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

fn in_step(next: DateTime<Utc>) -> ServiceSync {
    ServiceSync {
        state: SyncState::Idle,
        due_at: next,
        attempts: 0,
        code: None,
        message: None,
    }
}

fn failed(
    place: &Place,
    service: &RegisteredService,
    error: &GatewayError,
    report: &mut Report,
) -> ServiceSync {
    match after_failure(error) {
        AfterFailure::Stall => stalled(service, error.code(), error.to_string(), report),
        AfterFailure::Again { at_least, .. } => {
            let attempts = service.sync.attempts.saturating_add(1);
            let turn = u32::try_from(attempts).unwrap_or(1);
            let wait = delta(backoff::delay(
                place.shared.settings.retry_base,
                turn,
                rand::random(),
            ));
            ServiceSync {
                state: SyncState::Due,
                due_at: place.now() + wait.max(at_least),
                attempts,
                code: Some(error.code().to_owned()),
                message: Some(error.to_string()),
            }
        }
    }
}

fn stalled(
    service: &RegisteredService,
    code: &str,
    message: String,
    report: &mut Report,
) -> ServiceSync {
    report.stalled += 1;
    tracing::error!(
        service.id = %service.id,
        sync.code = code,
        "gave up on a service; POST /v1/services/{}/retry-sync once the cause is mended",
        service.id
    );
    ServiceSync {
        state: SyncState::Stalled,
        due_at: service.sync.due_at,
        attempts: service.sync.attempts.saturating_add(1),
        code: Some(code.to_owned()),
        message: Some(message),
    }
}
