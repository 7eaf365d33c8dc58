//! Dry runs of policies: asking for one, and what the worker does of it, page by page. What is in force is tried by taking it away.
//!
//! Everything that a run has counted is written with the place where it goes on, and only by the one who runs it. So a runner that dies, or is taken for
//! dead, leaves a run that another goes on with, and nothing is counted twice.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::candidate::Candidate;
use super::code::Code;
use super::context::off_thread;
use super::gather_facts::LivePages;
use super::write_policy::{missing, settled, stamp};
use super::{AppContext, AppError, test_policy};
use crate::domain::actor::Actor;
use crate::domain::decision::{Case, Facts, Outcome};
use crate::domain::ids::{ConnectionId, DryRunId, EndpointServiceId, PolicyId};
use crate::domain::policy::PolicyState;
use crate::domain::policy_dry_run::{DryRunPlace, PolicyDryRun, Tally};
use crate::store::dry_runs::{self, Tried};
use crate::store::{PgConnection, StoreError, policies};

/// The most decisions that one run judges again.
pub const MOST_DECISIONS: i64 = 1_000_000;
/// How many cases are judged between two notes of how far a run is.
pub const PAGE: i64 = 1_000;
/// After what silence another runner takes a run over.
pub const SILENCE: Duration = Duration::from_mins(1);
/// How often a run is taken up before it counts as one that kills its runners.
const MOST_RUNS: i32 = 10;

