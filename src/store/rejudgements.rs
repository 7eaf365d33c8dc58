//! Re-judgements, and how far they are. What each found is in [`super::rejudged`].

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::AccountId;

use super::facts::LiveCursor;
use super::{PgConnection, StoreError};
use crate::domain::consumer::Said;
use crate::domain::ids::{ConnectionId, ConsumerId, EndpointServiceId, RejudgementId};
use crate::domain::rejudgement::{Applied, Cancelled, Found, Rejudgement, RejudgementState, Scope};

const TABLE: &str = "rejudgements";

struct Row {
    id: RejudgementId,
    endpoint_service_id: Option<EndpointServiceId>,
    consumer_id: Option<ConsumerId>,
    account_id: Option<String>,
    state: String,
    asked_at: DateTime<Utc>,
    asked_by: String,
    asked_reason: String,
    after_account: Option<String>,
    after_service: Option<EndpointServiceId>,
    after_endpoint: Option<String>,
    judged: i64,
    losing: i64,
    held: i64,
    previewed_at: Option<DateTime<Utc>>,
    applied_at: Option<DateTime<Utc>>,
    applied_by: Option<String>,
    applied_reason: Option<String>,
    applied_request_id: Option<String>,
    grace_seconds: Option<i64>,
    confirmed: Option<i64>,
    revoke_at: Option<DateTime<Utc>>,
    planned: i64,
    kept: i64,
    carried_out_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    cancelled_by: Option<String>,
    cancelled_reason: Option<String>,
    cancelled_request_id: Option<String>,
    after_connection: Option<ConnectionId>,
    taken_back: i64,
    ended_at: Option<DateTime<Utc>>,
}

impl Row {
    fn scope(&self) -> Result<Scope, String> {
        let scope = match (
            self.endpoint_service_id,
            self.consumer_id,
            self.account_id.as_deref(),
        ) {
            (None, None, None) => Scope::Everything,
            (Some(service), None, None) => Scope::Service(service),
            (None, Some(consumer), None) => Scope::Consumer(consumer),
            (None, None, Some(account)) => Scope::Account(read(account)?),
            _ => return Err("more than one scope".to_owned()),
        };
        Ok(scope)
    }

    fn place(&self) -> Result<Option<LiveCursor>, String> {
        match (
            self.after_account.as_deref(),
            self.after_service,
            self.after_endpoint.as_deref(),
        ) {
            (None, None, None) => Ok(None),
            (Some(account), Some(service), Some(endpoint)) => {
                Ok(Some((read(account)?, service, read(endpoint)?)))
            }
            _ => Err("half of a place".to_owned()),
        }
    }

    fn applied(&self) -> Result<Option<Applied>, String> {
        match (
            said(
                self.applied_at,
                self.applied_by.as_ref(),
                self.applied_reason.as_ref(),
            )?,
            self.grace_seconds,
            self.confirmed,
            self.revoke_at,
        ) {
            (None, None, None, None) => Ok(None),
            (Some(said), Some(grace), Some(confirmed), Some(revoke_at)) => Ok(Some(Applied {
                said,
                request_id: self.applied_request_id.clone(),
                grace: TimeDelta::try_seconds(grace).ok_or("a grace beyond all time")?,
                confirmed,
                revoke_at,
                planned: self.planned,
                kept: self.kept,
                carried_out_at: self.carried_out_at,
            })),
            _ => Err("half applied".to_owned()),
        }
    }

    fn cancelled(&self) -> Result<Option<Cancelled>, String> {
        let said = said(
            self.cancelled_at,
            self.cancelled_by.as_ref(),
            self.cancelled_reason.as_ref(),
        )?;
        Ok(said.map(|said| Cancelled {
            said,
            request_id: self.cancelled_request_id.clone(),
            after: self.after_connection,
            taken_back: self.taken_back,
            ended_at: self.ended_at,
        }))
    }
}

fn read<T: std::str::FromStr<Err = privatelink::InvalidId>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|e: privatelink::InvalidId| e.to_string())
}

fn said(
    at: Option<DateTime<Utc>>,
    by: Option<&String>,
    reason: Option<&String>,
) -> Result<Option<Said>, String> {
    match (at, by, reason) {
        (None, None, None) => Ok(None),
        (Some(at), Some(by), Some(reason)) => Ok(Some(Said {
            at,
            by: by.clone(),
            reason: reason.clone(),
        })),
        _ => Err("half of somebody's word".to_owned()),
    }
}

impl TryFrom<Row> for Rejudgement {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: String| StoreError::inconsistent(TABLE, id, what);
        Ok(Self {
            id,
            scope: row.scope().map_err(broken)?,
            state: row.state.parse().map_err(broken)?,
            place: row.place().map_err(broken)?,
            found: Found {
                judged: row.judged,
                losing: row.losing,
                held: row.held,
            },
            previewed_at: row.previewed_at,
            applied: row.applied().map_err(broken)?,
            cancelled: row.cancelled().map_err(broken)?,
            asked: Said {
                at: row.asked_at,
                by: row.asked_by,
                reason: row.asked_reason,
            },
        })
    }
}

/// Reads re-judgements: the columns once, whatever the rest of the statement says.
macro_rules! rejudgement_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: RejudgementId", endpoint_service_id AS "endpoint_service_id: EndpointServiceId",
                      consumer_id AS "consumer_id: ConsumerId", account_id, state, asked_at, asked_by, asked_reason, after_account,
                      after_service AS "after_service: EndpointServiceId", after_endpoint, judged, losing, held, previewed_at,
                      applied_at, applied_by, applied_reason, applied_request_id, grace_seconds, confirmed, revoke_at, planned, kept,
                      carried_out_at, cancelled_at, cancelled_by, cancelled_reason, cancelled_request_id,
                      after_connection AS "after_connection: ConnectionId", taken_back, ended_at
                 FROM rejudgements "# + $rest
            $(, $argument)*
        )
    };
}

