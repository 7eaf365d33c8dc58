//! Where agreements stand: what all notices about them, their plans and their successors come to at a time.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{
    Agreement, Granted, Notice, Patience, Record, Standing, Terms, Told,
};
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementId, ListingId, PlanId};
use crate::domain::listing::{EndCause, Plan, Quotas};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{
    agreement_accounts, agreement_notices, agreement_work, agreements, judge_wakes,
    listing_revisions,
};

/// What has to be known of agreements to say where they stand and what they grant.
#[derive(Debug, Default)]
pub struct Known {
    records: HashMap<AgreementId, Record>,
    plans: HashMap<(ListingId, i64, PlanId), Plan>,
    /// Since when the first successor of each is in force, or will be.
    successors: HashMap<AgreementId, (AgreementId, DateTime<Utc>)>,
}

/// Reads what there is to know of these agreements.
pub async fn know(conn: &mut PgConnection, of: &[Agreement]) -> Result<Known, AppError> {
    let ids: Vec<AgreementId> = of.iter().map(|one| one.id).collect();
    let successors = agreements::heirs(conn, &ids).await?;
    let mut by_reference: HashMap<(AgreementSource, String), AgreementId> = HashMap::new();
    for one in of.iter().chain(&successors) {
        by_reference.insert((one.source, one.reference.clone()), one.id);
    }
    let references: Vec<_> = by_reference.keys().cloned().collect();
    let mut known = Known::default();
    for id in by_reference.values() {
        known.records.insert(*id, Record::default());
    }
    for heard in agreement_notices::of_many(conn, &references).await? {
        let id = by_reference.get(&(heard.source, heard.reference));
        if let Some(record) = id.and_then(|id| known.records.get_mut(id)) {
            record.hear(&heard.notice);
        }
    }
    let rows: HashMap<AgreementId, &Agreement> = of
        .iter()
        .chain(&successors)
        .map(|one| (one.id, one))
        .collect();
    let places: Vec<(AgreementId, &Agreement)> = successors
        .iter()
        .filter_map(|one| Some((known.place(one, &rows)?, one)))
        .collect();
    known.forsake(&places);
    for (place, one) in places {
        let record = known.records.get(&one.id);
        let Some(since) = record.and_then(|record| record.in_force_since(by_licence(one))) else {
            continue;
        };
        let first = known.successors.entry(place).or_insert((one.id, since));
        if since < first.1 {
            *first = (one.id, since);
        }
    }
    for one in of {
        let key = (one.listing, one.revision, one.plan);
        if known.plans.contains_key(&key) {
            continue;
        }
        let revision = listing_revisions::by_number(conn, one.listing, one.revision).await?;
        let plan = revision.and_then(|revision| revision.content.plan(one.plan).cloned());
        let plan = plan.ok_or_else(|| {
            AppError::internal("an agreement pins a plan that its revision has not")
        })?;
        known.plans.insert(key, plan);
    }
    Ok(known)
}

/// Whether the source licenses agreements by a notice of its own.
fn by_licence(agreement: &Agreement) -> bool {
    match agreement.source {
        AgreementSource::Aws => true,
        AgreementSource::Private => false,
    }
}

impl Known {
    /// Whose place one takes: before those that never came to be, that of the one before them. None where none of these is there.
    fn place(
        &self,
        of: &Agreement,
        rows: &HashMap<AgreementId, &Agreement>,
    ) -> Option<AgreementId> {
        let mut place = of.replaces?;
        while self.records.get(&place).is_some_and(Record::is_rolled_back) {
            place = rows.get(&place)?.replaces?;
        }
        Some(place)
    }

    /// Tells those of it whose successors, all of them, were rolled back or come when nobody waits for them any more.
    fn forsake(&mut self, successors: &[(AgreementId, &Agreement)]) {
        let (mut gone, mut there) = (HashSet::new(), HashSet::new());
        for (place, one) in successors {
            let record = self.records.get(&one.id);
            let begins = record.and_then(Record::terms).map(|terms| terms.starts_at);
            // What comes instead of one that never came to be has a time of its own, maybe a year later.
            let is_too_late = one.replaces != Some(*place)
                && begins
                    .zip(self.records.get(place))
                    .is_some_and(|(at, before)| before.is_waited_out(at));
            let is_gone = is_too_late || record.is_some_and(Record::is_rolled_back);
            let of = if is_gone { &mut gone } else { &mut there };
            of.insert(*place);
        }
        for id in gone.difference(&there) {
            if let Some(record) = self.records.get_mut(id) {
                record.forsake();
            }
        }
    }

