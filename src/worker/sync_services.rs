//! The sync loop for services: create or adopt, read, follow what is desired, check. Each step reads AWS first, so a crash after any of
//! them is mended by running them again.
//!
//! AWS is made to follow only while somebody's word is newer than what AWS was last seen to agree with. After that a difference was made behind
//! our back: it is shown and left alone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use privatelink::{
    EndpointService, EndpointServiceChange, GatewayError, NewEndpointService, PageToken, ServiceId,
};

use super::converge_service::{claim, follow};
use super::service_balancers::{explained, refuse_unequal};
use super::settings::delta;
use super::term::not_made;
use super::{PassError, Place};
use super::{examine, pages, retire_service, runner, service_drift, watch_private_dns};
use crate::app::code::Code;
use crate::domain::backoff;
use crate::domain::endpoint_service::{RegisteredService, ServiceSync, Waiting};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::service_plan::{self, TAG};
use crate::domain::sync::SyncState;
use crate::domain::sync_step::{AfterFailure, NOT_CONFIRMED, after_failure};
use crate::store::{StoreError, doctor, endpoint_services, lifecycles, service_changes};

/// How many services one pass takes up: few, so that a new registration does not wait behind a round of refreshes.
const PASS: i64 = 5;
/// The code of a service that somebody else already registered.
const ALREADY_REGISTERED: &str = "already_registered";
/// The code of a service whose row the database refuses to write.
const NOT_RECORDED: &str = "not_recorded";
/// The code of a registered service that AWS no longer has.
pub(super) const SERVICE_MISSING: &str = "service_missing";
/// How many times AWS may go on showing something else after it took every change.
const MOST_LOOKS: i32 = 10;

/// The delay before a step that waits for endpoints is tried again; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest that such a step is left alone.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

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
        if matches!(service.sync.state, SyncState::Stalled | SyncState::GivenUp) {
            examine::stalled(place, &service, now).await?;
            continue;
        }
        let mut waiting = Vec::new();
        let done = if service.lifecycle.state.is_retiring() {
            Box::pin(retire_service::step(place, &service, now)).await
        } else {
            Box::pin(sync_one(place, &service, now)).await
        };
        let sync = match done {
            Ok(Done::InStep(next)) => {
                report.in_step += 1;
                in_step(next)
            }
            Ok(Done::Later(next)) => ServiceSync {
                state: SyncState::Due,
                ..in_step(next)
            },
            Ok(Done::Unconfirmed(left)) => unconfirmed(place, &service, &left, &mut report),
            // AWS was not asked, so nothing is to be said of the service.
            Err(Failure::Pass(PassError::Gateway(error))) if not_made(&error) => {
                return Err(error.into());
            }
            Ok(Done::Waits(steps)) => {
                waiting = steps;
                waits(place, &service, &waiting)
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
            Err(Failure::Pass(PassError::Decision(error))) => {
                if error.code() == Code::Unavailable {
                    return Err(error.into());
                }
                stalled(&service, NOT_RECORDED, runner::chain(&error), &mut report)
            }
            // Nothing is to be said by what counted before.
            Err(Failure::Changed) => continue,
            Err(Failure::Stall(code, message)) => stalled(&service, code, message, &mut report),
        };
        let mut tx = place.begin().await?;
        endpoint_services::record_sync(&mut tx, &service, &sync).await?;
        if service.check_requested_at.is_some() {
            // Also after a failure: back-off decides when the next look is, not who asks.
            doctor::answered(&mut tx, service.id, now).await?;
        }
        if !waiting.is_empty() {
            service_changes::record_waiting(&mut tx, service.id, service.version, &waiting).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
    }
    report.next_due = place
        .read(async |conn| endpoint_services::next_due(conn, account_region).await)
        .await?;
    Ok(report)
}

/// How a service's pass ends when nothing failed.
pub(super) enum Done {
    /// AWS shows what is desired, or what somebody made of it behind our back. Look again then.
    InStep(DateTime<Utc>),
    /// There is more to be done then, and nobody else has to do anything for it.
    Later(DateTime<Utc>),
    /// AWS took every change and does not show these yet.
    Unconfirmed(Vec<&'static str>),
    /// These steps wait for something outside.
    Waits(Vec<Waiting>),
}

/// How one service fails.
pub(super) enum Failure {
    /// As a pass does; what AWS said decides whether to try again.
    Pass(PassError),
    /// For good, under this code.
    Stall(&'static str, String),
    /// Somebody changed meanwhile what is desired of it, or what shall become of it, and thereby made it due where it still is to be looked after.
    Changed,
}

impl<E: Into<PassError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Pass(error.into())
    }
}

