//! Writing the ledger of use. Rows are added and, while they are open, filled; a trigger refuses all else.

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AgreementId, ConnectionId, UsageHourId, uuid_at};
use crate::domain::usage::{Billing, Quantity, UsageState};

const TABLE: &str = "usage_hours";

/// A row of endpoint-hours, as it was counted before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedRow {
    /// Its id.
    pub id: UsageHourId,
    /// Of which dimension.
    pub dimension: String,
    /// Over which connection.
    pub connection: ConnectionId,
    /// When the hour begins.
    pub hour: DateTime<Utc>,
    /// Whether it can be billed.
    pub billing: Billing,
    /// Which part it is.
    pub part: i32,
    /// The seconds.
    pub seconds: i32,
    /// Whether it can still change.
    pub open: bool,
}

/// The endpoint-hours of an agreement that are on record for some hours, part by part.
pub async fn counted(
    conn: &mut PgConnection,
    agreement: AgreementId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<CountedRow>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: UsageHourId", dimension, connection_id AS "connection!: ConnectionId", hour, billing, part, seconds AS "seconds!", state = 'open' AS "open!"
             FROM usage_hours
            WHERE agreement_id = $1 AND hour >= $2 AND hour < $3 AND source = 'endpoint_hours'
            ORDER BY hour, dimension, connection_id, billing, part"#,
        agreement as _,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let billing = row.billing.parse();
            Ok(CountedRow {
                id: row.id,
                dimension: row.dimension,
                connection: row.connection,
                hour: row.hour,
                billing: billing.map_err(|e| StoreError::inconsistent(TABLE, row.id, e))?,
                part: row.part,
                seconds: row.seconds,
                open: row.open,
            })
        })
        .collect()
}

/// What a dimension counts and costs, as an agreement pins it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// The dimension, by its key.
    pub dimension: String,
    /// What it counts.
    pub unit: &'static str,
    /// What one costs, as a decimal, and in which currency.
    pub price: Option<(String, &'static str)>,
}

/// A row of endpoint-hours that is new.
#[derive(Debug, Clone)]
pub struct NewRow {
    /// Over which connection.
    pub connection: ConnectionId,
    /// When the hour begins.
    pub hour: DateTime<Utc>,
    /// Whether it can be billed.
    pub billing: Billing,
    /// Which part it is.
    pub part: i32,
    /// The seconds.
    pub seconds: i32,
    /// Whether it is sealed at once.
    pub sealed: bool,
    /// Of a later part: why it is there.
    pub reason: Option<&'static str>,
}

