//! What decisions are made from, read for many connections at once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region, VpcEndpointId};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::consumer::Proof;
use crate::domain::ids::{ConnectionId, ConsumerId, EndpointServiceId};
use crate::domain::review::ReviewState;

/// A connection, as far as a decision depends on it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Our id.
    pub id: ConnectionId,
    /// The service it connects to.
    pub service: EndpointServiceId,
    /// AWS's id of the endpoint.
    pub endpoint: VpcEndpointId,
    /// The account that owns the endpoint.
    pub owner: AccountId,
    /// Its Region, where AWS named one.
    pub region: Option<Region>,
    /// The Region of its service.
    pub home: Region,
    /// `ipv4`, `dualstack` or `ipv6`.
    pub ip_address_type: Option<String>,
    /// When it became known.
    pub first_seen_at: DateTime<Utc>,
    /// What was decided.
    pub review: ReviewState,
    /// Whether AWS and we both wait for a decision.
    pub waiting: bool,
    /// Whether it is among what is counted as used: accepted, or up without a decision.
    pub counted: bool,
}

/// A place in the order of [`live_after`].
pub type LiveCursor = (AccountId, EndpointServiceId, VpcEndpointId);

struct Row {
    id: ConnectionId,
    endpoint_service_id: EndpointServiceId,
    endpoint_id: String,
    owner_account: String,
    endpoint_region: Option<String>,
    home: String,
    ip_address_type: Option<String>,
    first_seen_at: DateTime<Utc>,
    review_state: String,
    waiting: bool,
    counted: bool,
}

impl TryFrom<Row> for Subject {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: &dyn std::fmt::Display| {
            StoreError::inconsistent("connections", row.id, what.to_string())
        };
        let region = row.endpoint_region.as_deref().map(str::parse).transpose();
        Ok(Self {
            id: row.id,
            service: row.endpoint_service_id,
            endpoint: row.endpoint_id.parse().map_err(|e| broken(&e))?,
            owner: row.owner_account.parse().map_err(|e| broken(&e))?,
            region: region.map_err(|e| broken(&e))?,
            home: row.home.parse().map_err(|e| broken(&e))?,
            ip_address_type: row.ip_address_type.clone(),
            first_seen_at: row.first_seen_at,
            review: row.review_state.parse().map_err(|e: String| broken(&e))?,
            waiting: row.waiting,
            counted: row.counted,
        })
    }
}

/// These connections, in no order.
pub async fn subjects(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
) -> Result<Vec<Subject>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.id AS "id: ConnectionId", c.endpoint_service_id AS "endpoint_service_id: EndpointServiceId", c.endpoint_id,
                  c.owner_account, c.endpoint_region, a.region AS home, c.ip_address_type, c.first_seen_at, c.review_state,
                  (c.review_state = 'undecided' AND c.observed_state = 'pendingAcceptance') AS "waiting!",
                  (c.review_state IN ('undecided', 'accepted')
                   AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
                   AND (c.review_state = 'accepted' OR c.observed_state <> 'pendingAcceptance')) AS "counted!"
             FROM connections c JOIN account_regions a ON a.id = c.account_region_id
            WHERE c.id = ANY($1)"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Subject::try_from).collect()
}

/// Accepted connections that live in AWS, of one service or of all and of some accounts or of all, in the order of account, service and endpoint,
/// after a place.
pub async fn live_after(
    conn: &mut PgConnection,
    service: Option<EndpointServiceId>,
    accounts: Option<&[String]>,
    after: Option<&LiveCursor>,
    limit: i64,
) -> Result<Vec<Subject>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.id AS "id: ConnectionId", c.endpoint_service_id AS "endpoint_service_id: EndpointServiceId", c.endpoint_id,
                  c.owner_account, c.endpoint_region, a.region AS home, c.ip_address_type, c.first_seen_at, c.review_state,
                  false AS "waiting!", true AS "counted!"
             FROM connections c JOIN account_regions a ON a.id = c.account_region_id
            -- The first condition is that of the index `connections_live_by_owner`, which the order is read from.
            WHERE c.review_state IN ('undecided', 'accepted') AND c.review_state = 'accepted'
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND ($1::uuid IS NULL OR c.endpoint_service_id = $1)
              AND ($2::text IS NULL OR (c.owner_account, c.endpoint_service_id, c.endpoint_id) > ($2, $3, $4))
              AND ($6::text[] IS NULL OR c.owner_account = ANY($6))
            ORDER BY c.owner_account, c.endpoint_service_id, c.endpoint_id
            LIMIT $5"#,
        service.map(EndpointServiceId::uuid),
        after.map(|(account, _, _)| account.as_str()),
        after.map(|(_, service, _)| service.uuid()),
        after.map(|(_, _, endpoint)| endpoint.as_str()),
        limit,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Subject::try_from).collect()
}

