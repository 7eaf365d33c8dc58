//! Carries a re-judgement out, one part at a time: each part is a transaction that holds the row, does the part and notes how far it came. So a crash after
//! any line loses nothing, and the next step, by whomever, goes on.
//!
//! A preview reads and counts. Applying judges every connection again, under the locks of a decision, and plans the revocation that the timers carry out.
//! Cancelling takes back what is still as it was planned.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::admission::Gate;
use super::context::off_thread;
use super::desk::{self, Note};
use super::gather_facts::{Gathered, LivePages, gather};
use super::give_access_for::shown;
use super::judge::sentences;
use super::policies::PolicySets;
use super::policy_shelf::{self, Set};
use super::rejudge::changed;
use super::tell_consumer::tell_consumer;
use super::{AppContext, AppError, consumer_gate};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::decision::{Decision, Facts, Outcome, decide};
use crate::domain::ids::{ConnectionId, EndpointServiceId, RejudgementId};
use crate::domain::lifecycle::{Notice, NoticeKind};
use crate::domain::rejudgement::{
    Found, KeptAs, LosingState, Rejudgement, RejudgementState, Scope,
};
use crate::domain::review_desk::{Desk, Planner, ReviewStep, ScheduledRevocation};
use crate::store::rejudged::{self, Unaccepted};
use crate::store::{
    PgConnection, connections, planned_revocations, rejudgement_steps, rejudgements, reviews,
};

/// The most connections that one step of a preview judges.
pub const PAGE: i64 = 500;
/// The most connections that one step plans a revocation for, or takes one back of.
pub const PART: i64 = 50;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A part is done and there may be more.
    More,
    /// There is nothing left to do, or somebody else is at it.
    Rest,
}

/// Does the next part of a re-judgement.
#[tracing::instrument(skip_all, fields(rejudgement.id = %id))]
pub async fn step(ctx: &AppContext, id: RejudgementId) -> Result<Progress, AppError> {
    let seen = {
        let conn: &mut PgConnection = &mut *ctx.acquire().await?;
        rejudgements::by_id(conn, id).await?
    };
    match seen.map(|seen| seen.state) {
        Some(RejudgementState::Previewing) => preview(ctx, id).await,
        Some(RejudgementState::Applying) => plan(ctx, id).await,
        Some(RejudgementState::Cancelling) => take_back(ctx, id).await,
        Some(
            RejudgementState::Previewed | RejudgementState::Applied | RejudgementState::Cancelled,
        )
        | None => Ok(Progress::Rest),
    }
}

