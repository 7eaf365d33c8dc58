//! What gates and policies said of a connection, as it is kept, and what makes them be asked again.

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::decision::Decision;
use super::ids::{ConnectionId, ConsumerId, DecisionId, EndpointServiceId, JudgementId};

/// An answer of gates and policies about a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Our id.
    pub id: JudgementId,
    /// What it is about.
    pub connection: ConnectionId,
    /// When.
    pub at: DateTime<Utc>,
    /// What was said, and why.
    pub decision: Decision,
    /// What it was said from: [`super::decision::Facts`] in the format of their time.
    pub facts: serde_json::Value,
    /// The decision that was made of it, or by a person while it was heard, whatever it says; `None` where it holds and nobody decided.
    pub decided: Option<DecisionId>,
}

/// Something changed that requests may be judged differently by: these are to be judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// Everything that waits.
    All,
    /// Requests of an AWS account.
    Account(AccountId),
    /// Requests to a service.
    Service(EndpointServiceId),
    /// Requests of all accounts of a consumer.
    Consumer(ConsumerId),
}
