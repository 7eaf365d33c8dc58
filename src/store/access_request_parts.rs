//! The parts of access requests: their services, and who said yes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::access_request::{Asked, AskedState, Given};
use crate::domain::approval::Approval;
use crate::domain::ids::{AccessRequestId, ApprovalId, EndpointServiceId};

const TABLE: &str = "access_request_services";

pub(super) async fn services(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<AccessRequestId, Vec<Asked>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT access_request_id AS "request: AccessRequestId", endpoint_service_id AS "service: EndpointServiceId", state, principal,
                  version, added
             FROM access_request_services WHERE access_request_id = ANY($1)
            ORDER BY access_request_id, endpoint_service_id"#,
        ids,
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<AccessRequestId, Vec<Asked>> = HashMap::new();
    for row in rows {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.request, what);
        let given = row.principal.zip(row.version);
        let asked = Asked {
            service: row.service,
            state: row.state.parse().map_err(broken)?,
            given: given.map(|(principal, version)| Given {
                principal,
                version,
                added: row.added,
            }),
        };
        all.entry(row.request).or_default().push(asked);
    }
    Ok(all)
}

pub(super) async fn approvals(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<AccessRequestId, Vec<Approval>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT access_request_id AS "request: AccessRequestId", id AS "id: ApprovalId", approver, reason, message, ticket_url,
                  expires_at, approved_at
             FROM access_request_approvals WHERE access_request_id = ANY($1) AND withdrawn_at IS NULL ORDER BY id"#,
        ids,
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<AccessRequestId, Vec<Approval>> = HashMap::new();
    for row in rows {
        all.entry(row.request).or_default().push(Approval {
            id: row.id,
            approver: row.approver,
            reason: row.reason,
            message: row.message,
            ticket_url: row.ticket_url,
            expires_at: row.expires_at,
            at: row.approved_at,
        });
    }
    Ok(all)
}

/// Adds the services that a new request asks for.
pub(super) async fn insert_services(
    conn: &mut PgConnection,
    id: AccessRequestId,
    account: &AccountId,
    services: &[Uuid],
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO access_request_services (access_request_id, endpoint_service_id, account_id, state, added)
         SELECT $1, service, $2, $4, false FROM unnest($3::uuid[]) AS u (service)",
        id as _,
        account.as_str(),
        services,
        AskedState::Waiting.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records one person's yes. The caller has locked the request.
pub async fn insert_approval(
    conn: &mut PgConnection,
    id: AccessRequestId,
    new: &Approval,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO access_request_approvals (id, access_request_id, approver, reason, message, ticket_url, expires_at, approved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.id as _,
        id as _,
        new.approver,
        new.reason,
        new.message,
        new.ticket_url,
        new.expires_at,
        new.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes one person's yes back. Answers which it was; `None` where there is none that stands. The caller has locked the request.
pub async fn withdraw_approval(
    conn: &mut PgConnection,
    id: AccessRequestId,
    approver: &str,
    at: DateTime<Utc>,
) -> Result<Option<ApprovalId>, StoreError> {
    let withdrawn = sqlx::query_scalar!(
        r#"UPDATE access_request_approvals SET withdrawn_at = $3
            WHERE access_request_id = $1 AND approver = $2 AND withdrawn_at IS NULL
        RETURNING id AS "id: ApprovalId""#,
        id as _,
        approver,
        at,
    )
    .fetch_optional(conn)
    .await?;
    Ok(withdrawn)
}

/// Records that a service lets the account of a request in.
pub async fn record_given(
    conn: &mut PgConnection,
    id: AccessRequestId,
    service: EndpointServiceId,
    given: &Given,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE access_request_services SET state = 'standing', principal = $3, version = $4, added = $5
          WHERE access_request_id = $1 AND endpoint_service_id = $2",
        id as _,
        service as _,
        given.principal,
        given.version,
        given.added,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Closes what waits of a request, which was refused, withdrawn or not answered in time.
pub async fn close(conn: &mut PgConnection, id: AccessRequestId) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE access_request_services SET state = 'over' WHERE access_request_id = $1 AND state = 'waiting'",
        id as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A service of an approved request, standing or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stood {
    /// The request.
    pub request: AccessRequestId,
    /// The service.
    pub service: EndpointServiceId,
}

/// Has requests stand for these services, or no more. Answers nothing: a row that is so already stays so. The callers hold the accounts.
pub async fn set_standing(
    conn: &mut PgConnection,
    rows: &[Stood],
    stands: bool,
) -> Result<(), StoreError> {
    let requests: Vec<Uuid> = rows.iter().map(|row| row.request.uuid()).collect();
    let services: Vec<Uuid> = rows.iter().map(|row| row.service.uuid()).collect();
    let state = if stands {
        AskedState::Standing
    } else {
        AskedState::Over
    };
    sqlx::query!(
        "UPDATE access_request_services AS s SET state = $3
           FROM unnest($1::uuid[], $2::uuid[]) AS u (request, service)
          WHERE s.access_request_id = u.request AND s.endpoint_service_id = u.service AND s.principal IS NOT NULL",
        &requests,
        &services,
        state.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Requests among these that stand for no service any more.
pub async fn without_standing(
    conn: &mut PgConnection,
    rows: &[Stood],
) -> Result<Vec<AccessRequestId>, StoreError> {
    let requests: Vec<Uuid> = rows.iter().map(|row| row.request.uuid()).collect();
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccessRequestId" FROM access_requests r
            WHERE id = ANY($1) AND state = 'approved'
              AND NOT EXISTS (SELECT FROM access_request_services s WHERE s.access_request_id = r.id AND s.state = 'standing')
            ORDER BY id"#,
        &requests,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
