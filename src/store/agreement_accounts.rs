//! The accounts that may connect by agreements.

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::agreement::Account;
use crate::domain::consumer::Said;
use crate::domain::ids::{AgreementAccountId, AgreementId};
use crate::domain::policy::Stamp;

const TABLE: &str = "agreement_accounts";

struct Row {
    id: AgreementAccountId,
    agreement_id: AgreementId,
    account_id: String,
    proof: String,
    attached_at: DateTime<Utc>,
    attached_by: String,
    reason: Option<String>,
    detached_at: Option<DateTime<Utc>>,
    detached_by: Option<String>,
    detach_reason: Option<String>,
}

impl TryFrom<Row> for Account {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        let account = row.account_id.parse::<AccountId>();
        let detached = match (row.detached_at, row.detached_by, row.detach_reason) {
            (None, None, None) => None,
            (Some(at), Some(by), Some(reason)) => Some(Said { at, by, reason }),
            _ => return Err(broken("half detached".to_owned())),
        };
        Ok(Self {
            id: row.id,
            agreement: row.agreement_id,
            account: account.map_err(|e| broken(e.to_string()))?,
            proof: row.proof.parse().map_err(broken)?,
            attached: Stamp {
                at: row.attached_at,
                by: row.attached_by,
            },
            reason: row.reason,
            detached,
        })
    }
}

/// Reads accounts: the columns once, whatever the rest of the statement says.
macro_rules! account_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: AgreementAccountId", agreement_id AS "agreement_id: AgreementId", account_id, proof, attached_at, attached_by, reason,
                      detached_at, detached_by, detach_reason
                 FROM agreement_accounts "# + $rest
            $(, $argument)*
        )
    };
}

/// Attaches an account. Answers false where it is attached already. The caller has locked the account and the agreement.
pub async fn attach(conn: &mut PgConnection, new: &Account) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO agreement_accounts (id, agreement_id, account_id, proof, attached_at, attached_by, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (agreement_id, account_id) WHERE detached_at IS NULL DO NOTHING",
        new.id as _,
        new.agreement as _,
        new.account.as_str(),
        new.proof.as_str(),
        new.attached.at,
        new.attached.by,
        new.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Detaches an account. Answers it, if it was attached. The caller has locked the account and the agreement.
pub async fn detach(
    conn: &mut PgConnection,
    agreement: AgreementId,
    account: &AccountId,
    said: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE agreement_accounts SET detached_at = $3, detached_by = $4, detach_reason = $5
          WHERE agreement_id = $1 AND account_id = $2 AND detached_at IS NULL",
        agreement as _,
        account.as_str(),
        said.at,
        said.by,
        said.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// All that ever were attached to an agreement, in the order in which they were.
pub async fn history(
    conn: &mut PgConnection,
    agreement: AgreementId,
) -> Result<Vec<Account>, StoreError> {
    let rows = account_rows!(
        r#"WHERE agreement_id = $1 ORDER BY attached_at, id"#,
        agreement as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// Those that are attached to these agreements.
pub async fn of_many(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
) -> Result<Vec<Account>, StoreError> {
    let agreements: Vec<Uuid> = agreements.iter().map(|id| id.uuid()).collect();
    let rows = account_rows!(
        r#"WHERE agreement_id = ANY($1) AND detached_at IS NULL ORDER BY agreement_id, account_id"#,
        &agreements,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// Everything that these accounts are attached to.
pub async fn by_accounts(
    conn: &mut PgConnection,
    accounts: &[String],
) -> Result<Vec<Account>, StoreError> {
    let rows = account_rows!(
        r#"WHERE account_id = ANY($1) AND detached_at IS NULL ORDER BY account_id, agreement_id"#,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}
