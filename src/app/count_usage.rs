//! Counts the endpoint-hours of agreements into the ledger of use.
//!
//! What is counted is worked out anew from bindings and observations, and compared with what is on record: an open row gets what it lacks, a sealed hour that differs gets
//! a later part. So it makes no difference how often this is done, by how many replicas, or after which outage; hours that nobody looked at are filled in afterwards.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::agreement_standing::know;
use super::usage_tariffs::tariffs;
use super::{AppContext, AppError, PgConnection};
use crate::domain::ids::{AgreementId, ConnectionId, UsageHourId};
use crate::domain::listing::Dimension;
use crate::domain::usage::{Billing, Window, count, hour_of};
use crate::store::usage_hours::{CountedRow, Filled, NewRow, Tariff};
use crate::store::usage_marks::Mark;
use crate::store::{agreements, partitions, usage_facts, usage_hours, usage_marks};

/// How many hours before the first unsealed one are compared again whenever an hour is sealed: an observation may have been written late.
const LOOK_BACK: TimeDelta = TimeDelta::hours(24);
/// About how many rows are worked on in one transaction.
const MOST_ROWS: usize = 4_000;
/// The most hours that one transaction counts.
const MOST_HOURS: usize = 31 * 24;
/// How long an agreement that could not be counted is left alone.
const REST: TimeDelta = TimeDelta::minutes(1);
const HOUR: TimeDelta = TimeDelta::hours(1);
/// Why a sealed hour has another part.
const LATE: &str = "counted again: what is known of the hour changed after it was sealed";

/// How usage is counted.
#[derive(Debug, Clone, Copy)]
pub struct Counting {
    /// How long after its hour a row is sealed.
    pub seal_after: TimeDelta,
    /// How often open rows are counted again.
    pub every: TimeDelta,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Somebody else counts the agreement, or it was counted already.
    Nothing,
    /// It is counted up to now.
    Counted,
    /// There are more hours to count.
    More,
}

/// Agreements that are to be counted.
pub async fn due(ctx: &AppContext, limit: i64) -> Result<Vec<AgreementId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    Ok(usage_marks::due(conn, ctx.clock.now(), limit).await?)
}

/// Leaves an agreement that could not be counted for later.
pub async fn leave(ctx: &AppContext, id: AgreementId) -> Result<(), AppError> {
    let conn = &mut *ctx.acquire().await?;
    Ok(usage_marks::put_off(conn, id, ctx.clock.now() + REST).await?)
}

/// Seals what was reported of hours that are over. Answers whether there may be more.
pub async fn seal_reported(ctx: &AppContext, counting: Counting) -> Result<bool, AppError> {
    const BATCH: i64 = 1_000;
    let now = ctx.clock.now();
    let begun_before = now - HOUR - counting.seal_after;
    let conn = &mut *ctx.acquire().await?;
    let sealed = usage_hours::seal_reported(conn, begun_before, now, BATCH).await?;
    Ok(i64::try_from(sealed).is_ok_and(|count| count == BATCH))
}

/// Counts an agreement, up to so many hours of it.
#[tracing::instrument(skip_all, fields(agreement.id = %id))]
pub async fn count_agreement(
    ctx: &AppContext,
    id: AgreementId,
    counting: Counting,
) -> Result<Turn, AppError> {
    let now = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let Some(mut mark) = usage_marks::take(&mut tx, id, now).await? else {
        return Ok(Turn::Nothing);
    };
    let turn = match take_turn(&mut tx, &mut mark, counting, now).await? {
        Step::Taken(turn) => turn,
        Step::NoRoom { from } => {
            // Tables are not made with rows locked: whoever waits for the lock waits for their holder.
            drop(tx);
            let conn = &mut *ctx.acquire().await?;
            partitions::ensure_usage(conn, from, now).await?;
            return Ok(Turn::More);
        }
    };
    usage_marks::record(&mut tx, &mark).await?;
    // Nobody is to be woken for it.
    tx.commit().await?;
    Ok(turn)
}

/// What a turn came to, or what it lacks.
enum Step {
    Taken(Turn),
    /// A month that was long ago has no partition yet.
    NoRoom {
        from: DateTime<Utc>,
    },
}

