//! The end of a service in AWS: the call, what it came to, and the proof.
//!
//! `deleting` is written before the call and stays until AWS has said that it did nothing; so whoever takes over after a crash knows that the call may
//! have been made, looks, and repeats it only when no read can lag behind it any more.

use std::time::Duration;

use chrono::{DateTime, Utc};
use privatelink::{GatewayError, ItemFailure};
use serde_json::json;

use super::retire_service::{Read, read};
use super::settings::delta;
use super::sync_services::{Done, Failure};
use super::{PassError, Place};
use crate::domain::actor::Actor;
use crate::domain::backoff;
use crate::domain::drift_inbox::DriftState;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::lifecycle::{Drain, next_look};
use crate::domain::sync_step::NOT_CONFIRMED;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{StoreError, drifts, hint_setups, lifecycles};

/// AWS's code while it counts endpoints as attached.
const ENDPOINTS_ATTACHED: &str = "ExistingVpcEndpointConnections";
/// AWS's code for a connection notification that is not there.
const NO_NOTIFICATION: &str = "InvalidConnectionNotification";
/// The pause after the first refusal; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(3);
/// The longest pause before AWS is asked again.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// After how many refusals for another reason than endpoints a person has to look.
const MOST_REFUSALS: i32 = 8;

/// Asks AWS to delete a service that is drained, and records what that came to.
pub(super) async fn attempt(
    place: &Place,
    service: &RegisteredService,
    drain: &Drain,
) -> Result<Done, Failure> {
    let Some(id) = &service.aws_service_id else {
        let now = place.now();
        return Ok(Done::Later(next_look(now, now)));
    };
    if !record_call(place, service, drain).await? {
        // Somebody took it back, or somebody came: the next pass sees it as it is.
        let now = place.now();
        return Ok(Done::Later(next_look(now, now)));
    }
    match place.gateway.delete_endpoint_service(id).await {
        Ok(None) => {
            tracing::info!(service.id = %service.id, aws.service_id = %id, "asked AWS to delete an endpoint service");
            let now = place.now();
            match read(place, service, id).await? {
                Read::Gone(why) => conclude(place, service, &why).await,
                Read::Going | Read::Stands(_) => Ok(Done::Later(next_look(now, now))),
            }
        }
        // Gone before this call.
        Ok(Some(failure)) if failure.code.ends_with(".NotFound") => {
            Ok(Done::Later(next_look(place.now(), place.now())))
        }
        Ok(Some(failure)) => refused(place, service, drain, failure).await,
        // Whether it worked, a read will tell.
        Err(error @ GatewayError::Unknown { .. }) => Err(error.into()),
        Err(error @ GatewayError::NotFound { .. }) => {
            tracing::info!(service.id = %service.id, "{error}");
            Ok(Done::Later(next_look(place.now(), place.now())))
        }
        Err(
            error @ (GatewayError::Busy { .. }
            | GatewayError::Denied { .. }
            | GatewayError::Invalid { .. }),
        ) => {
            record_refused(place, service, error.code(), &error.to_string()).await?;
            Err(error.into())
        }
    }
}

/// Goes on with a service that AWS may have been asked to delete.
pub(super) async fn follow_up(
    place: &Place,
    service: &RegisteredService,
    drain: &Drain,
    read: Read,
) -> Result<Done, Failure> {
    let now = place.now();
    let called_at = drain.called_at.unwrap_or(now);
    match read {
        Read::Gone(why) => conclude(place, service, &why).await,
        Read::Going => Ok(Done::Later(next_look(called_at, now))),
        Read::Stands(_) => {
            let proven = called_at + delta(place.shared.settings.stale_read_grace);
            if now < proven {
                return Ok(Done::Later(proven));
            }
            // The answer was lost, and so was the call. From here it goes on like any drain, and can be taken back again.
            let message = "AWS shows the service as it was, so the call to delete it did nothing";
            record_refused(place, service, NOT_CONFIRMED, message).await?;
            Ok(Done::Later(now))
        }
    }
}

