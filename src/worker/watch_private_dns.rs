//! The private DNS name of a service: looks for its TXT record in public DNS, asks AWS to check when the record can be seen, and notices when
//! a name that was verified no longer is. The rules are in [`crate::domain::private_dns`].

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use privatelink::{EndpointService, GatewayError};

use super::sync_services::Failure;
use super::{PassError, Place};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::private_dns::{Answers, DnsState, RecordFinding, Refusal, TxtRecord, Watch};
use crate::domain::private_dns::{judge, places};
use crate::store::{StoreError, service_changes};

/// Looks, asks and records. Answers what is remembered now; nothing for a service without a name.
pub(super) async fn watch(
    place: &Place,
    service: &RegisteredService,
    seen: &EndpointService,
) -> Result<Option<Watch>, Failure> {
    let before = service.private_dns.as_ref();
    let Some(shown) = &seen.private_dns_name else {
        if before.is_some() {
            record(place, service, None).await?;
        }
        return Ok(None);
    };
    let now = place.now();
    let rules = place.shared.settings.private_dns_pace();
    let mut watch = Watch::of(before, shown, now);
    let was = before
        .filter(|before| before.name == watch.name)
        .map(|before| before.state);
    // Whether AWS has taken the proof back decides how soon the record is looked for, and what is found may move the state once more.
    watch.settle(shown, now);
    if watch.probe_is_due(&rules, now)
        && let Some(record) = watch.record.clone()
    {
        let found = look_up(place, &watch.name, &record).await;
        watch.probed(found, now);
        watch.settle(shown, now);
    }
    if watch.start_is_due(&rules, now) {
        let refusal = match place
            .gateway
            .start_private_dns_verification(&seen.service_id)
            .await
        {
            Ok(()) => None,
            Err(error @ (GatewayError::Busy { .. } | GatewayError::Unknown { .. })) => {
                return Err(error.into());
            }
            // A missing permission must not keep the rest of the service: it is shown, and asked again on the slow schedule.
            Err(error) => Some(Refusal {
                code: error.code().to_owned(),
                message: error.to_string(),
            }),
        };
        watch.started(refusal, now);
    }
    tell(place, service, &watch, was);
    if before != Some(&watch) {
        record(place, service, Some(&watch)).await?;
    }
    Ok(Some(watch))
}

/// When the service is to be looked at for the sake of its name.
pub(super) fn next_look(place: &Place, watch: &Watch) -> DateTime<Utc> {
    let rules = place.shared.settings.private_dns_pace();
    watch.next_look(&rules, place.now())
}

/// Looks at the record's own name first, and at where it may have landed instead only if it is not there.
async fn look_up(place: &Place, name: &str, record: &TxtRecord) -> (RecordFinding, String) {
    let all = places(name, record);
    let mut answers: Answers = Vec::with_capacity(all.len());
    for some in [all.get(..1), all.get(1..)].into_iter().flatten() {
        let asked = some
            .iter()
            .map(|place_name| place.shared.dns.txt(place_name));
        let told = join_all(asked).await;
        let told = told
            .into_iter()
            .map(|answer| answer.map_err(|e| e.to_string()));
        answers.extend(some.iter().cloned().zip(told));
        let (finding, evidence) = judge(name, record, &answers);
        if matches!(finding, RecordFinding::Found | RecordFinding::Unreachable) {
            return (finding, evidence);
        }
    }
    judge(name, record, &answers)
}

/// Says what changed: a lost proof is an alarm, the rest is news.
fn tell(place: &Place, service: &RegisteredService, watch: &Watch, was: Option<DnsState>) {
    if was == Some(watch.state) {
        return;
    }
    if watch.state == DnsState::Regressed {
        place.shared.metrics.private_dns_regressed.inc();
        tracing::warn!(
            service.id = %service.id,
            dns.name = watch.name,
            dns.evidence = watch.probe.as_ref().map(|probe| probe.evidence.as_str()),
            "a private DNS name is no longer verified: new requests are refused until its TXT record is back"
        );
    } else {
        tracing::info!(service.id = %service.id, dns.name = watch.name, dns.state = %watch.state, "a private DNS name moved on");
    }
}

async fn record(
    place: &Place,
    service: &RegisteredService,
    watch: Option<&Watch>,
) -> Result<(), PassError> {
    let mut tx = place.begin().await?;
    service_changes::record_private_dns(&mut tx, service.id, watch).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}
