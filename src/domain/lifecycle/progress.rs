//! How far a drain is: which phase, what it waits for, and when to look again. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::{AccountId, VpcEndpointId};
use serde_json::Value;

use super::{Drain, LifecycleState};
use crate::domain::ids::ConnectionId;
use crate::domain::review::ReviewState;
use crate::domain::sync::SyncState;
use crate::domain::text::text_enum;

/// The shortest and the longest pause between two looks at what endpoints keep a service from going.
const PAUSES: (TimeDelta, TimeDelta) = (TimeDelta::seconds(2), TimeDelta::minutes(1));

text_enum!(
    /// How far the end of a service is.
    Phase {
        /// AWS is told to let nobody new in.
        Freezing = "freezing",
        /// Consumers have time until the notice is over.
        Notice = "notice",
        /// Live connections are decided and AWS is told.
        Rejecting = "rejecting",
        /// Endpoints are in the way that only their consumers, or time, take away.
        Waiting = "waiting",
        /// Nobody is left.
        Drained = "drained",
        /// AWS is asked to delete it, and looked at until it is gone.
        Deleting = "deleting",
    }
);

text_enum!(
    /// The occasions on which a consumer is to be told something.
    NoticeKind {
        /// The service is drained, and the connection will be rejected.
        ServiceDraining = "service_draining",
        /// The drain was taken back.
        ServiceDrainCancelled = "service_drain_cancelled",
        /// Access ends at a time.
        AccessEnding = "access_ending",
        /// Access has ended.
        AccessEnded = "access_ended",
        /// Access does not end after all.
        AccessEndingCancelled = "access_ending_cancelled",
    }
);

/// What a consumer is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The occasion.
    pub kind: NoticeKind,
    /// When the occasion began; with the kind it makes the notice one of its kind.
    pub since: DateTime<Utc>,
    /// The words and times.
    pub content: Value,
}

/// How many connections stand how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// All connections by the state that AWS shows.
    pub by_state: BTreeMap<String, i64>,
    /// Those that are live and not decided against yet.
    pub to_reject: i64,
    /// Those that are live, whatever was decided.
    pub live: i64,
    /// Those of which AWS is being told, or that are stalled in that.
    pub untold: i64,
    /// Those that are stalled: a person has to look.
    pub stalled: i64,
    /// Those that AWS may count as attached, rejected and deleting ones included.
    pub attached: i64,
}

/// An endpoint that is in the way, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocking {
    /// Our id of the connection.
    pub connection: ConnectionId,
    /// The endpoint.
    pub endpoint: VpcEndpointId,
    /// Whose it is.
    pub owner: AccountId,
    /// What AWS shows.
    pub state: String,
    /// What was decided.
    pub review: ReviewState,
    /// Whether AWS is told.
    pub sync: SyncState,
}

impl Drain {
    /// The phase, from the rows.
    pub fn phase(&self, state: LifecycleState, progress: &Progress, now: DateTime<Utc>) -> Phase {
        if state == LifecycleState::Deleting {
            Phase::Deleting
        } else if self.frozen_at.is_none() {
            Phase::Freezing
        } else if now < self.reject_at && progress.live > 0 {
            Phase::Notice
        } else if progress.to_reject > 0 || (progress.live > 0 && progress.untold > 0) {
            Phase::Rejecting
        } else if progress.live > 0 || (self.answer.is_some() && progress.attached > 0) {
            Phase::Waiting
        } else if self.then_delete {
            Phase::Deleting
        } else {
            Phase::Drained
        }
    }
}

impl Phase {
    /// What it waits for, as a clause.
    pub fn waits_for(self) -> &'static str {
        match self {
            Self::Freezing => "AWS to require acceptance and to let none of our principals in",
            Self::Notice => {
                "the end of the notice; consumers can delete their endpoints until then"
            }
            Self::Rejecting => "AWS to show the live connections as rejected",
            Self::Waiting => {
                "the endpoints that AWS still counts as attached: rejected ones for a while, others until their owners delete them"
            }
            Self::Drained => "somebody to delete, release or reopen the service",
            Self::Deleting => "AWS to have deleted the service",
        }
    }
}

/// When to look again at what is waited for since then: soon at first, then ever more rarely.
pub fn next_look(waiting_since: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    now + ((now - waiting_since) / 4).clamp(PAUSES.0, PAUSES.1)
}
