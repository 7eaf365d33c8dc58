//! The organisation's requests for access: those that name it, and those of its accounts that name nobody.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::Value;
use uuid::Uuid;

use super::TenantTx;
use crate::domain::access_request::{AccessRequestState, AskedState};
use crate::domain::consumer::Said;
use crate::domain::ids::{AccessRequestId, ConsumerId, EndpointServiceId};
use crate::domain::member::name_within;
use crate::domain::own::{OwnAccessRequest, OwnAsked, Told};
use crate::store::access_request_parts::insert_services;
use crate::store::{PgConnection, StoreError};

const TABLE: &str = "access_requests";

struct Row {
    id: AccessRequestId,
    account_id: String,
    contact: Value,
    message: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    state: String,
    made_at: DateTime<Utc>,
    made_by: String,
    decided_at: Option<DateTime<Utc>>,
    decided_message: Option<String>,
    ended_at: Option<DateTime<Utc>>,
}

impl Row {
    fn with(
        self,
        organisation: ConsumerId,
        services: Vec<OwnAsked>,
    ) -> Result<OwnAccessRequest, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, self.id, what);
        let message = self.decided_message;
        Ok(OwnAccessRequest {
            id: self.id,
            account: self
                .account_id
                .parse()
                .map_err(|e: privatelink::InvalidId| broken(e.to_string()))?,
            state: self.state.parse().map_err(broken)?,
            services,
            contact: serde_json::from_value(self.contact).map_err(|e| broken(e.to_string()))?,
            message: self.message,
            expires_at: self.expires_at,
            made_at: self.made_at,
            made_by: name_within(organisation, &self.made_by).map(str::to_owned),
            answered: self.decided_at.map(|at| Told { at, message }),
            ended_at: self.ended_at,
        })
    }
}

/// Reads the organisation's requests: the columns once, whatever the rest of the condition says. `$1` is the organisation.
macro_rules! own_requests {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: AccessRequestId", account_id, contact, message, expires_at, state, made_at, made_by, decided_at,
                      decided_message, ended_at
                 FROM access_requests
                WHERE (consumer_id = $1
                       OR (consumer_id IS NULL
                           AND account_id IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = $1 AND m.removed_at IS NULL))) "#
                + $rest
            $(, $argument)*
        )
    };
}

async fn whole(
    conn: &mut PgConnection,
    organisation: ConsumerId,
    rows: Vec<Row>,
) -> Result<Vec<OwnAccessRequest>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.uuid()).collect();
    let asked = sqlx::query!(
        r#"SELECT access_request_id AS "request: AccessRequestId", endpoint_service_id AS "service: EndpointServiceId", state
             FROM access_request_services WHERE access_request_id = ANY($1)
            ORDER BY access_request_id, endpoint_service_id"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut services: HashMap<AccessRequestId, Vec<OwnAsked>> = HashMap::new();
    for row in asked {
        let broken =
            |what: String| StoreError::inconsistent("access_request_services", row.request, what);
        let asked = OwnAsked {
            service: row.service,
            state: row.state.parse().map_err(broken)?,
        };
        services.entry(row.request).or_default().push(asked);
    }
    rows.into_iter()
        .map(|row| {
            let asked = services.remove(&row.id).unwrap_or_default();
            row.with(organisation, asked)
        })
        .collect()
}

/// One of the organisation's.
pub async fn by_id(
    tx: &mut TenantTx,
    id: AccessRequestId,
) -> Result<Option<OwnAccessRequest>, StoreError> {
    let organisation = tx.organisation();
    let conn = tx.consumer().await?;
    let row = own_requests!(r#"AND id = $2"#, organisation as _, id as _)
        .fetch_optional(&mut *conn)
        .await?;
    let rows = row.into_iter().collect();
    Ok(whole(conn, organisation, rows).await?.pop())
}

/// Which requests to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those of this account.
    pub account: Option<&'a AccountId>,
    /// Only those that stand so.
    pub state: Option<AccessRequestState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    tx: &mut TenantTx,
    filter: &Filter<'_>,
    before: Option<AccessRequestId>,
    limit: i64,
) -> Result<Vec<OwnAccessRequest>, StoreError> {
    let organisation = tx.organisation();
    let conn = tx.consumer().await?;
    let rows = own_requests!(
        r#"AND ($2::text IS NULL OR account_id = $2)
           AND ($3::text IS NULL OR state = $3)
           AND ($4::uuid IS NULL OR id < $4)
         ORDER BY id DESC
         LIMIT $5"#,
        organisation as _,
        filter.account.map(AccountId::as_str),
        filter.state.map(AccessRequestState::as_str),
        before.map(AccessRequestId::uuid),
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    whole(conn, organisation, rows).await
}

/// Adds a request of the organisation, for an account of its own: the wall refuses any other. `made_by` is the actor. The caller has locked the account and seen
/// that each service exists.
pub async fn insert(
    tx: &mut TenantTx,
    new: &OwnAccessRequest,
    made_by: &str,
) -> Result<(), StoreError> {
    let organisation = tx.organisation();
    let contact = serde_json::to_value(&new.contact)
        .map_err(|e| StoreError::inconsistent(TABLE, new.id, e))?;
    let conn = tx.consumer().await?;
    sqlx::query!(
        "INSERT INTO access_requests (id, account_id, consumer_id, contact, message, expires_at, state, made_at, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id as _,
        new.account.as_str(),
        organisation as _,
        contact,
        new.message,
        new.expires_at,
        AccessRequestState::Pending.as_str(),
        new.made_at,
        made_by,
    )
    .execute(&mut *conn)
    .await?;
    let services: Vec<Uuid> = new.services.iter().map(|row| row.service.uuid()).collect();
    insert_services(conn, new.id, &new.account, &services).await
}

/// Takes a request back. Answers whether it waited.
pub async fn withdraw(
    tx: &mut TenantTx,
    id: AccessRequestId,
    said: &Said,
) -> Result<bool, StoreError> {
    let organisation = tx.organisation();
    let conn = tx.consumer().await?;
    let done = sqlx::query!(
        "UPDATE access_requests SET state = $3, decided_at = $4, decided_by = $5, decided_reason = $6
          WHERE id = $2 AND state = 'pending'
            AND (consumer_id = $1
                 OR (consumer_id IS NULL
                     AND account_id IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = $1 AND m.removed_at IS NULL)))",
        organisation as _,
        id as _,
        AccessRequestState::Withdrawn.as_str(),
        said.at,
        said.by,
        said.reason,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "UPDATE access_request_services SET state = $2 WHERE access_request_id = $1 AND state = 'waiting'",
        id as _,
        AskedState::Over.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(true)
}
