//! Work that goes on for longer than a request, whatever its kind: a view over the rows of each kind.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::PolicyId;
use crate::domain::operation::{Operation, OperationId, OperationKind, OperationState};

struct Row {
    id: Uuid,
    kind: String,
    phase: String,
    state: String,
    began_at: Option<DateTime<Utc>>,
    began_by: String,
    ended_at: Option<DateTime<Utc>>,
    done: i64,
    total: Option<i64>,
    failure: Option<String>,
    policy: Option<PolicyId>,
}

impl TryFrom<Row> for Operation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent("operations", row.id, what);
        let kind: OperationKind = row.kind.parse().map_err(broken)?;
        Ok(Self {
            id: OperationId::of(kind, row.id),
            state: row.state.parse().map_err(broken)?,
            phase: row.phase,
            began_at: row.began_at,
            began_by: row.began_by,
            ended_at: row.ended_at,
            done: row.done,
            total: row.total,
            failure: row.failure,
            policy: row.policy,
        })
    }
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", kind AS "kind!", phase AS "phase!", state AS "state!", began_at, began_by AS "began_by!", ended_at,
                  COALESCE(done, 0) AS "done!", total, failure, within AS "policy: PolicyId"
             FROM operations WHERE id = $1 AND kind = $2"#,
        id.uuid(),
        id.kind().as_str(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Operation::try_from).transpose()
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    kind: Option<OperationKind>,
    state: Option<OperationState>,
    before: Option<OperationId>,
    limit: i64,
) -> Result<Vec<Operation>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id!", kind AS "kind!", phase AS "phase!", state AS "state!", began_at, began_by AS "began_by!", ended_at,
                  COALESCE(done, 0) AS "done!", total, failure, within AS "policy: PolicyId"
             FROM operations
            WHERE ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4"#,
        kind.map(OperationKind::as_str),
        state.map(OperationState::as_str),
        before.map(OperationId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Operation::try_from).collect()
}