/// That an account belongs to a consumer.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The account.
    pub account: AccountId,
    /// The consumer.
    pub consumer: ConsumerId,
    /// What people call it.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it was proven.
    pub proof: Proof,
}

/// Whose these accounts are. An account that is nobody's is not among them.
pub async fn memberships(
    conn: &mut PgConnection,
    accounts: &[String],
) -> Result<Vec<Membership>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT m.account_id, k.id AS "consumer: ConsumerId", k.name, k.labels, m.proof
             FROM consumer_accounts m JOIN consumers k ON k.id = m.consumer_id
            WHERE m.account_id = ANY($1) AND m.removed_at IS NULL"#,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    let read = |account: &str, labels: Value, proof: &str| {
        Ok::<_, String>((
            account
                .parse()
                .map_err(|e: privatelink::InvalidId| e.to_string())?,
            serde_json::from_value(labels).map_err(|e| e.to_string())?,
            proof.parse()?,
        ))
    };
    rows.into_iter()
        .map(|row| {
            let consumer = row.consumer;
            let (account, labels, proof) = read(&row.account_id, row.labels, &row.proof)
                .map_err(|what| StoreError::inconsistent("consumer_accounts", consumer, what))?;
            Ok(Membership {
                account,
                consumer,
                name: row.name,
                labels,
                proof,
            })
        })
        .collect()
}

/// How many connections somebody uses on a service from a Region.
#[derive(Debug, Clone)]
pub struct InUse {
    /// The consumer; `None` for an account that is nobody's.
    pub consumer: Option<ConsumerId>,
    /// The account, where it is nobody's.
    pub account: Option<String>,
    /// The service.
    pub service: EndpointServiceId,
    /// The Region that the endpoints are in.
    pub region: String,
    /// How many are accepted, or up without a decision.
    pub connections: i64,
}

/// What these consumers, with all their accounts, and these accounts of nobody use. True until the transaction ends where the caller holds their locks.
pub async fn in_use(
    conn: &mut PgConnection,
    consumers: &[ConsumerId],
    accounts: &[String],
) -> Result<Vec<InUse>, StoreError> {
    let consumers: Vec<uuid::Uuid> = consumers.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        InUse,
        r#"WITH asked AS (
               SELECT m.consumer_id, NULL::text AS account, m.account_id FROM consumer_accounts m
                WHERE m.consumer_id = ANY($1) AND m.removed_at IS NULL
               UNION ALL
               SELECT NULL, account, account FROM unnest($2::text[]) AS account)
           SELECT p.consumer_id AS "consumer?: ConsumerId", p.account AS "account?",
                  c.endpoint_service_id AS "service!: EndpointServiceId", coalesce(c.endpoint_region, a.region) AS "region!",
                  count(*) AS "connections!"
             FROM asked p
             JOIN connections c ON c.owner_account = p.account_id
             JOIN account_regions a ON a.id = c.account_region_id
            WHERE c.review_state IN ('undecided', 'accepted')
              AND c.observed_state IN ('pendingAcceptance', 'pending', 'available', 'partial')
              AND (c.review_state = 'accepted' OR c.observed_state <> 'pendingAcceptance')
            GROUP BY 1, 2, 3, 4"#,
        &consumers,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
