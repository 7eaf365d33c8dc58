//! Brings a service to its end: freezes it, has consumers told, rejects those that are live once the notice is over, waits until none is left, and
//! deletes it where that is wanted (`delete_service`).
//!
//! Every step reads first and is one call or one short transaction, so that a crash after any of them repeats a look and nothing else. What
//! is desired of the service is left alone: it is what a cancelled drain goes back to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::{EndpointServiceChange, GatewayError, ServiceId, ServiceState};
use serde_json::json;

use super::settings::delta;
use super::sync_services::{
    Done, Failure, SERVICE_MISSING, Shown, find_by_tag, is_fresh, record_seen, unchanged,
    with_principals,
};
use super::{PassError, Place, delete_service, examine};
use crate::app::reject_drained::{drainer, reject_some};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::lifecycle::{
    Drain, LifecycleState, Notice, NoticeKind, Phase, Progress, Said, next_look,
};
use crate::domain::principal;
use crate::domain::sync_step::NOT_CONFIRMED;
use crate::store::{StoreError, drain_progress, lifecycles};

/// How many decisions are one transaction: few, because who decides about these connections waits meanwhile.
const DECISIONS: i64 = 50;
/// How many notices are one transaction.
const NOTICES: i64 = 200;
/// How many transactions of either are one pass: other services wait.
const CHUNKS: usize = 40;

/// What AWS has of a service.
pub(super) enum Read {
    /// It stands.
    Stands(Box<Shown>),
    /// AWS is deleting it.
    Going,
    /// AWS has it no more, in these words.
    Gone(String),
}

/// Takes the next steps of a service that is draining or being deleted. `began` is when it was found due.
pub(super) async fn step(
    place: &Place,
    service: &RegisteredService,
    began: DateTime<Utc>,
) -> Result<Done, Failure> {
    let (Some(drain), Some(said)) = (&service.lifecycle.drain, &service.lifecycle.said) else {
        return Err(StoreError::inconsistent(
            "endpoint_services",
            service.id,
            "a drain of nobody's",
        )
        .into());
    };
    let read = match aws_id(place, service).await? {
        Some(id) => read(place, service, &id).await?,
        None => match never_made(place, said) {
            Some(again_at) => return Ok(Done::Later(again_at)),
            None => Read::Gone("AWS was never seen to have it".to_owned()),
        },
    };
    if service.check_requested_at.is_some()
        && let Read::Stands(shown) = &read
    {
        examine::examine(place, service, Some(&shown.service), began).await?;
    }
    match (service.lifecycle.state, read) {
        (_, Read::Gone(why)) if drain.then_delete => {
            delete_service::conclude(place, service, &why).await
        }
        // Nothing was ever made, or somebody else deleted it. It stays for whoever says what shall become of the row.
        (_, Read::Gone(_)) if service.aws_service_id.is_none() => {
            frozen(place, service).await?;
            Ok(Done::InStep(
                place.now() + delta(place.shared.settings.service_interval),
            ))
        }
        (_, Read::Gone(why)) => {
            let message = format!("{why}; delete or release it here");
            Err(Failure::Stall(SERVICE_MISSING, message))
        }
        (LifecycleState::Deleting, read) => {
            delete_service::follow_up(place, service, drain, read).await
        }
        // Somebody else is deleting it.
        (_, Read::Going) => Ok(Done::Later(next_look(said.at, place.now()))),
        (_, Read::Stands(shown)) => self::drain(place, service, (drain, said), &shown).await,
    }
}

/// AWS's id of the service; nothing where no create was ever answered and none is found by its tag.
async fn aws_id(place: &Place, service: &RegisteredService) -> Result<Option<ServiceId>, Failure> {
    if let Some(id) = &service.aws_service_id {
        return Ok(Some(id.clone()));
    }
    let at = place.now();
    let Some(found) = find_by_tag(place, service).await? else {
        return Ok(None);
    };
    record_seen(place, service, &found, None, at).await?;
    Ok(Some(found.service_id))
}

