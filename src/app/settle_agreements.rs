//! Carries agreements out: principals follow them, connections are bound to whoever pays, and what has no right any more is cut when its grace is over.
//!
//! Nothing is remembered between passes but rows: each pass compares what should be with what is, so a pass that died at any line is made good by the next one.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::agreement_cuts::CutChanges;
use super::agreement_doors::Doors;
use super::agreement_grants::give_and_take;
use super::agreement_seats::seat;
use super::agreement_standing::{Steps, know, wake_accounts_of};
use super::{AppContext, AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, OverQuota, cuts};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementId, ListingId};
use crate::store::agreements::DueAgreement;
use crate::store::{StoreError, agreement_work, agreements, service_changes};

/// The most words of connections that one pass hears.
const MOST_WAKES: i64 = 2_000;
/// The most agreements of one pass; what is left is left to the next, which follows at once.
const MOST_DUE: i64 = 1_000;
/// The most agreements of one transaction.
const BATCH: usize = 100;
/// The most accounts of one transaction, unless one agreement alone has more.
const MOST_ACCOUNTS: i64 = 1_000;
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
    for (listing, ids) in batches(due) {
        match settle_some(ctx, listing, &ids).await {
            Ok(more) => {
                report.looked_at += ids.len();
                report.more |= more;
            }
            Err(_) => apart(ctx, listing, &ids, &mut report).await?,
        }
    }
    Ok(report)
}

/// Agreements of one listing together, as many as a transaction bears.
fn batches(due: Vec<DueAgreement>) -> Vec<(ListingId, Vec<AgreementId>)> {
    let mut all = Vec::new();
    let mut open: BTreeMap<ListingId, (i64, Vec<AgreementId>)> = BTreeMap::new();
    for one in due {
        let (accounts, ids) = open.entry(one.listing).or_default();
        if ids.len() == BATCH || (*accounts + one.accounts > MOST_ACCOUNTS && !ids.is_empty()) {
            all.push((one.listing, std::mem::take(ids)));
            *accounts = 0;
        }
        *accounts += one.accounts;
        ids.push(one.id);
    }
    let rest = open.into_iter().map(|(listing, (_, ids))| (listing, ids));
    all.extend(rest);
    all
}

/// One of them is to blame, and only that one shall wait. What it plans waits with it: it stays due.
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
                let now = ctx.clock.now();
                let mut tx = ctx.begin().await?;
                let failures = agreements::note_failure(&mut tx, *id, now).await?;
                ctx.commit(tx).await?;
                tracing::error!(agreement.id = %id, failures, error = ?error, "an agreement could not be carried out");
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
    let mut tx = ctx.pool.begin().await.map_err(StoreError::from)?;
    let done = settle_in(&mut tx, listing, ids, at).await;
    // Waited for in both cases: a transaction that is merely dropped ends a little later, and whoever looks at them one by one would find them locked by it.
    let ended = match &done {
        Ok(_) => tx.commit().await,
        Err(_) => tx.rollback().await,
    };
    let more = done?;
    ended.map_err(StoreError::from)?;
    Ok(more)
}

async fn settle_in(
    tx: &mut PgConnection,
    listing: ListingId,
    ids: &[AgreementId],
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    // Services come before agreements, so whether any has to be locked is found out by a look without locks.
    let peek = agreements::by_ids(tx, ids).await?;
    let known = know(tx, &peek).await?;
    let doors = Doors::of(tx, listing, &known, &peek, at).await?;
    let locked = doors.to_change();
    for service in &locked {
        service_changes::lock(tx, *service).await?;
    }
    let before = agreements::due_and_free(tx, ids, at).await?;
    if before.is_empty() {
        return Ok(false);
    }
    let known = know(tx, &before).await?;
    let mut rows = Vec::new();
    for one in &before {
        rows.push(known.now(one, at)?);
    }
    let actor = Actor::worker();
    let mut steps = Steps::of(&actor, at);
    for (before, after) in before.iter().zip(&rows) {
        steps.turn(before, after);
    }
    let doors = Doors::of(tx, listing, &known, &rows, at).await?;
    let (wishes, mut unmet) = doors.wishes(&locked);
    unmet.extend(give_and_take(tx, &actor, wishes, &mut steps, at).await?);
    let mut seats = seat(tx, &actor, &doors, &known, &rows, at).await?;
    let mut planned = agreement_work::planned(tx, ids).await?;
    let mut next = Vec::new();
    let mut changed = Vec::new();
    let mut more = seats.more;
    let mut plans = CutChanges::of(tx, &planned, std::mem::take(&mut seats.gone)).await?;
    for (before, mut after) in before.into_iter().zip(rows) {
        let there = planned.remove(&after.id).unwrap_or_default();
        let granted = known.granted(&after)?;
        let wanted = cuts(&after, seats.of(after.id), granted, &there, at);
        note_quota(&mut steps, &after, wanted.over_quota);
        after.over_quota = wanted.over_quota;
        let left = plans.add(&after, &wanted, &there);
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
    plans.carry_out(tx, &actor, &mut steps, at).await?;
    steps.write(tx).await?;
    agreements::put_off(tx, &next).await?;
    agreements::record(tx, &changed).await?;
    let changed: Vec<AgreementId> = changed.iter().map(|one| one.id).collect();
    wake_accounts_of(tx, &changed, at).await?;
    // Room that came free may be for somebody who is left behind elsewhere.
    agreement_work::wake_left_behind(tx, &seats.freed).await?;
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

/// Writes down that more is connected than an agreement grants, or no more.
fn note_quota(steps: &mut Steps<'_>, agreement: &Agreement, over: Option<OverQuota>) {
    let action = match (agreement.over_quota, over) {
        (None, Some(_)) => "agreement.over_quota",
        (Some(_), None) if agreement.state == AgreementState::Active => "agreement.within_quota",
        _ => return,
    };
    let said = over.map(|over| json!({ "since": over.since, "until": over.until }));
    steps.add(agreement.id, action, (None, said));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_has_no_more_than_it_bears() {
        let listings = [1, 2].map(|n| ListingId::from(uuid::Uuid::from_u128(n)));
        let due = (0..250_u128).map(|n| DueAgreement {
            id: uuid::Uuid::from_u128(n).into(),
            listing: listings[usize::from(n == 7)],
            accounts: if n < 20 { 300 } else { 1 },
        });
        let due: Vec<DueAgreement> = due.collect();
        let all = batches(due.clone());
        let mut seen: Vec<AgreementId> = all.iter().flat_map(|(_, ids)| ids.clone()).collect();
        seen.sort();
        assert_eq!(seen, due.iter().map(|one| one.id).collect::<Vec<_>>());
        for (listing, ids) in all {
            let of = |id: &AgreementId| due.iter().find(|one| one.id == *id).unwrap();
            assert!(ids.iter().all(|id| of(id).listing == listing));
            let accounts: i64 = ids.iter().map(|id| of(id).accounts).sum();
            assert!(ids.len() <= BATCH && accounts <= MOST_ACCOUNTS);
        }
    }
}
