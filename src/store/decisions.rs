//! Decisions. Append-only: the table refuses updates and deletes.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::actor::{Actor, ActorKind};
use crate::domain::ids::{ConnectionId, DecisionId};
use crate::domain::review::Verb;

/// A decision to be recorded.
#[derive(Debug)]
pub struct New<'a> {
    /// Its id.
    pub id: DecisionId,
    /// About which connection.
    pub connection: ConnectionId,
    /// What.
    pub verb: Verb,
    /// Who.
    pub actor: &'a Actor,
    /// Why.
    pub reason: &'a str,
    /// What the decider could see.
    pub inputs: Value,
    /// When.
    pub at: DateTime<Utc>,
    /// What the consumer is told.
    pub message: Option<&'a str>,
    /// Where the work on it is kept; `https`.
    pub ticket_url: Option<&'a str>,
    /// A stable word for why, where a rule decided.
    pub reason_code: Option<&'a str>,
}

/// The decision that stands about a connection.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its id.
    pub id: DecisionId,
    /// What was decided.
    pub verb: Verb,
    /// What kind of actor decided.
    pub actor_kind: ActorKind,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What the consumer was told.
    pub message: Option<String>,
    /// A stable word for why, where a rule decided.
    pub reason_code: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The decision that stands about a connection; `None` while there is none.
pub async fn standing(
    conn: &mut PgConnection,
    connection: ConnectionId,
) -> Result<Option<Standing>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT d.id AS "id: DecisionId", d.verb, d.actor_kind, d.actor, d.reason, d.message, d.reason_code, d.decided_at
             FROM connections c JOIN decisions d ON d.id = c.decision_id
            WHERE c.id = $1"#,
        connection as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let broken = |what: String| StoreError::inconsistent("decisions", row.id, what);
        Ok(Standing {
            id: row.id,
            verb: row.verb.parse().map_err(broken)?,
            actor_kind: row.actor_kind.parse().map_err(broken)?,
            actor: row.actor,
            reason: row.reason,
            message: row.message,
            reason_code: row.reason_code,
            at: row.decided_at,
        })
    })
    .transpose()
}

/// Records a decision.
pub async fn insert(conn: &mut PgConnection, new: New<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO decisions (id, connection_id, verb, actor_kind, actor, reason, inputs, decided_at, message, ticket_url,
                                reason_code)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        new.id as _,
        new.connection as _,
        new.verb.as_str(),
        new.actor.kind.as_str(),
        new.actor.name,
        new.reason,
        new.inputs,
        new.at,
        new.message,
        new.ticket_url,
        new.reason_code,
    )
    .execute(conn)
    .await?;
    Ok(())
}
