//! Lets go of what has been kept for as long as it is to be kept: whole months of the tables that grow for ever.

use audit_chain::{Head, Retirement, SealingKey};
use chrono::{DateTime, Datelike as _, Months, NaiveDate, Utc};
use serde::Deserialize;

use super::{AppContext, AppError};
use crate::store::retention::{self, StoredRetirement};
use crate::store::{StoreError, audit_seals};

/// Use may be reported for 92 days, so the months of these are always kept.
const LEAST_USAGE_MONTHS: u32 = 4;
/// How many reports are deleted at once.
const REPORTS: i64 = 1_000;

/// For how many whole months rows are kept besides the month that is; 0 is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Audit entries. Their seals are kept for ever.
    pub audit_months: u32,
    /// Changes of state that AWS showed.
    pub observations_months: u32,
    /// Calls that told AWS of decisions.
    pub sync_attempts_months: u32,
    /// The feed of events.
    pub events_months: u32,
    /// The ledger of use, with what was reported.
    pub usage_months: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            audit_months: 0,
            observations_months: 0,
            sync_attempts_months: 0,
            events_months: 3,
            usage_months: 0,
        }
    }
}

impl Retention {
    /// What is wrong with it.
    pub fn problem(&self) -> Option<String> {
        let few = (1..LEAST_USAGE_MONTHS).contains(&self.usage_months);
        few.then(|| {
            format!("worker.retention.usage_months must be 0 or at least {LEAST_USAGE_MONTHS}")
        })
    }
}

/// The first moment that is kept; `None` where everything is.
fn kept_from(now: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    if months == 0 {
        return None;
    }
    let month = NaiveDate::from_ymd_opt(now.year(), now.month(), 1)?;
    let first = month.checked_sub_months(Months::new(months))?;
    Some(first.and_hms_opt(0, 0, 0)?.and_utc())
}

/// Lets go of whatever is old enough. Each table is a transaction of its own, which gives up rather than wait; the next pass tries again.
pub async fn retain(
    ctx: &AppContext,
    key: Option<&SealingKey>,
    retention: &Retention,
) -> Result<(), AppError> {
    let now = ctx.clock.now();
    for (table, months) in [
        ("observations", retention.observations_months),
        ("sync_attempts", retention.sync_attempts_months),
        ("events", retention.events_months),
        ("audit_entries", retention.audit_months),
        ("usage_hours", retention.usage_months),
    ] {
        if let Some(before) = kept_from(now, months) {
            let done = let_go(ctx, key, table, before).await;
            match done {
                // Somebody works with the table: later.
                Err(StoreError::Unavailable(error)) => {
                    tracing::info!(table, %error, "old months are let go of later");
                }
                Err(error) => return Err(error.into()),
                Ok(0) => {}
                Ok(months) => tracing::info!(table, months, %before, "old months were let go of"),
            }
        }
    }
    // Bit by bit: a month may have a million.
    let conn = &mut *ctx.acquire().await?;
    while retention::forget_reports(conn, REPORTS).await? > 0 {}
    Ok(())
}

async fn let_go(
    ctx: &AppContext,
    key: Option<&SealingKey>,
    table: &str,
    before: DateTime<Utc>,
) -> Result<i32, StoreError> {
    let mut tx = ctx.pool.begin().await?;
    if !retention::any_before(&mut tx, table, before).await? {
        tx.rollback().await?;
        return Ok(0);
    }
    retention::be_brief(&mut tx).await?;
    if table == "audit_entries" {
        // Nobody seals meanwhile, and everything that goes has its seal.
        if !audit_seals::lock(&mut tx).await? || retention::unsealed_before(&mut tx, before).await?
        {
            return Ok(0);
        }
        let Some(last) = audit_seals::last(&mut tx).await? else {
            return Ok(0);
        };
        let said = Retirement {
            before: before.timestamp_micros(),
            at: ctx.clock.now().timestamp_micros(),
            head: Head {
                number: last.seal.number,
                hash: last.hash,
            },
        };
        let hash = said.hash();
        let signature = key.map(|key| key.sign(&hash));
        let word = StoredRetirement {
            said,
            hash,
            signature,
        };
        retention::record(&mut tx, &word).await?;
    }
    if table == "usage_hours" {
        // What is not counted and sealed was not billed. A worker does that; then it may go.
        if retention::open_usage_before(&mut tx, before).await? {
            return Ok(0);
        }
        retention::move_usage_on(&mut tx, before).await?;
    }
    let dropped = retention::drop_before(&mut tx, table, before).await?;
    if table == "events" {
        retention::move_feed_on(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_months_are_kept() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-27T10:00:00Z");
        assert_eq!(kept_from(now, 0), None);
        assert_eq!(kept_from(now, 1), Some(at("2026-10-01T00:00:00Z")));
        assert_eq!(kept_from(now, 12), Some(at("2025-11-01T00:00:00Z")));
        let january = at("2026-01-01T00:00:00Z");
        assert_eq!(kept_from(january, 1), Some(at("2025-12-01T00:00:00Z")));
        assert_eq!(kept_from(now, u32::MAX), None);
    }
}
