//! The wall between consumers: the one way to the database for whatever a consumer asks.
//!
//! A [`TenantTx`] is a transaction that works as the database role `portcullis_consumer` and names the organisation that it speaks for. The role sees the columns that
//! the migration `wall_consumers_off` grants, and row-level security shows it the organisation's rows only. That is the second wall; the first is the `WHERE` of
//! each statement. The functions of the modules below take a `TenantTx` and nothing else, and only they get at its connection as the role.
//!
//! Role and organisation are set with `SET LOCAL`'s meaning, so they end with the transaction however it ends, and no pooled connection carries them on. In a request's
//! unit of work the transaction is a savepoint, and what is set outlives its release: [`TenantTx::finish`] puts the provider's role back before, and rolling back
//! to the savepoint, which is what becomes of one that was dropped, does so too.

pub mod access_requests;
pub mod connections;
pub mod consumer;
pub mod services;

use super::unit_of_work::Work;
use super::{PgConnection, StoreError};
use crate::domain::ids::ConsumerId;
use crate::domain::member::Member;

/// The database role of consumers.
const ROLE: &str = "portcullis_consumer";

/// Whose hand a transaction works by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hand {
    Consumer,
    Provider,
    /// A change of hands was cut off.
    Unknown,
}

/// A transaction in the name of an organisation. Dropped, it takes back what was done in it.
#[derive(Debug)]
pub struct TenantTx {
    work: Work,
    organisation: ConsumerId,
    /// The role of the connection before.
    provider: String,
    hand: Hand,
}

impl TenantTx {
    /// Makes a transaction that has just begun one of the member's organisation.
    pub async fn begin(mut work: Work, member: &Member) -> Result<Self, StoreError> {
        let organisation = member.organisation();
        let before = sqlx::query!(
            r#"SELECT current_setting('role') AS "role!", set_config('portcullis.consumer', $1, true) AS named,
                      set_config('role', $2, true) AS became"#,
            organisation.uuid().to_string(),
            ROLE,
        )
        .fetch_one(&mut *work)
        .await?;
        if before.role == ROLE {
            let what = "a transaction works as a consumer already";
            return Err(StoreError::inconsistent("pg_settings", "role", what));
        }
        Ok(Self {
            work,
            organisation,
            provider: before.role,
            hand: Hand::Consumer,
        })
    }

    /// The organisation.
    pub fn organisation(&self) -> ConsumerId {
        self.organisation
    }

    /// The connection as the consumer's role: for the modules below and nobody else.
    async fn consumer(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.work_by(Hand::Consumer).await
    }

    /// The connection as the provider's role, for what has to be done where the consumer's cannot reach: locks, the audit trail, a look at what is not
    /// the consumer's. Whatever is done here is not walled; what comes of it is the use case's word.
    pub async fn provider(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.work_by(Hand::Provider).await
    }

    async fn work_by(&mut self, hand: Hand) -> Result<&mut PgConnection, StoreError> {
        if self.hand != hand {
            self.hand = Hand::Unknown;
            let role = match hand {
                Hand::Consumer => ROLE,
                Hand::Provider | Hand::Unknown => &self.provider,
            };
            set_role(&mut self.work, role).await?;
            self.hand = hand;
        }
        Ok(&mut self.work)
    }

    /// Gives the transaction back as it was before, with all that was done in it, to be committed.
    pub async fn finish(mut self) -> Result<Work, StoreError> {
        sqlx::query!(
            "SELECT set_config('role', $1, true) AS became, set_config('portcullis.consumer', '', true) AS named",
            self.provider,
        )
        .fetch_one(&mut *self.work)
        .await?;
        Ok(self.work)
    }
}

async fn set_role(conn: &mut PgConnection, role: &str) -> Result<(), StoreError> {
    sqlx::query_scalar!("SELECT set_config('role', $1, true)", role)
        .fetch_one(conn)
        .await?;
    Ok(())
}
