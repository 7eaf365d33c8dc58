//! Whom a removal of access concerns: services, the requests that stand there, and the connections that lose access or keep it.
//!
//! A connection keeps access while a principal that is asked for lets its account in: the account's own, one of its roles or users, or everybody.
//! `domain::principal::admitting` says the same.

use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AccessRequestId, ConnectionId, ConsumerId, EndpointServiceId};
use crate::domain::lifecycle::LifecycleState;

/// A service that lets somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The service.
    pub service: EndpointServiceId,
    /// What people call it.
    pub name: String,
    /// Where it is in its life.
    pub lifecycle: LifecycleState,
    /// Principals that are asked for.
    pub principals: Vec<String>,
    /// Principals that a block keeps out and would give back.
    pub held: Vec<String>,
    /// Principals that AWS shows and had before anybody asked for them here: they are not taken away there.
    pub unknown: Vec<String>,
}

impl Door {
    /// Principals that are asked for, and those that would be again once a block is lifted.
    pub fn named(&self) -> impl Iterator<Item = &String> {
        let held = self.held.iter().filter(|p| !self.principals.contains(p));
        self.principals.iter().chain(held)
    }
}

/// The services that an account reaches or has something live on, and these, in the order of their ids. Those that have ended are not among them.
pub async fn doors(
    conn: &mut PgConnection,
    account: Option<&AccountId>,
    also: &[EndpointServiceId],
) -> Result<Vec<Door>, StoreError> {
    let also: Vec<Uuid> = also.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT s.id AS "service: EndpointServiceId", s.name, s.lifecycle, s.allowed_principals AS principals,
                  ARRAY(SELECT DISTINCT b.principal FROM block_principals b
                         WHERE b.endpoint_service_id = s.id AND b.restored_at IS NULL ORDER BY 1) AS "held!: Vec<String>",
                  ARRAY(SELECT p FROM unnest(s.observed_principals) AS p
                         WHERE p <> ALL (s.granted_principals) ORDER BY p) AS "unknown!: Vec<String>"
             FROM endpoint_services s
            WHERE s.lifecycle NOT IN ('deleted', 'released')
              AND (s.id = ANY($2)
                   OR EXISTS (SELECT FROM unnest(s.allowed_principals) AS p WHERE split_part(p, ':', 5) = $1)
                   OR EXISTS (SELECT FROM block_principals b
                               WHERE b.endpoint_service_id = s.id AND b.restored_at IS NULL AND split_part(b.principal, ':', 5) = $1)
                   OR s.id IN (SELECT c.endpoint_service_id FROM connections c
                                WHERE c.owner_account = $1 AND c.review_state IN ('undecided', 'accepted')
                                  AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')))
            ORDER BY s.id"#,
        account.map(AccountId::as_str),
        &also,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |e: String| StoreError::inconsistent("endpoint_services", row.service, e);
            Ok(Door {
                service: row.service,
                name: row.name,
                lifecycle: row.lifecycle.parse().map_err(broken)?,
                principals: row.principals,
                held: row.held,
                unknown: row.unknown,
            })
        })
        .collect()
}

/// An access request that stands for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The request.
    pub request: AccessRequestId,
    /// The consumer that it names.
    pub consumer: Option<ConsumerId>,
    /// The service.
    pub service: EndpointServiceId,
    /// The principal that it let in.
    pub principal: String,
    /// Whether the principal is there because of requests alone.
    pub added: bool,
}