/// Adds endpoint-hours of one dimension.
pub async fn add(
    conn: &mut PgConnection,
    agreement: AgreementId,
    tariff: &Tariff,
    rows: &[NewRow],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rows.iter().map(|_| uuid_at(at)).collect();
    let connections: Vec<Uuid> = rows.iter().map(|row| row.connection.uuid()).collect();
    let hours: Vec<DateTime<Utc>> = rows.iter().map(|row| row.hour).collect();
    let billings: Vec<&str> = rows.iter().map(|row| row.billing.as_str()).collect();
    let parts: Vec<i32> = rows.iter().map(|row| row.part).collect();
    let seconds: Vec<i32> = rows.iter().map(|row| row.seconds).collect();
    let sealed: Vec<bool> = rows.iter().map(|row| row.sealed).collect();
    let reasons: Vec<Option<&str>> = rows.iter().map(|row| row.reason).collect();
    sqlx::query!(
        "INSERT INTO usage_hours (id, agreement_id, dimension, unit, connection_id, hour, source, billing, part, seconds, quantity, price, currency, state, reason,
                                  recorded_at, sealed_at)
         SELECT u.id, $1, $2, $3, u.connection_id, u.hour, 'endpoint_hours', u.billing, u.part, u.seconds, round(u.seconds::numeric / 3600, 8), $4::text::numeric, $5,
                CASE WHEN u.sealed THEN 'sealed' ELSE 'open' END, u.reason, $6::timestamptz, CASE WHEN u.sealed THEN $6::timestamptz END
           FROM unnest($7::uuid[], $8::uuid[], $9::timestamptz[], $10::text[], $11::int[], $12::int[], $13::bool[], $14::text[])
                AS u (id, connection_id, hour, billing, part, seconds, sealed, reason)",
        agreement as _,
        tariff.dimension,
        tariff.unit,
        tariff.price.as_ref().map(|(price, _)| price.as_str()),
        tariff.price.as_ref().map(|(_, currency)| *currency),
        at,
        &ids,
        &connections,
        &hours,
        &billings as &[&str],
        &parts,
        &seconds,
        &sealed,
        &reasons as &[Option<&str>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What an open row is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// Which row.
    pub id: UsageHourId,
    /// When its hour begins.
    pub hour: DateTime<Utc>,
    /// The seconds.
    pub seconds: i32,
    /// Whether it is sealed with that.
    pub sealed: bool,
}

/// Fills open rows.
pub async fn fill(
    conn: &mut PgConnection,
    rows: &[Filled],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id.uuid()).collect();
    let hours: Vec<DateTime<Utc>> = rows.iter().map(|row| row.hour).collect();
    let seconds: Vec<i32> = rows.iter().map(|row| row.seconds).collect();
    let sealed: Vec<bool> = rows.iter().map(|row| row.sealed).collect();
    // Their months, and no others, are looked at.
    let (Some(first), Some(last)) = (hours.iter().min(), hours.iter().max()) else {
        return Ok(());
    };
    sqlx::query!(
        "UPDATE usage_hours AS h
            SET seconds = u.seconds, quantity = round(u.seconds::numeric / 3600, 8), state = CASE WHEN u.sealed THEN 'sealed' ELSE 'open' END,
                sealed_at = CASE WHEN u.sealed THEN $4::timestamptz END
           FROM unnest($1::uuid[], $2::int[], $3::bool[], $5::timestamptz[]) AS u (id, seconds, sealed, hour)
          WHERE h.id = u.id AND h.hour = u.hour AND h.hour >= $6 AND h.hour <= $7",
        &ids,
        &seconds,
        &sealed,
        at,
        &hours,
        first,
        last,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether an agreement has endpoint-hours that can still change, and of which hour the oldest are. All before `sealed` cannot.
pub async fn oldest_open(
    conn: &mut PgConnection,
    agreement: AgreementId,
    sealed: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest = sqlx::query_scalar!(
        "SELECT min(hour) FROM usage_hours
          WHERE agreement_id = $1 AND state = 'open' AND source = 'endpoint_hours' AND hour >= coalesce($2, '-infinity'::timestamptz)",
        agreement as _,
        sealed,
    )
    .fetch_one(conn)
    .await?;
    Ok(oldest)
}

/// Seals what was reported of hours that began before a time, and of agreements that are over. Answers how many rows that were.
pub async fn seal_reported(
    conn: &mut PgConnection,
    begun_before: DateTime<Utc>,
    at: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE usage_hours SET state = 'sealed', sealed_at = $2
          WHERE (id, hour) IN (SELECT h.id, h.hour FROM usage_hours h JOIN agreements a ON a.id = h.agreement_id
                        WHERE h.state = 'open' AND h.source = 'reported'
                          AND (h.hour <= $1 OR (h.billing = 'billable' AND a.state IN ('grace', 'ended')))
                        ORDER BY h.id LIMIT $3 FOR UPDATE OF h SKIP LOCKED)",
        begun_before,
        at,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// What is reported, and of what.
#[derive(Debug)]
pub struct Reported<'a> {
    /// Whose use it is.
    pub agreement: AgreementId,
    /// What its dimension counts and costs.
    pub tariff: &'a Tariff,
    /// Over which connection.
    pub connection: Option<ConnectionId>,
    /// By which account.
    pub account: Option<&'a AccountId>,
    /// When the hour begins.
    pub hour: DateTime<Utc>,
    /// Whether it can be billed.
    pub billing: Billing,
    /// How much.
    pub quantity: Quantity,
}

/// The parts that there are of what is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The last one.
    pub last: i32,
    /// The open one.
    pub open: Option<UsageHourId>,
    /// Whether they stay at zero or above with this.
    pub stays_positive: bool,
}

/// The parts of what is reported, the open one locked until the transaction ends. The caller has locked the agreement.
pub async fn parts(conn: &mut PgConnection, of: &Reported<'_>) -> Result<Parts, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: UsageHourId", part, state = 'open' AS "open!", sum(quantity) OVER () + $7::text::numeric >= 0 AS "positive!"
             FROM (SELECT id, part, state, quantity FROM usage_hours
                    WHERE agreement_id = $1 AND dimension = $2 AND connection_id IS NOT DISTINCT FROM $3 AND account_id IS NOT DISTINCT FROM $4
                      AND hour = $5 AND billing = $6
                      FOR UPDATE) AS parts
            ORDER BY part"#,
        of.agreement as _,
        of.tariff.dimension,
        of.connection.map(ConnectionId::uuid),
        of.account.map(AccountId::as_str),
        of.hour,
        of.billing.as_str(),
        of.quantity.to_string(),
    )
    .fetch_all(conn)
    .await?;
    let none = !of.quantity.is_negative();
    Ok(Parts {
        last: rows.last().map_or(0, |row| row.part),
        open: rows.iter().find(|row| row.open).map(|row| row.id),
        stays_positive: rows.first().map_or(none, |row| row.positive),
    })
}

/// Adds what is reported to an open row.
pub async fn add_to(
    conn: &mut PgConnection,
    row: UsageHourId,
    hour: DateTime<Utc>,
    quantity: Quantity,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE usage_hours SET quantity = quantity + $2::text::numeric WHERE id = $1 AND hour = $3",
        row as _,
        quantity.to_string(),
        hour,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a row of what is reported: open, or with a reason why it comes late.
pub async fn add_reported(
    conn: &mut PgConnection,
    id: UsageHourId,
    of: &Reported<'_>,
    part: i32,
    late: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let state = if late.is_some() {
        UsageState::Sealed
    } else {
        UsageState::Open
    };
    sqlx::query!(
        "INSERT INTO usage_hours (id, agreement_id, dimension, unit, connection_id, account_id, hour, source, billing, part, quantity, price, currency, state, reason,
                                  recorded_at, sealed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'reported', $8, $9, $10::text::numeric, $11::text::numeric, $12, $13, $14, $15, $16)",
        id as _,
        of.agreement as _,
        of.tariff.dimension,
        of.tariff.unit,
        of.connection.map(ConnectionId::uuid),
        of.account.map(AccountId::as_str),
        of.hour,
        of.billing.as_str(),
        part,
        of.quantity.to_string(),
        of.tariff.price.as_ref().map(|(price, _)| price.as_str()),
        of.tariff.price.as_ref().map(|(_, currency)| *currency),
        state.as_str(),
        late,
        at,
        late.map(|_| at),
    )
    .execute(conn)
    .await?;
    Ok(())
}
