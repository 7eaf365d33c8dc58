//! Connections: rows, reads by id, and the guarded write of a review.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState, DnsEntry};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::connection::{Connection, ConnectionSync, Observed};
use crate::domain::consumer::ConsumerRef;
use crate::domain::ids::{
    AccountRegionId, ConnectionId, ConsumerId, DecisionId, EndpointServiceId,
};
use crate::domain::review::ReviewState;
use crate::domain::stall::{GivenUp, Stall};
use crate::domain::sync::{Act, SyncState};

/// The columns of a connection, with its service's AWS id and its consumer. Shared by the modules that read connections.
pub(super) struct Row {
    pub(super) id: ConnectionId,
    pub(super) endpoint_service_id: EndpointServiceId,
    pub(super) aws_service_id: Option<String>,
    pub(super) account_region_id: AccountRegionId,
    pub(super) endpoint_id: String,
    pub(super) owner_account: String,
    pub(super) observed_state: String,
    pub(super) observed_at: DateTime<Utc>,
    pub(super) aws_created_at: Option<DateTime<Utc>>,
    pub(super) aws_connection_id: Option<String>,
    pub(super) endpoint_region: Option<String>,
    pub(super) ip_address_type: Option<String>,
    pub(super) dns_entries: Value,
    pub(super) first_seen_at: DateTime<Utc>,
    pub(super) review_state: String,
    pub(super) decision_id: Option<DecisionId>,
    pub(super) sync_state: String,
    pub(super) sync_due_at: Option<DateTime<Utc>>,
    pub(super) sync_deadline_at: Option<DateTime<Utc>>,
    pub(super) sync_attempts: i32,
    pub(super) sync_act: Option<String>,
    pub(super) sync_act_at: Option<DateTime<Utc>>,
    pub(super) sync_code: Option<String>,
    pub(super) sync_message: Option<String>,
    pub(super) version: i64,
    pub(super) stalled_at: Option<DateTime<Utc>>,
    pub(super) stall_owner: Option<String>,
    pub(super) stall_owned_at: Option<DateTime<Utc>>,
    pub(super) gave_up_at: Option<DateTime<Utc>>,
    pub(super) gave_up_by: Option<String>,
    pub(super) gave_up_reason: Option<String>,
    pub(super) consumer_id: Option<ConsumerId>,
    pub(super) consumer_name: Option<String>,
}

impl TryFrom<Row> for Connection {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken =
            |what: &dyn std::fmt::Display| StoreError::inconsistent("connections", id, what);
        let act = match (row.sync_act, row.sync_act_at) {
            (None, None) => None,
            (Some(act), Some(at)) => Some((act.parse::<Act>().map_err(|e| broken(&e))?, at)),
            _ => return Err(broken(&"a call without its time")),
        };
        let dns_entries: Vec<DnsEntry> =
            serde_json::from_value(row.dns_entries).map_err(|e| broken(&e))?;
        Ok(Self {
            id,
            service_id: row.endpoint_service_id,
            aws_service_id: row
                .aws_service_id
                .map(|id| id.parse().map_err(|e| broken(&e)))
                .transpose()?,
            account_region_id: row.account_region_id,
            endpoint_id: row.endpoint_id.parse().map_err(|e| broken(&e))?,
            owner: row.owner_account.parse().map_err(|e| broken(&e))?,
            consumer: row
                .consumer_id
                .zip(row.consumer_name)
                .map(|(id, name)| ConsumerRef { id, name }),
            observed: Observed {
                state: ConnectionState::parse(&row.observed_state),
                at: row.observed_at,
                created_at: row.aws_created_at,
                connection_id: row.aws_connection_id,
                endpoint_region: row.endpoint_region,
                ip_address_type: row.ip_address_type,
                dns_entries,
            },
            first_seen_at: row.first_seen_at,
            review: row
                .review_state
                .parse::<ReviewState>()
                .map_err(|e| broken(&e))?,
            decision_id: row.decision_id,
            sync: ConnectionSync {
                state: row
                    .sync_state
                    .parse::<SyncState>()
                    .map_err(|e| broken(&e))?,
                due_at: row.sync_due_at,
                deadline_at: row.sync_deadline_at,
                attempts: row.sync_attempts,
                act,
                code: row.sync_code,
                message: row.sync_message,
            },
            version: row.version,
            stall: row.stalled_at.map(|since| Stall {
                since,
                owner: row.stall_owner.zip(row.stall_owned_at),
            }),
            given_up: match (row.gave_up_at, row.gave_up_by, row.gave_up_reason) {
                (Some(at), Some(by), Some(reason)) => Some(GivenUp { at, by, reason }),
                (None, None, None) => None,
                _ => return Err(broken(&"half given up")),
            },
        })
    }
}