/// AWS said no in an HTTP 200, so it did nothing: the drain can be taken back again, and AWS is asked again ever more rarely.
async fn refused(
    place: &Place,
    service: &RegisteredService,
    drain: &Drain,
    failure: ItemFailure,
) -> Result<Done, Failure> {
    let ItemFailure { code, message, .. } = failure;
    record_refused(place, service, &code, &message).await?;
    let refusals = drain.refusals.saturating_add(1);
    if code != ENDPOINTS_ATTACHED && refusals >= MOST_REFUSALS {
        return Err(GatewayError::Invalid { code, message }.into());
    }
    tracing::warn!(service.id = %service.id, aws.code = code, refusals, "AWS would not delete an endpoint service yet: {message}");
    Ok(Done::InStep(again_at(place.now(), refusals)))
}

fn again_at(now: DateTime<Utc>, refusals: i32) -> DateTime<Utc> {
    let turn = u32::try_from(refusals).unwrap_or(1);
    let pause = backoff::delay_up_to(LONGEST_PAUSE, FIRST_PAUSE, turn, rand::random());
    now + delta(pause)
}

/// Writes down that AWS is about to be asked. The first time it is an audit entry: there is no way back from here.
async fn record_call(
    place: &Place,
    service: &RegisteredService,
    drain: &Drain,
) -> Result<bool, PassError> {
    let (id, at) = (service.id, place.now());
    let mut tx = place.begin().await?;
    if !lifecycles::record_delete_call(&mut tx, id, service.version, at).await? {
        return Ok(false);
    }
    if drain.called_at.is_none() {
        let entry = Entry {
            at,
            actor: &Actor::worker(),
            action: "endpoint_service.call_delete",
            subject: Subject::EndpointService(id),
            before: Some(json!({ "lifecycle": "draining" })),
            after: Some(
                json!({ "lifecycle": "deleting", "aws_service_id": service.aws_service_id }),
            ),
            reason: None,
            decision: None,
        };
        audit::record(&mut tx, entry).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(true)
}

async fn record_refused(
    place: &Place,
    service: &RegisteredService,
    code: &str,
    message: &str,
) -> Result<(), PassError> {
    let mut tx = place.begin().await?;
    let answer = (code, message);
    lifecycles::record_delete_refused(&mut tx, service.id, service.version, answer).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Closes the row of a service that AWS does not have any more, after its connection notification: AWS may keep that.
pub(super) async fn conclude(
    place: &Place,
    service: &RegisteredService,
    why: &str,
) -> Result<Done, Failure> {
    let (id, at) = (service.id, place.now());
    let notification = place
        .read(async |conn| hint_setups::notification_of(conn, id).await)
        .await?;
    if let Some(notification) = &notification {
        remove(place, notification).await?;
    }
    let mut tx = place.begin().await?;
    if notification.is_some() {
        hint_setups::forget_notification(&mut tx, id).await?;
    }
    if !lifecycles::record_deleted(&mut tx, id, service.version, at).await? {
        tx.commit().await.map_err(StoreError::from)?;
        return Ok(Done::Later(at));
    }
    let worker = Actor::worker();
    let standing = drifts::standing_of_service_itself(&mut tx, id).await?;
    let state = DriftState::Resolved;
    drifts::settle_standing(&mut tx, &standing, state, &worker, why, at).await?;
    let entry = Entry {
        at,
        actor: &worker,
        action: "endpoint_service.deleted",
        subject: Subject::EndpointService(id),
        before: Some(json!({ "lifecycle": service.lifecycle.state })),
        after: Some(json!({
            "lifecycle": "deleted", "aws_service_id": service.aws_service_id, "notification": notification,
        })),
        reason: Some(why),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(service.id = %id, "an endpoint service is deleted: {why}");
    Ok(Done::InStep(at))
}

/// Deletes a connection notification; one that is gone already is as good.
async fn remove(place: &Place, notification: &str) -> Result<(), GatewayError> {
    let messaging = &place.messaging;
    match messaging.delete_connection_notification(notification).await {
        Ok(None) => Ok(()),
        Ok(Some(failure)) if failure.code.contains(NO_NOTIFICATION) => Ok(()),
        Ok(Some(ItemFailure { code, message, .. })) => Err(GatewayError::Unknown { code, message }),
        Err(error) if error.is_not_found() || error.code().contains(NO_NOTIFICATION) => Ok(()),
        Err(error) => Err(error),
    }
}
