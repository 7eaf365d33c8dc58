//! Reading the ledger of use: pages, the export, and sums. All sums are PostgreSQL's, which are exact however many digits they have.

use chrono::{DateTime, Utc};

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
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: UsageHourId", agreement_id AS "agreement_id: AgreementId", dimension, unit, connection_id AS "connection_id: ConnectionId",
                      account_id, hour, source, billing, part, seconds, quantity::text AS "quantity!", price::text, currency, amount::text, state, reason,
                      recorded_at, sealed_at
                 FROM usage_hours "# + $rest
            $(, $argument)*
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

/// One by id.
pub async fn by_id(conn: &mut PgConnection, id: UsageHourId) -> Result<UsageHour, StoreError> {
    let row = usage_rows!(r#"WHERE id = $1"#, id as _)
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
    let rows = usage_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::uuid IS NULL OR agreement_id = $2)
              AND ($3::text IS NULL OR dimension = $3)
              AND ($4::uuid IS NULL OR connection_id = $4)
              AND ($5::timestamptz IS NULL OR hour >= $5)
              AND ($6::timestamptz IS NULL OR hour < $6)
              AND ($7::text IS NULL OR state = $7)
              AND ($8::text IS NULL OR billing = $8)
              AND ($9::text IS NULL OR source = $9)
            ORDER BY id DESC
            LIMIT $10"#,
        before.map(UsageHourId::uuid),
        filter.agreement.map(AgreementId::uuid),
        filter.dimension,
        filter.connection.map(ConnectionId::uuid),
        filter.from,
        filter.to,
        filter.state.map(UsageState::as_str),
        filter.billing.map(Billing::as_str),
        filter.source.map(UsageSource::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(UsageHour::try_from).collect()
}

/// What stands in a line of the export.
#[derive(Debug, Clone)]
pub struct Line {
    /// The row's id.
    pub id: UsageHourId,
    /// The agreement.
    pub agreement: AgreementId,
    /// Its id at its source.
    pub reference: String,
    /// The plan's name, as the agreement pins it.
    pub plan: String,
    /// The account that bought.
    pub buyer: String,
    /// The account that used: the connection's owner, or the one that was reported.
    pub account: Option<String>,
    /// The endpoint.
    pub endpoint: Option<String>,
    /// The dimension, by its key.
    pub dimension: String,
    /// What it counts.
    pub unit: String,
    /// When the hour begins.
    pub hour: DateTime<Utc>,
    /// Which part it is.
    pub part: i32,
    /// Where the figure comes from.
    pub source: String,
    /// Of endpoint-hours: the exact figure.
    pub seconds: Option<i32>,
    /// How much.
    pub quantity: String,
    /// What one costs.
    pub price: Option<String>,
    /// What it comes to.
    pub amount: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
    /// Whether it can be billed.
    pub billing: String,
    /// Whether it can still change.
    pub state: String,
    /// When it was sealed.
    pub sealed_at: Option<DateTime<Utc>>,
    /// Of a later part: why it is there.
    pub reason: Option<String>,
}

/// Lines of the export, in the order in which the rows were recorded, starting after `after`.
pub async fn export(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<UsageHourId>,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let rows = sqlx::query_as!(
        Line,
        r#"SELECT h.id AS "id: UsageHourId", h.agreement_id AS "agreement: AgreementId", a.reference,
                  coalesce((SELECT plan ->> 'name' FROM listing_revisions r, jsonb_array_elements(r.content -> 'plans') AS plan
                             WHERE r.listing_id = a.listing_id AND r.number = a.revision AND plan ->> 'id' = 'pln_' || replace(a.plan_id::text, '-', '')), '')
                      AS "plan!",
                  a.buyer_account AS buyer, coalesce(h.account_id, c.owner_account) AS account, c.endpoint_id AS "endpoint?", h.dimension, h.unit, h.hour, h.part,
                  h.source, h.seconds, h.quantity::text AS "quantity!", h.price::text, h.amount::text, h.currency, h.billing, h.state, h.sealed_at, h.reason
             FROM (SELECT * FROM usage_hours
                    WHERE ($1::uuid IS NULL OR id > $1)
                      AND ($2::uuid IS NULL OR agreement_id = $2)
                      AND ($3::text IS NULL OR dimension = $3)
                      AND ($4::uuid IS NULL OR connection_id = $4)
                      AND ($5::timestamptz IS NULL OR hour >= $5)
                      AND ($6::timestamptz IS NULL OR hour < $6)
                      AND ($7::text IS NULL OR state = $7)
                      AND ($8::text IS NULL OR billing = $8)
                      AND ($9::text IS NULL OR source = $9)
                    ORDER BY id
                    LIMIT $10) AS h
             JOIN agreements a ON a.id = h.agreement_id
             LEFT JOIN connections c ON c.id = h.connection_id
            ORDER BY h.id"#,
        after.map(UsageHourId::uuid),
        filter.agreement.map(AgreementId::uuid),
        filter.dimension,
        filter.connection.map(ConnectionId::uuid),
        filter.from,
        filter.to,
        filter.state.map(UsageState::as_str),
        filter.billing.map(Billing::as_str),
        filter.source.map(UsageSource::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
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
