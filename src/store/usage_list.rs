//! Reading the ledger of use: pages, the export, and sums. All sums are PostgreSQL's, which are exact however many digits they have.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AgreementId, ConnectionId, UsageHourId};
use crate::domain::usage::{Billing, UsageHour, UsageSource, UsageState};

const TABLE: &str = "usage_hours";

struct Row {
    id: UsageHourId,
    agreement_id: AgreementId,
    dimension: String,
    unit: String,
    connection_id: Option<ConnectionId>,
    account_id: Option<String>,
    hour: DateTime<Utc>,
    source: String,
    billing: String,
    part: i32,
    seconds: Option<i32>,
    quantity: String,
    price: Option<String>,
    currency: Option<String>,
    amount: Option<String>,
    state: String,
    reason: Option<String>,
    recorded_at: DateTime<Utc>,
    sealed_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for UsageHour {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        Ok(Self {
            id: row.id,
            agreement: row.agreement_id,
            dimension: row.dimension,
            unit: row.unit,
            connection: row.connection_id,
            account: row.account_id,
            hour: row.hour,
            source: row.source.parse().map_err(broken)?,
            billing: row.billing.parse().map_err(broken)?,
            part: row.part,
            seconds: row.seconds,
            quantity: row.quantity,
            price: row.price,
            currency: row.currency,
            amount: row.amount,
            state: row.state.parse().map_err(broken)?,
            reason: row.reason,
            recorded_at: row.recorded_at,
            sealed_at: row.sealed_at,
        })
    }
}

/// Reads rows: the columns once, whatever the rest of the statement says.
macro_rules! usage_rows {
    ($($rest:literal)+ $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: UsageHourId", agreement_id AS "agreement_id: AgreementId", dimension, unit, connection_id AS "connection_id: ConnectionId",
                      account_id, hour, source, billing, part, seconds, quantity::text AS "quantity!", price::text, currency, amount::text, state, reason,
                      recorded_at, sealed_at
                 FROM usage_hours "# $(+ $rest)+
            $(, $argument)*
        )
    };
}

/// Reads the rows that a filter lets through, on one side of a row, in an order: what is counted off by id and how, once for both ways.
macro_rules! usage_page {
    ($filter:ident, $beyond:literal, $from:expr, $order:literal, $limit:expr) => {
        usage_rows!(
            "WHERE ($1::uuid IS NULL OR id " $beyond " $1)
               AND ($2::uuid IS NULL OR agreement_id = $2)
               AND ($3::text IS NULL OR dimension = $3)
               AND ($4::uuid IS NULL OR connection_id = $4)
               AND ($5::timestamptz IS NULL OR hour >= $5)
               AND ($6::timestamptz IS NULL OR hour < $6)
               AND ($7::text IS NULL OR state = $7)
               AND ($8::text IS NULL OR billing = $8)
               AND ($9::text IS NULL OR source = $9)
             ORDER BY id " $order " LIMIT $10",
            $from.map(UsageHourId::uuid),
            $filter.agreement.map(AgreementId::uuid),
            $filter.dimension,
            $filter.connection.map(ConnectionId::uuid),
            $filter.from,
            $filter.to,
            $filter.state.map(UsageState::as_str),
            $filter.billing.map(Billing::as_str),
            $filter.source.map(UsageSource::as_str),
            $limit,
        )
    };
}

/// Which rows to list. Absent filters let everything through.
#[derive(Debug, Default, Clone)]
pub struct Filter {
    /// Only those of this agreement.
    pub agreement: Option<AgreementId>,
    /// Only those of this dimension.
    pub dimension: Option<String>,
    /// Only those of this connection.
    pub connection: Option<ConnectionId>,
    /// Only hours that begin then or later.
    pub from: Option<DateTime<Utc>>,
    /// Only hours that begin earlier.
    pub to: Option<DateTime<Utc>>,
    /// Only those that can still change, or never again.
    pub state: Option<UsageState>,
    /// Only those that can be billed, or cannot.
    pub billing: Option<Billing>,
    /// Only those with this origin.
    pub source: Option<UsageSource>,
}

/// One by id, in its hour.
pub async fn by_id(
    conn: &mut PgConnection,
    id: UsageHourId,
    hour: DateTime<Utc>,
) -> Result<UsageHour, StoreError> {
    let row = usage_rows!("WHERE id = $1 AND hour = $2", id as _, hour)
        .fetch_one(conn)
        .await?;
    row.try_into()
}

/// A page, those first that were recorded last, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<UsageHourId>,
    limit: i64,
) -> Result<Vec<UsageHour>, StoreError> {
    let rows = usage_page!(filter, "<", before, "DESC", limit)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(UsageHour::try_from).collect()
}

