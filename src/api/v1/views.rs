//! What several operations show in the same way.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::stall::{GivenUp, Stall};
use crate::domain::sync::SyncState;

/// How far AWS is told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncView {
    /// `idle`: in step. `due`: a call has to be made. `confirming`: a call was made and is being read back. `stalled`: the worker gave
    /// up; see `code` and `message`, mend the cause, then `retry-sync`. `given_up`: a person accepted that AWS cannot be brought in step.
    pub state: SyncState,
    /// When the worker looks next; null when nothing is to be done.
    pub due_at: Option<DateTime<Utc>>,
    /// Calls made for the current decision, or failed tries since a service was last in step.
    pub attempts: i32,
    /// The last AWS error code, or the worker's reason for giving up.
    pub code: Option<String>,
    /// The same as a sentence.
    pub message: Option<String>,
    /// Since when it is stalled.
    pub stalled_at: Option<DateTime<Utc>>,
    /// Who takes care of the stall; null while nobody does.
    pub owner: Option<String>,
    /// Since when.
    pub owned_at: Option<DateTime<Utc>>,
    /// Who gave it up, when and why.
    pub given_up: Option<GivenUpView>,
}

impl SyncView {
    /// Adds since when it is stalled and who takes care.
    pub(super) fn with_stall(mut self, stall: Option<Stall>) -> Self {
        if let Some(stall) = stall {
            self.stalled_at = Some(stall.since);
            (self.owner, self.owned_at) = stall.owner.unzip();
        }
        self
    }
}

/// A person's word that AWS cannot be brought in step.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GivenUpView {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl From<GivenUp> for GivenUpView {
    fn from(word: GivenUp) -> Self {
        Self {
            at: word.at,
            by: word.by,
            reason: word.reason,
        }
    }
}
