//! Principals that services name because of agreements.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AgreementId, EndpointServiceId};

/// That a service names a principal because of an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The agreement.
    pub agreement: AgreementId,
    /// The service.
    pub service: EndpointServiceId,
    /// Whom it lets in.
    pub account: AccountId,
    /// The principal, in the form that AWS stores.
    pub principal: String,
    /// Whether the principal is there because of agreements alone.
    pub added: bool,
}

struct Row {
    agreement_id: AgreementId,
    endpoint_service_id: EndpointServiceId,
    account_id: String,
    principal: String,
    added: bool,
}

impl TryFrom<Row> for Grant {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let account = row.account_id.parse();
        Ok(Self {
            agreement: row.agreement_id,
            service: row.endpoint_service_id,
            account: account
                .map_err(|e| StoreError::inconsistent("agreement_grants", row.agreement_id, e))?,
            principal: row.principal,
            added: row.added,
        })
    }
}

/// All that stand of these agreements.
pub async fn of_many(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
) -> Result<Vec<Grant>, StoreError> {
    let ids: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT agreement_id AS "agreement_id: AgreementId", endpoint_service_id AS "endpoint_service_id: EndpointServiceId", account_id,
                  principal, added
             FROM agreement_grants WHERE agreement_id = ANY($1) AND ended_at IS NULL
            ORDER BY agreement_id, endpoint_service_id, account_id"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// All that stand of these accounts on these services, whatever the agreement.
pub async fn of_accounts(
    conn: &mut PgConnection,
    services: &[EndpointServiceId],
    accounts: &[String],
) -> Result<Vec<Grant>, StoreError> {
    let services: Vec<Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT agreement_id AS "agreement_id: AgreementId", endpoint_service_id AS "endpoint_service_id: EndpointServiceId", account_id,
                  principal, added
             FROM agreement_grants WHERE endpoint_service_id = ANY($1) AND account_id = ANY($2) AND ended_at IS NULL
            ORDER BY agreement_id, endpoint_service_id, account_id"#,
        &services,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// Principals of these accounts on these services that an access request stands on.
pub async fn requested(
    conn: &mut PgConnection,
    services: &[EndpointServiceId],
    accounts: &[String],
) -> Result<HashSet<(EndpointServiceId, String)>, StoreError> {
    let services: Vec<Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT endpoint_service_id AS "service: EndpointServiceId", principal AS "principal!" FROM access_request_services
            WHERE state = 'standing' AND principal IS NOT NULL AND endpoint_service_id = ANY($1) AND account_id = ANY($2)"#,
        &services,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.service, row.principal))
        .collect())
}

/// A principal of a service, and an agreement that it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The service.
    pub service: EndpointServiceId,
    /// The principal.
    pub principal: String,
    /// The agreement.
    pub agreement: AgreementId,
}

/// Which of these principals agreements in force stand on, by service, principal and agreement. One that another has replaced holds what it has until that one has it too; what has
/// ended, and an account that was detached, hold nothing, whether or not the worker has been there.
pub async fn holding(
    conn: &mut PgConnection,
    principals: &[(EndpointServiceId, String)],
) -> Result<Vec<Held>, StoreError> {
    let services: Vec<Uuid> = principals.iter().map(|(id, _)| id.uuid()).collect();
    let principals: Vec<&str> = principals.iter().map(|(_, name)| name.as_str()).collect();
    let rows = sqlx::query_as!(
        Held,
        r#"SELECT g.endpoint_service_id AS "service: EndpointServiceId", g.principal, g.agreement_id AS "agreement: AgreementId"
             FROM unnest($1::uuid[], $2::text[]) AS u (service_id, principal)
             JOIN agreement_grants g ON g.endpoint_service_id = u.service_id AND g.principal = u.principal AND g.ended_at IS NULL
             JOIN agreements a ON a.id = g.agreement_id AND a.state IN ('active', 'review', 'superseded')
            WHERE EXISTS (SELECT FROM agreement_accounts aa
                           WHERE aa.agreement_id = g.agreement_id AND aa.account_id = g.account_id AND aa.detached_at IS NULL)
            ORDER BY g.endpoint_service_id, g.principal, g.agreement_id"#,
        &services,
        &principals as &[&str],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Notes that principals stand because of agreements. The caller has locked the services and the agreements.
pub async fn give(
    conn: &mut PgConnection,
    grants: &[Grant],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (agreements, services, accounts) = columns(grants);
    let principals: Vec<&str> = grants.iter().map(|one| one.principal.as_str()).collect();
    let added: Vec<bool> = grants.iter().map(|one| one.added).collect();
    sqlx::query!(
        "INSERT INTO agreement_grants (agreement_id, endpoint_service_id, account_id, principal, added, since)
         SELECT u.*, $6 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bool[]) AS u",
        &agreements,
        &services,
        &accounts as &[&str],
        &principals as &[&str],
        &added,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that principals do not stand because of these agreements any more.
pub async fn end(
    conn: &mut PgConnection,
    grants: &[Grant],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (agreements, services, accounts) = columns(grants);
    sqlx::query!(
        "UPDATE agreement_grants AS g SET ended_at = greatest($4, g.since)
           FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u (agreement_id, endpoint_service_id, account_id)
          WHERE g.agreement_id = u.agreement_id AND g.endpoint_service_id = u.endpoint_service_id AND g.account_id = u.account_id
            AND g.ended_at IS NULL",
        &agreements,
        &services,
        &accounts as &[&str],
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn columns(grants: &[Grant]) -> (Vec<Uuid>, Vec<Uuid>, Vec<&str>) {
    (
        grants.iter().map(|one| one.agreement.uuid()).collect(),
        grants.iter().map(|one| one.service.uuid()).collect(),
        grants.iter().map(|one| one.account.as_str()).collect(),
    )
}