/// A row of the export, with what stands in its line besides.
#[derive(Debug, Clone)]
pub struct Line {
    /// The row.
    pub row: UsageHour,
    /// The agreement's id at its source.
    pub reference: String,
    /// The plan's name, as the agreement pins it.
    pub plan: String,
    /// The account that bought.
    pub buyer: String,
    /// The account that used: the connection's owner, or the one that was reported.
    pub account: Option<String>,
    /// The endpoint.
    pub endpoint: Option<String>,
}

/// Lines of the export, in the order in which the rows were recorded, starting after `after`.
pub async fn export(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<UsageHourId>,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let rows = usage_page!(filter, ">", after, "ASC", limit)
        .fetch_all(&mut *conn)
        .await?;
    let mut agreements: Vec<Uuid> = rows.iter().map(|row| row.agreement_id.uuid()).collect();
    agreements.sort_unstable();
    agreements.dedup();
    let agreements = sqlx::query!(
        r#"SELECT a.id AS "id: AgreementId", a.reference, a.buyer_account,
                  coalesce((SELECT plan ->> 'name' FROM listing_revisions r, jsonb_array_elements(r.content -> 'plans') AS plan
                             WHERE r.listing_id = a.listing_id AND r.number = a.revision AND plan ->> 'id' = 'pln_' || replace(a.plan_id::text, '-', '')), '')
                      AS "plan!"
             FROM agreements a WHERE a.id = ANY($1)"#,
        &agreements,
    )
    .fetch_all(&mut *conn)
    .await?;
    let agreements: HashMap<AgreementId, _> =
        agreements.into_iter().map(|it| (it.id, it)).collect();
    let mut connections: Vec<Uuid> = rows
        .iter()
        .filter_map(|row| row.connection_id.map(ConnectionId::uuid))
        .collect();
    connections.sort_unstable();
    connections.dedup();
    let connections = sqlx::query!(
        r#"SELECT id AS "id: ConnectionId", owner_account, endpoint_id FROM connections WHERE id = ANY($1)"#,
        &connections,
    )
    .fetch_all(conn)
    .await?;
    let connections: HashMap<ConnectionId, _> =
        connections.into_iter().map(|it| (it.id, it)).collect();
    let line = |row: Row| {
        let row = UsageHour::try_from(row)?;
        let missing = || StoreError::inconsistent(TABLE, row.id, "its agreement");
        let agreement = agreements.get(&row.agreement).ok_or_else(missing)?;
        let connection = row.connection.and_then(|id| connections.get(&id));
        let owner = connection.map(|it| it.owner_account.clone());
        Ok(Line {
            reference: agreement.reference.clone(),
            plan: agreement.plan.clone(),
            buyer: agreement.buyer_account.clone(),
            account: row.account.clone().or(owner),
            endpoint: connection.map(|it| it.endpoint_id.clone()),
            row,
        })
    };
    rows.into_iter().map(line).collect()
}

/// What was used of a dimension in a month.
#[derive(Debug, Clone)]
pub struct Sum {
    /// The first day of the month, in UTC.
    pub month: String,
    /// The dimension, by its key.
    pub dimension: String,
    /// What it counts.
    pub unit: String,
    /// Where the figures come from.
    pub source: String,
    /// Whether they can be billed.
    pub billing: String,
    /// Of endpoint-hours: the exact figure.
    pub seconds: Option<i64>,
    /// How much.
    pub quantity: String,
    /// What one costs.
    pub price: Option<String>,
    /// What it comes to, rounded once.
    pub amount: Option<String>,
    /// How many rows there are.
    pub rows: i64,
    /// How many of them can still change.
    pub open: i64,
    /// How many are later parts.
    pub late: i64,
}

/// What an agreement used, by month, dimension and whether it can be billed. Amounts are rounded once, to so many decimals: of endpoint-hours from the seconds.
pub async fn sums(
    conn: &mut PgConnection,
    agreement: AgreementId,
    decimals: i32,
) -> Result<Vec<Sum>, StoreError> {
    let rows = sqlx::query_as!(
        Sum,
        r#"SELECT to_char(date_trunc('month', hour, 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM') AS "month!", dimension, unit, source, billing, sum(seconds) AS seconds,
                  coalesce(round(sum(seconds)::numeric / 3600, 8), sum(quantity))::text AS "quantity!", price::text,
                  CASE WHEN billing = 'billable' THEN round(coalesce(sum(seconds)::numeric * price / 3600, sum(quantity) * price), $2) END::text AS amount,
                  count(*) AS "rows!", count(*) FILTER (WHERE state = 'open') AS "open!", count(*) FILTER (WHERE part > 1) AS "late!"
             FROM usage_hours
            WHERE agreement_id = $1
            GROUP BY 1, dimension, unit, source, billing, price
            ORDER BY 1, dimension, billing"#,
        agreement as _,
        decimals,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
