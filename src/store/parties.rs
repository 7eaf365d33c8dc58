//! Who asks: an account and the consumer that it belongs to, locked while something is decided about them.
//!
//! Whoever accepts, denies, blocks, or moves an account takes these locks first, before the service's and the connections': the account, then its
//! consumer. So a denial, a membership and a count of what is used stand still until the decision is committed.

use std::collections::BTreeSet;

use privatelink::AccountId;

use super::{PgConnection, StoreError, consumers};
use crate::domain::consumer::ConsumerRef;
use crate::domain::ids::ConsumerId;

/// An account and whose it is, both locked by the transaction that asked.
#[derive(Debug, Clone)]
pub struct Party {
    account: AccountId,
    consumer: Option<ConsumerRef>,
}

impl Party {
    /// The account.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Its consumer, if that is known.
    pub fn consumer(&self) -> Option<&ConsumerRef> {
        self.consumer.as_ref()
    }
}

/// Locks an account, known or not, until the transaction ends.
pub async fn lock_account(conn: &mut PgConnection, account: &AccountId) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO aws_accounts (account_id) VALUES ($1) ON CONFLICT DO NOTHING",
        account.as_str(),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "SELECT FROM aws_accounts WHERE account_id = $1 FOR NO KEY UPDATE",
        account.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// Locks an account and its consumer until the transaction ends, and says who that is.
pub async fn lock(conn: &mut PgConnection, account: &AccountId) -> Result<Party, StoreError> {
    lock_account(conn, account).await?;
    let consumer = consumer_of(conn, account).await?;
    if let Some(consumer) = &consumer {
        consumers::lock(conn, consumer.id).await?;
    }
    Ok(Party {
        account: account.clone(),
        consumer,
    })
}

/// Locks several accounts and their consumers: all accounts in their order, then all consumers in theirs, so that no two who lock several wait for
/// each other.
pub async fn lock_many(
    conn: &mut PgConnection,
    accounts: &BTreeSet<AccountId>,
) -> Result<Vec<Party>, StoreError> {
    let mut parties = Vec::with_capacity(accounts.len());
    for account in accounts {
        lock_account(conn, account).await?;
    }
    for account in accounts {
        // Nobody moves an account that is locked.
        parties.push(Party {
            account: account.clone(),
            consumer: consumer_of(conn, account).await?,
        });
    }
    let consumers: BTreeSet<ConsumerId> = parties
        .iter()
        .filter_map(|party| party.consumer.as_ref().map(|consumer| consumer.id))
        .collect();
    for consumer in consumers {
        consumers::lock(conn, consumer).await?;
    }
    Ok(parties)
}

/// Whose an account is.
async fn consumer_of(
    conn: &mut PgConnection,
    account: &AccountId,
) -> Result<Option<ConsumerRef>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT k.id AS "id: ConsumerId", k.name
             FROM consumer_accounts a JOIN consumers k ON k.id = a.consumer_id
            WHERE a.account_id = $1 AND a.removed_at IS NULL"#,
        account.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ConsumerRef {
        id: row.id,
        name: row.name,
    }))
}
