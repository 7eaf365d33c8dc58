//! Takes policies out of force. What is left then was tried before, as for an activation: without its `forbid`, requests may be accepted that were not.

use serde_json::json;

use super::activate_policy::{ForceChange, end, follow, refuse_cutting, refuse_outdated};
use super::candidate::Candidate;
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::preconditions::ExpectedVersion;
use super::write_policy::{again, missing};
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::PolicyId;
use crate::domain::policy::PolicyState;
use crate::store::{dry_runs, policies, policy_steps};

/// Takes the active policy of a scope out of force; nothing takes its place.
///
/// `confirmed` is the number of live connections that the caller knows would lose access.
#[tracing::instrument(skip_all, fields(policy.id = %id))]
pub async fn deactivate(
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
    let policy = policies::locked(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    if policy.state != PolicyState::Active {
        let detail = format!("it is {}", policy.state);
        return Err(AppError::new(Code::PolicyNotActive, detail));
    }
    version.check(policy.version, Code::PolicyChanged)?;
    let run = dry_runs::newest_done(&mut tx, id, true).await?;
    let untried = || {
        let detail = "a dry run of what is decided without it has to be done";
        AppError::new(Code::DryRunMissing, detail)
    };
    let run = run.ok_or_else(untried)?;
    let left = Candidate::without(&mut tx, ctx, &policy).await?;
    refuse_outdated(ctx, &run, &left.others)?;
    refuse_cutting(ctx, &run, confirmed)?;

    let said = Said {
        at: ctx.clock.now(),
        by: actor.name.clone(),
        reason,
    };
    let rejudgement = follow(&mut tx, ctx, actor, &policy, &said, "deactivated").await?;
    let why = json!({
        "dry_run_id": run.id, "losing_access": run.tally.run.losing_access, "confirmed": confirmed, "rejudgement_id": rejudgement,
    });
    end(&mut tx, actor, &policy, &said, None, why).await?;
    let policy = again(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(ForceChange {
        policy,
        rejudgement,
    })
}
