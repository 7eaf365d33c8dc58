//! Month partitions of the tables that grow for ever.

use chrono::{DateTime, Utc};

use super::{PARTITIONED, PgConnection, StoreError};

/// Makes this month's and next month's partitions where they are missing.
pub async fn ensure(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<(), StoreError> {
    for table in PARTITIONED {
        sqlx::query!("SELECT ensure_month_partitions($1, $2)", table, at)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Makes the partitions of the ledger of use for the hours between two times, and one month more. What was let go of is not made again.
pub async fn ensure_usage(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!("SELECT ensure_usage_partitions($1, $2)", from, until)
        .execute(conn)
        .await?;
    Ok(())
}

/// From where on the hours since a time are kept in the ledger of use, and whether a month between there and another time has no partition.
pub async fn usage_room(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(DateTime<Utc>, bool), StoreError> {
    let row = sqlx::query!(
        r#"SELECT kept.from_hour AS "from_hour!",
                  EXISTS (SELECT FROM generate_series(date_trunc('month', kept.from_hour AT TIME ZONE 'UTC'), $2::timestamptz AT TIME ZONE 'UTC', interval '1 month')
                                      AS months (month)
                           WHERE to_regclass('usage_hours_' || to_char(month, 'YYYYMM')) IS NULL) AS "lacking!"
             FROM (SELECT greatest($1::timestamptz, from_hour) AS from_hour FROM usage_kept) AS kept"#,
        from,
        until,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.from_hour, row.lacking))
}
