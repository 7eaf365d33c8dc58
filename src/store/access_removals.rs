//! Removals of access: whose word they are, where they stand, and which services they concern.

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::access_request_parts::Stood;
use super::{PgConnection, StoreError};
use crate::domain::access_removal::{AccessRemoval, Cause, RemovalKind, RemovalState};
use crate::domain::actor::Actor;
use crate::domain::block::Extent;
use crate::domain::consumer::Said;
use crate::domain::ids::{
    AccessRemovalId, AccessRequestId, ConsumerAccountId, ConsumerId, EndpointServiceId,
};

const TABLE: &str = "access_removals";

struct Row {
    id: AccessRemovalId,
    cause: String,
    account_id: Option<String>,
    consumer_id: Option<ConsumerId>,
    endpoint_service_id: Option<EndpointServiceId>,
    principal: Option<String>,
    access_request_id: Option<AccessRequestId>,
    state: String,
    reason: String,
    made_at: DateTime<Utc>,
    actor_kind: String,
    made_by: String,
    request_id: Option<String>,
    ends_at: DateTime<Utc>,
    confirmed_connections: i64,
    confirmed_principals: i64,
    membership_id: Option<ConsumerAccountId>,
    done_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    cancelled_by: Option<String>,
    cancelled_reason: Option<String>,
}

impl TryFrom<Row> for AccessRemoval {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: String| StoreError::inconsistent(TABLE, id, what);
        let account = row
            .account_id
            .map(|account| account.parse::<AccountId>())
            .transpose()
            .map_err(|e| broken(e.to_string()))?;
        let kind: RemovalKind = row.cause.parse().map_err(broken)?;
        let cause = match (
            kind,
            row.endpoint_service_id.zip(row.principal),
            row.consumer_id.zip(account.clone()),
            row.access_request_id,
        ) {
            (RemovalKind::Principal, Some((service, principal)), None, None) => {
                Cause::Principal { service, principal }
            }
            (RemovalKind::Account, None, Some((consumer, account)), None) => {
                Cause::Account { consumer, account }
            }
            (RemovalKind::AccessRequest, None, None, Some(request)) => {
                Cause::AccessRequest(request)
            }
            _ => return Err(broken("its cause is not what it says".to_owned())),
        };
        let cancelled = match (row.cancelled_at, row.cancelled_by, row.cancelled_reason) {
            (None, None, None) => None,
            (Some(at), Some(by), Some(reason)) => Some(Said { at, by, reason }),
            _ => return Err(broken("half cancelled".to_owned())),
        };
        Ok(Self {
            id,
            cause,
            account,
            state: row.state.parse().map_err(broken)?,
            actor: Actor {
                kind: row.actor_kind.parse().map_err(broken)?,
                name: row.made_by,
                request_id: row.request_id,
            },
            at: row.made_at,
            reason: row.reason,
            ends_at: row.ends_at,
            confirmed: Extent {
                connections: row.confirmed_connections,
                principals: row.confirmed_principals,
            },
            membership: row.membership_id,
            done_at: row.done_at,
            cancelled,
        })
    }
}

/// Reads removals: the columns once, whatever the rest of the statement says.
macro_rules! removal_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: AccessRemovalId", cause, account_id, consumer_id AS "consumer_id: ConsumerId",
                      endpoint_service_id AS "endpoint_service_id: EndpointServiceId", principal,
                      access_request_id AS "access_request_id: AccessRequestId", state, reason, made_at, actor_kind, made_by, request_id,
                      ends_at, confirmed_connections, confirmed_principals, membership_id AS "membership_id: ConsumerAccountId", done_at,
                      cancelled_at, cancelled_by, cancelled_reason
                 FROM access_removals "# + $rest
            $(, $argument)*
        )
    };
}

