//! The steps in the life of a policy. The caller has locked its row and checked that the step may be taken.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::consumer::Said;
use crate::domain::ids::{EndpointServiceId, PolicyId};
use crate::domain::policy::{PolicyCase, PolicyState, Stamp};

/// Locks what is in force until the transaction ends: one at a time activates, deactivates or numbers policies. A provider's set and a service's
/// decide together, so two that were tried apart must not become active at once.
pub async fn lock_force(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('policies', 0))")
        .execute(conn)
        .await?;
    Ok(())
}

/// A policy that begins.
#[derive(Debug)]
pub struct New<'a> {
    /// Its id.
    pub id: PolicyId,
    /// The service that it is for; `None` is every service.
    pub service: Option<EndpointServiceId>,
    /// The text.
    pub text: &'a str,
    /// Its SHA-256.
    pub digest: &'a str,
    /// What people say about it.
    pub note: Option<&'a str>,
    /// Who began it.
    pub by: &'a Stamp,
}

/// Begins a policy as a draft, with the next number of its scope. The caller has called [`lock_force`].
pub async fn insert(conn: &mut PgConnection, new: New<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO policies (id, endpoint_service_id, number, state, text, digest, note, created_at, created_by, written_at, written_by)
         SELECT $1, $2, coalesce(max(number), 0) + 1, 'draft', $3, $4, $5, $6, $7, $6, $7
           FROM policies WHERE endpoint_service_id IS NOT DISTINCT FROM $2",
        new.id as _,
        new.service.map(EndpointServiceId::uuid),
        new.text,
        new.digest,
        new.note,
        new.by.at,
        new.by.by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a candidate another text: it is a draft again.
pub async fn write_text(
    conn: &mut PgConnection,
    id: PolicyId,
    text: &str,
    digest: &str,
    by: &Stamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policies
            SET text = $2, digest = $3, written_at = $4, written_by = $5, state = 'draft', version = version + 1,
                validated_at = NULL, validated_by = NULL, passed_at = NULL, tested_at = NULL, tested_by = NULL
          WHERE id = $1",
        id as _,
        text,
        digest,
        by.at,
        by.by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes what people say about a policy.
pub async fn write_note(
    conn: &mut PgConnection,
    id: PolicyId,
    note: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policies SET note = $2, version = version + 1 WHERE id = $1",
        id as _,
        note,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that a draft compiles.
pub async fn record_validated(
    conn: &mut PgConnection,
    id: PolicyId,
    by: &Stamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policies SET state = 'validated', validated_at = $2, validated_by = $3, version = version + 1 WHERE id = $1",
        id as _,
        by.at,
        by.by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records with which cases a policy was tried, and when all of them came out as expected; where one did not, it is not tested any more.
pub async fn record_cases(
    conn: &mut PgConnection,
    id: PolicyId,
    cases: &[PolicyCase],
    passed_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let cases: Value = serde_json::to_value(cases)
        .map_err(|e| StoreError::inconsistent("policies", id, e.to_string()))?;
    sqlx::query!(
        "UPDATE policies
            SET cases = $2, passed_at = $3, version = version + 1,
                state = CASE WHEN $3::timestamptz IS NULL THEN 'validated' ELSE state END,
                tested_at = CASE WHEN $3::timestamptz IS NULL THEN NULL ELSE tested_at END,
                tested_by = CASE WHEN $3::timestamptz IS NULL THEN NULL ELSE tested_by END
          WHERE id = $1",
        id as _,
        cases,
        passed_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that a validated policy is tested.
pub async fn record_tested(
    conn: &mut PgConnection,
    id: PolicyId,
    by: &Stamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policies SET state = 'tested', tested_at = $2, tested_by = $3, version = version + 1 WHERE id = $1",
        id as _,
        by.at,
        by.by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts a tested policy in force. The caller has called [`lock_force`] and ended the one that was; `Duplicate` on `policies_one_active` otherwise.
pub async fn record_activated(
    conn: &mut PgConnection,
    id: PolicyId,
    said: &Said,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policies
            SET state = 'active', activated_at = $2, activated_by = $3, activated_reason = $4, version = version + 1
          WHERE id = $1",
        id as _,
        said.at,
        said.by,
        said.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a policy: superseded, with what took its place, or discarded.
pub async fn record_ended(
    conn: &mut PgConnection,
    id: PolicyId,
    state: PolicyState,
    said: &Said,
    successor: Option<PolicyId>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policies
            SET state = $2, ended_at = $3, ended_by = $4, ended_reason = $5, superseded_by = $6, version = version + 1
          WHERE id = $1",
        id as _,
        state.as_str(),
        said.at,
        said.by,
        said.reason,
        successor.map(PolicyId::uuid),
    )
    .execute(conn)
    .await?;
    Ok(())
}
