//! The deny list.

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::{PgConnection, StoreError};
use crate::domain::consumer::Said;
use crate::domain::denial::{Denial, DenialKind, DenialState, Denied};
use crate::domain::ids::{ConsumerId, DenialId, EndpointServiceId};

struct Row {
    id: DenialId,
    subject: String,
    account_id: Option<String>,
    consumer_id: Option<ConsumerId>,
    endpoint_service_id: Option<EndpointServiceId>,
    reason: String,
    denied_at: DateTime<Utc>,
    denied_by: String,
    expires_at: Option<DateTime<Utc>>,
    lifted_at: Option<DateTime<Utc>>,
    lifted_by: Option<String>,
    lifted_reason: Option<String>,
}

impl TryFrom<Row> for Denial {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: String| StoreError::inconsistent("denials", id, what);
        let kind: DenialKind = row.subject.parse().map_err(broken)?;
        let subject = match (kind, row.account_id, row.consumer_id) {
            (DenialKind::Account, Some(account), None) => Denied::Account(
                account
                    .parse()
                    .map_err(|e: privatelink::InvalidId| broken(e.to_string()))?,
            ),
            (DenialKind::Consumer, None, Some(consumer)) => Denied::Consumer(consumer),
            (DenialKind::Everybody, None, None) => Denied::Everybody,
            _ => return Err(broken("its subject is not what it says".to_owned())),
        };
        let lifted = match (row.lifted_at, row.lifted_by, row.lifted_reason) {
            (None, None, None) => None,
            (Some(at), Some(by), Some(reason)) => Some(Said { at, by, reason }),
            _ => return Err(broken("half lifted".to_owned())),
        };
        Ok(Self {
            id,
            subject,
            service: row.endpoint_service_id,
            said: Said {
                at: row.denied_at,
                by: row.denied_by,
                reason: row.reason,
            },
            expires_at: row.expires_at,
            lifted,
        })
    }
}

/// Reads denials: the columns once, whatever the rest of the statement says.
macro_rules! denial_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: DenialId", subject, account_id, consumer_id AS "consumer_id: ConsumerId",
                      endpoint_service_id AS "endpoint_service_id: EndpointServiceId", reason, denied_at, denied_by, expires_at,
                      lifted_at, lifted_by, lifted_reason
                 FROM denials "# + $rest
            $(, $argument)*
        )
    };
}

/// Adds a denial. The caller has locked the account, the consumer or, for everybody, the service.
pub async fn insert(conn: &mut PgConnection, new: &Denial) -> Result<(), StoreError> {
    let (account, consumer) = match &new.subject {
        Denied::Account(account) => (Some(account.as_str()), None),
        Denied::Consumer(consumer) => (None, Some(consumer.uuid())),
        Denied::Everybody => (None, None),
    };
    sqlx::query!(
        "INSERT INTO denials (id, subject, account_id, consumer_id, endpoint_service_id, reason, denied_at, denied_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id as _,
        new.subject.kind().as_str(),
        account,
        consumer,
        new.service.map(EndpointServiceId::uuid),
        new.said.reason,
        new.said.at,
        new.said.by,
        new.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One by id.
pub async fn by_id(conn: &mut PgConnection, id: DenialId) -> Result<Option<Denial>, StoreError> {
    let row = denial_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Denial::try_from).transpose()
}

/// One by id, locked until the transaction ends.
pub async fn locked(conn: &mut PgConnection, id: DenialId) -> Result<Option<Denial>, StoreError> {
    let row = denial_rows!(r#"WHERE id = $1 FOR UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Denial::try_from).transpose()
}

/// Takes a denial back where nobody has. Answers whether nobody had.
pub async fn lift(
    conn: &mut PgConnection,
    id: DenialId,
    lifted: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE denials SET lifted_at = $2, lifted_by = $3, lifted_reason = $4 WHERE id = $1 AND lifted_at IS NULL",
        id as _,
        lifted.at,
        lifted.by,
        lifted.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Denials that were not lifted and may keep an account, with the consumer that it belongs to, from being accepted on a service: the oldest first.
/// Whether one is over, the domain says. It stays true for as long as the caller holds the party and shares the service.
pub async fn concerning(
    conn: &mut PgConnection,
    account: &AccountId,
    consumer: Option<ConsumerId>,
    service: EndpointServiceId,
) -> Result<Vec<Denial>, StoreError> {
    let rows = denial_rows!(
        r#"WHERE lifted_at IS NULL
              AND ((subject = 'account' AND account_id = $1)
                   OR (subject = 'consumer' AND consumer_id = $2)
                   OR (subject = 'everybody' AND endpoint_service_id = $3))
              AND (endpoint_service_id IS NULL OR endpoint_service_id = $3)
            ORDER BY id"#,
        account.as_str(),
        consumer.map(ConsumerId::uuid),
        service as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Denial::try_from).collect()
}

/// The same for many accounts, consumers and services at once: what may keep any of them from being accepted on any of these.
pub async fn concerning_many(
    conn: &mut PgConnection,
    accounts: &[String],
    consumers: &[ConsumerId],
    services: &[EndpointServiceId],
) -> Result<Vec<Denial>, StoreError> {
    let consumers: Vec<uuid::Uuid> = consumers.iter().map(|id| id.uuid()).collect();
    let services: Vec<uuid::Uuid> = services.iter().map(|id| id.uuid()).collect();
    let rows = denial_rows!(
        r#"WHERE lifted_at IS NULL
              AND ((subject = 'account' AND account_id = ANY($1))
                   OR (subject = 'consumer' AND consumer_id = ANY($2))
                   OR (subject = 'everybody' AND endpoint_service_id = ANY($3)))
              AND (endpoint_service_id IS NULL OR endpoint_service_id = ANY($3))
            ORDER BY id"#,
        accounts,
        &consumers,
        &services,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Denial::try_from).collect()
}

/// The oldest denial of a consumer that stands at this time, wherever.
pub async fn standing_of_consumer(
    conn: &mut PgConnection,
    consumer: ConsumerId,
    now: DateTime<Utc>,
) -> Result<Option<Denial>, StoreError> {
    let row = denial_rows!(
        r#"WHERE lifted_at IS NULL AND subject = 'consumer' AND consumer_id = $1 AND (expires_at IS NULL OR expires_at > $2)
            ORDER BY id
            LIMIT 1"#,
        consumer as _,
        now,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Denial::try_from).transpose()
}

/// Which denials to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those that name this account.
    pub account: Option<&'a AccountId>,
    /// Only those that name this consumer.
    pub consumer: Option<ConsumerId>,
    /// Only those on this service alone.
    pub service: Option<EndpointServiceId>,
    /// Only those that stand so.
    pub state: Option<DenialState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    now: DateTime<Utc>,
    before: Option<DenialId>,
    limit: i64,
) -> Result<Vec<Denial>, StoreError> {
    let rows = denial_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::text IS NULL OR account_id = $2)
              AND ($3::uuid IS NULL OR consumer_id = $3)
              AND ($4::uuid IS NULL OR endpoint_service_id = $4)
              AND ($5::text IS NULL
                   OR $5 = CASE WHEN lifted_at IS NOT NULL THEN 'lifted' WHEN expires_at <= $6 THEN 'expired' ELSE 'standing' END)
            ORDER BY id DESC
            LIMIT $7"#,
        before.map(DenialId::uuid),
        filter.account.map(AccountId::as_str),
        filter.consumer.map(ConsumerId::uuid),
        filter.service.map(EndpointServiceId::uuid),
        filter.state.map(DenialState::as_str),
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Denial::try_from).collect()
}
