//! What policies and their dry runs look like.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::consumer_accounts::SaidView;
use crate::app::activate_policy::ForceChange;
use crate::domain::decision::{Change, Outcome, Reason, Sample};
use crate::domain::ids::{DryRunId, EndpointServiceId, PolicyId, RejudgementId};
use crate::domain::policy::{Policy, PolicyCase, PolicyState, Stamp};
use crate::domain::policy_dry_run::{DryRunPlace, DryRunState, PolicyDryRun};

/// Who did something, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct StampView {
    /// When.
    at: DateTime<Utc>,
    /// Who.
    by: String,
}

impl From<Stamp> for StampView {
    fn from(stamp: Stamp) -> Self {
        Self {
            at: stamp.at,
            by: stamp.by,
        }
    }
}

/// A text of policies, with its life.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    /// Its id.
    id: PolicyId,
    /// The service that it is for; null is every service.
    service_id: Option<EndpointServiceId>,
    /// Counts the policies of one scope.
    number: i64,
    /// Where it stands. Only `active` decides.
    state: PolicyState,
    /// Counts the changes. Send it with a change, to activate and to deactivate.
    version: i64,
    /// The text, in Cedar.
    text: String,
    /// The text's SHA-256: what judgements name it by.
    digest: String,
    /// What people say about it.
    note: Option<String>,
    /// Requests that it is tried with.
    cases: Vec<PolicyCaseView>,
    /// Who began it.
    created: StampView,
    /// Who gave it the text that it has.
    written: StampView,
    /// Who found that this text compiles.
    validated: Option<StampView>,
    /// When all cases came out as expected, with this text.
    passed_at: Option<DateTime<Utc>>,
    /// Who did the last step that made it tested.
    tested: Option<StampView>,
    /// Who put it in force.
    activated: Option<SaidView>,
    /// Who gave it up, replaced it or took it out of force.
    ended: Option<SaidView>,
    /// What took its place.
    superseded_by: Option<PolicyId>,
}

impl From<Policy> for PolicyView {
    fn from(row: Policy) -> Self {
        Self {
            id: row.id,
            service_id: row.service,
            number: row.number,
            state: row.state,
            version: row.version,
            text: row.text,
            digest: row.digest,
            note: row.note,
            cases: row.cases.into_iter().map(Into::into).collect(),
            created: row.created.into(),
            written: row.written.into(),
            validated: row.validated.map(Into::into),
            passed_at: row.passed_at,
            tested: row.tested.map(Into::into),
            activated: row.activated.map(Into::into),
            ended: row.ended.map(Into::into),
            superseded_by: row.superseded_by,
        }
    }
}

/// A policy that was put in force or taken out of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyForceView {
    /// The policy.
    #[serde(flatten)]
    policy: PolicyView,
    /// The re-judgement that was asked for with it: a preview of which live connections of the policy's scope would lose their access now. Nothing happens
    /// until somebody applies it.
    rejudgement_id: RejudgementId,
}

impl From<ForceChange> for PolicyForceView {
    fn from(change: ForceChange) -> Self {
        Self {
            policy: change.policy.into(),
            rejudgement_id: change.rejudgement,
        }
    }
}

/// A request that a policy is tried with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyCaseView {
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 100,
        example = "a known account is accepted"
    )]
    name: String,
    /// The facts of the request, as a judgement shows them.
    #[schema(value_type = Object)]
    facts: Value,
    /// What has to come out.
    expect: Outcome,
}

impl From<PolicyCase> for PolicyCaseView {
    fn from(case: PolicyCase) -> Self {
        Self {
            name: case.name,
            facts: case.facts,
            expect: case.expect,
        }
    }
}

impl From<PolicyCaseView> for PolicyCase {
    fn from(view: PolicyCaseView) -> Self {
        Self {
            name: view.name,
            facts: view.facts,
            expect: view.expect,
        }
    }
}

/// Why: a stable code, and a sentence for the consumer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReasonView {
    /// The code.
    code: String,
    /// The sentence.
    sentence: String,
}

impl From<Reason> for ReasonView {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.code,
            sentence: reason.sentence,
        }
    }
}

/// A policy tried over what was decided and what is live.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRunView {
    /// Its id.
    id: DryRunId,
    /// What is tried.
    policy_id: PolicyId,
    /// Whether what is tried is to take the policy out of force: what would be decided without it.
    without_it: bool,
    /// The SHA-256 of the policy's text.
    digest: String,
    /// Where it stands.
    state: DryRunState,
    /// What is judged now, while it runs: `decisions`, then `live`.
    stage: Option<String>,
    /// How many of the last decisions are to be judged again.
    decisions: i64,
    /// Who asked for it.
    requested: StampView,
    /// When a worker took it up for the first time.
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    finished_at: Option<DateTime<Utc>>,
    /// Why it has no result, where it failed.
    failure: Option<String>,
    /// The active sets that decide together with it: digests by `provider` or a service's id.
    #[schema(value_type = Option<Object>)]
    others: Option<std::collections::BTreeMap<String, String>>,
    /// What was counted so far.
    result: DryRunResult,
}

/// What a policy would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRunResult {
    /// What was judged: decisions and live connections.
    judged: u64,
    /// Live connections among them.
    live: u64,
    /// Decisions that could not be judged again: nothing was judged before them.
    without_facts: u64,
    /// Requests that would be accepted and were not.
    newly_accepted: u64,
    /// Requests that would be held and were not.
    newly_held: u64,
    /// Requests that would be rejected and were not.
    newly_rejected: u64,
    /// Live connections that would be cut off.
    losing_access: u64,
    /// Live connections that would stay, and that a person would look at.
    live_held: u64,
    /// The first 20 of each change.
    samples: Vec<SampleView>,
}

/// An example of a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleView {
    /// The id of the decision or of the live connection.
    id: String,
    /// How it would change.
    change: Change,
    /// What holds now.
    before: Outcome,
    /// Why it would change.
    reasons: Vec<ReasonView>,
    /// The policies that would determine it.
    policies: Vec<String>,
}

impl From<Sample> for SampleView {
    fn from(sample: Sample) -> Self {
        Self {
            id: sample.id,
            change: sample.change,
            before: sample.before,
            reasons: sample.reasons.into_iter().map(Into::into).collect(),
            policies: sample.policies,
        }
    }
}

impl From<PolicyDryRun> for DryRunView {
    fn from(row: PolicyDryRun) -> Self {
        let stage = match &row.place {
            Some(DryRunPlace::Decisions { .. }) => Some("decisions"),
            Some(DryRunPlace::Live { .. }) => Some("live"),
            None => None,
        };
        let (run, without_facts) = (row.tally.run, row.tally.without_facts);
        Self {
            id: row.id,
            policy_id: row.policy,
            without_it: row.without_it,
            digest: row.digest,
            state: row.state,
            stage: stage.map(str::to_owned),
            decisions: row.decisions,
            requested: row.requested.into(),
            started_at: row.started_at,
            finished_at: row.finished_at,
            failure: row.failure,
            others: row.others,
            result: DryRunResult {
                judged: run.judged,
                live: run.live,
                without_facts,
                newly_accepted: run.newly_accepted,
                newly_held: run.newly_held,
                newly_rejected: run.newly_rejected,
                losing_access: run.losing_access,
                live_held: run.live_held,
                samples: run.samples.into_iter().map(Into::into).collect(),
            },
        }
    }
}
