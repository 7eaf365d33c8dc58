//! What a light comparison finds, as long as it is found and afterwards. What there is to find is said by the view `findings_now`, but for whom we keep out.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::finding::{Closed, Finding, FindingKind, FindingState, Named};
use crate::domain::ids::{
    AgreementId, ConnectionId, EndpointServiceId, FindingId, ListingId, uuid_at,
};

const TABLE: &str = "findings";

struct Row {
    id: FindingId,
    kind: String,
    listing_id: Option<ListingId>,
    agreement_id: Option<AgreementId>,
    account_id: Option<String>,
    endpoint_service_id: Option<EndpointServiceId>,
    principal: Option<String>,
    connection_id: Option<ConnectionId>,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Finding {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        Ok(Self {
            id: row.id,
            kind: row.kind.parse().map_err(broken)?,
            listing: row.listing_id,
            agreement: row.agreement_id,
            account: row.account_id,
            service: row.endpoint_service_id,
            principal: row.principal,
            connection: row.connection_id,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            resolved_at: row.resolved_at,
        })
    }
}

/// Holds the comparison until the transaction ends, if nobody else compares. Answers when that was done last; the outer `None` is that somebody is at it.
pub async fn hold(conn: &mut PgConnection) -> Result<Option<Option<DateTime<Utc>>>, StoreError> {
    let ran = sqlx::query_scalar!("SELECT ran_at FROM finding_runs FOR UPDATE SKIP LOCKED")
        .fetch_optional(conn)
        .await?;
    Ok(ran)
}

/// Notes what is found at a time: new findings, those that are found still, and those that are not any more. The caller holds the comparison.
pub async fn note(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<(), StoreError> {
    // Whom a denial or the removal of their access keeps out is let in by no agreement, whatever was bought: granting once more would not help.
    let found = sqlx::query!(
        "SELECT kind, listing_id, agreement_id, account_id, endpoint_service_id, principal, connection_id
           FROM findings_now AS f
          WHERE f.kind <> 'paid_not_granted'
             OR NOT (EXISTS (SELECT FROM denials AS d
                              WHERE d.lifted_at IS NULL AND d.subject = 'account' AND d.account_id = f.account_id
                                AND (d.endpoint_service_id IS NULL OR d.endpoint_service_id = f.endpoint_service_id) AND (d.expires_at IS NULL OR d.expires_at > $1))
                  OR EXISTS (SELECT FROM consumer_accounts AS m
                               JOIN denials AS d ON d.lifted_at IS NULL AND d.subject = 'consumer' AND d.consumer_id = m.consumer_id
                              WHERE m.account_id = f.account_id AND m.removed_at IS NULL
                                AND (d.endpoint_service_id IS NULL OR d.endpoint_service_id = f.endpoint_service_id) AND (d.expires_at IS NULL OR d.expires_at > $1))
                  OR EXISTS (SELECT FROM denials AS d
                              WHERE d.lifted_at IS NULL AND d.subject = 'everybody' AND d.endpoint_service_id = f.endpoint_service_id
                                AND (d.expires_at IS NULL OR d.expires_at > $1))
                  OR EXISTS (SELECT FROM access_removal_services AS rs
                               JOIN access_removals AS r ON r.id = rs.access_removal_id
                               JOIN endpoint_services AS s ON s.id = rs.endpoint_service_id
                              WHERE rs.endpoint_service_id = f.endpoint_service_id AND (r.account_id IS NULL OR r.account_id = f.account_id)
                                AND (r.state IN ('grace', 'ending') OR (r.state = 'done' AND s.observed_principals && rs.principals))
                                AND NOT EXISTS (SELECT FROM unnest(s.allowed_principals) AS p WHERE p = '*' OR split_part(p, ':', 5) = f.account_id)))
          ORDER BY 1, 2, 3, 4, 5, 6, 7",
        at,
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = found.iter().map(|_| uuid_at(at)).collect();
    let kinds: Vec<Option<&str>> = found.iter().map(|it| it.kind.as_deref()).collect();
    let listings: Vec<Option<Uuid>> = found.iter().map(|it| it.listing_id).collect();
    let agreements: Vec<Option<Uuid>> = found.iter().map(|it| it.agreement_id).collect();
    let accounts: Vec<Option<&str>> = found.iter().map(|it| it.account_id.as_deref()).collect();
    let services: Vec<Option<Uuid>> = found.iter().map(|it| it.endpoint_service_id).collect();
    let principals: Vec<Option<&str>> = found.iter().map(|it| it.principal.as_deref()).collect();
    let connections: Vec<Option<Uuid>> = found.iter().map(|it| it.connection_id).collect();
    sqlx::query!(
        "INSERT INTO findings (id, kind, listing_id, agreement_id, account_id, endpoint_service_id, principal, connection_id, first_seen_at, last_seen_at)
         SELECT u.id, u.kind, u.listing_id, u.agreement_id, u.account_id, u.service_id, u.principal, u.connection_id, $9, $9
           FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::uuid[])
                AS u (id, kind, listing_id, agreement_id, account_id, service_id, principal, connection_id)
         ON CONFLICT (kind, listing_id, agreement_id, account_id, endpoint_service_id, principal, connection_id) WHERE resolved_at IS NULL
         DO UPDATE SET last_seen_at = EXCLUDED.last_seen_at",
        &ids,
        &kinds as &[Option<&str>],
        &listings as &[Option<Uuid>],
        &agreements as &[Option<Uuid>],
        &accounts as &[Option<&str>],
        &services as &[Option<Uuid>],
        &principals as &[Option<&str>],
        &connections as &[Option<Uuid>],
        at,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE findings SET resolved_at = $1 WHERE resolved_at IS NULL AND last_seen_at < $1",
        at,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("UPDATE finding_runs SET ran_at = $1", at)
        .execute(conn)
        .await?;
    Ok(())
}

/// How many are open, by kind. A kind that is not named has none.
pub async fn open(conn: &mut PgConnection) -> Result<Vec<(FindingKind, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT kind, count(*) AS "count!" FROM findings WHERE resolved_at IS NULL GROUP BY kind"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = row.kind.parse();
            let kind = kind.map_err(|e: String| StoreError::inconsistent(TABLE, &row.kind, e))?;
            Ok((kind, row.count))
        })
        .collect()
}