/// The access requests of an account that stand, by service and request.
pub async fn standing(
    conn: &mut PgConnection,
    account: &AccountId,
) -> Result<Vec<Standing>, StoreError> {
    let rows = sqlx::query_as!(
        Standing,
        r#"SELECT r.id AS "request: AccessRequestId", r.consumer_id AS "consumer: ConsumerId",
                  s.endpoint_service_id AS "service: EndpointServiceId", s.principal AS "principal!", s.added
             FROM access_requests r JOIN access_request_services s ON s.access_request_id = r.id
            WHERE r.account_id = $1 AND r.state = 'approved' AND s.state = 'standing'
            ORDER BY s.endpoint_service_id, r.id"#,
        account.as_str(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Principals that are about to go, each with its service.
#[derive(Debug, Clone, Copy)]
pub struct Without<'a> {
    /// Where to look.
    pub services: &'a [EndpointServiceId],
    /// Only connections of this account.
    pub account: Option<&'a AccountId>,
    /// Principals that are taken as gone.
    pub gone: &'a [(EndpointServiceId, String)],
}

impl Without<'_> {
    fn columns(&self) -> (Vec<Uuid>, Option<&str>, Vec<Uuid>, Vec<&str>) {
        (
            self.services.iter().map(|id| id.uuid()).collect(),
            self.account.map(AccountId::as_str),
            self.gone.iter().map(|(id, _)| id.uuid()).collect(),
            self.gone.iter().map(|(_, p)| p.as_str()).collect(),
        )
    }
}

/// How many live connections of a service lose access, and how many keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The service.
    pub service: EndpointServiceId,
    /// Those that lose it.
    pub losing: i64,
    /// Those that keep it.
    pub keeping: i64,
}

/// Counts the live connections of services that lose access without some principals, and those that keep it.
pub async fn counts(
    conn: &mut PgConnection,
    without: Without<'_>,
) -> Result<Vec<Counts>, StoreError> {
    let (services, account, gone_services, gone) = without.columns();
    let rows = sqlx::query_as!(
        Counts,
        r#"SELECT s.id AS "service: EndpointServiceId", count(*) FILTER (WHERE cover.by IS NULL) AS "losing!",
                  count(*) FILTER (WHERE cover.by IS NOT NULL) AS "keeping!"
             FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
            CROSS JOIN LATERAL (
                  SELECT min(p) AS by FROM unnest(s.allowed_principals) AS p
                   WHERE (p = '*' OR split_part(p, ':', 5) = c.owner_account)
                     AND NOT EXISTS (SELECT FROM unnest($3::uuid[], $4::text[]) AS gone (service, principal)
                                      WHERE gone.service = s.id AND gone.principal = p)) AS cover
            WHERE c.endpoint_service_id = ANY($1) AND ($2::text IS NULL OR c.owner_account = $2)
              AND s.lifecycle NOT IN ('deleted', 'released') AND c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
            GROUP BY s.id
            ORDER BY s.id"#,
        &services,
        account,
        &gone_services,
        &gone as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A live connection, and what lets it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The connection.
    pub connection: ConnectionId,
    /// Its service.
    pub service: EndpointServiceId,
    /// AWS's id of the endpoint.
    pub endpoint: String,
    /// The account that owns it.
    pub account: String,
    /// What AWS shows.
    pub state: String,
    /// What was decided.
    pub review: String,
    /// The principal that lets it in all the same.
    pub kept_by: Option<String>,
}

/// The first live connections that lose access without some principals, or those that keep it, by service and endpoint.
pub async fn first(
    conn: &mut PgConnection,
    without: Without<'_>,
    losing: bool,
    most: i64,
) -> Result<Vec<Touched>, StoreError> {
    let (services, account, gone_services, gone) = without.columns();
    let rows = sqlx::query_as!(
        Touched,
        r#"SELECT c.id AS "connection: ConnectionId", s.id AS "service: EndpointServiceId", c.endpoint_id AS endpoint,
                  c.owner_account AS account, c.observed_state AS state, c.review_state AS review, cover.by AS kept_by
             FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
            CROSS JOIN LATERAL (
                  SELECT min(p) AS by FROM unnest(s.allowed_principals) AS p
                   WHERE (p = '*' OR split_part(p, ':', 5) = c.owner_account)
                     AND NOT EXISTS (SELECT FROM unnest($3::uuid[], $4::text[]) AS gone (service, principal)
                                      WHERE gone.service = s.id AND gone.principal = p)) AS cover
            WHERE c.endpoint_service_id = ANY($1) AND ($2::text IS NULL OR c.owner_account = $2)
              AND s.lifecycle NOT IN ('deleted', 'released') AND c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND (cover.by IS NULL) = $5
            ORDER BY c.endpoint_service_id, c.endpoint_id
            LIMIT $6"#,
        &services,
        account,
        &gone_services,
        &gone as _,
        losing,
        most,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