/// Judges the next page. Nothing but the re-judgement is locked: what is told is what was true while it was read.
async fn preview(ctx: &AppContext, id: RejudgementId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some(row) = rejudgements::free(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    if row.state != RejudgementState::Previewing {
        return Ok(Progress::More);
    }
    let at = ctx.clock.now();
    let service = match row.scope {
        Scope::Service(service) => Some(service),
        Scope::Everything | Scope::Consumer(_) | Scope::Account(_) => None,
    };
    let accounts = rejudgements::accounts(&mut tx, &row.scope).await?;
    let mut pages = LivePages::after(service, row.place.clone()).of_accounts(accounts);
    let page = pages.next(&mut tx, PAGE, at).await?;
    let Some((cases, last)) = page.zip(pages.place()) else {
        if !rejudgement_steps::record_previewed(&mut tx, id, at).await? {
            return Err(changed());
        }
        ctx.commit(tx).await?;
        return Ok(Progress::Rest);
    };
    let decisions = judge(&mut tx, ctx, cases).await?;
    let mut counted = Found::default();
    let mut found = Vec::new();
    for (connection, decision) in &decisions {
        counted.judged += 1;
        let state = match decision.outcome {
            Outcome::Reject => {
                counted.losing += 1;
                LosingState::Found
            }
            Outcome::Hold => {
                counted.held += 1;
                LosingState::Held
            }
            Outcome::Accept => continue,
        };
        found.push(why(*connection, state, decision));
    }
    rejudged::insert(&mut tx, id, &found).await?;
    if !rejudgement_steps::record_judged(&mut tx, id, counted, last).await? {
        return Err(changed());
    }
    ctx.commit(tx).await?;
    Ok(Progress::More)
}

/// Has gates and policies decide about connections whose facts are known, where nobody else has to wait for it.
pub(super) async fn judge(
    conn: &mut PgConnection,
    ctx: &AppContext,
    cases: Vec<(ConnectionId, Facts)>,
) -> Result<Vec<(ConnectionId, Decision)>, AppError> {
    let services: BTreeSet<EndpointServiceId> =
        cases.iter().map(|(_, facts)| facts.service.id).collect();
    let services: Vec<EndpointServiceId> = services.into_iter().collect();
    let sets = policy_shelf::of_services(conn, ctx, &services).await?;
    off_thread(move || {
        let one = |(id, facts): (ConnectionId, Facts)| {
            let of_service = sets.get(&facts.service.id);
            let sets: Vec<&Set> = of_service
                .into_iter()
                .flatten()
                .map(AsRef::as_ref)
                .collect();
            (id, decide(&facts, &PolicySets(&sets)))
        };
        cases.into_iter().map(one).collect()
    })
    .await
}

fn why(connection: ConnectionId, state: LosingState, decision: &Decision) -> Unaccepted {
    let first = decision.reasons.first();
    Unaccepted {
        connection,
        state,
        code: first.map_or_else(String::new, |reason| reason.code.clone()),
        sentence: sentences(decision),
    }
}

/// Plans the next revocations; when there are none, it is applied.
async fn plan(ctx: &AppContext, id: RejudgementId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let mut ids = rejudged::found(&mut tx, id, PART).await?;
    // Accounts and consumers, services, the re-judgement, connections: in the order of all. Nobody is let in, so the leave to ask is not used.
    consumer_gate::lock_many(&mut tx, &ids, false).await?;
    let gates = Gate::of_many(&mut tx, &ids).await?;
    let Some(row) = rejudgements::free(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    if row.state != RejudgementState::Applying {
        return Ok(Progress::More);
    }
    let at = ctx.clock.now();
    // Somebody else may have done the part before the row was ours.
    let left = rejudged::found(&mut tx, id, PART).await?;
    if left.is_empty() {
        if !rejudgement_steps::record_carried_out(&mut tx, id, at).await? {
            return Err(changed());
        }
        ctx.commit(tx).await?;
        return Ok(Progress::Rest);
    }
    ids.retain(|one| left.contains(one));
    connections::lock_many(&mut tx, &ids).await?;
    let known = gather(&mut tx, &ids, at).await?;
    let decisions = judge(&mut tx, ctx, known.cases(&ids, at)).await?;
    let desks = reviews::of_many(&mut tx, &ids).await?;
    let part = Part {
        row: &row,
        gates,
        known,
        decisions: decisions.into_iter().collect(),
        desks,
        at,
    };
    let (mut planned, mut kept) = (0, 0);
    for connection in ids {
        match part.stays(connection) {
            Ok(why) => {
                part.plan(&mut tx, &why).await?;
                planned += 1;
            }
            Err(kept_as) => {
                if !rejudged::record_kept(&mut tx, id, connection, kept_as).await? {
                    return Err(changed());
                }
                kept += 1;
            }
        }
    }
    if !rejudgement_steps::record_planned(&mut tx, id, planned, kept).await? {
        return Err(changed());
    }
    ctx.commit(tx).await?;
    Ok(Progress::More)
}

/// What is known of the connections of one part, all of them locked.
struct Part<'a> {
    row: &'a Rejudgement,
    gates: HashMap<ConnectionId, Gate>,
    known: Gathered,
    decisions: HashMap<ConnectionId, Decision>,
    desks: HashMap<ConnectionId, Desk>,
    at: DateTime<Utc>,
}

impl Part<'_> {
    fn planned_before(&self, id: ConnectionId) -> Option<&ScheduledRevocation> {
        self.desks.get(&id)?.revocation.as_ref()
    }

    /// Why it loses its access, or why it does not.
    fn stays(&self, id: ConnectionId) -> Result<Unaccepted, KeptAs> {
        let ended = self.gates.get(&id).is_none_or(|gate| gate.has_ended());
        let Some(decision) = self.decisions.get(&id) else {
            return Err(KeptAs::NotLive);
        };
        if ended || !self.known.is_live(id) {
            return Err(KeptAs::NotLive);
        }
        if decision.outcome != Outcome::Reject {
            return Err(KeptAs::NotRejected);
        }
        Ok(why(id, LosingState::Planned, decision))
    }

    /// Plans a revocation as the one who applied would, beside what others planned, and tells the consumer.
    async fn plan(&self, conn: &mut PgConnection, why: &Unaccepted) -> Result<(), AppError> {
        let id = why.connection;
        let Some(applied) = &self.row.applied else {
            return Err(AppError::internal("nobody has applied it"));
        };
        let planned = self.row.revocation(applied, &why.sentence);
        if !planned_revocations::add(conn, id, &planned).await?
            || !rejudged::record_planned(conn, self.row.id, why).await?
        {
            return Err(changed());
        }
        let actor = person(&applied.said, applied.request_id.as_ref());
        let note = Note {
            actor: &actor,
            id,
            step: ReviewStep::RevocationScheduled,
            reason: Some(&planned.reason),
            before: self.planned_before(id).map(shown),
            details: Some(shown(&planned)),
            at: self.at,
        };
        desk::note(conn, note).await?;
        let notice = Notice {
            kind: NoticeKind::AccessEnding,
            since: applied.said.at,
            content: json!({ "rejudgement_id": self.row.id, "ends_at": applied.revoke_at, "code": why.code, "sentence": why.sentence }),
        };
        tell_consumer(conn, &actor, id, &notice, self.at).await
    }
}

