//! Puts policies in force. What is put in force was tried before, as it will decide, and cuts off no more than was said.

use serde_json::{Value, json};

use super::ask_again::ask_again;
use super::candidate::Candidate;
use super::code::Code;
use super::context::off_thread;
use super::decide_connection::LONGEST_REASON;
use super::preconditions::ExpectedVersion;
use super::write_policy::{again, candidate};
use super::{AppContext, AppError, test_policy, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::{PolicyId, RejudgementId};
use crate::domain::judgement::Wake;
use crate::domain::policy::{Others, Policy, PolicyState};
use crate::domain::policy_dry_run::PolicyDryRun;
use crate::domain::rejudgement::Scope;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, dry_runs, judge_wakes, policies, policy_steps};

/// A policy that was put in force or taken out of it.
#[derive(Debug)]
pub struct ForceChange {
    /// The policy as it stands now.
    pub policy: Policy,
    /// The preview of which live connections would lose their access now. Nothing happens until somebody applies it.
    pub rejudgement: RejudgementId,
}

/// Puts a tested policy in force, in the place of the one of its scope that is.
///
/// `confirmed` is the number of live connections that the caller knows would lose access.
#[tracing::instrument(skip_all, fields(policy.id = %id))]
pub async fn activate(
    ctx: &AppContext,
    actor: &Actor,
    id: PolicyId,
    version: ExpectedVersion,
    confirmed: Option<u64>,
    reason: &str,
) -> Result<ForceChange, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    // First, so that what is in force beside it stays so until the commit.
    policy_steps::lock_force(&mut tx).await?;
    let policy = candidate(&mut tx, id).await?;
    version.check(policy.version, Code::PolicyChanged)?;
    let run = dry_runs::newest_done(&mut tx, id, false).await?;
    let run = refuse_untested(&policy, run)?;
    let loaded = Candidate::load(&mut tx, ctx, &policy).await?;
    refuse_outdated(ctx, &run, &loaded.others)?;
    refuse_cutting(ctx, &run, confirmed)?;
    refuse_failing(&policy, loaded).await?;

    let said = Said {
        at: ctx.clock.now(),
        by: actor.name.clone(),
        reason,
    };
    let old = policies::locked_active_of(&mut tx, policy.service).await?;
    if let Some(old) = &old {
        end(&mut tx, actor, old, &said, Some(id), json!({})).await?;
    }
    policy_steps::record_activated(&mut tx, id, &said).await?;
    let rejudgement = follow(&mut tx, ctx, actor, &policy, &said, "activated").await?;
    let entry = Entry {
        at: said.at,
        actor,
        action: "policy.activate",
        subject: Subject::Policy(id),
        before: Some(json!({ "state": policy.state })),
        after: Some(json!({
            "state": PolicyState::Active, "service_id": policy.service, "digest": policy.digest, "dry_run_id": run.id,
            "losing_access": run.tally.run.losing_access, "confirmed": confirmed, "supersedes": old.map(|old| old.id),
            "rejudgement_id": rejudgement,
        })),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let policy = again(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(ForceChange {
        policy,
        rejudgement,
    })
}

/// Ends an active policy, with its audit entry, in which `why` says what spoke for it.
pub(super) async fn end(
    conn: &mut PgConnection,
    actor: &Actor,
    old: &Policy,
    said: &Said,
    successor: Option<PolicyId>,
    why: Value,
) -> Result<(), AppError> {
    let state = PolicyState::Superseded;
    policy_steps::record_ended(conn, old.id, state, said, successor).await?;
    // What would be without it is what is.
    dry_runs::give_up(conn, old.id, "the policy is not in force any more", said.at).await?;
    let mut after = why;
    after["state"] = json!(state);
    after["superseded_by"] = json!(successor);
    let entry = Entry {
        at: said.at,
        actor,
        action: if successor.is_some() {
            "policy.supersede"
        } else {
            "policy.deactivate"
        },
        subject: Subject::Policy(old.id),
        before: Some(json!({ "state": old.state })),
        after: Some(after),
        reason: Some(&said.reason),
        decision: None,
    };
    Ok(audit::record(conn, entry).await?)
}

/// Has what the policy concerns judged again: requests by the judge, and what is live as a preview, by which nothing is cut off.
///
/// It comes last of what is locked: the service is shared, and re-judgements are locked. Nobody who has those waits for what is in force.
pub(super) async fn follow(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    policy: &Policy,
    said: &Said,
    became: &str,
) -> Result<RejudgementId, AppError> {
    let (wake, scope) = match policy.service {
        Some(service) => (Wake::Service(service), Scope::Service(service)),
        None => (Wake::All, Scope::Everything),
    };
    judge_wakes::wake(conn, &wake, said.at).await?;
    let why = format!("policy {} was {became}: {}", policy.id, said.reason);
    ask_again(conn, ctx, actor, &scope, &why).await
}

fn refuse_untested(policy: &Policy, run: Option<PolicyDryRun>) -> Result<PolicyDryRun, AppError> {
    let run = run.filter(|run| run.digest == policy.digest);
    match run {
        Some(run) if policy.state == PolicyState::Tested => Ok(run),
        run => {
            let detail = match (run, policy.passed_at) {
                (None, None) => {
                    "its cases have to come out as expected, and a dry run of this text has to be done"
                }
                (None, Some(_)) => "a dry run of this text has to be done",
                (Some(_), _) => "its cases have to come out as expected",
            };
            Err(AppError::new(Code::PolicyNotTested, detail))
        }
    }
}

/// Refuses by a dry run that does not say what would happen now.
pub(super) fn refuse_outdated(
    ctx: &AppContext,
    run: &PolicyDryRun,
    others: &Others,
) -> Result<(), AppError> {
    let refuse = |detail: String| Err(AppError::new(Code::DryRunOutdated, detail));
    if run.others.as_ref() != Some(others) {
        return refuse(
            "other policies decide beside it than in its dry run; run it again".to_owned(),
        );
    }
    let most = ctx.policies.dry_run_max_age;
    let ended = run.finished_at.unwrap_or(run.requested.at);
    if ctx.clock.now() - ended > most {
        let hours = most.num_hours();
        return refuse(format!(
            "its dry run ended at {}, more than {hours} hours ago; run it again",
            ended.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        ));
    }
    Ok(())
}

/// Refuses what cuts off more than may without a word, or than the word says.
pub(super) fn refuse_cutting(
    ctx: &AppContext,
    run: &PolicyDryRun,
    confirmed: Option<u64>,
) -> Result<(), AppError> {
    let counted = &run.tally.run;
    let figures = format!(
        "{} of {} live connections would lose access",
        counted.losing_access, counted.live
    );
    match confirmed {
        Some(confirmed) if confirmed == counted.losing_access => Ok(()),
        Some(confirmed) => {
            let detail = format!(
                "{figures}, not {confirmed}; look at the dry run {} again",
                run.id
            );
            Err(AppError::new(Code::PreviewChanged, detail).field("confirm_losing_access"))
        }
        None if counted.cuts_more_than(ctx.policies.max_cut_percent) => {
            let detail = format!(
                "{figures}, more than {} %; send confirm_losing_access: {} if that is meant",
                ctx.policies.max_cut_percent, counted.losing_access
            );
            Err(AppError::new(Code::PolicyCutsTooMuch, detail).field("confirm_losing_access"))
        }
        None => Ok(()),
    }
}

/// The cases once more: what is in force beside the policy may have changed since.
async fn refuse_failing(policy: &Policy, loaded: Candidate) -> Result<(), AppError> {
    let cases = test_policy::checked(policy, policy.cases.clone())?;
    let results = off_thread(move || test_policy::run(&loaded, cases)).await?;
    match results.iter().find(|result| !result.passed()) {
        None => Ok(()),
        Some(failed) => {
            let detail = format!(
                "the case {:?} comes out as {} now, not as {}",
                failed.case.name, failed.decision.outcome, failed.case.expect
            );
            Err(AppError::new(Code::PolicyNotTested, detail))
        }
    }
}
