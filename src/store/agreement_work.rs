//! What there is to do about agreements: who woke them, what is connected by them, and what they plan to cut.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::agreement::Seat;
use crate::domain::ids::{AgreementId, ConnectionId, EndpointServiceId, ListingId};

/// Whether no connection woke an agreement and none is due: what most passes find, in one statement.
pub async fn is_at_rest(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let rests = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM agreement_wakes) AND NOT EXISTS (SELECT FROM agreements WHERE due_at <= $1 AND (retry_at IS NULL OR retry_at <= $1)) AS "rests!""#,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(rests)
}

/// Has agreements looked at that a connection woke. Answers how many words of connections there were.
pub async fn take_wakes(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<i64, StoreError> {
    let taken = sqlx::query_scalar!(
        r#"WITH taken AS (
               DELETE FROM agreement_wakes WHERE id IN (SELECT id FROM agreement_wakes ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
               RETURNING agreement_id),
           locked AS (
               SELECT id FROM agreements WHERE id IN (SELECT agreement_id FROM taken) ORDER BY id FOR NO KEY UPDATE),
           woken AS (
               UPDATE agreements AS a SET due_at = least(a.due_at, $1) FROM locked WHERE a.id = locked.id)
           SELECT count(*) AS "count!" FROM taken"#,
        now,
        limit,
    )
    .fetch_one(conn)
    .await?;
    Ok(taken)
}

/// Has these agreements looked at soon, without waiting for whoever holds them.
pub async fn wake(conn: &mut PgConnection, agreements: &[AgreementId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "INSERT INTO agreement_wakes (agreement_id) SELECT DISTINCT u.id FROM unnest($1::uuid[]) AS u (id)",
        &ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Has agreements looked at by which accounts of these, which are in force, are still connected although they are not let in by them any more, or by which more is connected than
/// they grant: somebody may pay for that now.
pub async fn wake_left_behind(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "INSERT INTO agreement_wakes (agreement_id)
         SELECT DISTINCT a.id
           FROM agreements AS n
           JOIN agreement_accounts AS m ON m.agreement_id = n.id AND m.detached_at IS NULL AND m.proof <> 'none'
           JOIN connections AS c ON c.owner_account = m.account_id AND c.review_state = 'accepted'
           JOIN agreement_bindings AS b ON b.connection_id = c.id AND b.ended_at IS NULL AND b.agreement_id <> n.id
           JOIN agreements AS a ON a.id = b.agreement_id AND a.listing_id = n.listing_id
          WHERE n.id = ANY($1) AND n.state IN ('active', 'review')
            AND (a.state IN ('grace', 'ended', 'superseded') OR a.over_quota_since IS NOT NULL
                 OR NOT EXISTS (SELECT FROM agreement_accounts AS o
                                 WHERE o.agreement_id = a.id AND o.account_id = c.owner_account AND o.detached_at IS NULL AND o.proof <> 'none'))",
        &ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a connection that an agreement plans to cut has somebody else who pays for it, or might have: an agreement of its account and of the same listing that is in
/// force, or should be by now.
pub async fn may_have_another_payer(
    conn: &mut PgConnection,
    connection: ConnectionId,
    planner: AgreementId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let may = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM agreement_bindings AS b WHERE b.connection_id = $1 AND b.ended_at IS NULL AND b.agreement_id <> $2)
               OR EXISTS (SELECT FROM connections AS c
                            JOIN agreement_accounts AS m ON m.account_id = c.owner_account AND m.detached_at IS NULL AND m.proof <> 'none'
                            JOIN agreements AS o ON o.id = m.agreement_id AND o.id <> $2
                            JOIN agreements AS p ON p.id = $2 AND p.listing_id = o.listing_id
                           WHERE c.id = $1 AND (o.state = 'active' OR (o.state = 'pending' AND o.starts_at <= $3))) AS "may!""#,
        connection as _,
        planner as _,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(may)
}

/// Locks those of these agreements that nobody else holds, without waiting. Answers which.
pub async fn lock_free(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
) -> Result<HashSet<AgreementId>, StoreError> {
    let ids: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    let locked = sqlx::query_scalar!(
        r#"SELECT id AS "id: AgreementId" FROM agreements WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(locked.into_iter().collect())
}

/// Locks the agreements by which these connections could be accepted, so that what they have in use stays as it is until the transaction ends. After the services,
/// before the connections.
pub async fn lock_concerned(
    conn: &mut PgConnection,
    connections: &[ConnectionId],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = connections.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "SELECT a.id FROM agreements AS a
          WHERE a.id IN (SELECT m.agreement_id FROM connections AS c
                           JOIN listing_services AS s ON s.endpoint_service_id = c.endpoint_service_id AND s.ended_at IS NULL
                           JOIN agreement_accounts AS m ON m.account_id = c.owner_account AND m.detached_at IS NULL
                           JOIN agreements AS o ON o.id = m.agreement_id AND o.listing_id = s.listing_id AND o.state <> 'ended'
                          WHERE c.id = ANY($1))
          ORDER BY a.id FOR NO KEY UPDATE",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// What is connected by these agreements, the oldest first, with whether it lives.
pub async fn seats(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
) -> Result<Vec<(AgreementId, Seat)>, StoreError> {
    let ids: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT b.agreement_id AS "agreement: AgreementId", c.id AS "connection: ConnectionId", c.endpoint_service_id AS "service: EndpointServiceId",
                  coalesce(c.endpoint_region, r.region) AS "region!", c.owner_account AS account,
                  (c.review_state = 'accepted' AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')) AS "live!",
                  (c.review_state <> 'accepted' OR c.observed_state IN ('expired', 'failed', 'deleting', 'deleted')) AS "gone!"
             FROM agreement_bindings AS b
             JOIN connections AS c ON c.id = b.connection_id
             JOIN account_regions AS r ON r.id = c.account_region_id
            WHERE b.agreement_id = ANY($1) AND b.ended_at IS NULL
            ORDER BY c.first_seen_at, c.id"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let seat = Seat {
                connection: row.connection,
                service: row.service,
                region: row.region,
                account: row.account,
                live: row.live,
                gone: row.gone,
                let_in: true,
            };
            (row.agreement, seat)
        })
        .collect())
}

/// Accepted connections that live, that these accounts have to what a listing sells, and that nobody pays for. The oldest first, from behind one on.
pub async fn unpaid(
    conn: &mut PgConnection,
    listing: ListingId,
    accounts: &[String],
    after: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT c.id AS "id: ConnectionId" FROM connections AS c
             JOIN listing_services AS s ON s.endpoint_service_id = c.endpoint_service_id AND s.ended_at IS NULL
            WHERE s.listing_id = $1 AND c.owner_account = ANY($2) AND c.review_state IN ('undecided', 'accepted') AND c.review_state = 'accepted'
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND NOT EXISTS (SELECT FROM agreement_bindings AS b WHERE b.connection_id = c.id AND b.ended_at IS NULL)
              AND ($4::uuid IS NULL OR (c.first_seen_at, c.id) > (SELECT l.first_seen_at, l.id FROM connections AS l WHERE l.id = $4))
            ORDER BY c.first_seen_at, c.id
            LIMIT $3"#,
        listing as _,
        accounts,
        limit,
        after as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// When these agreements plan to cut which of their connections.
pub async fn planned(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
) -> Result<HashMap<AgreementId, BTreeMap<ConnectionId, DateTime<Utc>>>, StoreError> {
    let ids: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT agreement_id AS "agreement!: AgreementId", connection_id AS "connection: ConnectionId", at
             FROM planned_revocations WHERE agreement_id = ANY($1)"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<AgreementId, BTreeMap<ConnectionId, DateTime<Utc>>> = HashMap::new();
    for row in rows {
        let of = all.entry(row.agreement).or_default();
        of.insert(row.connection, row.at);
    }
    Ok(all)
}