/// Whoever gave the word, as the audit trail names them.
fn person(said: &Said, request: Option<&String>) -> Actor {
    Actor::caller(said.by.as_str(), request.cloned())
}

/// Takes the next planned revocations back; when there are none, it is over.
async fn take_back(ctx: &AppContext, id: RejudgementId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some(row) = rejudgements::free(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    let Some(cancelled) = row
        .cancelled
        .as_ref()
        .filter(|_| row.state == RejudgementState::Cancelling)
    else {
        return Ok(Progress::More);
    };
    let at = ctx.clock.now();
    let next = rejudged::planned(&mut tx, id, cancelled.after, PART).await?;
    let Some(last) = next.last() else {
        if !rejudgement_steps::record_ended(&mut tx, id, at).await? {
            return Err(changed());
        }
        ctx.commit(tx).await?;
        return Ok(Progress::Rest);
    };
    connections::lock_many(&mut tx, &next).await?;
    let actor = person(&cancelled.said, cancelled.request_id.as_ref());
    let mut taken_back = 0;
    for connection in &next {
        // What was carried out is not there any more, nor is what somebody gave up.
        let own = Planner::Rejudgement(id);
        let planned = planned_revocations::take_back(&mut tx, *connection, own).await?;
        let Some(planned) = planned else {
            continue;
        };
        if !rejudged::record_taken_back(&mut tx, id, *connection).await? {
            return Err(changed());
        }
        let note = Note {
            actor: &actor,
            id: *connection,
            step: ReviewStep::RevocationCancelled,
            reason: Some(&cancelled.said.reason),
            before: Some(shown(&planned)),
            details: None,
            at,
        };
        desk::note(&mut tx, note).await?;
        let notice = Notice {
            kind: NoticeKind::AccessEndingCancelled,
            since: cancelled.said.at,
            content: json!({ "rejudgement_id": id, "ends_at": planned.at }),
        };
        tell_consumer(&mut tx, &actor, *connection, &notice, at).await?;
        taken_back += 1;
    }
    if !rejudgement_steps::record_taken_back(&mut tx, id, taken_back, *last).await? {
        return Err(changed());
    }
    ctx.commit(tx).await?;
    Ok(Progress::More)
}
