//! What happened to a connection, in order: seen, decided, told to AWS, found different.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::actor::ActorKind;
use super::drift::DriftKind;
use super::drift_inbox::DriftState;
use super::ids::{DecisionId, DriftId};
use super::lifecycle::NoticeKind;
use super::review::{ReviewState, Verb};
use super::review_desk::ReviewStep;
use super::sync::Act;

/// One thing that happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HistoryEntry {
    /// When it happened, or was noticed.
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub event: HistoryEvent,
}

/// What goes with a step. Which members there are depends on the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct StepDetails(pub Value);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum HistoryEvent {
    /// AWS showed a new state.
    Observed {
        /// The state before; absent at first sight.
        from: Option<String>,
        /// The state now.
        to: String,
    },
    /// Somebody decided.
    Decided {
        /// The decision.
        decision_id: DecisionId,
        /// What was decided.
        verb: Verb,
        /// What kind of decider.
        actor_kind: ActorKind,
        /// Who decided.
        actor: String,
        /// Why.
        reason: String,
        /// What the consumer is told.
        message: Option<String>,
        /// Where the work on it is kept.
        ticket_url: Option<String>,
        /// A stable word for why, where a rule decided: `review_overdue`, `approval_expired`, `revocation_scheduled`.
        reason_code: Option<String>,
    },
    /// Somebody, or time, moved the review on without deciding.
    Reviewed {
        /// The step.
        step: ReviewStep,
        /// What kind of actor.
        actor_kind: ActorKind,
        /// Who.
        actor: String,
        /// Why.
        reason: Option<String>,
        /// What goes with the step: until when it is held, or the text of a comment.
        details: Option<StepDetails>,
    },
    /// AWS was called.
    Called {
        /// The call.
        act: Act,
        /// The decision it carries out.
        decision_id: DecisionId,
        /// `recorded`, or how it failed for this endpoint.
        outcome: String,
        /// The AWS error code.
        aws_code: Option<String>,
        /// AWS's words.
        message: Option<String>,
    },
    /// Something the consumer is to be told.
    Notified {
        /// The occasion.
        notice: NoticeKind,
        /// The words and times.
        content: serde_json::Value,
    },
    /// AWS showed what no decision explains.
    Drifted {
        /// The drift, for settling it.
        drift_id: DriftId,
        /// How it was settled, if it was.
        state: DriftState,
        /// How the two came apart.
        kind: DriftKind,
        /// The review at that time.
        review: ReviewState,
        /// What AWS showed.
        observed: String,
        /// Since when it does not stand any more.
        resolved_at: Option<DateTime<Utc>>,
    },
}
