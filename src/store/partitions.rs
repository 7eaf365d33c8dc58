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
