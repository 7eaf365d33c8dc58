//! Blocks, and what is left of what they cut off.

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::{PgConnection, StoreError};
use crate::domain::block::{Block, BlockKind, BlockState, Blocked, Extent, Reach};
use crate::domain::consumer::Said;
use crate::domain::ids::{BlockId, ConsumerId, DenialId, EndpointServiceId};

const TABLE: &str = "blocks";

struct Row {
    id: BlockId,
    subject: String,
    account_id: Option<String>,
    consumer_id: Option<ConsumerId>,
    endpoint_service_id: Option<EndpointServiceId>,
    denial_id: DenialId,
    state: String,
    reason: String,
    blocked_at: DateTime<Utc>,
    blocked_by: String,
    request_id: Option<String>,
    confirmed_connections: i64,
    confirmed_principals: i64,
    cut: i64,
    cut_at: Option<DateTime<Utc>>,
    lifted_at: Option<DateTime<Utc>>,
    lifted_by: Option<String>,
    lifted_reason: Option<String>,
    restored_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Block {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: String| StoreError::inconsistent(TABLE, id, what);
        let kind: BlockKind = row.subject.parse().map_err(broken)?;
        let subject = match (
            kind,
            row.account_id,
            row.consumer_id,
            row.endpoint_service_id,
        ) {
            (BlockKind::Account, Some(account), None, None) => Blocked::Account(
                account
                    .parse()
                    .map_err(|e: privatelink::InvalidId| broken(e.to_string()))?,
            ),
            (BlockKind::Consumer, None, Some(consumer), None) => Blocked::Consumer(consumer),
            (BlockKind::Service, None, None, Some(service)) => Blocked::Service(service),
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
            denial: row.denial_id,
            state: row.state.parse().map_err(broken)?,
            said: Said {
                at: row.blocked_at,
                by: row.blocked_by,
                reason: row.reason,
            },
            request_id: row.request_id,
            confirmed: Extent {
                connections: row.confirmed_connections,
                principals: row.confirmed_principals,
            },
            cut: row.cut,
            cut_at: row.cut_at,
            lifted,
            restored_at: row.restored_at,
        })
    }
}

/// Reads blocks: the columns once, whatever the rest of the statement says.
macro_rules! block_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: BlockId", subject, account_id, consumer_id AS "consumer_id: ConsumerId",
                      endpoint_service_id AS "endpoint_service_id: EndpointServiceId", denial_id AS "denial_id: DenialId", state,
                      reason, blocked_at, blocked_by, request_id, confirmed_connections, confirmed_principals, cut, cut_at,
                      lifted_at, lifted_by, lifted_reason, restored_at
                 FROM blocks "# + $rest
            $(, $argument)*
        )
    };
}

/// The subject as columns: account, consumer, service.
type Columns<'a> = (Option<&'a str>, Option<uuid::Uuid>, Option<uuid::Uuid>);

fn columns(subject: &Blocked) -> Columns<'_> {
    match subject {
        Blocked::Account(account) => (Some(account.as_str()), None, None),
        Blocked::Consumer(consumer) => (None, Some(consumer.uuid()), None),
        Blocked::Service(service) => (None, None, Some(service.uuid())),
    }
}

/// Adds a block; `Duplicate` on `blocks_one_standing`. The caller has locked its subject.
pub async fn insert(conn: &mut PgConnection, new: &Block) -> Result<(), StoreError> {
    let (account, consumer, service) = columns(&new.subject);
    sqlx::query!(
        "INSERT INTO blocks (id, subject, account_id, consumer_id, endpoint_service_id, denial_id, state, reason, blocked_at, blocked_by,
                             request_id, confirmed_connections, confirmed_principals)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        new.id as _,
        new.subject.kind().as_str(),
        account,
        consumer,
        service,
        new.denial as _,
        new.state.as_str(),
        new.said.reason,
        new.said.at,
        new.said.by,
        new.request_id,
        new.confirmed.connections,
        new.confirmed.principals,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One by id.
pub async fn by_id(conn: &mut PgConnection, id: BlockId) -> Result<Option<Block>, StoreError> {
    let row = block_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Block::try_from).transpose()
}

