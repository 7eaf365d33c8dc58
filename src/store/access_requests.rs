//! Access requests: what was asked for, what was answered, and what stands.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::Value;
use uuid::Uuid;

use super::{PgConnection, StoreError, access_request_parts as parts};
use crate::domain::access_request::{
    AccessNoticeKind, AccessRequest, AccessRequestState, Answer, Asked,
};
use crate::domain::approval::Approval;
use crate::domain::consumer::Said;
use crate::domain::ids::{AccessRequestId, ConsumerId, EndpointServiceId, uuid_at};

const TABLE: &str = "access_requests";

struct Row {
    id: AccessRequestId,
    account_id: String,
    consumer_id: Option<ConsumerId>,
    contact: Value,
    message: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    state: String,
    made_at: DateTime<Utc>,
    made_by: String,
    decided_at: Option<DateTime<Utc>>,
    decided_by: Option<String>,
    decided_reason: Option<String>,
    decided_message: Option<String>,
    decided_ticket: Option<String>,
    ended_at: Option<DateTime<Utc>>,
    ended_by: Option<String>,
    ended_reason: Option<String>,
}

impl Row {
    fn with(
        self,
        services: Vec<Asked>,
        approvals: Vec<Approval>,
    ) -> Result<AccessRequest, StoreError> {
        let id = self.id;
        let broken = |what: String| StoreError::inconsistent(TABLE, id, what);
        let said = |at, by, reason| match (at, by, reason) {
            (None, None, None) => Ok(None),
            (Some(at), Some(by), Some(reason)) => Ok(Some(Said { at, by, reason })),
            _ => Err(broken("half of somebody's word".to_owned())),
        };
        let answer = said(self.decided_at, self.decided_by, self.decided_reason)?;
        Ok(AccessRequest {
            id,
            account: self
                .account_id
                .parse()
                .map_err(|e: privatelink::InvalidId| broken(e.to_string()))?,
            consumer: self.consumer_id,
            contact: serde_json::from_value(self.contact)
                .map_err(|e| StoreError::inconsistent(TABLE, id, e))?,
            message: self.message,
            expires_at: self.expires_at,
            state: self.state.parse().map_err(broken)?,
            made_at: self.made_at,
            made_by: self.made_by,
            answer: answer.map(|said| Answer {
                said,
                message: self.decided_message,
                ticket_url: self.decided_ticket,
            }),
            ended: said(self.ended_at, self.ended_by, self.ended_reason)?,
            services,
            approvals,
        })
    }
}

/// Reads access requests: the columns once, whatever the rest of the statement says.
macro_rules! request_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: AccessRequestId", account_id, consumer_id AS "consumer_id: ConsumerId", contact, message, expires_at, state,
                      made_at, made_by, decided_at, decided_by, decided_reason, decided_message, decided_ticket, ended_at, ended_by, ended_reason
                 FROM access_requests "# + $rest
            $(, $argument)*
        )
    };
}

async fn whole(conn: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<AccessRequest>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.uuid()).collect();
    let mut services = parts::services(conn, &ids).await?;
    let mut approvals = parts::approvals(conn, &ids).await?;
    rows.into_iter()
        .map(|row| {
            let asked = services.remove(&row.id).unwrap_or_default();
            let yes = approvals.remove(&row.id).unwrap_or_default();
            row.with(asked, yes)
        })
        .collect()
}

/// Adds a request with its services; `Duplicate` on `access_request_services_one_waiting`. The caller has locked the account.
pub async fn insert(conn: &mut PgConnection, new: &AccessRequest) -> Result<(), StoreError> {
    let contact = serde_json::to_value(&new.contact)
        .map_err(|e| StoreError::inconsistent(TABLE, new.id, e))?;
    sqlx::query!(
        "INSERT INTO access_requests (id, account_id, consumer_id, contact, message, expires_at, state, made_at, made_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id as _,
        new.account.as_str(),
        new.consumer.map(ConsumerId::uuid),
        contact,
        new.message,
        new.expires_at,
        new.state.as_str(),
        new.made_at,
        new.made_by,
    )
    .execute(&mut *conn)
    .await?;
    let services: Vec<Uuid> = new.services.iter().map(|row| row.service.uuid()).collect();
    parts::insert_services(conn, new.id, &new.account, &services).await
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: AccessRequestId,
) -> Result<Option<AccessRequest>, StoreError> {
    let row = request_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(&mut *conn)
        .await?;
    Ok(whole(conn, row.into_iter().collect()).await?.pop())
}

