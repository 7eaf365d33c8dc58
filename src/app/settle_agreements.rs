//! Carries agreements out: principals follow them, connections are bound to whoever pays, and what has no right any more is cut when its grace is over.
//!
//! Nothing is remembered between passes but rows: each pass compares what should be with what is, so a pass that died at any line is made good by the next one.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::agreement_cuts::carry_out_cuts;
use super::agreement_grants::{Doors, give_and_take, wishes};
use super::agreement_seats::seat;
use super::agreement_standing::{know, note, note_state};
use super::{AppContext, AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, Granted, OverQuota, cuts};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementId, ListingId};
use crate::domain::judgement::Wake;
use crate::domain::listing::EndCause;
use crate::store::{agreement_accounts, agreement_work, agreements, judge_wakes, service_changes};

/// The most words of connections that one pass hears.
const MOST_WAKES: i64 = 2_000;
/// The most agreements of one pass; what is left is left to the next, which follows at once.
const MOST_DUE: i64 = 1_000;
/// The most agreements of one transaction.
const BATCH: usize = 100;
/// After which time is tried again what could not be done yet: a service that is being drained, an account that is denied.
const AGAIN: TimeDelta = TimeDelta::minutes(5);

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Agreements that were looked at.
    pub looked_at: usize,
    /// Agreements that could not be looked at.
    pub failed: usize,
    /// Whether there is more to do.
    pub more: bool,
}

/// Looks at every agreement that is due, those of one listing together. One that cannot be looked at keeps none of the others waiting.
pub async fn settle(ctx: &AppContext) -> Result<Report, AppError> {
    let now = ctx.clock.now();
    {
        let conn: &mut PgConnection = &mut *ctx.acquire().await?;
        if agreement_work::is_at_rest(conn, now).await? {
            return Ok(Report::default());
        }
    }
    let mut tx = ctx.begin().await?;
    let words = agreement_work::take_wakes(&mut tx, now, MOST_WAKES).await?;
    ctx.commit(tx).await?;
    let due = {
        let conn: &mut PgConnection = &mut *ctx.acquire().await?;
        agreements::due(conn, now, MOST_DUE).await?
    };
    let mut report = Report {
        more: words >= MOST_WAKES || i64::try_from(due.len()).is_ok_and(|count| count >= MOST_DUE),
        ..Report::default()
    };
    let mut by_listing: BTreeMap<ListingId, Vec<AgreementId>> = BTreeMap::new();
    for (id, listing) in due {
        by_listing.entry(listing).or_default().push(id);
    }
    for (listing, ids) in by_listing {
        for ids in ids.chunks(BATCH) {
            match settle_some(ctx, listing, ids).await {
                Ok(more) => {
                    report.looked_at += ids.len();
                    report.more |= more;
                }
                Err(_) => apart(ctx, listing, ids, &mut report).await?,
            }
        }
    }
    Ok(report)
}

/// One of them is to blame, and only that one shall wait.
async fn apart(
    ctx: &AppContext,
    listing: ListingId,
    ids: &[AgreementId],
    report: &mut Report,
) -> Result<(), AppError> {
    for id in ids {
        match settle_some(ctx, listing, &[*id]).await {
            Ok(more) => {
                report.looked_at += 1;
                report.more |= more;
            }
            Err(error) => {
                tracing::error!(agreement.id = %id, error = ?error, "an agreement could not be carried out");
                // To the end of the queue, and due all the same: what it plans is not carried out before it was looked at.
                let now = ctx.clock.now();
                let mut tx = ctx.begin().await?;
                agreements::put_off(&mut tx, &[(*id, Some(now))]).await?;
                ctx.commit(tx).await?;
                report.failed += 1;
            }
        }
    }
    Ok(())
}

