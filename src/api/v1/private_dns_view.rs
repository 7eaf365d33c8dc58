//! How the private DNS name of a service is shown: the record to publish, and where its proof stands.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::endpoint_service::RegisteredService;
use crate::domain::private_dns::{DnsState, RecordFinding, Watch};

/// A private DNS name and its proof.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PrivateDnsView {
    /// The name, as AWS has it.
    name: String,
    /// `waiting_for_record`: publish the record. `verifying`: the record can be seen, AWS has not said yes. `verified`: consumers can use the name.
    /// `failed`: AWS did not find the record. `regressed`: it was verified and is no longer; new requests are refused. `none` does not occur here.
    state: DnsState,
    /// Since when.
    since: DateTime<Utc>,
    /// AWS's own word: `pendingVerification`, `verified`, `failed`; null right after a change.
    aws_state: Option<String>,
    /// The record to publish and to keep for the life of the service; null while AWS does not tell it, which is a moment after a change.
    record: Option<DnsRecordView>,
    /// What was seen when Portcullis last looked for the record in public DNS; null before it looked.
    probe: Option<DnsProbeView>,
    /// When AWS was last asked to check.
    verification_started_at: Option<DateTime<Utc>>,
    /// AWS's code when it would not check.
    refused_code: Option<String>,
    /// AWS's words when it would not check.
    refused_message: Option<String>,
}

/// A DNS record to publish.
#[derive(Debug, Serialize, ToSchema)]
struct DnsRecordView {
    /// The whole name.
    name: String,
    /// `TXT`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The text, to be kept letter by letter.
    value: String,
}

/// A look at public DNS.
#[derive(Debug, Serialize, ToSchema)]
struct DnsProbeView {
    /// What was found.
    finding: RecordFinding,
    /// The same as a sentence.
    evidence: String,
    /// What to do about it; null when nothing is to be done.
    fix: Option<String>,
    /// When.
    at: DateTime<Utc>,
}

impl PrivateDnsView {
    /// The view of what AWS last showed; `None` for a service without a name, and before the worker has looked at it.
    pub(super) fn of(row: &RegisteredService) -> Option<Self> {
        let shown = row.observed.as_ref()?.service.private_dns_name.as_ref()?;
        let watch: &Watch = row.private_dns.as_ref().filter(|w| w.name == shown.name)?;
        Some(Self {
            name: watch.name.clone(),
            state: watch.state,
            since: watch.since,
            aws_state: shown.state.clone(),
            record: watch.record.as_ref().map(|record| DnsRecordView {
                name: record.name.clone(),
                kind: "TXT",
                value: record.value.clone(),
            }),
            probe: watch.probe.as_ref().map(|probe| DnsProbeView {
                finding: probe.finding,
                evidence: probe.evidence.clone(),
                fix: (!probe.finding.is_visible()).then(|| probe.finding.fix().to_owned()),
                at: probe.at,
            }),
            verification_started_at: watch.started_at,
            refused_code: watch.refusal.as_ref().map(|refusal| refusal.code.clone()),
            refused_message: watch
                .refusal
                .as_ref()
                .map(|refusal| refusal.message.clone()),
        })
    }
}
