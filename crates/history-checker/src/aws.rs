//! AWS's side of a history, in the shapes of the simulator's control API: `GET /_sim/events`, `/_sim/connections` and `/_sim/state`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// The log of calls and what they came to.
#[derive(Debug, Clone, Default)]
pub struct Aws {
    /// Every call, oldest first.
    pub calls: Vec<Call>,
    /// The connections that AWS lists at the end.
    pub connections: Vec<Connection>,
    /// The services that AWS lists at the end.
    pub services: Vec<Service>,
}

/// One line of the call log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Call {
    /// Rises with every call.
    pub seq: u64,
    /// AWS's time.
    pub at: DateTime<Utc>,
    /// The action.
    pub action: String,
    /// Who called.
    pub account: String,
    /// `ok`, an error code, or how the answer broke.
    pub outcome: String,
    /// Whether the work was done, whatever the answer said.
    pub done: bool,
    /// The ids in the request.
    pub ids: Vec<String>,
}

/// A connection at the end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Connection {
    /// The service.
    pub service_id: String,
    /// The endpoint.
    pub endpoint_id: String,
    /// The state, in AWS's words.
    pub state: String,
}

/// A service at the end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// The service.
    pub service_id: String,
    /// Such as `Available`.
    pub state: Option<String>,
    /// Whether connections wait to be accepted.
    pub acceptance_required: bool,
    /// Who may connect.
    pub principals: Vec<String>,
}

impl Aws {
    /// Reads the three answers of the control API.
    pub fn read(events: Value, connections: Value, state: &Value) -> Result<Self, String> {
        let read = |error: serde_json::Error| error.to_string();
        let mut services = Vec::new();
        for place in state["places"].as_array().into_iter().flatten() {
            for service in place["services"].as_array().into_iter().flatten() {
                services.push(Service::deserialize(service).map_err(read)?);
            }
        }
        Ok(Self {
            calls: serde_json::from_value(events).map_err(read)?,
            connections: serde_json::from_value(connections).map_err(read)?,
            services,
        })
    }
}

impl Call {
    /// The endpoints that the call names.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        let ids = self.ids.iter().map(String::as_str);
        ids.filter(|id| id.starts_with("vpce-") && !id.starts_with("vpce-svc-"))
    }

    /// Whether the answer says nothing about whether the work was done.
    pub fn answer_is_lost(&self) -> bool {
        is_unknown(&self.outcome)
    }
}

/// Whether an outcome or a code stands for a call that may have worked.
pub(crate) fn is_unknown(code: &str) -> bool {
    const CODES: &[&str] = &[
        // The simulator's words for what broke on the way.
        "dropped",
        "reset",
        "truncated",
        "garbled",
        // AWS's server errors, and the adapters' words for no answer.
        "InternalError",
        "InternalFailure",
        "ServiceUnavailable",
        "Unavailable",
        "ConnectionClosed",
        "ConnectionReset",
        "UnreadableAnswer",
        "Timeout",
        "DispatchFailure",
    ];
    CODES.contains(&code)
}
