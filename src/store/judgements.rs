//! What gates and policies said of connections. Append-only: the table refuses updates and deletes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::decision::{Decision, Reason};
use crate::domain::ids::{ConnectionId, DecisionId, JudgementId};
use crate::domain::judgement::Judgement;

const TABLE: &str = "judgements";

struct Row {
    id: JudgementId,
    connection_id: ConnectionId,
    judged_at: DateTime<Utc>,
    outcome: String,
    gate: String,
    reasons: Value,
    policies: Vec<String>,
    policy_versions: Vec<String>,
    licence: Option<String>,
    facts: Value,
    decision_id: Option<DecisionId>,
}

impl TryFrom<Row> for Judgement {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        let reasons: Vec<Reason> =
            serde_json::from_value(row.reasons).map_err(|e| broken(e.to_string()))?;
        Ok(Self {
            id: row.id,
            connection: row.connection_id,
            at: row.judged_at,
            decision: Decision {
                outcome: row.outcome.parse().map_err(broken)?,
                gate: row.gate.parse().map_err(broken)?,
                reasons,
                policies: row.policies,
                policy_versions: row.policy_versions,
                licence: row.licence,
            },
            facts: row.facts,
            decided: row.decision_id,
        })
    }
}

/// Records a judgement. The caller has locked the connection.
pub async fn insert(conn: &mut PgConnection, new: &Judgement) -> Result<(), StoreError> {
    let reasons = serde_json::to_value(&new.decision.reasons)
        .map_err(|e| StoreError::inconsistent(TABLE, new.id, e.to_string()))?;
    sqlx::query!(
        "INSERT INTO judgements (id, connection_id, judged_at, outcome, gate, reasons, policies, policy_versions, licence, facts, decision_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        new.id as _,
        new.connection as _,
        new.at,
        new.decision.outcome.as_str(),
        new.decision.gate.as_str(),
        reasons,
        &new.decision.policies,
        &new.decision.policy_versions,
        new.decision.licence,
        new.facts,
        new.decided.map(DecisionId::uuid),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The newest judgement of a connection.
pub async fn latest(
    conn: &mut PgConnection,
    connection: ConnectionId,
) -> Result<Option<Judgement>, StoreError> {
    Ok(page(conn, connection, None, 1).await?.pop())
}

/// The newest judgement of each of these connections; those that were never judged are missing.
pub async fn latest_of_many(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
) -> Result<HashMap<ConnectionId, Judgement>, StoreError> {
    let ids: Vec<uuid::Uuid> = connections.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT j.id AS "id: JudgementId", j.connection_id AS "connection_id: ConnectionId", j.judged_at, j.outcome, j.gate,
                  j.reasons, j.policies, j.policy_versions, j.licence, j.facts, j.decision_id AS "decision_id: DecisionId"
             FROM unnest($1::uuid[]) AS asked (id)
            CROSS JOIN LATERAL (SELECT * FROM judgements WHERE connection_id = asked.id ORDER BY id DESC LIMIT 1) AS j"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.connection_id, row.try_into()?)))
        .collect()
}

/// A page of the judgements of a connection, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    connection: ConnectionId,
    before: Option<JudgementId>,
    limit: i64,
) -> Result<Vec<Judgement>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: JudgementId", connection_id AS "connection_id: ConnectionId", judged_at, outcome, gate, reasons,
                  policies, policy_versions, licence, facts, decision_id AS "decision_id: DecisionId"
             FROM judgements
            WHERE connection_id = $1 AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3"#,
        connection as _,
        before.map(JudgementId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Judgement::try_from).collect()
}