/// Which findings to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those of this kind.
    pub kind: Option<FindingKind>,
    /// Only those that stand so.
    pub state: Option<FindingState>,
    /// Only those of this listing.
    pub listing: Option<ListingId>,
    /// Only those on this service.
    pub service: Option<EndpointServiceId>,
    /// Only those about this account.
    pub account: Option<&'a AccountId>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<FindingId>,
    limit: i64,
) -> Result<Vec<Finding>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: FindingId", kind, listing_id AS "listing_id: ListingId", agreement_id AS "agreement_id: AgreementId", account_id,
                  endpoint_service_id AS "endpoint_service_id: EndpointServiceId", principal, connection_id AS "connection_id: ConnectionId",
                  first_seen_at, last_seen_at, resolved_at
             FROM findings
            WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::text IS NULL OR kind = $2)
              AND ($3::text IS NULL OR (resolved_at IS NULL) = ($3 = 'open'))
              AND ($4::uuid IS NULL OR listing_id = $4)
              AND ($5::uuid IS NULL OR endpoint_service_id = $5)
              AND ($6::text IS NULL OR account_id = $6)
            ORDER BY id DESC
            LIMIT $7"#,
        before.map(FindingId::uuid),
        filter.kind.map(FindingKind::as_str),
        filter.state.map(FindingState::as_str),
        filter.listing.map(ListingId::uuid),
        filter.service.map(EndpointServiceId::uuid),
        filter.account.map(AccountId::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Finding::try_from).collect()
}

/// The principals of services, as they are asked for now.
pub async fn named(
    conn: &mut PgConnection,
    services: &[EndpointServiceId],
) -> Result<HashMap<EndpointServiceId, Named>, StoreError> {
    let services: Vec<Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id: EndpointServiceId", version, allowed_principals FROM endpoint_services WHERE id = ANY($1)"#,
        &services,
    )
    .fetch_all(conn)
    .await?;
    let named = rows.into_iter().map(|row| {
        let named = Named {
            version: row.version,
            principals: row.allowed_principals,
        };
        (row.id, named)
    });
    Ok(named.collect())
}

/// The listings that let nobody in by one of these agreements, because they are limited and the buyer is not on the allow-list.
pub async fn closed(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
) -> Result<HashMap<AgreementId, Closed>, StoreError> {
    let agreements: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT a.id AS "agreement: AgreementId", a.buyer_account, l.id AS "listing: ListingId", l.version, l.allow_list
             FROM agreements a JOIN listings l ON l.id = a.listing_id
            WHERE a.id = ANY($1) AND l.state = 'limited' AND a.buyer_account <> ALL (l.allow_list)"#,
        &agreements,
    )
    .fetch_all(conn)
    .await?;
    let closed = rows.into_iter().map(|row| {
        let closed = Closed {
            listing: row.listing,
            version: row.version,
            allow_list: row.allow_list,
            buyer: row.buyer_account,
        };
        (row.agreement, closed)
    });
    Ok(closed.collect())
}

/// Ends the grants of an agreement whose principal is missing, as desired or as AWS was read, so that they are given anew. Answers how many. The caller has locked the
/// agreement.
pub async fn end_missing_grants(
    conn: &mut PgConnection,
    agreement: AgreementId,
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE agreement_grants AS g SET ended_at = greatest($2, g.since)
           FROM endpoint_services s
          WHERE g.agreement_id = $1 AND g.ended_at IS NULL AND s.id = g.endpoint_service_id
            -- One that is asked for, and that AWS has not or not yet, is not given once more: the service's own sync brings it there.
            AND g.principal <> ALL (s.allowed_principals)",
        agreement as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