    /// The plan that an agreement pins.
    pub fn plan(&self, of: &Agreement) -> Result<&Plan, AppError> {
        let plan = self.plans.get(&(of.listing, of.revision, of.plan));
        plan.ok_or_else(|| AppError::internal("the plan of an agreement was not read"))
    }

    /// Its terms, as they were told last.
    pub fn terms(&self, of: AgreementId) -> Option<&Terms> {
        self.records.get(&of)?.terms()
    }

    /// The one that takes its place, and since when that is in force or will be.
    pub fn successor(&self, of: AgreementId) -> Option<(AgreementId, DateTime<Utc>)> {
        self.successors.get(&of).copied()
    }

    /// Until when it pays for what is used; `None` where nothing ends it.
    pub fn pays_until(&self, of: AgreementId) -> Option<DateTime<Utc>> {
        let successor = self.successor(of).map(|(_, since)| since);
        self.records.get(&of)?.pays_until(successor)
    }

    /// How much it grants: its own terms first, then the plan.
    pub fn quotas(&self, of: &Agreement) -> Result<Quotas, AppError> {
        let plan = self.plan(of)?.quotas;
        let own = self.terms(of.id).map(|terms| terms.quotas);
        Ok(own.unwrap_or_default().or(plan))
    }

    /// How much it grants, in which Regions, and how long more than that may be connected.
    pub(super) fn granted(&self, of: &Agreement) -> Result<Granted<'_>, AppError> {
        let plan = self.plan(of)?;
        let grace = i64::try_from(plan.grace_seconds(EndCause::Cancelled)).unwrap_or_default();
        Ok(Granted {
            quotas: self.quotas(of)?,
            regions: plan.regions.as_ref(),
            grace: TimeDelta::seconds(grace),
        })
    }

    /// Where it stands.
    pub fn standing(&self, of: &Agreement, now: DateTime<Utc>) -> Result<Standing, AppError> {
        let record = self.record(of.id)?;
        let successor = self.successor(of.id).map(|(_, since)| since);
        self.ask(of, record, successor, now)
    }

    /// Everything that was told of it.
    pub fn record(&self, of: AgreementId) -> Result<&Record, AppError> {
        let record = self.records.get(&of);
        record.ok_or_else(|| AppError::internal("an agreement was not read"))
    }

    /// Where it would stand, by what was told and since another has its place.
    fn ask(
        &self,
        of: &Agreement,
        record: &Record,
        successor_since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Standing, AppError> {
        let plan = self.plan(of)?;
        let grace = |cause: EndCause| {
            let seconds = i64::try_from(plan.grace_seconds(cause)).unwrap_or(i64::MAX);
            TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX)
        };
        let patience = Patience {
            grace: &grace,
            by_licence: by_licence(of),
            successor_since,
        };
        Ok(record.standing(patience, now))
    }

    /// Whether one that begins at a time would take its place without a cut.
    pub fn goes_over(
        &self,
        of: &Agreement,
        begins: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, AppError> {
        let mut record = self.record(of.id)?.clone();
        record.hear(&Notice {
            id: String::new(),
            at: begins,
            told: Told::Replaced,
        });
        let standing = self.ask(of, &record, Some(begins), begins.max(now))?;
        Ok(standing.state == AgreementState::Superseded)
    }

    /// The one that is to take its place without a cut, and since when, that other terms would keep from doing so.
    pub fn cut_by(
        &self,
        of: &Agreement,
        terms: &Terms,
        now: DateTime<Utc>,
    ) -> Result<Option<(AgreementId, DateTime<Utc>)>, AppError> {
        let Some((next, begins)) = self.successor(of.id) else {
            return Ok(None);
        };
        let before = self.record(of.id)?;
        let mut after = before.clone();
        after.hear(&Notice {
            id: String::new(),
            at: before.next_word(now),
            told: Told::Made(terms.clone()),
        });
        let goes_over = |record: &Record| {
            let standing = self.ask(of, record, Some(begins), begins.max(now));
            standing.map(|standing| standing.state == AgreementState::Superseded)
        };
        let is_cut = goes_over(before)? && !goes_over(&after)?;
        Ok(is_cut.then_some((next, begins)))
    }

    /// How it will stand, and from when on, if nothing further is told.
    pub fn outlook(
        &self,
        of: &Agreement,
        now: DateTime<Utc>,
    ) -> Result<Vec<(DateTime<Utc>, Standing)>, AppError> {
        let mut last = self.standing(of, now)?;
        let mut turns = Vec::new();
        while let Some(at) = last.until {
            let next = self.standing(of, at)?;
            if next.state != last.state {
                turns.push((at, next.clone()));
            }
            last = next;
        }
        Ok(turns)
    }

    /// The agreement as it stands now.
    pub fn now(&self, of: &Agreement, now: DateTime<Utc>) -> Result<Agreement, AppError> {
        let standing = self.standing(of, now)?;
        let terms = self.terms(of.id);
        let mut after = of.clone();
        if after.state != standing.state {
            after.stood_at = now;
        }
        after.state = standing.state;
        after.cause = standing.cause;
        after.grace_until = standing.grace_until;
        after.succeeded_at = standing.succeeded_at;
        after.starts_at = terms.map(|terms| terms.starts_at);
        after.ends_at = terms.and_then(|terms| terms.ends_at);
        Ok(after)
    }
}

