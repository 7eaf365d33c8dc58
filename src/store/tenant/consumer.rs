//! The organisation itself: what is known of it, its accounts and its quota.

use privatelink::AccountId;

use super::TenantTx;
use crate::domain::consumer::ConsumerState;
use crate::domain::ids::{ConsumerAccountId, ConsumerId, EndpointServiceId};
use crate::domain::own::{OwnAccount, OwnConsumer, OwnQuota, OwnUse};
use crate::domain::quota::Limits;
use crate::store::StoreError;

/// Whether the organisation is active or closed; `None` where there is none.
pub async fn state(tx: &mut TenantTx) -> Result<Option<ConsumerState>, StoreError> {
    let id = tx.organisation();
    let state = sqlx::query_scalar!("SELECT state FROM consumers WHERE id = $1", id as _)
        .fetch_optional(tx.consumer().await?)
        .await?;
    state
        .map(|word| word.parse())
        .transpose()
        .map_err(|e: String| StoreError::inconsistent("consumers", id, e))
}

/// What is known of the organisation.
pub async fn read(tx: &mut TenantTx) -> Result<Option<OwnConsumer>, StoreError> {
    let id = tx.organisation();
    let row = sqlx::query!(
        r#"SELECT id AS "id: ConsumerId", name, slug, contacts, state, created_at FROM consumers WHERE id = $1"#,
        id as _,
    )
    .fetch_optional(tx.consumer().await?)
    .await?;
    let broken = |what: String| StoreError::inconsistent("consumers", id, what);
    row.map(|row| {
        Ok(OwnConsumer {
            id: row.id,
            name: row.name,
            slug: row.slug,
            contacts: serde_json::from_value(row.contacts)
                .map_err(|e| broken(format!("contacts: {e}")))?,
            state: row.state.parse().map_err(broken)?,
            created_at: row.created_at,
        })
    })
    .transpose()
}

/// The numbers of the organisation's accounts that were proven to be its own.
pub async fn proven_account_ids(tx: &mut TenantTx) -> Result<Vec<AccountId>, StoreError> {
    let organisation = tx.organisation();
    let rows = sqlx::query_scalar!(
        "SELECT account_id FROM consumer_accounts WHERE consumer_id = $1 AND removed_at IS NULL AND proof <> 'none' ORDER BY account_id",
        organisation as _,
    )
    .fetch_all(tx.consumer().await?)
    .await?;
    let read = rows.into_iter().map(|account| account.parse());
    read.collect::<Result<_, _>>()
        .map_err(|e: privatelink::InvalidId| {
            StoreError::inconsistent("consumer_accounts", organisation, e)
        })
}

/// A page of the organisation's accounts, the last added first, starting after `before`.
pub async fn accounts(
    tx: &mut TenantTx,
    before: Option<ConsumerAccountId>,
    limit: i64,
) -> Result<Vec<OwnAccount>, StoreError> {
    let organisation = tx.organisation();
    let rows = sqlx::query!(
        r#"SELECT id AS "id: ConsumerAccountId", account_id, proof, proven_at, added_at
             FROM consumer_accounts
            WHERE consumer_id = $1 AND removed_at IS NULL AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC
            LIMIT $3"#,
        organisation as _,
        before.map(ConsumerAccountId::uuid),
        limit,
    )
    .fetch_all(tx.consumer().await?)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: String| StoreError::inconsistent("consumer_accounts", row.id, what);
            Ok(OwnAccount {
                id: row.id,
                account: row
                    .account_id
                    .parse()
                    .map_err(|e: privatelink::InvalidId| broken(e.to_string()))?,
                proof: row.proof.parse().map_err(broken)?,
                proven_at: row.proven_at,
                added_at: row.added_at,
            })
        })
        .collect()
}

/// Whether an account is the organisation's now.
pub async fn has_account(tx: &mut TenantTx, account: &AccountId) -> Result<bool, StoreError> {
    let organisation = tx.organisation();
    let has = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM consumer_accounts WHERE consumer_id = $1 AND account_id = $2 AND removed_at IS NULL) AS "has!""#,
        organisation as _,
        account.as_str(),
    )
    .fetch_one(tx.consumer().await?)
    .await?;
    Ok(has)
}

/// What the organisation may use and uses now. For looking: it may change at once. Counted as `quotas::by_service` counts.
pub async fn quota(tx: &mut TenantTx) -> Result<OwnQuota, StoreError> {
    let organisation = tx.organisation();
    let conn = tx.consumer().await?;
    let limits = sqlx::query!(
        "SELECT most_connections, most_endpoints_per_service, most_regions FROM consumer_quotas WHERE consumer_id = $1",
        organisation as _,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let used = sqlx::query!(
        r#"SELECT c.endpoint_service_id AS "service: EndpointServiceId", c.endpoint_region, count(*) AS "endpoints!"
             FROM consumer_accounts m JOIN connections c ON c.owner_account = m.account_id
            WHERE m.consumer_id = $1 AND m.removed_at IS NULL
              AND c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND (c.review_state = 'accepted' OR c.observed_state <> 'pendingAcceptance')
            GROUP BY 1, 2
            ORDER BY 1, 2"#,
        organisation as _,
    )
    .fetch_all(conn)
    .await?;
    let limits = limits.map_or_else(Limits::default, |row| Limits {
        connections: row.most_connections,
        endpoints_per_service: row.most_endpoints_per_service,
        regions: row.most_regions,
    });
    let used = used.into_iter().map(|row| OwnUse {
        service: row.service,
        endpoint_region: row.endpoint_region,
        endpoints: row.endpoints,
    });
    Ok(OwnQuota {
        limits,
        used: used.collect(),
    })
}
