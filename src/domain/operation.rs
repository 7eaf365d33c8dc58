//! Operations: work that goes on for longer than a request. Pure.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ids::{AccessRemovalId, BlockId, DryRunId, EndpointServiceId, PolicyId, RejudgementId};
use super::text::text_enum;

text_enum!(
    /// What is being done.
    OperationKind {
        /// A policy is tried over decisions and what is live.
        PolicyDryRun = "policy_dry_run",
        /// What is live is judged again, and what that finds is carried out.
        Rejudgement = "rejudgement",
        /// Something is cut off, or given back.
        Block = "block",
        /// Access is taken away.
        AccessRemoval = "access_removal",
        /// A service is emptied, and deleted or let go of.
        ServiceEnd = "service_end",
    }
);

text_enum!(
    /// How far an operation is, in the same words for all kinds.
    OperationState {
        /// Nobody has begun yet.
        Queued = "queued",
        /// It is being done.
        Running = "running",
        /// It goes on by a person's word, or when a time has come.
        Waiting = "waiting",
        /// It is done.
        Succeeded = "succeeded",
        /// It cannot be done.
        Failed = "failed",
        /// It was taken back.
        Cancelled = "cancelled",
    }
);

/// Which operation: the id of what it is about. The audit trail and the other resources know it by the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationId {
    /// A dry run.
    PolicyDryRun(DryRunId),
    /// A re-judgement.
    Rejudgement(RejudgementId),
    /// A block.
    Block(BlockId),
    /// A removal of access.
    AccessRemoval(AccessRemovalId),
    /// The end of a service.
    ServiceEnd(EndpointServiceId),
}

impl OperationId {
    /// The id of a kind of operation from the bare one.
    pub fn of(kind: OperationKind, id: Uuid) -> Self {
        match kind {
            OperationKind::PolicyDryRun => Self::PolicyDryRun(id.into()),
            OperationKind::Rejudgement => Self::Rejudgement(id.into()),
            OperationKind::Block => Self::Block(id.into()),
            OperationKind::AccessRemoval => Self::AccessRemoval(id.into()),
            OperationKind::ServiceEnd => Self::ServiceEnd(id.into()),
        }
    }

    /// What is being done.
    pub fn kind(self) -> OperationKind {
        match self {
            Self::PolicyDryRun(_) => OperationKind::PolicyDryRun,
            Self::Rejudgement(_) => OperationKind::Rejudgement,
            Self::Block(_) => OperationKind::Block,
            Self::AccessRemoval(_) => OperationKind::AccessRemoval,
            Self::ServiceEnd(_) => OperationKind::ServiceEnd,
        }
    }

    /// The bare id.
    pub fn uuid(self) -> Uuid {
        match self {
            Self::PolicyDryRun(id) => id.uuid(),
            Self::Rejudgement(id) => id.uuid(),
            Self::Block(id) => id.uuid(),
            Self::AccessRemoval(id) => id.uuid(),
            Self::ServiceEnd(id) => id.uuid(),
        }
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyDryRun(id) => id.fmt(f),
            Self::Rejudgement(id) => id.fmt(f),
            Self::Block(id) => id.fmt(f),
            Self::AccessRemoval(id) => id.fmt(f),
            Self::ServiceEnd(id) => id.fmt(f),
        }
    }
}

impl FromStr for OperationId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let dry_run = text.parse().map(Self::PolicyDryRun);
        dry_run
            .or_else(|_| text.parse().map(Self::Rejudgement))
            .or_else(|_| text.parse().map(Self::Block))
            .or_else(|_| text.parse().map(Self::AccessRemoval))
            .or_else(|_| text.parse().map(Self::ServiceEnd))
            .map_err(|_| "it is no id of a dry run, a re-judgement, a block, an access removal or a service")
    }
}

/// An operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Which.
    pub id: OperationId,
    /// How far it is.
    pub state: OperationState,
    /// The same in the words of its kind.
    pub phase: String,
    /// Since when; not known of a service that has ended.
    pub began_at: Option<DateTime<Utc>>,
    /// Who asked for it.
    pub began_by: String,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// How much is done.
    pub done: i64,
    /// Of how much, where that is known.
    pub total: Option<i64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Of a dry run: the policy.
    pub policy: Option<PolicyId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_known_by_its_id() {
        for kind in OperationKind::ALL {
            let id = OperationId::of(*kind, Uuid::from_u128(7));
            assert_eq!((id.kind(), id.uuid()), (*kind, Uuid::from_u128(7)));
            assert_eq!(id.to_string().parse(), Ok(id), "{kind}");
        }
        let connection = "con_00000000000000000000000000000007";
        assert!(connection.parse::<OperationId>().is_err());
    }
}