/// Says anew where agreements stand, once something was told of them or of whom they let in, and has the worker carry it out. Those whose place they take are looked at
/// as well. The caller has locked them. Answers them as they are now.
pub async fn stand(
    conn: &mut PgConnection,
    actor: &Actor,
    of: &[Agreement],
    at: DateTime<Utc>,
) -> Result<Vec<Agreement>, AppError> {
    let known = know(conn, of).await?;
    let mut rows = Vec::new();
    let mut steps = Steps::of(actor, at);
    for before in of {
        let mut after = known.now(before, at)?;
        // One that should have been looked at already keeps that time, so that timers go on waiting for it.
        after.due_at = Some(before.due_at.map_or(at, |due| due.min(at)));
        steps.turn(before, &after);
        rows.push(after);
    }
    steps.write(conn).await?;
    agreements::record(conn, &rows).await?;
    let ids: Vec<AgreementId> = rows.iter().map(|row| row.id).collect();
    wake_accounts_of(conn, &ids, at).await?;
    for row in &mut rows {
        row.version += 1;
    }
    Ok(rows)
}

/// Has everybody judged again who asks by these agreements, and others looked at by which they are still connected.
pub(super) async fn wake_accounts_of(
    conn: &mut PgConnection,
    agreements: &[AgreementId],
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let attached = agreement_accounts::of_many(conn, agreements).await?;
    let accounts = attached.iter().map(|row| &row.account);
    judge_wakes::wake_accounts(conn, accounts, at).await?;
    Ok(agreement_work::wake_left_behind(conn, agreements).await?)
}

/// Steps of the timelines of agreements that one transaction takes, written together.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    actor: &'a Actor,
    at: DateTime<Utc>,
    entries: Vec<Entry<'a>>,
}

impl<'a> Steps<'a> {
    /// None so far.
    pub(super) fn of(actor: &'a Actor, at: DateTime<Utc>) -> Self {
        Self {
            actor,
            at,
            entries: Vec::new(),
        }
    }

    /// Adds one.
    pub(super) fn add(&mut self, id: AgreementId, action: &'static str, (before, after): Change) {
        self.entries.push(Entry {
            at: self.at,
            actor: self.actor,
            action,
            subject: Subject::Agreement(id),
            before,
            after,
            reason: None,
            decision: None,
        });
    }

    /// Adds that an agreement stands elsewhere, if it does.
    pub(super) fn turn(&mut self, before: &Agreement, after: &Agreement) {
        let said = |one: &Agreement| json!({ "state": one.state, "cause": one.cause, "grace_until": one.grace_until, "succeeded_at": one.succeeded_at });
        let (was, is) = (said(before), said(after));
        if was != is {
            self.add(after.id, "agreement.change_state", (Some(was), Some(is)));
        }
    }

    /// Writes them, in the order in which they were added.
    pub(super) async fn write(self, conn: &mut PgConnection) -> Result<(), AppError> {
        Ok(audit::record_many(conn, self.entries).await?)
    }
}

/// The part of an agreement that changed: as it was, and as it is.
pub(super) type Change = (Option<Value>, Option<Value>);

/// Writes an entry about an agreement: a step of its timeline.
pub(super) async fn note(
    conn: &mut PgConnection,
    actor: &Actor,
    id: AgreementId,
    action: &'static str,
    (before, after): Change,
    reason: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let entry = Entry {
        at,
        actor,
        action,
        subject: Subject::Agreement(id),
        before,
        after,
        reason,
        decision: None,
    };
    Ok(audit::record(conn, entry).await?)
}