/// When to look again for a service of which no create was answered: a listing may lag behind one whose answer was lost.
fn never_made(place: &Place, said: &Said) -> Option<DateTime<Utc>> {
    let surely = said.at + delta(place.shared.settings.stale_read_grace);
    (place.now() < surely).then_some(surely)
}

/// Reads the service, and records what AWS shows.
pub(super) async fn read(
    place: &Place,
    service: &RegisteredService,
    id: &ServiceId,
) -> Result<Read, Failure> {
    let at = place.now();
    let seen = match place.gateway.endpoint_service(id).await {
        Ok(seen) => seen,
        Err(error) if error.is_not_found() && is_fresh(place, service, at) => {
            // A read may lag behind what was made, never behind what is gone; so this one may be older than the last.
            let message = format!("AWS showed {id} a moment ago and does not show it now");
            let code = NOT_CONFIRMED.to_owned();
            return Err(GatewayError::Unknown { code, message }.into());
        }
        Err(error) if error.is_not_found() => {
            return Ok(Read::Gone(format!("AWS has no {id} ({})", error.code())));
        }
        Err(error) => return Err(error.into()),
    };
    match seen.state {
        ServiceState::Deleted => {
            record_seen(place, service, &seen, None, at).await?;
            Ok(Read::Gone(format!("AWS shows {id} as Deleted")))
        }
        ServiceState::Deleting => {
            record_seen(place, service, &seen, None, at).await?;
            Ok(Read::Going)
        }
        ServiceState::Pending
        | ServiceState::Available
        | ServiceState::Failed
        | ServiceState::Unknown(_) => Ok(Read::Stands(Box::new(
            with_principals(place, service, seen, at).await?,
        ))),
    }
}

/// Freezes, tells, rejects and waits, as far as it goes now.
async fn drain(
    place: &Place,
    service: &RegisteredService,
    (drain, said): (&Drain, &Said),
    shown: &Shown,
) -> Result<Done, Failure> {
    if let Some(left) = freeze(place, service, shown).await? {
        return Ok(Done::Unconfirmed(left));
    }
    frozen(place, service).await?;
    let told_all = notify(place, service, (drain, said)).await?;
    let now = place.now();
    let mut decided_all = true;
    if now >= drain.reject_at {
        decided_all = reject(place, service).await?;
    }
    if !told_all || !decided_all {
        return Ok(Done::Later(now));
    }
    let progress = place
        .read(async |conn| drain_progress::progress(conn, service.id).await)
        .await?;
    let frozen = Drain {
        frozen_at: Some(now),
        ..drain.clone()
    };
    let interval = now + delta(place.shared.settings.service_interval);
    let waiting_since = drain.reject_at.max(said.at).min(now);
    match frozen.phase(service.lifecycle.state, &progress, now) {
        Phase::Notice => Ok(Done::InStep(drain.reject_at.min(interval))),
        Phase::Rejecting if is_ours(&progress) => Ok(Done::Later(next_look(waiting_since, now))),
        Phase::Waiting | Phase::Drained | Phase::Deleting
            if drain.then_delete && progress.live == 0 =>
        {
            delete_service::attempt(place, service, drain).await
        }
        Phase::Freezing | Phase::Rejecting | Phase::Waiting => {
            Ok(Done::InStep(next_look(waiting_since, now)))
        }
        Phase::Drained | Phase::Deleting => Ok(Done::InStep(interval)),
    }
}

/// Whether what is left goes by itself: AWS is being told. What is stalled waits for a person.
fn is_ours(progress: &Progress) -> bool {
    progress.untold > progress.stalled
}