/// Looks at some agreements of one listing, in one transaction. Answers whether some are left to be looked at once more.
#[tracing::instrument(skip_all, fields(listing.id = %listing, agreements = ids.len()))]
async fn settle_some(
    ctx: &AppContext,
    listing: ListingId,
    ids: &[AgreementId],
) -> Result<bool, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    // Services come before agreements, so whether any has to be locked is found out by a look without locks.
    let peek = agreements::by_ids(&mut tx, ids).await?;
    let doors = Doors::of(&mut tx, listing, &peek, at).await?;
    for service in doors.to_change() {
        service_changes::lock(&mut tx, service).await?;
    }
    let locked = doors.to_change();
    let before = agreements::due_and_free(&mut tx, ids, at).await?;
    if before.is_empty() {
        return Ok(false);
    }
    let known = know(&mut tx, &before).await?;
    let mut rows = Vec::new();
    for one in &before {
        rows.push(known.now(one, at)?);
    }
    let actor = Actor::worker();
    for (before, after) in before.iter().zip(&rows) {
        note_state(&mut tx, &actor, before, after, at).await?;
    }
    let doors = Doors::of(&mut tx, listing, &rows, at).await?;
    let (wishes, mut unmet) = wishes(&doors, &locked);
    unmet.extend(give_and_take(&mut tx, &actor, wishes, at).await?);
    let seats = seat(&mut tx, &actor, &doors, &known, &rows, at).await?;
    let mut planned = agreement_work::planned(&mut tx, ids).await?;
    let mut next = Vec::new();
    let mut changed = Vec::new();
    let mut more = seats.more;
    for (before, mut after) in before.into_iter().zip(rows) {
        let grace = known.plan(&after)?.grace_seconds(EndCause::Cancelled);
        let grace = TimeDelta::seconds(i64::try_from(grace).unwrap_or_default());
        let quotas = known.quotas(&after)?;
        let there = planned.remove(&after.id).unwrap_or_default();
        let granted = Granted { quotas, grace };
        let wanted = cuts(&after, seats.of(after.id), granted, &there, at);
        note_quota(&mut tx, &actor, &after, wanted.over_quota, at).await?;
        after.over_quota = wanted.over_quota;
        let left = carry_out_cuts(&mut tx, ctx, &after, &wanted, there, at).await?;
        let again = unmet.contains(&after.id).then(|| at + AGAIN);
        let until = known.standing(&after, at)?.until;
        more |= left;
        after.due_at = if seats.more || left {
            Some(at)
        } else {
            until.into_iter().chain(again).min()
        };
        if is_same(&before, &after) {
            next.push((after.id, after.due_at));
        } else {
            changed.push(after);
        }
    }
    agreements::put_off(&mut tx, &next).await?;
    agreements::record(&mut tx, &changed).await?;
    wake(&mut tx, &changed, at).await?;
    ctx.commit(tx).await?;
    Ok(more)
}

fn is_same(before: &Agreement, after: &Agreement) -> bool {
    let of = |one: &Agreement| {
        (
            (one.state, one.cause, one.grace_until, one.succeeded_at),
            (one.starts_at, one.ends_at, one.over_quota),
        )
    };
    of(before) == of(after)
}

/// Has everybody judged again who asks by agreements that stand elsewhere now.
async fn wake(
    conn: &mut PgConnection,
    changed: &[Agreement],
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let ids: Vec<AgreementId> = changed.iter().map(|one| one.id).collect();
    for row in agreement_accounts::of_many(conn, &ids).await? {
        judge_wakes::wake(conn, &Wake::Account(row.account), at).await?;
    }
    Ok(())
}

/// Writes down that more is connected than an agreement grants, or no more.
async fn note_quota(
    conn: &mut PgConnection,
    actor: &Actor,
    agreement: &Agreement,
    over: Option<OverQuota>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let action = match (agreement.over_quota, over) {
        (None, Some(_)) => "agreement.over_quota",
        (Some(_), None) if agreement.state == AgreementState::Active => "agreement.within_quota",
        _ => return Ok(()),
    };
    let said = over.map(|over| json!({ "since": over.since, "until": over.until }));
    note(conn, actor, agreement.id, action, (None, said), None, at).await
}

/// Groups things by the agreement that they belong to.
pub(super) fn grouped<T>(
    all: impl IntoIterator<Item = (AgreementId, T)>,
) -> HashMap<AgreementId, Vec<T>> {
    let mut groups: HashMap<AgreementId, Vec<T>> = HashMap::new();
    for (id, one) in all {
        groups.entry(id).or_default().push(one);
    }
    groups
}