/// Reads connections with their service's AWS id and their consumer: the columns once, whatever the rest of the statement says.
macro_rules! connection_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        crate::store::connections::connection_rows!([$rest] $(, $argument)*)
    };
    ([$($rest:literal)+] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::connections::Row,
            r#"SELECT c.id AS "id: ConnectionId", c.endpoint_service_id AS "endpoint_service_id: EndpointServiceId",
                      s.aws_service_id, c.account_region_id AS "account_region_id: AccountRegionId", c.endpoint_id,
                      c.owner_account, c.observed_state, c.observed_at, c.aws_created_at, c.aws_connection_id,
                      c.endpoint_region, c.ip_address_type, c.dns_entries, c.first_seen_at, c.review_state,
                      c.decision_id AS "decision_id: DecisionId", c.sync_state, c.sync_due_at, c.sync_deadline_at,
                      c.sync_attempts, c.sync_act, c.sync_act_at, c.sync_code, c.sync_message, c.version,
                      c.stalled_at, c.stall_owner, c.stall_owned_at, c.gave_up_at, c.gave_up_by, c.gave_up_reason,
                      -- No outer joins: by some plans of them sqlx would take every other column for one that may be null.
                      (SELECT m.consumer_id FROM consumer_accounts m
                        WHERE m.account_id = c.owner_account AND m.removed_at IS NULL) AS "consumer_id?: ConsumerId",
                      (SELECT k.name FROM consumer_accounts m JOIN consumers k ON k.id = m.consumer_id
                        WHERE m.account_id = c.owner_account AND m.removed_at IS NULL) AS "consumer_name?"
                 FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id "# $(+ $rest)+
            $(, $argument)*
        )
    };
}

pub(super) use connection_rows;

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<Option<Connection>, StoreError> {
    let row = connection_rows!(r#"WHERE c.id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Connection::try_from).transpose()
}

/// To whom a connection belongs, which never changes: what has to be locked before it.
pub async fn owner(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<Option<AccountId>, StoreError> {
    let owner = sqlx::query_scalar!(
        "SELECT owner_account FROM connections WHERE id = $1",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    owner
        .map(|owner| {
            let broken = |e| StoreError::inconsistent("connections", id, e);
            owner.parse().map_err(|e: privatelink::InvalidId| broken(e))
        })
        .transpose()
}

/// Takes the row's lock (not that of its key: what only refers to the row does not wait), so that what is read next stays true until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: ConnectionId) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT true AS "found!" FROM connections WHERE id = $1 FOR NO KEY UPDATE"#,
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Whose several connections are. One that does not exist is missing.
pub async fn owners(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
) -> Result<Vec<(ConnectionId, AccountId)>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id: ConnectionId", owner_account FROM connections WHERE id = ANY($1)"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let owner = row.owner_account.parse();
            let broken = |e| StoreError::inconsistent("connections", row.id, e);
            Ok((
                row.id,
                owner.map_err(|e: privatelink::InvalidId| broken(e))?,
            ))
        })
        .collect()
}

/// Takes the locks of several rows, in the one order in which everybody takes them: by service and endpoint.
pub async fn lock_many(conn: &mut PgConnection, ids: &[ConnectionId]) -> Result<(), StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "SELECT FROM connections WHERE id = ANY($1) ORDER BY endpoint_service_id, endpoint_id FOR NO KEY UPDATE",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// A connection that somebody named, by its id or by its endpoint's.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its id.
    pub id: ConnectionId,
    /// Its endpoint.
    pub endpoint_id: String,
    /// Whether its service has ended, so that nothing is decided about it any more.
    pub ended: bool,
}

/// Connections by id or by AWS's id of the endpoint, in the order in which they are locked.
pub async fn named(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
    endpoints: &[String],
) -> Result<Vec<Named>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Named,
        r#"SELECT c.id AS "id: ConnectionId", c.endpoint_id, s.lifecycle IN ('deleted', 'released') AS "ended!"
             FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
            WHERE c.id = ANY($1) OR c.endpoint_id = ANY($2)
            ORDER BY c.endpoint_service_id, c.endpoint_id"#,
        &ids,
        endpoints,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A new review, on its way to the worker.
#[derive(Debug)]
pub struct Reviewed {
    /// Which connection.
    pub id: ConnectionId,
    /// The review it had when the decider looked.
    pub from: ReviewState,
    /// The version it had when the decider looked.
    pub version: i64,
    /// The review it gets.
    pub to: ReviewState,
    /// The decision behind it.
    pub decision: DecisionId,
    /// Whether AWS has to be told: `Some` makes the sync due at that time, and it stalls after the second.
    pub due: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Records a review where it still is what the decider saw. Answers whether it was.
pub async fn record_review(conn: &mut PgConnection, new: &Reviewed) -> Result<bool, StoreError> {
    let (due_at, deadline_at) = new.due.unzip();
    let done = sqlx::query!(
        "UPDATE connections
            SET review_state = $4, decision_id = $5, version = version + 1,
                sync_state = CASE WHEN $6::timestamptz IS NULL THEN 'idle' ELSE 'due' END,
                sync_due_at = $6, sync_deadline_at = $7, sync_attempts = 0,
                sync_act = NULL, sync_act_at = NULL, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND review_state = $2 AND version = $3
            -- As `LifecycleState::admits`: nobody is let in on a service that is being drained.
            AND EXISTS (SELECT FROM endpoint_services s
                         WHERE s.id = connections.endpoint_service_id
                           AND (s.lifecycle = 'active' OR (s.lifecycle IN ('draining', 'deleting') AND $4 <> 'accepted')))",
        new.id as _,
        new.from.as_str(),
        new.version,
        new.to.as_str(),
        new.decision as _,
        due_at,
        deadline_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes a connection that is stalled or was given up due again. Answers whether it was.
pub async fn retry(
    conn: &mut PgConnection,
    id: ConnectionId,
    now: DateTime<Utc>,
    deadline: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE connections
            SET sync_state = 'due', sync_due_at = $2, sync_deadline_at = $3, sync_attempts = 0,
                sync_act = NULL, sync_act_at = NULL, sync_code = NULL, sync_message = NULL
          WHERE id = $1 AND sync_state IN ('stalled', 'given_up')",
        id as _,
        now,
        deadline,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
