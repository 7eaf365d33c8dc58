//! What the worker gave up on: who takes care of it, and who said that nothing can be done.

use chrono::{DateTime, Utc};

use super::ids::{AccountRegionId, ConnectionId, EndpointServiceId};
use super::text::text_enum;

text_enum!(
    /// What can stall.
    StallKind {
        /// A consumer's connection.
        Connection = "connection",
        /// A registered service.
        Service = "service",
    }
);

/// Since when something is stalled, and who takes care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// Since when.
    pub since: DateTime<Utc>,
    /// The person who takes care of it, and since when.
    pub owner: Option<(String, DateTime<Utc>)>,
}

/// A person's word that AWS cannot be brought in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What is stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StalledId {
    /// A connection.
    Connection(ConnectionId),
    /// A service.
    Service(EndpointServiceId),
}

/// One line of the list of what is stalled.
#[derive(Debug, Clone)]
pub struct Stalled {
    /// What.
    pub id: StalledId,
    /// Where it lives.
    pub account_region: AccountRegionId,
    /// What people know it by: the service's name, or the consumer's endpoint.
    pub name: String,
    /// Since when, and who takes care.
    pub stall: Stall,
    /// Calls made, or tries that failed.
    pub attempts: i32,
    /// The last AWS error code, or the worker's reason.
    pub code: String,
    /// The same as a sentence.
    pub message: Option<String>,
}
