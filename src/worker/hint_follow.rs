//! Follows hints: looks at AWS where they point, and records what it shows, as a listing would.
//!
//! What hints arrived through does not matter here. They are read from the database, so a crash between any two steps repeats a look and
//! nothing else.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::listing::read_all;
use super::metrics::HintLabels;
use super::{PassError, Place};
use crate::domain::follow::{
    FollowOutcome, Looked, Reads, Target, Verdict, Waiting, judge, target,
};
use crate::store::observed::Recorded;
use crate::store::{StoreError, account_regions, hints};

/// How many hints one pass takes up.
const PASS: i64 = 500;
/// How long a followed hint is kept, so that a repeat of its message is known as one.
const KEPT: TimeDelta = TimeDelta::days(3);
/// How many old hints are forgotten at a time.
const PRUNED: i64 = 5_000;

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Hints that were due.
    pub due: usize,
    /// Hints that are followed now, whatever they came to.
    pub followed: usize,
    /// Calls that were made (more where AWS pages).
    pub calls: usize,
    /// What was recorded of what AWS showed.
    pub recorded: Recorded,
    /// When the next hint is due.
    pub next_due: Option<DateTime<Utc>>,
}

/// Follows the hints that are due now.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let (account_region, now) = (place.lease.account_region, place.now());
    let due = place
        .read(async |conn| hints::due(conn, account_region, now, PASS).await)
        .await?;
    let mut report = Report {
        due: due.len(),
        ..Report::default()
    };
    if !due.is_empty() {
        follow(place, &due, &mut report).await?;
    }
    prune(place).await?;
    report.next_due = place
        .read(async |conn| hints::next_due(conn, account_region).await)
        .await?;
    Ok(report)
}

async fn follow(place: &Place, due: &[Waiting], report: &mut Report) -> Result<(), PassError> {
    let account_region = place.lease.account_region;
    let known = place
        .read(async |conn| hints::known(conn, account_region, due).await)
        .await?;
    let listing = place
        .read(async |conn| account_regions::by_id(conn, account_region).await)
        .await?
        .and_then(|row| row.listing);
    let targets: Vec<Target> = due.iter().map(|hint| target(&hint.named, &known)).collect();
    let mut reads = Reads::default();
    for target in &targets {
        reads.add(target);
    }
    let mut looked = Looked {
        listed_at: listing.map(|listing| listing.at),
        ..Looked::default()
    };
    look(place, reads, &mut looked, report).await?;

    let now = place.now();
    let mut ends = Ends::default();
    for (hint, target) in due.iter().zip(&targets) {
        let (verdict, shown) = judge(hint, target, &looked, now);
        ends.add(hint, verdict, shown);
    }
    report.followed = ends.followed();
    ends.record(place, now).await?;
    if ends.wants_listing {
        place.hints.ask_for_listing(listing, now);
    }
    for received_at in ends.first_seen {
        let took = (now - received_at).to_std().unwrap_or(Duration::ZERO);
        place
            .shared
            .metrics
            .hint_seconds
            .observe(took.as_secs_f64());
    }
    if report.recorded.new + report.recorded.changed > 0 {
        // What was seen may have made a sync due.
        place.shared.nudge.wake();
        tracing::info!(
            hints = due.len(),
            new = report.recorded.new,
            changed = report.recorded.changed,
            "hints led to changes"
        );
    }
    Ok(())
}

/// Makes the reads that may be made now. A service that was not read whole is left to a listing.
async fn look(
    place: &Place,
    reads: Reads,
    looked: &mut Looked,
    report: &mut Report,
) -> Result<(), PassError> {
    let mut skipped = Vec::new();
    for (service, filter) in reads.filters() {
        if !place.hints.may_read() {
            skipped.push(service);
            continue;
        }
        report.calls += 1;
        let shown = &mut looked.shown;
        let mut pages = 0;
        let read = read_all(place, &filter, |page| {
            pages += 1;
            shown.extend(
                page.iter()
                    .map(|c| (c.endpoint_id.clone(), c.state.clone())),
            );
        })
        .await?;
        place.hints.read_took(pages);
        report.recorded += read.recorded;
        looked.services.insert(service);
    }
    for service in skipped {
        looked.services.remove(&service);
    }
    Ok(())
}

/// How the hints of a pass end, sorted by what has to be written.
#[derive(Default)]
struct Ends {
    done: Vec<(FollowOutcome, Vec<Uuid>)>,
    seen: Vec<Uuid>,
    /// When those arrived of which AWS showed everything for the first time.
    first_seen: Vec<DateTime<Utc>>,
    put_off: (Vec<Uuid>, Vec<DateTime<Utc>>, Vec<bool>),
    wants_listing: bool,
}

impl Ends {
    fn add(&mut self, hint: &Waiting, verdict: Verdict, shown: bool) {
        if shown && !hint.seen {
            self.seen.push(hint.id);
            self.first_seen.push(hint.received_at);
        }
        let (due_at, looked) = match verdict {
            Verdict::Done(outcome) => {
                match self.done.iter_mut().find(|(of, _)| *of == outcome) {
                    Some((_, ids)) => ids.push(hint.id),
                    None => self.done.push((outcome, vec![hint.id])),
                }
                return;
            }
            Verdict::Again(due_at) => (due_at, true),
            Verdict::List(due_at) => {
                self.wants_listing = true;
                (due_at, false)
            }
        };
        self.put_off.0.push(hint.id);
        self.put_off.1.push(due_at);
        self.put_off.2.push(looked);
    }

    fn followed(&self) -> usize {
        self.done.iter().map(|(_, ids)| ids.len()).sum()
    }

    async fn record(&self, place: &Place, now: DateTime<Utc>) -> Result<(), PassError> {
        let mut tx = place.begin().await?;
        if !self.seen.is_empty() {
            hints::mark_seen(&mut tx, &self.seen, now).await?;
        }
        for (outcome, ids) in &self.done {
            hints::mark_followed(&mut tx, ids, *outcome, now).await?;
        }
        let (ids, due_at, looked) = &self.put_off;
        if !ids.is_empty() {
            hints::put_off(&mut tx, ids, due_at, looked).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        for (outcome, ids) in &self.done {
            let kind = outcome.as_str();
            let counted = place
                .shared
                .metrics
                .hints
                .get_or_create(&HintLabels { kind });
            counted.inc_by(ids.len() as u64);
        }
        Ok(())
    }
}

/// Forgets old hints, now and then.
async fn prune(place: &Place) -> Result<(), PassError> {
    let now = place.now();
    if !place.hints.prunes(now) {
        return Ok(());
    }
    let mut tx = place.begin().await?;
    hints::prune(&mut tx, place.lease.account_region, now - KEPT, PRUNED).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}
