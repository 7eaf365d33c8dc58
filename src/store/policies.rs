//! Acceptance policies: rows, lists, and what is in force. Their steps are written in [`super::policy_steps`].

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::consumer::Said;
use crate::domain::ids::{EndpointServiceId, PolicyId};
use crate::domain::policy::{ActivePolicy, Policy, PolicyState, Stamp};

const TABLE: &str = "policies";

struct Row {
    id: PolicyId,
    endpoint_service_id: Option<EndpointServiceId>,
    number: i64,
    state: String,
    text: String,
    digest: String,
    note: Option<String>,
    cases: Value,
    version: i64,
    created_at: DateTime<Utc>,
    created_by: String,
    written_at: DateTime<Utc>,
    written_by: String,
    validated_at: Option<DateTime<Utc>>,
    validated_by: Option<String>,
    passed_at: Option<DateTime<Utc>>,
    tested_at: Option<DateTime<Utc>>,
    tested_by: Option<String>,
    activated_at: Option<DateTime<Utc>>,
    activated_by: Option<String>,
    activated_reason: Option<String>,
    ended_at: Option<DateTime<Utc>>,
    ended_by: Option<String>,
    ended_reason: Option<String>,
    superseded_by: Option<PolicyId>,
}

fn stamp(at: Option<DateTime<Utc>>, by: Option<String>) -> Option<Stamp> {
    at.zip(by).map(|(at, by)| Stamp { at, by })
}

/// The table sees to it that there is all of it or nothing.
fn said(at: Option<DateTime<Utc>>, by: Option<String>, reason: Option<String>) -> Option<Said> {
    let (at, (by, reason)) = at.zip(by.zip(reason))?;
    Some(Said { at, by, reason })
}

impl TryFrom<Row> for Policy {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        Ok(Self {
            id: row.id,
            service: row.endpoint_service_id,
            number: row.number,
            state: row.state.parse().map_err(broken)?,
            text: row.text,
            digest: row.digest,
            note: row.note,
            cases: serde_json::from_value(row.cases).map_err(|e| broken(e.to_string()))?,
            version: row.version,
            created: Stamp {
                at: row.created_at,
                by: row.created_by,
            },
            written: Stamp {
                at: row.written_at,
                by: row.written_by,
            },
            validated: stamp(row.validated_at, row.validated_by),
            passed_at: row.passed_at,
            tested: stamp(row.tested_at, row.tested_by),
            activated: said(row.activated_at, row.activated_by, row.activated_reason),
            ended: said(row.ended_at, row.ended_by, row.ended_reason),
            superseded_by: row.superseded_by,
        })
    }
}

/// Reads policies: the columns once, whatever the rest of the statement says.
macro_rules! policy_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: PolicyId", endpoint_service_id AS "endpoint_service_id: EndpointServiceId", number, state, text, digest, note,
                      cases, version, created_at, created_by, written_at, written_by, validated_at, validated_by, passed_at, tested_at, tested_by,
                      activated_at, activated_by, activated_reason, ended_at, ended_by, ended_reason,
                      superseded_by AS "superseded_by: PolicyId"
                 FROM policies "# + $rest
            $(, $argument)*
        )
    };
}

/// One by id.
pub async fn by_id(conn: &mut PgConnection, id: PolicyId) -> Result<Option<Policy>, StoreError> {
    let row = policy_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Policy::try_from).transpose()
}

/// One by id, locked until the transaction ends.
pub async fn locked(conn: &mut PgConnection, id: PolicyId) -> Result<Option<Policy>, StoreError> {
    let row = policy_rows!(r#"WHERE id = $1 FOR NO KEY UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Policy::try_from).transpose()
}

/// The active one of a scope, locked until the transaction ends.
pub async fn locked_active_of(
    conn: &mut PgConnection,
    service: Option<EndpointServiceId>,
) -> Result<Option<Policy>, StoreError> {
    let row = policy_rows!(
        r#"WHERE endpoint_service_id IS NOT DISTINCT FROM $1 AND state = 'active' FOR NO KEY UPDATE"#,
        service.map(EndpointServiceId::uuid),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Policy::try_from).transpose()
}

/// Which policies to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only those for this service alone.
    pub service: Option<EndpointServiceId>,
    /// Only those for every service, or only those for one.
    pub provider_wide: Option<bool>,
    /// Only those that stand so.
    pub state: Option<PolicyState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<PolicyId>,
    limit: i64,
) -> Result<Vec<Policy>, StoreError> {
    let rows = policy_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::uuid IS NULL OR endpoint_service_id = $2)
              AND ($3::boolean IS NULL OR (endpoint_service_id IS NULL) = $3)
              AND ($4::text IS NULL OR state = $4)
            ORDER BY id DESC
            LIMIT $5"#,
        before.map(PolicyId::uuid),
        filter.service.map(EndpointServiceId::uuid),
        filter.provider_wide,
        filter.state.map(PolicyState::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Policy::try_from).collect()
}

/// The sets that decide about connections to a service, in the order in which they are asked: the provider's, then the service's own. None of
/// them where nobody activated one.
pub async fn active(
    conn: &mut PgConnection,
    service: EndpointServiceId,
) -> Result<Vec<ActivePolicy>, StoreError> {
    let rows = sqlx::query_as!(
        ActivePolicy,
        r#"SELECT id AS "id: PolicyId", endpoint_service_id AS "service: EndpointServiceId", text, digest
             FROM policies
            WHERE state = 'active' AND (endpoint_service_id IS NULL OR endpoint_service_id = $1)
            ORDER BY endpoint_service_id NULLS FIRST"#,
        service as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The sets of single services that are in force.
pub async fn active_of_services(conn: &mut PgConnection) -> Result<Vec<ActivePolicy>, StoreError> {
    let rows = sqlx::query_as!(
        ActivePolicy,
        r#"SELECT id AS "id: PolicyId", endpoint_service_id AS "service: EndpointServiceId", text, digest
             FROM policies
            WHERE state = 'active' AND endpoint_service_id IS NOT NULL
            ORDER BY endpoint_service_id"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Texts that decided, by their digests: one for each, the first of several with the same text.
pub async fn by_digest(
    conn: &mut PgConnection,
    digests: &[String],
) -> Result<Vec<ActivePolicy>, StoreError> {
    let rows = sqlx::query_as!(
        ActivePolicy,
        r#"SELECT DISTINCT ON (digest) id AS "id: PolicyId", endpoint_service_id AS "service: EndpointServiceId", text, digest
             FROM policies
            WHERE digest = ANY($1) AND state IN ('active', 'superseded')
            ORDER BY digest, activated_at, id"#,
        digests,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
