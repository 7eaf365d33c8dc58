//! A policy, or its absence, tried over what was decided and what is live, page by page. Pure: what [`super::decision::DryRun`] counts, and how far it is.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::decision::DryRun;
use super::ids::{DecisionId, DryRunId, EndpointServiceId, PolicyId};
use super::policy::{Others, Stamp};
use super::text::text_enum;

text_enum!(
    /// Where a dry run stands.
    DryRunState {
        /// It waits for a worker.
        Queued = "queued",
        /// A worker is at it.
        Running = "running",
        /// It is through.
        Done = "done",
        /// It ended without a result.
        Failed = "failed",
    }
);

/// Where a dry run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum DryRunPlace {
    /// In what was decided, from the newest to older ones.
    Decisions {
        /// The last one that was judged.
        before: Option<DecisionId>,
        /// How many are left to judge.
        left: i64,
    },
    /// In what is live.
    Live {
        /// The last one that was judged.
        after: Option<(AccountId, EndpointServiceId, VpcEndpointId)>,
    },
}

impl DryRunPlace {
    /// The beginning of a run over so many decisions.
    pub fn first(decisions: i64) -> Self {
        Self::Decisions {
            before: None,
            left: decisions,
        }
    }
}

/// What was counted so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What would change.
    pub run: DryRun,
    /// Decisions that could not be judged again: nothing was judged before them, or by another version of this program.
    pub without_facts: u64,
}

/// A dry run.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDryRun {
    /// Our id.
    pub id: DryRunId,
    /// What is tried.
    pub policy: PolicyId,
    /// Whether what is tried is to take it away: what would be decided without it. So it is with a policy that was in force when somebody asked.
    pub without_it: bool,
    /// The SHA-256 of the text that is tried.
    pub digest: String,
    /// How many of the last decisions are judged again.
    pub decisions: i64,
    /// Where it stands.
    pub state: DryRunState,
    /// Who asked for it.
    pub requested: Stamp,
    /// How often a worker took it up.
    pub runs: i32,
    /// The active sets that decide together with it.
    pub others: Option<Others>,
    /// Where it goes on.
    pub place: Option<DryRunPlace>,
    /// What was counted so far.
    pub tally: Tally,
    /// When it was taken up for the first time.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it has no result.
    pub failure: Option<String>,
}
