//! What several operations show in the same way.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::sync::SyncState;

/// How far AWS is told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncView {
    /// `idle`: in step. `due`: a call has to be made. `confirming`: a call was made and is being read back. `stalled`: the worker gave
    /// up; see `code` and `message`, mend the cause, then `retry-sync`.
    pub state: SyncState,
    /// When the worker looks next; null when nothing is to be done.
    pub due_at: Option<DateTime<Utc>>,
    /// Calls made for the current decision, or failed tries since a service was last in step.
    pub attempts: i32,
    /// The last AWS error code, or the worker's reason for giving up.
    pub code: Option<String>,
    /// The same as a sentence.
    pub message: Option<String>,
}