async fn take_turn(
    conn: &mut PgConnection,
    mark: &mut Mark,
    counting: Counting,
    now: DateTime<Utc>,
) -> Result<Step, AppError> {
    let agreement = agreements::by_id(conn, mark.agreement).await?;
    let agreement = agreement.ok_or_else(|| AppError::internal("a mark has no agreement"))?;
    let known = know(conn, std::slice::from_ref(&agreement)).await?;
    let counted = |dimension: &Dimension| dimension.source.is_some();
    let tariffs = tariffs(conn, &known, &agreement, counted).await?;
    if tariffs.is_empty() {
        // What a plan counts never changes, so there is nothing to look at again.
        mark.recount_from = None;
        mark.due_at = None;
        return Ok(Step::Taken(Turn::Counted));
    }
    let pays_until = known.pays_until(agreement.id);
    let seal_until = hour_of(now - counting.seal_after);
    let from = begin(mark, pays_until, seal_until);
    let Some(from) = from.filter(|from| *from <= now) else {
        mark.pays_until = pays_until;
        mark.due_at = next(conn, mark, counting, now).await?;
        return Ok(Step::Taken(Turn::Counted));
    };
    // What was let go of is not counted again: nobody is to be billed twice for it.
    let (from, lacking) = partitions::usage_room(conn, from, now).await?;
    if lacking {
        return Ok(Step::NoRoom { from });
    }
    let bound = usage_facts::bound(conn, agreement.id, from).await?;
    let hours = (MOST_ROWS / bound.len().max(1) / tariffs.len()).clamp(1, MOST_HOURS);
    let hours = HOUR * i32::try_from(hours).unwrap_or(1);
    let until = (from + hours).min(hour_of(now) + HOUR);
    let window = Window {
        from,
        until,
        now,
        pays_until,
    };
    let connections: Vec<ConnectionId> = bound.keys().copied().collect();
    let seen = usage_facts::seen(conn, &connections, from, until.min(now)).await?;
    let mut known_now: Hours = BTreeMap::new();
    for (connection, bound) in &bound {
        let seen = seen.get(connection).map_or(&[][..], Vec::as_slice);
        for hour in count(agreement.id, bound, seen, window) {
            known_now.insert((hour.hour, *connection, hour.billing), hour.seconds);
        }
    }
    let ended = pays_until.is_some_and(|until| until <= now);
    let sealed = |hour: DateTime<Utc>, billing: Billing| {
        hour < seal_until || (ended && billing == Billing::Billable)
    };
    let on_record = usage_hours::counted(conn, agreement.id, from, until).await?;
    for tariff in &tariffs {
        let of = on_record.iter().filter(|r| r.dimension == tariff.dimension);
        write(conn, agreement.id, tariff, of, &known_now, sealed, now).await?;
    }
    let more = until < hour_of(now) + HOUR;
    mark.pays_until = pays_until;
    mark.sealed_until = mark.sealed_until.max(Some(until.min(seal_until).max(from)));
    mark.recount_from = more.then_some(until);
    mark.due_at = if more {
        Some(now)
    } else {
        next(conn, mark, counting, now).await?
    };
    let turn = if more { Turn::More } else { Turn::Counted };
    Ok(Step::Taken(turn))
}

/// The first hour to count: the first unsealed one, or an earlier one where something changed, or may have.
fn begin(
    mark: &Mark,
    pays_until: Option<DateTime<Utc>>,
    seal_until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let unsealed = mark.sealed_until.map(|first| {
        if first < seal_until {
            first - LOOK_BACK
        } else {
            first
        }
    });
    let moved = (mark.sealed_until.is_some() && mark.pays_until != pays_until).then(|| {
        let ends = [mark.pays_until, pays_until];
        ends.into_iter().flatten().min()
    });
    let changed = [mark.recount_from, moved.flatten()];
    let changed = changed.into_iter().flatten().min().map(hour_of);
    [unsealed, changed].into_iter().flatten().min()
}

/// When an agreement has to be counted again: while it pays for something, or something of it is open.
async fn next(
    conn: &mut PgConnection,
    mark: &Mark,
    counting: Counting,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, AppError> {
    let open = usage_hours::oldest_open(conn, mark.agreement, mark.sealed_until).await?;
    if open.is_none() && !usage_facts::is_paying(conn, mark.agreement).await? {
        return Ok(None);
    }
    let sealing = open.map(|hour| hour + HOUR + counting.seal_after);
    let regular = now + counting.every;
    let times = [sealing, mark.pays_until, Some(regular)];
    Ok(times.into_iter().flatten().filter(|at| *at > now).min())
}

/// What is known of the hours now, in seconds.
type Hours = BTreeMap<(DateTime<Utc>, ConnectionId, Billing), i32>;

/// What is on record of an hour.
#[derive(Default)]
struct Recorded {
    sealed: i32,
    last: i32,
    open: Option<UsageHourId>,
    open_seconds: i32,
}

async fn write<'a>(
    conn: &mut PgConnection,
    agreement: AgreementId,
    tariff: &Tariff,
    on_record: impl Iterator<Item = &'a CountedRow>,
    known: &Hours,
    sealed: impl Fn(DateTime<Utc>, Billing) -> bool,
    now: DateTime<Utc>,
) -> Result<(), AppError> {
    let mut hours: BTreeMap<(DateTime<Utc>, ConnectionId, Billing), Recorded> = BTreeMap::new();
    for row in on_record {
        let hour = hours
            .entry((row.hour, row.connection, row.billing))
            .or_default();
        hour.last = row.part;
        if row.open {
            hour.open = Some(row.id);
            hour.open_seconds = row.seconds;
        } else {
            hour.sealed += row.seconds;
        }
    }
    for key in known.keys() {
        hours.entry(*key).or_default();
    }
    let (mut new, mut filled) = (Vec::new(), Vec::new());
    for (key @ (hour, connection, billing), recorded) in hours {
        let seconds = known.get(&key).copied().unwrap_or_default() - recorded.sealed;
        let seal = sealed(hour, billing);
        match recorded.open {
            Some(id) if seal || seconds != recorded.open_seconds => {
                filled.push(Filled {
                    id,
                    hour,
                    seconds,
                    sealed: seal,
                });
            }
            None if recorded.last == 0 || seconds != 0 => new.push(NewRow {
                connection,
                hour,
                billing,
                part: recorded.last + 1,
                seconds,
                sealed: seal,
                reason: (recorded.last > 0).then_some(LATE),
            }),
            Some(_) | None => {}
        }
    }
    usage_hours::add(conn, agreement, tariff, &new, now).await?;
    usage_hours::fill(conn, &filled, now).await?;
    Ok(())
}
