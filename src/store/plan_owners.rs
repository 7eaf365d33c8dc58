//! Whose a planned revocation is: a removal of access or a re-judgement says so at the beginning of its reason.

use super::{PgConnection, StoreError};
use crate::domain::ids::{AccessRemovalId, RejudgementId};

/// Whether a removal was taken back, or is being taken back.
pub async fn removal_is_cancelled(
    conn: &mut PgConnection,
    id: AccessRemovalId,
) -> Result<bool, StoreError> {
    let cancelled = sqlx::query_scalar!(
        r#"SELECT state IN ('cancelling', 'cancelled') AS "cancelled!" FROM access_removals WHERE id = $1"#,
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(cancelled.unwrap_or(false))
}

/// Whether a re-judgement was cancelled, or is being cancelled.
pub async fn rejudgement_is_cancelled(
    conn: &mut PgConnection,
    id: RejudgementId,
) -> Result<bool, StoreError> {
    let cancelled = sqlx::query_scalar!(
        r#"SELECT state IN ('cancelling', 'cancelled') AS "cancelled!" FROM rejudgements WHERE id = $1"#,
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(cancelled.unwrap_or(false))
}
