//! How far the endpoint-hours of agreements are counted. Triggers make the rows, and have them looked at again when a binding or an agreement changes.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::ids::AgreementId;

/// How far an agreement is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The agreement.
    pub agreement: AgreementId,
    /// All hours before this one are sealed.
    pub sealed_until: Option<DateTime<Utc>>,
    /// What happened from then on has to be counted again.
    pub recount_from: Option<DateTime<Utc>>,
    /// Until when the agreement paid, as it was counted.
    pub pays_until: Option<DateTime<Utc>>,
    /// When it has to be looked at again.
    pub due_at: Option<DateTime<Utc>>,
}

/// Agreements that are to be counted, those first that wait longest.
pub async fn due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<AgreementId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"SELECT agreement_id AS "agreement: AgreementId" FROM usage_marks WHERE due_at <= $1 ORDER BY due_at, agreement_id LIMIT $2"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The mark of an agreement that is still to be counted and that nobody else counts, locked until the transaction ends.
pub async fn take(
    conn: &mut PgConnection,
    agreement: AgreementId,
    now: DateTime<Utc>,
) -> Result<Option<Mark>, StoreError> {
    let row = sqlx::query_as!(
        Mark,
        r#"SELECT agreement_id AS "agreement: AgreementId", sealed_until, recount_from, pays_until, due_at
             FROM usage_marks WHERE agreement_id = $1 AND due_at <= $2 FOR UPDATE SKIP LOCKED"#,
        agreement as _,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// Records how far an agreement is counted. The caller has taken it.
pub async fn record(conn: &mut PgConnection, mark: &Mark) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE usage_marks SET sealed_until = $2, recount_from = $3, pays_until = $4, due_at = $5 WHERE agreement_id = $1",
        mark.agreement as _,
        mark.sealed_until,
        mark.recount_from,
        mark.pays_until,
        mark.due_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Leaves an agreement that could not be counted for later, so that it does not keep the others.
pub async fn put_off(
    conn: &mut PgConnection,
    agreement: AgreementId,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE usage_marks SET due_at = $2 WHERE agreement_id = $1 AND due_at < $2",
        agreement as _,
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}