/// Runs every step and answers when to look next. `began` is when the service was found due.
async fn sync_one(
    place: &Place,
    service: &RegisteredService,
    began: DateTime<Utc>,
) -> Result<Done, Failure> {
    let id = match &service.aws_service_id {
        Some(id) => id.clone(),
        None => create(place, service).await?,
    };
    let mut seen = look(place, service, &id).await?;
    // An adopted service takes its own settings over with the first read; and whoever changed it since is heard at once.
    let desired = place
        .read(async |conn| endpoint_services::by_id(conn, service.id).await)
        .await?;
    if let Some(asked_at) = desired
        .as_ref()
        .and_then(|desired| desired.refresh_zones_at)
    {
        refresh_zones(place, service, &id, asked_at).await?;
        seen = look(place, service, &id).await?;
    }
    let mut waiting = Vec::new();
    if let Some(desired) = desired.filter(|d| d.applied_version < d.version) {
        if desired.lifecycle.state != LifecycleState::Active {
            return Err(Failure::Changed);
        }
        let followed = match follow(place, &desired, seen).await {
            // Steps before the one that failed have changed AWS: what is shown from here on is what AWS has now.
            Err(failure @ (Failure::Stall(..) | Failure::Pass(PassError::Gateway(_)))) => {
                if let Err(Failure::Pass(PassError::Store(error))) = look(place, service, &id).await
                {
                    return Err(error.into());
                }
                return Err(failure);
            }
            other => other?,
        };
        if !followed.left.is_empty() && followed.waiting.is_empty() {
            return Ok(Done::Unconfirmed(followed.left));
        }
        (seen, waiting) = (followed.seen, followed.waiting);
    }
    let name = watch_private_dns::watch(place, service, &seen.service).await?;
    let settling = examine::examine(place, service, Some(&seen.service), began).await?;
    if !waiting.is_empty() {
        return Ok(Done::Waits(waiting));
    }
    let settings = &place.shared.settings;
    let next = if seen.service.state.as_str() != "Available" {
        settings.retry_base
    } else if settling {
        settings.settling_interval.min(settings.service_interval)
    } else {
        settings.service_interval
    };
    let next = place.now() + delta(next);
    let name = name.map(|name| watch_private_dns::next_look(place, &name));
    Ok(Done::InStep(name.map_or(next, |name| next.min(name))))
}

/// Refuses to go on by what is not desired any more. Asked before each call that changes a service; a call that is under way is not called back.
pub(super) async fn unchanged(place: &Place, service: &RegisteredService) -> Result<(), Failure> {
    let now = place
        .read(async |conn| lifecycles::standing(conn, service.id).await)
        .await?;
    if now == Some((service.version, service.lifecycle.state)) {
        return Ok(());
    }
    Err(Failure::Changed)
}

/// Has AWS read the load balancers' zones again, by a change of nothing. A crash before it is recorded repeats it, which harms nobody.
async fn refresh_zones(
    place: &Place,
    service: &RegisteredService,
    id: &ServiceId,
    asked_at: DateTime<Utc>,
) -> Result<(), Failure> {
    let nothing = EndpointServiceChange::default();
    unchanged(place, service).await?;
    place.gateway.modify_endpoint_service(id, &nothing).await?;
    let mut tx = place.begin().await?;
    service_changes::record_zones_read(&mut tx, service.id, asked_at).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(service.id = %service.id, "had AWS read the zones again");
    Ok(())
}

/// A service and its principals, as AWS shows them now.
pub(super) struct Shown {
    pub(super) service: EndpointService,
    pub(super) principals: Vec<String>,
}

/// Reads a service with its principals and records both.
pub(super) async fn look(
    place: &Place,
    service: &RegisteredService,
    id: &ServiceId,
) -> Result<Shown, Failure> {
    let at = place.now();
    let seen = match place.gateway.endpoint_service(id).await {
        Ok(seen) if seen.state.is_gone() => {
            let message = format!("AWS shows {id} as {}", seen.state);
            return Err(Failure::Stall(SERVICE_MISSING, message));
        }
        Ok(seen) => seen,
        Err(error) if error.is_not_found() && is_fresh(place, service, at) => {
            let message = format!("AWS made {id} a moment ago and does not show it yet");
            let code = NOT_CONFIRMED.to_owned();
            return Err(GatewayError::Unknown { code, message }.into());
        }
        Err(error) if error.is_not_found() => {
            let message = format!(
                "AWS has no {id} in this account and Region ({})",
                error.code()
            );
            return Err(Failure::Stall(SERVICE_MISSING, message));
        }
        Err(error) => return Err(error.into()),
    };
    with_principals(place, service, seen, at).await
}

/// Reads the principals of a service that was just read, and records both.
pub(super) async fn with_principals(
    place: &Place,
    service: &RegisteredService,
    seen: EndpointService,
    at: DateTime<Utc>,
) -> Result<Shown, Failure> {
    let id = &seen.service_id;
    let mut principals = Vec::new();
    let mut from: Option<PageToken> = None;
    loop {
        let page = place.gateway.principals(id, from.as_ref()).await?;
        let next = pages::next(&page, from.as_ref())?;
        principals.extend(page.items.into_iter().map(|row| row.principal));
        if next.is_none() {
            break;
        }
        from = next;
    }
    record_seen(place, service, &seen, Some(&principals), at).await?;
    Ok(Shown {
        service: seen,
        principals,
    })
}

