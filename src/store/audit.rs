//! The audit trail: one line for each change, in the change's own transaction. The table refuses updates and deletes.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::actor::Actor;
use crate::domain::ids::{
    AccessRemovalId, AccessRequestId, AccountRegionId, BlockId, ConnectionId, ConsumerId,
    DecisionId, DenialId, EndpointServiceId, PolicyId, RejudgementId, uuid_at,
};

/// What an audit entry is about.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// An AccountRegion.
    AccountRegion(AccountRegionId),
    /// A registered service.
    EndpointService(EndpointServiceId),
    /// A connection.
    Connection(ConnectionId),
    /// A consumer.
    Consumer(ConsumerId),
    /// An entry of the deny list.
    Denial(DenialId),
    /// A block.
    Block(BlockId),
    /// A policy.
    Policy(PolicyId),
    /// Access that was asked for.
    AccessRequest(AccessRequestId),
    /// Access that is taken away.
    AccessRemoval(AccessRemovalId),
    /// A re-judgement.
    Rejudgement(RejudgementId),
}

impl Subject {
    fn columns(self) -> (&'static str, Uuid) {
        match self {
            Self::AccountRegion(id) => ("account_region", id.uuid()),
            Self::EndpointService(id) => ("endpoint_service", id.uuid()),
            Self::Connection(id) => ("connection", id.uuid()),
            Self::Consumer(id) => ("consumer", id.uuid()),
            Self::Denial(id) => ("denial", id.uuid()),
            Self::Block(id) => ("block", id.uuid()),
            Self::Policy(id) => ("policy", id.uuid()),
            Self::AccessRequest(id) => ("access_request", id.uuid()),
            Self::AccessRemoval(id) => ("access_removal", id.uuid()),
            Self::Rejudgement(id) => ("rejudgement", id.uuid()),
        }
    }
}

/// One audit entry.
#[derive(Debug)]
pub struct Entry<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: &'a Actor,
    /// What, as `noun.verb`.
    pub action: &'static str,
    /// To what.
    pub subject: Subject,
    /// The part that changed, as it was.
    pub before: Option<Value>,
    /// The part that changed, as it is.
    pub after: Option<Value>,
    /// Why.
    pub reason: Option<&'a str>,
    /// The decision behind it.
    pub decision: Option<DecisionId>,
}

/// Writes an entry.
pub async fn record(conn: &mut PgConnection, entry: Entry<'_>) -> Result<(), StoreError> {
    let (kind, id) = entry.subject.columns();
    sqlx::query!(
        "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id, before, after, reason,
                                    request_id, decision_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        uuid_at(entry.at),
        entry.at,
        entry.actor.kind.as_str(),
        entry.actor.name,
        entry.action,
        kind,
        id,
        entry.before,
        entry.after,
        entry.reason,
        entry.actor.request_id,
        entry.decision.map(DecisionId::uuid),
    )
    .execute(conn)
    .await?;
    Ok(())
}