/// Adds a removal. The caller has locked whom and what it concerns.
pub async fn insert(conn: &mut PgConnection, new: &AccessRemoval) -> Result<(), StoreError> {
    let (consumer, service, principal, request) = match &new.cause {
        Cause::Principal { service, principal } => {
            (None, Some(service.uuid()), Some(principal.as_str()), None)
        }
        Cause::Account { consumer, .. } => (Some(consumer.uuid()), None, None, None),
        Cause::AccessRequest(request) => (None, None, None, Some(request.uuid())),
    };
    sqlx::query!(
        "INSERT INTO access_removals (id, cause, account_id, consumer_id, endpoint_service_id, principal, access_request_id, state, reason,
                                      made_at, actor_kind, made_by, request_id, ends_at, confirmed_connections, confirmed_principals,
                                      membership_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        new.id as _,
        new.cause.kind().as_str(),
        new.account.as_ref().map(AccountId::as_str),
        consumer,
        service,
        principal,
        request,
        new.state.as_str(),
        new.reason,
        new.at,
        new.actor.kind.as_str(),
        new.actor.name,
        new.actor.request_id,
        new.ends_at,
        new.confirmed.connections,
        new.confirmed.principals,
        new.membership.map(ConsumerAccountId::uuid),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: AccessRemovalId,
) -> Result<Option<AccessRemoval>, StoreError> {
    let row = removal_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(AccessRemoval::try_from).transpose()
}

/// One by id, locked until the transaction ends. After the account, the consumer and the services.
pub async fn locked(
    conn: &mut PgConnection,
    id: AccessRemovalId,
) -> Result<Option<AccessRemoval>, StoreError> {
    let row = removal_rows!(r#"WHERE id = $1 FOR UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(AccessRemoval::try_from).transpose()
}

/// One by id, locked until the transaction ends; `None` also while somebody else has it locked, who then does what there is to do.
pub async fn free(
    conn: &mut PgConnection,
    id: AccessRemovalId,
) -> Result<Option<AccessRemoval>, StoreError> {
    let row = removal_rows!(r#"WHERE id = $1 FOR UPDATE SKIP LOCKED"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(AccessRemoval::try_from).transpose()
}

/// Which removals to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those that take access from this account by name.
    pub account: Option<&'a AccountId>,
    /// Only those that concern this service.
    pub service: Option<EndpointServiceId>,
    /// Only those that stand so.
    pub state: Option<RemovalState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<AccessRemovalId>,
    limit: i64,
) -> Result<Vec<AccessRemoval>, StoreError> {
    let rows = removal_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::text IS NULL OR account_id = $2)
              AND ($3::uuid IS NULL OR EXISTS (SELECT FROM access_removal_services s
                                                WHERE s.access_removal_id = access_removals.id AND s.endpoint_service_id = $3))
              AND ($4::text IS NULL OR state = $4)
            ORDER BY id DESC
            LIMIT $5"#,
        before.map(AccessRemovalId::uuid),
        filter.account.map(AccountId::as_str),
        filter.service.map(EndpointServiceId::uuid),
        filter.state.map(RemovalState::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(AccessRemoval::try_from).collect()
}

/// Removals that there may be something to do for, the oldest first.
pub async fn open(conn: &mut PgConnection) -> Result<Vec<AccessRemovalId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: AccessRemovalId" FROM access_removals WHERE state NOT IN ('done', 'cancelled') ORDER BY id"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Records where a removal stands from now on, other than by a person's word. Answers whether it stood so before. The caller has locked it.
pub async fn advance(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    from: RemovalState,
    to: RemovalState,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE access_removals SET state = $3, done_at = CASE WHEN $3 = 'done' THEN $4 ELSE done_at END WHERE id = $1 AND state = $2",
        id as _,
        from.as_str(),
        to.as_str(),
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a removal back while its grace lasts. Answers whether it did.
pub async fn record_cancelled(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    said: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE access_removals SET state = 'cancelling', cancelled_at = $2, cancelled_by = $3, cancelled_reason = $4
          WHERE id = $1 AND state = 'grace'",
        id as _,
        said.at,
        said.by,
        said.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A service that a removal concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerned {
    /// The service.
    pub service: EndpointServiceId,
    /// Principals that go.
    pub principals: Vec<String>,
    /// Whether everybody could connect unasked, and somebody had confirmed that.
    pub was_open: bool,
    /// The version of the service that does not ask for them any more; `None` while it could not be changed.
    pub version: Option<i64>,
}

/// Notes a service that a removal concerns.
pub async fn note_service(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    row: &Concerned,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO access_removal_services (access_removal_id, endpoint_service_id, principals, was_open, version) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (access_removal_id, endpoint_service_id) DO UPDATE SET was_open = EXCLUDED.was_open, version = EXCLUDED.version",
        id as _,
        row.service as _,
        &row.principals,
        row.was_open,
        row.version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The services that a removal concerns, in the order of their ids.
pub async fn services(
    conn: &mut PgConnection,
    id: AccessRemovalId,
) -> Result<Vec<Concerned>, StoreError> {
    let rows = sqlx::query_as!(
        Concerned,
        r#"SELECT endpoint_service_id AS "service: EndpointServiceId", principals, was_open, version
             FROM access_removal_services WHERE access_removal_id = $1 ORDER BY endpoint_service_id"#,
        id as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Notes which access requests do not stand any more because of a removal.
pub async fn note_requests(
    conn: &mut PgConnection,
    id: AccessRemovalId,
    rows: &[Stood],
) -> Result<(), StoreError> {
    let requests: Vec<Uuid> = rows.iter().map(|row| row.request.uuid()).collect();
    let services: Vec<Uuid> = rows.iter().map(|row| row.service.uuid()).collect();
    sqlx::query!(
        "INSERT INTO access_removal_requests (access_removal_id, access_request_id, endpoint_service_id)
         SELECT $1, request, service FROM unnest($2::uuid[], $3::uuid[]) AS u (request, service)",
        id as _,
        &requests,
        &services,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Access requests that do not stand any more because of a removal.
pub async fn requests(
    conn: &mut PgConnection,
    id: AccessRemovalId,
) -> Result<Vec<Stood>, StoreError> {
    let rows = sqlx::query_as!(
        Stood,
        r#"SELECT access_request_id AS "request: AccessRequestId", endpoint_service_id AS "service: EndpointServiceId"
             FROM access_removal_requests WHERE access_removal_id = $1 ORDER BY 1, 2"#,
        id as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
