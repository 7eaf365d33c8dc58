//! Connections of the organisation's accounts.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, ConnectionState};
use serde_json::Value;
use uuid::Uuid;

use super::TenantTx;
use crate::domain::connection::Observed;
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::own::{OwnConnection, Told};
use crate::domain::review::ReviewState;
use crate::store::StoreError;

struct Row {
    id: ConnectionId,
    service: EndpointServiceId,
    endpoint_id: String,
    owner_account: String,
    observed_state: String,
    observed_at: DateTime<Utc>,
    aws_created_at: Option<DateTime<Utc>>,
    aws_connection_id: Option<String>,
    endpoint_region: Option<String>,
    ip_address_type: Option<String>,
    dns_entries: Value,
    first_seen_at: DateTime<Utc>,
    review_state: String,
    decided_at: Option<DateTime<Utc>>,
    message: Option<String>,
    expires_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for OwnConnection {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken =
            |what: &dyn std::fmt::Display| StoreError::inconsistent("connections", row.id, what);
        let review: ReviewState = row.review_state.parse().map_err(|e| broken(&e))?;
        let message = row.message;
        Ok(Self {
            id: row.id,
            service: row.service,
            endpoint: row.endpoint_id.parse().map_err(|e| broken(&e))?,
            account: row.owner_account.parse().map_err(|e| broken(&e))?,
            observed: Observed {
                state: ConnectionState::parse(&row.observed_state),
                at: row.observed_at,
                created_at: row.aws_created_at,
                connection_id: row.aws_connection_id,
                endpoint_region: row.endpoint_region,
                ip_address_type: row.ip_address_type,
                dns_entries: serde_json::from_value(row.dns_entries).map_err(|e| broken(&e))?,
            },
            first_seen_at: row.first_seen_at,
            review,
            decided: row.decided_at.map(|at| Told { at, message }),
            expires_at: row.expires_at.filter(|_| review == ReviewState::Accepted),
        })
    }
}

/// Reads the organisation's connections: the columns once, whatever the rest of the condition says. `$1` is the organisation.
macro_rules! own_connections {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT c.id AS "id: ConnectionId", c.endpoint_service_id AS "service: EndpointServiceId", c.endpoint_id, c.owner_account,
                      c.observed_state, c.observed_at, c.aws_created_at, c.aws_connection_id, c.endpoint_region, c.ip_address_type,
                      c.dns_entries, c.first_seen_at, c.review_state,
                      -- No outer joins: by some plans of them sqlx would take every other column for one that may be null.
                      (SELECT d.decided_at FROM decisions d WHERE d.id = c.decision_id) AS "decided_at?",
                      (SELECT d.message FROM decisions d WHERE d.id = c.decision_id) AS "message?",
                      (SELECT r.expires_at FROM reviews r WHERE r.connection_id = c.id) AS "expires_at?"
                 FROM connections c
                WHERE c.owner_account IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = $1 AND m.removed_at IS NULL) "#
                + $rest
            $(, $argument)*
        )
    };
}

/// One of the organisation's.
pub async fn by_id(
    tx: &mut TenantTx,
    id: ConnectionId,
) -> Result<Option<OwnConnection>, StoreError> {
    let organisation = tx.organisation();
    let row = own_connections!(r#"AND c.id = $2"#, organisation as _, id as _)
        .fetch_optional(tx.consumer().await?)
        .await?;
    row.map(OwnConnection::try_from).transpose()
}

/// Those of these that are the organisation's, in no order.
pub async fn among(
    tx: &mut TenantTx,
    ids: &[ConnectionId],
) -> Result<Vec<ConnectionId>, StoreError> {
    let organisation = tx.organisation();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let own = sqlx::query_scalar!(
        r#"SELECT c.id AS "id: ConnectionId" FROM connections c
            WHERE c.id = ANY($2)
              AND c.owner_account IN (SELECT m.account_id FROM consumer_accounts m WHERE m.consumer_id = $1 AND m.removed_at IS NULL)"#,
        organisation as _,
        &ids,
    );
    Ok(own.fetch_all(tx.consumer().await?).await?)
}

/// Which connections to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those to this service.
    pub service: Option<EndpointServiceId>,
    /// Only those of this account.
    pub account: Option<&'a AccountId>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    tx: &mut TenantTx,
    filter: &Filter<'_>,
    before: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<OwnConnection>, StoreError> {
    let organisation = tx.organisation();
    let rows = own_connections!(
        r#"AND ($2::uuid IS NULL OR c.endpoint_service_id = $2)
           AND ($3::text IS NULL OR c.owner_account = $3)
           AND ($4::uuid IS NULL OR c.id < $4)
         ORDER BY c.id DESC
         LIMIT $5"#,
        organisation as _,
        filter.service.map(EndpointServiceId::uuid),
        filter.account.map(AccountId::as_str),
        before.map(ConnectionId::uuid),
        limit,
    )
    .fetch_all(tx.consumer().await?)
    .await?;
    rows.into_iter().map(OwnConnection::try_from).collect()
}