/// One by id, locked until the transaction ends. After the account, the consumer and the services.
pub async fn locked(
    conn: &mut PgConnection,
    id: AccessRequestId,
) -> Result<Option<AccessRequest>, StoreError> {
    let row = request_rows!(r#"WHERE id = $1 FOR UPDATE"#, id as _,)
        .fetch_optional(&mut *conn)
        .await?;
    Ok(whole(conn, row.into_iter().collect()).await?.pop())
}

/// Which requests to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those of this account.
    pub account: Option<&'a AccountId>,
    /// Only those that name this consumer.
    pub consumer: Option<ConsumerId>,
    /// Only those that ask for this service.
    pub service: Option<EndpointServiceId>,
    /// Only those that stand so.
    pub state: Option<AccessRequestState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<AccessRequestId>,
    limit: i64,
) -> Result<Vec<AccessRequest>, StoreError> {
    let rows = request_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::text IS NULL OR account_id = $2)
              AND ($3::uuid IS NULL OR consumer_id = $3)
              AND ($4::uuid IS NULL OR EXISTS (SELECT FROM access_request_services s
                                                WHERE s.access_request_id = access_requests.id AND s.endpoint_service_id = $4))
              AND ($5::text IS NULL OR state = $5)
            ORDER BY id DESC
            LIMIT $6"#,
        before.map(AccessRequestId::uuid),
        filter.account.map(AccountId::as_str),
        filter.consumer.map(ConsumerId::uuid),
        filter.service.map(EndpointServiceId::uuid),
        filter.state.map(AccessRequestState::as_str),
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    whole(conn, rows).await
}

/// Records the answer to a request that waits, and until when access is given. Answers whether it waited. The caller has locked it.
pub async fn record_answer(
    conn: &mut PgConnection,
    id: AccessRequestId,
    state: AccessRequestState,
    answer: &Answer,
    expires_at: Option<DateTime<Utc>>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE access_requests
            SET state = $2, decided_at = $3, decided_by = $4, decided_reason = $5, decided_message = $6, decided_ticket = $7, expires_at = $8
          WHERE id = $1 AND state = 'pending'",
        id as _,
        state.as_str(),
        answer.said.at,
        answer.said.by,
        answer.said.reason,
        answer.message,
        answer.ticket_url,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records what ended a request. Answers whether it waited or stood. The caller has locked it, or its account.
pub async fn record_end(
    conn: &mut PgConnection,
    id: AccessRequestId,
    state: AccessRequestState,
    ended: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE access_requests SET state = $2, ended_at = $3, ended_by = $4, ended_reason = $5
          WHERE id = $1 AND state IN ('pending', 'approved')",
        id as _,
        state.as_str(),
        ended.at,
        ended.by,
        ended.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes an end back. Answers whether access had been taken away. The caller has locked the request's account.
pub async fn record_restored(
    conn: &mut PgConnection,
    id: AccessRequestId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE access_requests SET state = 'approved', ended_at = NULL, ended_by = NULL, ended_reason = NULL
          WHERE id = $1 AND state = 'revoked'",
        id as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes what whoever asked is to be told, once for each occasion.
pub async fn notify(
    conn: &mut PgConnection,
    id: AccessRequestId,
    kind: AccessNoticeKind,
    content: &Value,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO access_request_notices (id, access_request_id, kind, at, content) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT ON CONSTRAINT access_request_notices_once DO NOTHING",
        uuid_at(at),
        id as _,
        kind.as_str(),
        at,
        content,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Requests whose time is over, the longest first.
pub async fn expired(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<AccessRequestId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccessRequestId" FROM access_requests
            WHERE state IN ('pending', 'approved') AND expires_at <= $1
            ORDER BY expires_at, id
            LIMIT $2"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// For which of these accounts and services access is given: an approved request of the account itself stands. What was approved for one account of a
/// consumer says nothing of the others.
pub async fn approved(
    conn: &mut PgConnection,
    asked: &[(AccountId, EndpointServiceId)],
    now: DateTime<Utc>,
) -> Result<HashSet<(AccountId, EndpointServiceId)>, StoreError> {
    let accounts: Vec<&str> = asked.iter().map(|(account, _)| account.as_str()).collect();
    let services: Vec<Uuid> = asked.iter().map(|(_, service)| service.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT DISTINCT asked.account AS "account!", asked.service AS "service!"
             FROM unnest($1::text[], $2::uuid[]) AS asked (account, service)
            WHERE EXISTS (
                  SELECT FROM access_request_services s JOIN access_requests r ON r.id = s.access_request_id
                   WHERE s.endpoint_service_id = asked.service AND s.state = 'standing' AND r.state = 'approved'
                     AND (r.expires_at IS NULL OR r.expires_at > $3)
                     AND s.account_id = asked.account)"#,
        &accounts as _,
        &services,
        now,
    )
    .fetch_all(conn)
    .await?;
    let known: HashMap<&str, &AccountId> = asked
        .iter()
        .map(|(account, _)| (account.as_str(), account))
        .collect();
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let account = known.get(row.account.as_str())?;
            Some(((*account).clone(), row.service.into()))
        })
        .collect())
}