/// The scope as columns: service, consumer, account.
type Columns<'a> = (Option<uuid::Uuid>, Option<uuid::Uuid>, Option<&'a str>);

fn columns(scope: &Scope) -> Columns<'_> {
    match scope {
        Scope::Everything => (None, None, None),
        Scope::Service(service) => (Some(service.uuid()), None, None),
        Scope::Consumer(consumer) => (None, Some(consumer.uuid()), None),
        Scope::Account(account) => (None, None, Some(account.as_str())),
    }
}

/// Adds one, to be previewed.
pub async fn insert(
    conn: &mut PgConnection,
    id: RejudgementId,
    scope: &Scope,
    asked: &Said,
) -> Result<(), StoreError> {
    let (service, consumer, account) = columns(scope);
    sqlx::query!(
        "INSERT INTO rejudgements (id, endpoint_service_id, consumer_id, account_id, state, asked_at, asked_by, asked_reason)
         VALUES ($1, $2, $3, $4, 'previewing', $5, $6, $7)",
        id as _,
        service,
        consumer,
        account,
        asked.at,
        asked.by,
        asked.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: RejudgementId,
) -> Result<Option<Rejudgement>, StoreError> {
    let row = rejudgement_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Rejudgement::try_from).transpose()
}

/// One by id, locked until the transaction ends; waits for the step that somebody does of it.
pub async fn locked(
    conn: &mut PgConnection,
    id: RejudgementId,
) -> Result<Option<Rejudgement>, StoreError> {
    let row = rejudgement_rows!(r#"WHERE id = $1 FOR UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Rejudgement::try_from).transpose()
}

/// The same, but `None` while somebody else has it locked, who then does what there is to do.
pub async fn free(
    conn: &mut PgConnection,
    id: RejudgementId,
) -> Result<Option<Rejudgement>, StoreError> {
    let row = rejudgement_rows!(r#"WHERE id = $1 FOR UPDATE SKIP LOCKED"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Rejudgement::try_from).transpose()
}

/// Those of a scope that nobody has applied, but for one, locked until the transaction ends; waits for the steps that somebody does of them.
pub async fn unapplied_beside(
    conn: &mut PgConnection,
    scope: &Scope,
    id: RejudgementId,
) -> Result<Vec<Rejudgement>, StoreError> {
    let (service, consumer, account) = columns(scope);
    let rows = rejudgement_rows!(
        r#"WHERE state IN ('previewing', 'previewed') AND id <> $1
              AND endpoint_service_id IS NOT DISTINCT FROM $2
              AND consumer_id IS NOT DISTINCT FROM $3
              AND account_id IS NOT DISTINCT FROM $4
            ORDER BY id
              FOR UPDATE"#,
        id as _,
        service,
        consumer,
        account,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Rejudgement::try_from).collect()
}

/// Which re-judgements to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those of this service.
    pub service: Option<EndpointServiceId>,
    /// Only those of this consumer.
    pub consumer: Option<ConsumerId>,
    /// Only those of this account.
    pub account: Option<&'a AccountId>,
    /// Only those that stand so.
    pub state: Option<RejudgementState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<RejudgementId>,
    limit: i64,
) -> Result<Vec<Rejudgement>, StoreError> {
    let rows = rejudgement_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::uuid IS NULL OR endpoint_service_id = $2)
              AND ($3::uuid IS NULL OR consumer_id = $3)
              AND ($4::text IS NULL OR account_id = $4)
              AND ($5::text IS NULL OR state = $5)
            ORDER BY id DESC
            LIMIT $6"#,
        before.map(RejudgementId::uuid),
        filter.service.map(EndpointServiceId::uuid),
        filter.consumer.map(ConsumerId::uuid),
        filter.account.map(AccountId::as_str),
        filter.state.map(RejudgementState::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Rejudgement::try_from).collect()
}

/// Those that there is something to do for, the oldest first.
pub async fn open(conn: &mut PgConnection) -> Result<Vec<RejudgementId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: RejudgementId" FROM rejudgements WHERE state IN ('previewing', 'applying', 'cancelling') ORDER BY id"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The accounts that a scope has now; `None` where it is not about accounts.
pub async fn accounts(
    conn: &mut PgConnection,
    scope: &Scope,
) -> Result<Option<Vec<String>>, StoreError> {
    match scope {
        Scope::Everything | Scope::Service(_) => Ok(None),
        Scope::Account(account) => Ok(Some(vec![account.to_string()])),
        Scope::Consumer(consumer) => {
            let accounts = sqlx::query_scalar!(
                "SELECT account_id FROM consumer_accounts WHERE consumer_id = $1 AND removed_at IS NULL",
                *consumer as _,
            )
            .fetch_all(conn)
            .await?;
            Ok(Some(accounts))
        }
    }
}

/// Whether what it planned counts, and keeps counting until the caller's transaction ends. False too while somebody else holds the row.
pub async fn share_standing(
    conn: &mut PgConnection,
    id: RejudgementId,
) -> Result<bool, StoreError> {
    let standing = sqlx::query_scalar!(
        r#"SELECT true AS "standing!" FROM rejudgements
            WHERE id = $1 AND state NOT IN ('cancelling', 'cancelled') FOR SHARE SKIP LOCKED"#,
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(standing.is_some())
}