/// Asks for a dry run over so many of the last decisions, and over what is live: of a candidate as if it were in force, or of what is in force as if it were
/// not.
#[tracing::instrument(skip_all, fields(policy.id = %id))]
pub async fn request(
    ctx: &AppContext,
    actor: &Actor,
    id: PolicyId,
    decisions: i64,
) -> Result<PolicyDryRun, AppError> {
    if !(0..=MOST_DECISIONS).contains(&decisions) {
        let detail = format!("decisions must be 0 to {MOST_DECISIONS}, not {decisions}");
        return Err(AppError::new(Code::InvalidRequest, detail).field("decisions"));
    }
    let mut tx = ctx.begin().await?;
    let policy = policies::locked(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let tried = Tried {
        policy: id,
        without_it: policy.state == PolicyState::Active,
        digest: &policy.digest,
    };
    if !tried.without_it {
        if !policy.state.is_candidate() {
            return Err(settled(&policy));
        }
        // Told now and not by a run that fails.
        Candidate::load(&mut tx, ctx, &policy).await?;
    }
    let at = ctx.clock.now();
    let (run, by) = (DryRunId::new(at), stamp(actor, at));
    match dry_runs::insert(&mut tx, run, tried, decisions, &by).await {
        Err(StoreError::Duplicate { constraint }) if constraint == "policy_dry_runs_one_open" => {
            let detail = "wait until it is done, or give the policy another text";
            return Err(AppError::new(Code::DryRunOpen, detail));
        }
        other => other?,
    }
    let made = dry_runs::by_id(&mut tx, id, run)
        .await?
        .ok_or_else(|| gone(run))?;
    ctx.commit(tx).await?;
    Ok(made)
}

pub(super) fn gone(id: DryRunId) -> AppError {
    AppError::new(
        Code::DryRunNotFound,
        format!("there is no dry run {id} of it"),
    )
}

/// A run in somebody's hands.
#[derive(Debug)]
pub struct Run {
    id: DryRunId,
    policy: PolicyId,
    runner: Uuid,
    requested_by: String,
    scope: Option<EndpointServiceId>,
    candidate: Arc<Candidate>,
    tally: Tally,
    place: DryRunPlace,
    live: LivePages,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A page is judged and there may be more.
    More,
    /// The run is over.
    Done,
    /// It is not this runner's any more: another has it, or it was given up.
    Lost,
}

/// Takes a run up, where one waits or its runner has died. One that cannot be run ends here.
pub async fn claim(ctx: &AppContext, runner: Uuid) -> Result<Option<Run>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let at = ctx.clock.now();
    while let Some(run) = dry_runs::claim(conn, runner, SILENCE, at).await? {
        match take_up(conn, ctx, runner, &run).await {
            Ok(taken) => return Ok(Some(taken)),
            Err(why) if why.code() == Code::PolicyInvalid || why.code() == Code::PolicySettled => {
                dry_runs::fail(conn, run.id, runner, why.detail(), at).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn take_up(
    conn: &mut PgConnection,
    ctx: &AppContext,
    runner: Uuid,
    run: &PolicyDryRun,
) -> Result<Run, AppError> {
    let over = |detail: &str| AppError::new(Code::PolicySettled, detail);
    if run.runs > MOST_RUNS {
        return Err(over("nobody who took it up came to its end"));
    }
    let policy = policies::by_id(conn, run.policy)
        .await?
        .ok_or_else(|| missing(run.policy))?;
    if policy.digest != run.digest {
        return Err(over("the policy got another text"));
    }
    let candidate = if run.without_it {
        Candidate::without(conn, ctx, &policy).await?
    } else {
        Candidate::load(conn, ctx, &policy).await?
    };
    // What was counted beside other sets says nothing about these.
    let goes_on = run.others.as_ref() == Some(&candidate.others);
    let (place, tally) = match run.place.clone().filter(|_| goes_on) {
        Some(place) => (place, run.tally.clone()),
        None => (DryRunPlace::first(run.decisions), Tally::default()),
    };
    let live = match &place {
        DryRunPlace::Decisions { .. } => LivePages::of(policy.service),
        DryRunPlace::Live { after } => LivePages::after(policy.service, after.clone()),
    };
    dry_runs::keep(conn, run.id, runner, &candidate.others, &place, &tally).await?;
    Ok(Run {
        id: run.id,
        policy: run.policy,
        runner,
        requested_by: run.requested.by.clone(),
        scope: policy.service,
        candidate: Arc::new(candidate),
        tally,
        place,
        live,
    })
}

impl Run {
    /// Judges the next page and notes how far the run is; ends it behind the last.
    #[tracing::instrument(skip_all, fields(dry_run.id = %self.id))]
    pub async fn step(&mut self, ctx: &AppContext) -> Result<Step, AppError> {
        let Some(next) = self.page(ctx).await? else {
            return self.finish(ctx).await;
        };
        self.place = next;
        let others = &self.candidate.others;
        let conn: &mut PgConnection = &mut *ctx.acquire().await?;
        let mine = dry_runs::keep(conn, self.id, self.runner, others, &self.place, &self.tally);
        Ok(if mine.await? { Step::More } else { Step::Lost })
    }

    /// Judges a page, and says where to go on; nowhere behind the last.
    async fn page(&mut self, ctx: &AppContext) -> Result<Option<DryRunPlace>, AppError> {
        match self.place.clone() {
            DryRunPlace::Decisions { before, left } => {
                let limit = left.min(PAGE);
                let page = {
                    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
                    dry_runs::decided(conn, self.scope, before, limit).await?
                };
                let last = page.last().map(|decided| decided.id);
                let read = i64::try_from(page.len()).unwrap_or(limit);
                let (cases, without) = of_decisions(page);
                self.tally.without_facts += without;
                self.judge(cases).await?;
                Ok(Some(match last {
                    Some(last) if left > read => DryRunPlace::Decisions {
                        before: Some(last),
                        left: left - read,
                    },
                    _ => DryRunPlace::Live { after: None },
                }))
            }
            DryRunPlace::Live { .. } => {
                let page = {
                    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
                    self.live.next(conn, PAGE, ctx.clock.now()).await?
                };
                let Some(page) = page else {
                    return Ok(None);
                };
                let case = |(id, facts): (ConnectionId, Facts)| Case {
                    id: id.to_string(),
                    facts,
                    outcome: Outcome::Accept,
                };
                self.judge(page.into_iter().map(case).collect()).await?;
                Ok(Some(DryRunPlace::Live {
                    after: self.live.place().cloned(),
                }))
            }
        }
    }

    async fn judge(&mut self, cases: Vec<Case>) -> Result<(), AppError> {
        let (candidate, mut run) = (self.candidate.clone(), std::mem::take(&mut self.tally.run));
        let judged = move || {
            for case in &cases {
                run.judge(&*candidate, case);
            }
            run
        };
        self.tally.run = off_thread(judged).await?;
        Ok(())
    }

    /// Ends the run; the policy is tested if that was what was missing. Whoever asked for the run is the actor.
    async fn finish(&self, ctx: &AppContext) -> Result<Step, AppError> {
        let mut tx = ctx.begin().await?;
        policies::locked(&mut tx, self.policy)
            .await?
            .ok_or_else(|| missing(self.policy))?;
        let at = ctx.clock.now();
        if !dry_runs::finish(&mut tx, self.id, self.runner, at).await? {
            return Ok(Step::Lost);
        }
        let actor = Actor::caller(self.requested_by.as_str(), None);
        test_policy::conclude(&mut tx, &actor, self.policy, at).await?;
        ctx.commit(tx).await?;
        Ok(Step::Done)
    }
}

/// Decisions that can be judged again, and how many cannot.
fn of_decisions(page: Vec<dry_runs::Decided>) -> (Vec<Case>, u64) {
    let (mut cases, mut without) = (Vec::with_capacity(page.len()), 0);
    for decided in page {
        match decided.facts.as_ref().map(Facts::from_json) {
            Some(Ok(facts)) => cases.push(Case {
                id: decided.id.to_string(),
                facts,
                outcome: decided.outcome,
            }),
            Some(Err(_)) | None => without += 1,
        }
    }
    (cases, without)
}