/// One by id, locked until the transaction ends; `None` also while somebody else has it locked, who then does what there is to do.
pub async fn free(conn: &mut PgConnection, id: BlockId) -> Result<Option<Block>, StoreError> {
    let row = block_rows!(r#"WHERE id = $1 FOR UPDATE SKIP LOCKED"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Block::try_from).transpose()
}

/// The block of a subject that cuts, locked until the transaction ends.
pub async fn of_subject(
    conn: &mut PgConnection,
    subject: &Blocked,
) -> Result<Option<Block>, StoreError> {
    let (account, consumer, service) = columns(subject);
    let row = block_rows!(
        r#"WHERE account_id IS NOT DISTINCT FROM $1 AND consumer_id IS NOT DISTINCT FROM $2
              AND endpoint_service_id IS NOT DISTINCT FROM $3 AND state IN ('cutting', 'standing')
            FOR UPDATE"#,
        account,
        consumer,
        service,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Block::try_from).transpose()
}

/// The block that a denial is a part of, while it cuts.
pub async fn of_denial(
    conn: &mut PgConnection,
    denial: DenialId,
) -> Result<Option<BlockId>, StoreError> {
    let id = sqlx::query_scalar!(
        r#"SELECT id AS "id: BlockId" FROM blocks WHERE denial_id = $1 AND state IN ('cutting', 'standing')"#,
        denial as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// Which blocks to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those of this account.
    pub account: Option<&'a AccountId>,
    /// Only those of this consumer.
    pub consumer: Option<ConsumerId>,
    /// Only those of this service.
    pub service: Option<EndpointServiceId>,
    /// Only those that stand so.
    pub state: Option<BlockState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<BlockId>,
    limit: i64,
) -> Result<Vec<Block>, StoreError> {
    let rows = block_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::text IS NULL OR account_id = $2)
              AND ($3::uuid IS NULL OR consumer_id = $3)
              AND ($4::uuid IS NULL OR endpoint_service_id = $4)
              AND ($5::text IS NULL OR state = $5)
            ORDER BY id DESC
            LIMIT $6"#,
        before.map(BlockId::uuid),
        filter.account.map(AccountId::as_str),
        filter.consumer.map(ConsumerId::uuid),
        filter.service.map(EndpointServiceId::uuid),
        filter.state.map(BlockState::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Block::try_from).collect()
}

/// Blocks that there may be something to do for, the oldest first; those that stand only if asked for, because of them there hardly ever is.
pub async fn open(
    conn: &mut PgConnection,
    standing: bool,
) -> Result<Vec<(BlockId, BlockState)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: BlockId", state FROM blocks
            WHERE state <> 'lifted' AND ($1 OR state <> 'standing')
            ORDER BY id"#,
        standing,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
            Ok((row.id, row.state.parse().map_err(broken)?))
        })
        .collect()
}

/// Notes that so many more connections were cut off for a block. The caller has locked it.
pub async fn count_cut(conn: &mut PgConnection, id: BlockId, more: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE blocks SET cut = cut + $2 WHERE id = $1",
        id as _,
        more
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that nothing of what a block cuts lives any more. Answers whether that is news.
pub async fn record_cut(
    conn: &mut PgConnection,
    id: BlockId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE blocks SET state = 'standing', cut_at = coalesce(cut_at, $2) WHERE id = $1 AND state = 'cutting'",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a block back: from now on nothing is cut off, and principals come back. Answers whether it still cut.
pub async fn record_lifted(
    conn: &mut PgConnection,
    id: BlockId,
    lifted: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE blocks SET state = 'restoring', lifted_at = $2, lifted_by = $3, lifted_reason = $4
          WHERE id = $1 AND state IN ('cutting', 'standing')",
        id as _,
        lifted.at,
        lifted.by,
        lifted.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that every principal is back. Answers whether that is news.
pub async fn record_restored(
    conn: &mut PgConnection,
    id: BlockId,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE blocks SET state = 'lifted', restored_at = $2 WHERE id = $1 AND state = 'restoring'",
        id as _,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a subject covers now.
pub async fn reach(conn: &mut PgConnection, subject: &Blocked) -> Result<Reach, StoreError> {
    match subject {
        Blocked::Service(service) => Ok(Reach::Service(*service)),
        Blocked::Account(account) => Ok(Reach::Accounts(vec![account.clone()])),
        Blocked::Consumer(consumer) => {
            let rows = sqlx::query_scalar!(
                "SELECT account_id FROM consumer_accounts WHERE consumer_id = $1 AND removed_at IS NULL ORDER BY account_id",
                *consumer as _,
            )
            .fetch_all(conn)
            .await?;
            let accounts = rows.iter().map(|account| {
                account.parse().map_err(|e: privatelink::InvalidId| {
                    StoreError::inconsistent(TABLE, consumer, e)
                })
            });
            Ok(Reach::Accounts(accounts.collect::<Result<_, _>>()?))
        }
    }
}