/// Has AWS let nobody new in, and reads that back. Answers what AWS does not show yet.
async fn freeze(
    place: &Place,
    service: &RegisteredService,
    shown: &Shown,
) -> Result<Option<Vec<&'static str>>, Failure> {
    let open = Open::of(service, shown);
    if open.is_shut() {
        return Ok(None);
    }
    let id = shown.service.service_id.clone();
    if open.unasked {
        unchanged(place, service).await?;
        let change = EndpointServiceChange {
            acceptance_required: Some(true),
            ..EndpointServiceChange::default()
        };
        place.gateway.modify_endpoint_service(&id, &change).await?;
    }
    if !open.principals.is_empty() {
        unchanged(place, service).await?;
        let gateway = &place.gateway;
        gateway
            .modify_principals(&id, &[], &open.principals)
            .await?;
    }
    tracing::info!(service.id = %service.id, "let nobody new into an endpoint service");
    match read(place, service, &id).await? {
        Read::Stands(shown) => {
            let open = Open::of(service, &shown);
            Ok((!open.is_shut()).then(|| open.words()))
        }
        // The next pass sees that.
        Read::Going | Read::Gone(_) => Ok(Some(vec!["the service"])),
    }
}

/// Whom AWS lets in although nobody new shall come.
struct Open {
    /// Connections are accepted by themselves.
    unasked: bool,
    /// Principals that are ours to take out, as AWS writes them.
    principals: Vec<String>,
}

impl Open {
    fn of(service: &RegisteredService, shown: &Shown) -> Self {
        let ours: BTreeSet<String> = service
            .granted_principals
            .iter()
            .map(|granted| principal::canonical(granted))
            .collect();
        let principals = shown.principals.iter();
        Self {
            unasked: !shown.service.acceptance_required,
            principals: principals
                .filter(|shown| ours.contains(&principal::canonical(shown)))
                .cloned()
                .collect(),
        }
    }

    fn is_shut(&self) -> bool {
        !self.unasked && self.principals.is_empty()
    }

    fn words(&self) -> Vec<&'static str> {
        let unasked = self.unasked.then_some("require_acceptance");
        let ours = (!self.principals.is_empty()).then_some("remove_principals");
        unasked.into_iter().chain(ours).collect()
    }
}

async fn frozen(place: &Place, service: &RegisteredService) -> Result<(), PassError> {
    if service
        .lifecycle
        .drain
        .as_ref()
        .is_some_and(|drain| drain.frozen_at.is_some())
    {
        return Ok(());
    }
    let mut tx = place.begin().await?;
    lifecycles::record_frozen(&mut tx, service.id, service.version, place.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Writes down what the consumers that are connected are to be told. Answers whether all are.
async fn notify(
    place: &Place,
    service: &RegisteredService,
    (drain, said): (&Drain, &Said),
) -> Result<bool, PassError> {
    let notice = Notice {
        kind: NoticeKind::ServiceDraining,
        since: said.at,
        content: json!({
            "reason": said.reason, "reject_at": drain.reject_at, "then_delete": drain.then_delete,
            "service_name": service.service_name,
        }),
    };
    let actor = drainer(said);
    for _ in 0..CHUNKS {
        let (id, at) = (service.id, place.now());
        let mut tx = place.begin().await?;
        if !lifecycles::shared_while_draining(&mut tx, id, service.version).await? {
            return Ok(true);
        }
        let told = drain_progress::notify_live(&mut tx, id, &notice, &actor, at, NOTICES).await?;
        tx.commit().await.map_err(StoreError::from)?;
        if i64::try_from(told).unwrap_or(i64::MAX) < NOTICES {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Decides about the connections that are live, in short transactions. The ordinary sync tells AWS. Answers whether all are decided.
async fn reject(place: &Place, service: &RegisteredService) -> Result<bool, PassError> {
    let ctx = place.shared.app();
    let mut all = 0;
    for _ in 0..CHUNKS {
        let mut tx = place.begin().await?;
        let decided = reject_some(&mut tx, &ctx, service, place.now(), DECISIONS).await?;
        tx.commit().await.map_err(StoreError::from)?;
        all += decided;
        if i64::try_from(decided).unwrap_or(i64::MAX) < DECISIONS {
            if all > 0 {
                tracing::info!(service.id = %service.id, decided = all, "decided against what is live on a service that is drained");
                place.shared.nudge.wake();
            }
            return Ok(true);
        }
        place.shared.nudge.wake();
    }
    Ok(false)
}
