//! Portcullis' side of a history: the rows, read by one statement into one JSON document.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The statement that reads everything. Its one parameter is the id of an AccountRegion (`uuid`), or null for all of them; its answer
/// is one `text`. Any client can send it.
pub const SQL: &str = "\
SELECT jsonb_build_object(
  'services', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'id', s.id, 'account', a.account_id, 'aws_service_id', s.aws_service_id,
       'acceptance_required', s.acceptance_required, 'allowed_principals', s.allowed_principals,
       'version', s.version, 'applied_version', s.applied_version, 'sync_state', s.sync_state, 'sync_code', s.sync_code,
       'lifecycle', s.lifecycle)), '[]')
     FROM endpoint_services s JOIN account_regions a ON a.id = s.account_region_id
    WHERE $1::uuid IS NULL OR s.account_region_id = $1),
  'connections', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'id', c.id, 'service', c.endpoint_service_id, 'aws_service_id', s.aws_service_id, 'endpoint_id', c.endpoint_id,
       'observed_state', c.observed_state, 'observed_at', c.observed_at, 'review_state', c.review_state,
       'decision_id', c.decision_id, 'sync_state', c.sync_state, 'sync_code', c.sync_code)), '[]')
     FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
    WHERE $1::uuid IS NULL OR c.account_region_id = $1),
  'decisions', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'id', d.id, 'connection', d.connection_id, 'verb', d.verb, 'at', d.decided_at) ORDER BY d.decided_at, d.id), '[]')
     FROM decisions d JOIN connections c ON c.id = d.connection_id
    WHERE $1::uuid IS NULL OR c.account_region_id = $1),
  'observations', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'connection', o.connection_id, 'at', o.at, 'from_state', o.from_state, 'to_state', o.to_state) ORDER BY o.at, o.id), '[]')
     FROM observations o JOIN connections c ON c.id = o.connection_id
    WHERE $1::uuid IS NULL OR c.account_region_id = $1),
  'attempts', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'connection', t.connection_id, 'decision', t.decision_id, 'at', t.at, 'act', t.act, 'outcome', t.outcome,
       'code', t.aws_code) ORDER BY t.at, t.id), '[]')
     FROM sync_attempts t JOIN connections c ON c.id = t.connection_id
    WHERE $1::uuid IS NULL OR c.account_region_id = $1),
  'drifts', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'connection', f.connection_id, 'kind', f.kind, 'open', f.resolved_at IS NULL)), '[]')
     FROM drifts f JOIN connections c ON c.id = f.connection_id
    WHERE $1::uuid IS NULL OR c.account_region_id = $1),
  'audit', (SELECT coalesce(jsonb_agg(jsonb_build_object(
       'id', e.id, 'action', e.action, 'subject', e.subject_id, 'decision', e.decision_id)), '[]')
     FROM audit_entries e
    WHERE $1::uuid IS NULL
       OR e.subject_id = $1
       OR e.subject_id IN (SELECT id FROM endpoint_services WHERE account_region_id = $1)
       OR e.subject_id IN (SELECT id FROM connections WHERE account_region_id = $1)),
  'hints_waiting', (SELECT count(*) FROM hints h
    WHERE h.followed_at IS NULL AND ($1::uuid IS NULL OR h.account_region_id = $1))
)::text";

/// The rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Registered services.
    pub services: Vec<Service>,
    /// Connections.
    pub connections: Vec<Connection>,
    /// Decisions, oldest first.
    pub decisions: Vec<Decision>,
    /// Changes of observed states, oldest first.
    pub observations: Vec<Observation>,
    /// What calls came to for each endpoint, oldest first.
    pub attempts: Vec<Attempt>,
    /// Disagreements.
    pub drifts: Vec<Drift>,
    /// Audit entries.
    pub audit: Vec<Audit>,
    /// Hints that nobody followed yet.
    pub hints_waiting: u64,
}

impl Database {
    /// Reads the answer of [`SQL`].
    pub fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// A registered service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// Our id.
    pub id: String,
    /// The provider's account.
    pub account: String,
    /// AWS's id.
    pub aws_service_id: Option<String>,
    /// What is desired.
    pub acceptance_required: bool,
    /// Who is to be let in.
    pub allowed_principals: Vec<String>,
    /// The newest word.
    pub version: i64,
    /// The newest word that AWS was seen to agree with.
    pub applied_version: i64,
    /// `idle`, `due` or `stalled`.
    pub sync_state: String,
    /// Why it is stalled.
    pub sync_code: Option<String>,
    /// `active`, `draining`, `deleting`, `deleted` or `released`.
    pub lifecycle: String,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Connection {
    /// Our id.
    pub id: String,
    /// Our id of its service.
    pub service: String,
    /// AWS's id of its service.
    pub aws_service_id: Option<String>,
    /// The endpoint.
    pub endpoint_id: String,
    /// What AWS showed.
    pub observed_state: String,
    /// When.
    pub observed_at: DateTime<Utc>,
    /// What was decided.
    pub review_state: String,
    /// By which decision.
    pub decision_id: Option<String>,
    /// `idle`, `due`, `confirming` or `stalled`.
    pub sync_state: String,
    /// The last code.
    pub sync_code: Option<String>,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (review {}, AWS shows {}, sync {} {})",
            self.endpoint_id,
            self.review_state,
            self.observed_state,
            self.sync_state,
            self.sync_code.as_deref().unwrap_or("-")
        )
    }
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Decision {
    /// Its id.
    pub id: String,
    /// About which connection.
    pub connection: String,
    /// `accept`, `reject` or `revoke`.
    pub verb: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A change of an observed state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Observation {
    /// Of which connection.
    pub connection: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What was shown before; nothing for the first sight.
    pub from_state: Option<String>,
    /// What is shown.
    pub to_state: String,
}

/// One endpoint's part of a call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Attempt {
    /// Which connection.
    pub connection: String,
    /// For which decision.
    pub decision: String,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// `accept` or `reject`.
    pub act: String,
    /// How it ended.
    pub outcome: String,
    /// AWS's code.
    pub code: Option<String>,
}

/// A disagreement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Drift {
    /// About which connection.
    pub connection: String,
    /// Which kind.
    pub kind: String,
    /// Whether nobody resolved it.
    pub open: bool,
}

/// An audit entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Audit {
    /// Its id.
    pub id: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The decision behind it.
    pub decision: Option<String>,
}
