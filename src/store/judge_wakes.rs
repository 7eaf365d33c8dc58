//! Which requests are to be judged, when, and what makes them be judged again.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AccountRegionId, ConnectionId, uuid_at};
use crate::domain::judgement::Wake;

/// Has requests judged again, once the caller's change is committed.
pub async fn wake(
    conn: &mut PgConnection,
    wake: &Wake,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (account, service, consumer) = match wake {
        Wake::All => (None, None, None),
        Wake::Account(account) => (Some(account.as_str()), None, None),
        Wake::Service(service) => (None, Some(service.uuid()), None),
        Wake::Consumer(consumer) => (None, None, Some(consumer.uuid())),
    };
    sqlx::query!(
        "INSERT INTO judge_wakes (id, account_id, endpoint_service_id, consumer_id, woken_at) VALUES ($1, $2, $3, $4, $5)",
        uuid_at(at),
        account,
        service,
        consumer,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Has the requests of these accounts judged again, once the caller's change is committed.
pub async fn wake_accounts<'a>(
    conn: &mut PgConnection,
    accounts: impl IntoIterator<Item = &'a AccountId>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let accounts: BTreeSet<&str> = accounts.into_iter().map(AccountId::as_str).collect();
    if accounts.is_empty() {
        return Ok(());
    }
    let accounts: Vec<&str> = accounts.into_iter().collect();
    let ids: Vec<Uuid> = accounts.iter().map(|_| uuid_at(at)).collect();
    sqlx::query!(
        "INSERT INTO judge_wakes (id, account_id, woken_at) SELECT u.id, u.account_id, $3 FROM unnest($1::uuid[], $2::text[]) AS u (id, account_id)",
        &ids,
        &accounts as &[&str],
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Requests of an AccountRegion that are to be judged, those first that wait longest for it.
pub async fn due(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connections
            WHERE account_region_id = $1 AND judge_due_at <= $2
              AND review_state = 'undecided' AND observed_state = 'pendingAcceptance'
            ORDER BY judge_due_at, first_seen_at, id
            LIMIT $3"#,
        account_region as _,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// When the next request of an AccountRegion is to be judged.
pub async fn next(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    // The year 1 stands for those that are due at once, since no time of ours is infinite.
    let next = sqlx::query_scalar!(
        "SELECT min(greatest(judge_due_at, '0001-01-01Z')) FROM connections
          WHERE account_region_id = $1 AND review_state = 'undecided' AND observed_state = 'pendingAcceptance'",
        account_region as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(next)
}

/// When a request is to be judged next.
#[derive(Debug, Clone, Copy)]
pub struct Next {
    /// The request.
    pub id: ConnectionId,
    /// When.
    pub due_at: DateTime<Utc>,
    /// When it was judged just now and held; `None` where it was not.
    pub judged_at: Option<DateTime<Utc>>,
}

impl Next {
    /// One that was not judged.
    pub fn unjudged(id: ConnectionId, due_at: DateTime<Utc>) -> Self {
        Self {
            id,
            due_at,
            judged_at: None,
        }
    }
}

/// Records when these requests are to be judged next. The caller has locked them.
pub async fn put_off(conn: &mut PgConnection, next: &[Next]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = next.iter().map(|next| next.id.uuid()).collect();
    let due: Vec<DateTime<Utc>> = next.iter().map(|next| next.due_at).collect();
    let judged: Vec<Option<DateTime<Utc>>> = next.iter().map(|next| next.judged_at).collect();
    sqlx::query!(
        "UPDATE connections c SET judge_due_at = u.due_at, last_judged_at = coalesce(u.judged_at, c.last_judged_at)
           FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS u (id, due_at, judged_at)
          WHERE c.id = u.id",
        &ids,
        &due,
        &judged as &[Option<DateTime<Utc>>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When a connection was last judged and held; `None` where it never was.
pub async fn last_held(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let at = sqlx::query_scalar!(
        "SELECT last_judged_at FROM connections WHERE id = $1",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(at.flatten())
}

/// Carries out wakes of many accounts at once, the oldest of those that nobody else works on and that have not been begun, if no more requests than `limit` are woken by
/// them. Answers whether it did: where it did not, they are carried out one by one.
///
/// What is said of [`carry_out`] is true of it as well.
pub async fn carry_out_accounts(conn: &mut PgConnection, limit: i64) -> Result<bool, StoreError> {
    let wakes = sqlx::query!(
        r#"SELECT id, account_id AS "account_id!" FROM judge_wakes WHERE account_id IS NOT NULL AND after_service IS NULL
            ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"#,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    if wakes.len() < 2 {
        return Ok(false);
    }
    let (ids, accounts): (Vec<Uuid>, Vec<String>) = wakes
        .into_iter()
        .map(|wake| (wake.id, wake.account_id))
        .unzip();
    let waiting = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM (
               SELECT FROM connections
                WHERE owner_account = ANY($1) AND review_state = 'undecided' AND observed_state = 'pendingAcceptance' LIMIT $2) AS few"#,
        &accounts,
        limit + 1,
    )
    .fetch_one(&mut *conn)
    .await?;
    if waiting > limit {
        return Ok(false);
    }
    sqlx::query!(
        "WITH part AS (
             SELECT id FROM connections
              WHERE owner_account = ANY($1) AND review_state = 'undecided' AND observed_state = 'pendingAcceptance'
              ORDER BY endpoint_service_id, endpoint_id
              FOR UPDATE)
         UPDATE connections AS c SET judge_due_at = '-infinity' FROM part WHERE c.id = part.id",
        &accounts,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM judge_wakes WHERE id = ANY($1)", &ids)
        .execute(conn)
        .await?;
    Ok(true)
}

/// Carries out a part of the oldest wake that nobody else works on. Answers whether there was one.
///
/// Connections are locked in the order that all who lock several keep to. A request that is being judged meanwhile is waited for, so that it is judged
/// once more by what has changed.
pub async fn carry_out(conn: &mut PgConnection, limit: i64) -> Result<bool, StoreError> {
    let wake = sqlx::query!(
        r#"SELECT id, account_id, endpoint_service_id, consumer_id, after_service, after_endpoint FROM judge_wakes
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"#,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(wake) = wake else {
        return Ok(false);
    };
    let part = sqlx::query!(
        r#"WITH part AS (
               SELECT c.id, c.endpoint_service_id, c.endpoint_id FROM connections c
                WHERE c.review_state = 'undecided' AND c.observed_state = 'pendingAcceptance'
                  AND ($1::text IS NULL OR c.owner_account = $1)
                  AND ($2::uuid IS NULL OR c.endpoint_service_id = $2)
                  AND ($3::uuid IS NULL OR c.owner_account IN (SELECT m.account_id FROM consumer_accounts m
                                                                WHERE m.consumer_id = $3 AND m.removed_at IS NULL))
                  AND ($4::uuid IS NULL OR (c.endpoint_service_id, c.endpoint_id) > ($4, $5))
                ORDER BY c.endpoint_service_id, c.endpoint_id
                LIMIT $6
                FOR UPDATE),
           woken AS (
               -- Whatever the row said when this statement began: it may have been waited for.
               UPDATE connections c SET judge_due_at = '-infinity' FROM part WHERE c.id = part.id)
           SELECT endpoint_service_id, endpoint_id, count(*) OVER () AS "count!" FROM part
            ORDER BY endpoint_service_id DESC, endpoint_id DESC LIMIT 1"#,
        wake.account_id,
        wake.endpoint_service_id,
        wake.consumer_id,
        wake.after_service,
        wake.after_endpoint,
        limit,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match part {
        Some(last) if last.count == limit => {
            sqlx::query!(
                "UPDATE judge_wakes SET after_service = $2, after_endpoint = $3 WHERE id = $1",
                wake.id,
                last.endpoint_service_id,
                last.endpoint_id,
            )
            .execute(conn)
            .await?;
        }
        _ => {
            sqlx::query!("DELETE FROM judge_wakes WHERE id = $1", wake.id)
                .execute(conn)
                .await?;
        }
    }
    Ok(true)
}
