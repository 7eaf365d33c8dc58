//! Which AWS accounts belong to which consumer, and which have been seen and belong to none.

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::{PgConnection, StoreError};
use crate::domain::consumer::{ConsumerAccount, ConsumerRef, Said, SeenAccount};
use crate::domain::ids::{ConsumerAccountId, ConsumerId};

struct Row {
    id: ConsumerAccountId,
    consumer_id: ConsumerId,
    account_id: String,
    known_by: String,
    proof: String,
    proven_at: Option<DateTime<Utc>>,
    added_at: DateTime<Utc>,
    added_by: String,
    added_reason: String,
    removed_at: Option<DateTime<Utc>>,
    removed_by: Option<String>,
    removed_reason: Option<String>,
}

impl TryFrom<Row> for ConsumerAccount {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: String| StoreError::inconsistent("consumer_accounts", id, what);
        let removed = match (row.removed_at, row.removed_by, row.removed_reason) {
            (None, None, None) => None,
            (Some(at), Some(by), Some(reason)) => Some(Said { at, by, reason }),
            _ => return Err(broken("half removed".to_owned())),
        };
        Ok(Self {
            id,
            consumer: row.consumer_id,
            account: row
                .account_id
                .parse()
                .map_err(|e: privatelink::InvalidId| broken(e.to_string()))?,
            known_by: row.known_by.parse().map_err(broken)?,
            proof: row.proof.parse().map_err(broken)?,
            proven_at: row.proven_at,
            added: Said {
                at: row.added_at,
                by: row.added_by,
                reason: row.added_reason,
            },
            removed,
        })
    }
}

/// Reads memberships: the columns once, whatever the rest of the statement says.
macro_rules! account_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: ConsumerAccountId", consumer_id AS "consumer_id: ConsumerId", account_id, known_by, proof, proven_at,
                      added_at, added_by, added_reason, removed_at, removed_by, removed_reason
                 FROM consumer_accounts "# + $rest
            $(, $argument)*
        )
    };
}

/// Adds an account to a consumer; `Duplicate` on `consumer_accounts_one_consumer` while it belongs to one. The caller has locked both.
pub async fn insert(conn: &mut PgConnection, new: &ConsumerAccount) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO consumer_accounts (id, consumer_id, account_id, known_by, proof, proven_at, added_at, added_by, added_reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id as _,
        new.consumer as _,
        new.account.as_str(),
        new.known_by.as_str(),
        new.proof.as_str(),
        new.proven_at,
        new.added.at,
        new.added.by,
        new.added.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Closes the membership of an account. Answers whether it stood.
pub async fn close(
    conn: &mut PgConnection,
    id: ConsumerAccountId,
    removed: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE consumer_accounts SET removed_at = $2, removed_by = $3, removed_reason = $4
          WHERE id = $1 AND removed_at IS NULL",
        id as _,
        removed.at,
        removed.by,
        removed.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One membership by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: ConsumerAccountId,
) -> Result<Option<ConsumerAccount>, StoreError> {
    let row = account_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(ConsumerAccount::try_from).transpose()
}

/// To whom an account belongs now.
pub async fn of_account(
    conn: &mut PgConnection,
    account: &AccountId,
) -> Result<Option<ConsumerAccount>, StoreError> {
    let row = account_rows!(
        r#"WHERE account_id = $1 AND removed_at IS NULL"#,
        account.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(ConsumerAccount::try_from).transpose()
}

/// A page of a consumer's accounts, the last added first, starting after `before`; those that were removed only if asked for.
pub async fn page(
    conn: &mut PgConnection,
    consumer: ConsumerId,
    removed: bool,
    before: Option<ConsumerAccountId>,
    limit: i64,
) -> Result<Vec<ConsumerAccount>, StoreError> {
    let rows = account_rows!(
        r#"WHERE consumer_id = $1 AND ($2 OR removed_at IS NULL) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC
            LIMIT $4"#,
        consumer as _,
        removed,
        before.map(ConsumerAccountId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ConsumerAccount::try_from).collect()
}

/// Whether a consumer has an account.
pub async fn any(conn: &mut PgConnection, consumer: ConsumerId) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM consumer_accounts WHERE consumer_id = $1 AND removed_at IS NULL) AS "any!""#,
        consumer as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(any)
}

/// Whether an account has made an endpoint on a registered service.
pub async fn was_seen(conn: &mut PgConnection, account: &AccountId) -> Result<bool, StoreError> {
    let seen = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM connections WHERE owner_account = $1) AS "seen!""#,
        account.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(seen)
}

/// A page of the accounts that have connections, by account, starting after `after`; only those with a consumer, or only the others.
pub async fn seen(
    conn: &mut PgConnection,
    known: Option<bool>,
    after: Option<&AccountId>,
    limit: i64,
) -> Result<Vec<SeenAccount>, StoreError> {
    // The inner query walks the index by owner and ends with the page.
    let rows = sqlx::query!(
        r#"SELECT seen.owner_account AS "account!", seen.connections AS "connections!", seen.live AS "live!",
                  seen.first_seen_at AS "first_seen_at!", k.id AS "consumer_id?: ConsumerId", k.name AS "consumer_name?"
             FROM (SELECT c.owner_account, count(*) AS connections, min(c.first_seen_at) AS first_seen_at,
                          count(*) FILTER (WHERE c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')) AS live
                     FROM connections c
                    WHERE ($1::text IS NULL OR c.owner_account > $1)
                      AND ($2::boolean IS NULL
                           OR EXISTS (SELECT FROM consumer_accounts a
                                       WHERE a.account_id = c.owner_account AND a.removed_at IS NULL) = $2)
                    GROUP BY c.owner_account
                    ORDER BY c.owner_account
                    LIMIT $3) AS seen
             LEFT JOIN consumer_accounts a ON a.account_id = seen.owner_account AND a.removed_at IS NULL
             LEFT JOIN consumers k ON k.id = a.consumer_id
            ORDER BY seen.owner_account"#,
        after.map(AccountId::as_str),
        known,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |e| StoreError::inconsistent("connections", &row.account, e);
            Ok(SeenAccount {
                account: row
                    .account
                    .parse()
                    .map_err(|e: privatelink::InvalidId| broken(e))?,
                consumer: row
                    .consumer_id
                    .zip(row.consumer_name)
                    .map(|(id, name)| ConsumerRef { id, name }),
                connections: row.connections,
                live: row.live,
                first_seen_at: row.first_seen_at,
            })
        })
        .collect()
}
