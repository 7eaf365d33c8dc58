//! Hints that arrived.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use privatelink::ServiceId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::follow::{FollowOutcome, Known, Waiting};
use crate::domain::hint::{HintSource, Named};
use crate::domain::ids::{AccountRegionId, uuid_at};

/// A hint as it arrives.
#[derive(Debug)]
pub struct NewHint<'a> {
    /// How it came.
    pub source: HintSource,
    /// The sender's own id of the message.
    pub message_id: &'a str,
    /// What it names.
    pub named: &'a Named,
    /// When it arrived.
    pub at: DateTime<Utc>,
}

/// Whether a message was stored before.
pub async fn is_known(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    message_id: &str,
) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM hints WHERE account_region_id = $1 AND message_id = $2) AS "known!""#,
        account_region as _,
        message_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(known)
}

/// Stores a hint. Answers `false`, and stores nothing, when the message is known already.
pub async fn insert(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    hint: &NewHint<'_>,
) -> Result<bool, StoreError> {
    let services: Vec<String> = hint
        .named
        .services
        .iter()
        .map(ToString::to_string)
        .collect();
    let endpoints: Vec<String> = hint
        .named
        .endpoints
        .iter()
        .map(ToString::to_string)
        .collect();
    let done = sqlx::query!(
        "INSERT INTO hints (id, account_region_id, source, message_id, service_ids, endpoint_ids, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT ON CONSTRAINT hints_message_unique DO NOTHING",
        uuid_at(hint.at),
        account_region as _,
        hint.source.as_str(),
        hint.message_id,
        &services,
        &endpoints,
        hint.at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a hint that names nothing waits already. Another one would say nothing more.
pub async fn one_says_nothing(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT true AS "found!" FROM hints
            WHERE account_region_id = $1 AND followed_at IS NULL
              AND cardinality(service_ids) = 0 AND cardinality(endpoint_ids) = 0
            LIMIT 1"#,
        account_region as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Hints that are to be followed now, oldest first.
pub async fn due(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Waiting>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, service_ids, endpoint_ids, received_at, looks, seen_at IS NOT NULL AS "seen!"
             FROM hints
            WHERE account_region_id = $1 AND followed_at IS NULL AND (due_at IS NULL OR due_at <= $2)
            ORDER BY id
            LIMIT $3"#,
        account_region as _,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Waiting {
            id: row.id,
            named: Named {
                services: ids(&row.service_ids),
                endpoints: ids(&row.endpoint_ids),
            },
            received_at: row.received_at,
            looks: row.looks,
            seen: row.seen,
        })
        .collect())
}

/// Ids from a row. What has not the shape of one names nothing, as in a message: a hint must never be what a pass fails on.
fn ids<T: FromStr + Ord>(texts: &[String]) -> BTreeSet<T> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// When the next hint that waits is to be followed, if any waits.
pub async fn next_due(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let due = sqlx::query_scalar!(
        "SELECT min(coalesce(due_at, received_at)) FROM hints WHERE account_region_id = $1 AND followed_at IS NULL",
        account_region as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(due)
}

/// What is known here of the ids that these hints name.
pub async fn known(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    hints: &[Waiting],
) -> Result<Known, StoreError> {
    let services: BTreeSet<String> = hints
        .iter()
        .flat_map(|hint| hint.named.services.iter().map(ToString::to_string))
        .collect();
    let endpoints: BTreeSet<String> = hints
        .iter()
        .flat_map(|hint| hint.named.endpoints.iter().map(ToString::to_string))
        .collect();
    let services: Vec<String> = services.into_iter().collect();
    let endpoints: Vec<String> = endpoints.into_iter().collect();
    let mut known = Known::default();
    let registered = sqlx::query_scalar!(
        r#"SELECT aws_service_id AS "aws_service_id!" FROM endpoint_services
            WHERE account_region_id = $1 AND aws_service_id = ANY($2) AND lifecycle <> 'released'"#,
        account_region as _,
        &services,
    )
    .fetch_all(&mut *conn)
    .await?;
    known.registered = ids(&registered);
    let seen = sqlx::query!(
        r#"SELECT c.endpoint_id, s.aws_service_id AS "aws_service_id!"
             FROM endpoint_services s
             JOIN connections c ON c.endpoint_service_id = s.id AND c.endpoint_id = ANY($2)
            WHERE s.account_region_id = $1 AND s.aws_service_id IS NOT NULL AND s.lifecycle <> 'released'"#,
        account_region as _,
        &endpoints,
    )
    .fetch_all(conn)
    .await?;
    for row in seen {
        let parsed = (
            row.endpoint_id.parse(),
            ServiceId::from_str(&row.aws_service_id),
        );
        if let (Ok(endpoint), Ok(service)) = parsed {
            known.endpoints.entry(endpoint).or_default().push(service);
        }
    }
    Ok(known)
}

/// What following came to, for hints with one and the same end.
pub async fn mark_followed(
    conn: &mut PgConnection,
    ids: &[Uuid],
    outcome: FollowOutcome,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE hints SET followed_at = $2, outcome = $3, looks = looks + 1 WHERE id = ANY($1) AND followed_at IS NULL",
        ids,
        at,
        outcome.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that AWS showed all that these hints name, unless it was noted before.
pub async fn mark_seen(
    conn: &mut PgConnection,
    ids: &[Uuid],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE hints SET seen_at = $2 WHERE id = ANY($1) AND seen_at IS NULL",
        ids,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts hints off: each is due again at its time. `looked` are those that AWS was looked at for.
pub async fn put_off(
    conn: &mut PgConnection,
    ids: &[Uuid],
    due_at: &[DateTime<Utc>],
    looked: &[bool],
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE hints AS h
            SET due_at = u.due_at, looks = h.looks + u.looked::integer
           FROM unnest($1::uuid[], $2::timestamptz[], $3::boolean[]) AS u (id, due_at, looked)
          WHERE h.id = u.id AND h.followed_at IS NULL",
        ids,
        due_at,
        looked,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets up to `limit` hints of an AccountRegion that were followed before `before`; answers how many.
pub async fn prune(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM hints WHERE id IN (
             SELECT id FROM hints WHERE followed_at < $2 AND account_region_id = $1 ORDER BY followed_at LIMIT $3)",
        account_region as _,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
