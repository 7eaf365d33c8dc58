//! How far re-judgements come. Whoever writes here holds the lock of the row; each statement is guarded by the state that it leaves or stays in, and answers
//! whether it was in it.

use chrono::{DateTime, Utc};

use super::facts::LiveCursor;
use super::{PgConnection, StoreError};
use crate::domain::ids::{ConnectionId, RejudgementId};
use crate::domain::rejudgement::{Applied, Cancelled, Found, RejudgementState};

/// Notes that another page was judged, and up to where.
pub async fn record_judged(
    conn: &mut PgConnection,
    id: RejudgementId,
    more: Found,
    place: &LiveCursor,
) -> Result<bool, StoreError> {
    let (account, service, endpoint) = place;
    let done = sqlx::query!(
        "UPDATE rejudgements
            SET judged = judged + $2, losing = losing + $3, held = held + $4,
                after_account = $5, after_service = $6, after_endpoint = $7
          WHERE id = $1 AND state = 'previewing'",
        id as _,
        more.judged,
        more.losing,
        more.held,
        account.as_str(),
        *service as _,
        endpoint.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that all was judged.
pub async fn record_previewed(
    conn: &mut PgConnection,
    id: RejudgementId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgements SET state = 'previewed', previewed_at = $2 WHERE id = $1 AND state = 'previewing'",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that somebody applied it.
pub async fn record_applied(
    conn: &mut PgConnection,
    id: RejudgementId,
    applied: &Applied,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgements
            SET state = 'applying', applied_at = $2, applied_by = $3, applied_reason = $4, applied_request_id = $5,
                grace_seconds = $6, confirmed = $7, revoke_at = $8
          WHERE id = $1 AND state = 'previewed'",
        id as _,
        applied.said.at,
        applied.said.by,
        applied.said.reason,
        applied.request_id,
        applied.grace.num_seconds(),
        applied.confirmed,
        applied.revoke_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that so many more revocations were planned, and so many connections left as they are.
pub async fn record_planned(
    conn: &mut PgConnection,
    id: RejudgementId,
    planned: i64,
    kept: i64,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgements SET planned = planned + $2, kept = kept + $3 WHERE id = $1 AND state = 'applying'",
        id as _,
        planned,
        kept,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that nothing is left to plan.
pub async fn record_carried_out(
    conn: &mut PgConnection,
    id: RejudgementId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgements SET state = 'applied', carried_out_at = $2 WHERE id = $1 AND state = 'applying'",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that somebody cancelled it, in the state that it was in.
pub async fn record_cancelled(
    conn: &mut PgConnection,
    id: RejudgementId,
    from: RejudgementState,
    to: RejudgementState,
    cancelled: &Cancelled,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgements
            SET state = $3, cancelled_at = $4, cancelled_by = $5, cancelled_reason = $6, cancelled_request_id = $7, ended_at = $8
          WHERE id = $1 AND state = $2",
        id as _,
        from.as_str(),
        to.as_str(),
        cancelled.said.at,
        cancelled.said.by,
        cancelled.said.reason,
        cancelled.request_id,
        cancelled.ended_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that so many more revocations were taken back, and up to where.
pub async fn record_taken_back(
    conn: &mut PgConnection,
    id: RejudgementId,
    more: i64,
    after: ConnectionId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgements SET taken_back = taken_back + $2, after_connection = $3 WHERE id = $1 AND state = 'cancelling'",
        id as _,
        more,
        after as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that nothing is left to take back.
pub async fn record_ended(
    conn: &mut PgConnection,
    id: RejudgementId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgements SET state = 'cancelled', ended_at = $2 WHERE id = $1 AND state = 'cancelling'",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