/// Whether AWS said so lately that the service is there that a read without it may be one that lags: it was created in this pass, or
/// shown within the grace.
pub(super) fn is_fresh(place: &Place, service: &RegisteredService, at: DateTime<Utc>) -> bool {
    let grace = delta(place.shared.settings.stale_read_grace);
    service.aws_service_id.is_none()
        || service
            .observed
            .as_ref()
            .is_some_and(|shown| at < shown.at + grace)
}

/// Creates the service in AWS. The client token makes a repeat harmless; should AWS have forgotten it, the service is found again by its
/// tag.
async fn create(place: &Place, service: &RegisteredService) -> Result<ServiceId, Failure> {
    refuse_unequal(place, service, &[]).await?;
    let tags: Vec<(String, String)> = service_plan::tags(service).into_iter().collect();
    let keys: Vec<String> = tags.iter().map(|(key, _)| key.clone()).collect();
    claim(place, service, &[], &keys).await?;
    let new = NewEndpointService {
        client_token: service.id.to_string(),
        acceptance_required: service.acceptance_required,
        network_load_balancer_arns: service.load_balancer_arns.clone(),
        supported_ip_address_types: service
            .supported_ip_address_types
            .clone()
            .unwrap_or_default(),
        tags,
    };
    let at = place.now();
    let created = match place.gateway.create_endpoint_service(&new).await {
        Ok(created) => created,
        Err(error @ GatewayError::Invalid { .. }) => match find_by_tag(place, service).await? {
            Some(found) => found,
            None => return Err(explained(place, error).await),
        },
        Err(error) => return Err(error.into()),
    };
    // From here on the service has an id; a crash before this line repeats the create with the same token.
    record_seen(place, service, &created, None, at).await?;
    tracing::info!(service.id = %service.id, aws.service_id = %created.service_id, "created an endpoint service");
    Ok(created.service_id)
}

pub(super) async fn find_by_tag(
    place: &Place,
    service: &RegisteredService,
) -> Result<Option<EndpointService>, PassError> {
    let wanted = (TAG.to_owned(), service.id.to_string());
    let mut from: Option<PageToken> = None;
    loop {
        let page = place.gateway.endpoint_services(from.as_ref()).await?;
        let next = pages::next(&page, from.as_ref());
        let found = page
            .items
            .into_iter()
            .find(|s| !s.state.is_gone() && s.tags.contains(&wanted));
        if found.is_some() {
            return Ok(found);
        }
        match next? {
            Some(next) => from = Some(next),
            None => return Ok(None),
        }
    }
}

pub(super) async fn record_seen(
    place: &Place,
    service: &RegisteredService,
    seen: &EndpointService,
    principals: Option<&[String]>,
    at: DateTime<Utc>,
) -> Result<(), Failure> {
    let mut tx = place.begin().await?;
    match endpoint_services::record_observed(&mut tx, service.id, seen, principals, at).await {
        Ok(()) => {}
        Err(StoreError::Duplicate { .. }) => {
            let message = format!("{} is registered under another id already", seen.service_id);
            return Err(Failure::Stall(ALREADY_REGISTERED, message));
        }
        Err(error) => return Err(error.into()),
    }
    if let Some(principals) = principals {
        service_drift::compare(&mut tx, place, service.id, seen, principals, at).await?;
    }
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

/// Steps wait: everything else is done, and they are tried again, ever more rarely.
fn waits(place: &Place, service: &RegisteredService, waiting: &[Waiting]) -> ServiceSync {
    let attempts = if service.waiting.is_empty() {
        1
    } else {
        service.sync.attempts.saturating_add(1)
    };
    let turn = u32::try_from(attempts).unwrap_or(1);
    let wait = backoff::delay_up_to(LONGEST_WAIT, FIRST_WAIT, turn, rand::random());
    let first = waiting.first();
    ServiceSync {
        state: SyncState::Due,
        due_at: place.now() + delta(wait),
        attempts,
        code: first.map(|step| step.code.clone()),
        message: first.map(|step| step.message.clone()),
    }
}

/// AWS took the changes and does not show them: a read may lag, so it is not believed too soon.
fn unconfirmed(
    place: &Place,
    service: &RegisteredService,
    left: &[&str],
    report: &mut Report,
) -> ServiceSync {
    // The tries of a step that had to wait are no looks.
    let looks = if service.waiting.is_empty() {
        service.sync.attempts
    } else {
        0
    };
    let attempts = looks.saturating_add(1);
    let message = format!(
        "AWS took the changes but does not show: {}",
        left.join(", ")
    );
    if attempts >= MOST_LOOKS {
        return stalled(service, NOT_CONFIRMED, message, report);
    }
    ServiceSync {
        state: SyncState::Due,
        due_at: place.now() + delta(place.shared.settings.stale_read_grace),
        attempts,
        code: Some(NOT_CONFIRMED.to_owned()),
        message: Some(message),
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
