//! Tries a policy with the cases that people wrote for it.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::candidate::Candidate;
use super::code::Code;
use super::context::off_thread;
use super::write_policy::{again, candidate, stamp};
use super::{AppContext, AppError, text, validate_policy};
use crate::domain::actor::Actor;
use crate::domain::decision::{Decision, Facts, decide};
use crate::domain::ids::PolicyId;
use crate::domain::policy::{Policy, PolicyCase, PolicyState};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, dry_runs, policy_steps};

/// The most cases of a policy.
pub const MOST_CASES: usize = 100;
/// The most characters of a case's name.
const LONGEST_NAME: usize = 100;

/// What came out of a case.
#[derive(Debug)]
pub struct CaseResult {
    /// The case.
    pub case: PolicyCase,
    /// What the candidate would decide, together with what is in force beside it.
    pub decision: Decision,
}

impl CaseResult {
    /// Whether that was expected.
    pub fn passed(&self) -> bool {
        self.decision.outcome == self.case.expect
    }
}

/// Runs the cases of a candidate, these or those that it has, and keeps them with it. It is tested once all come out as expected and a dry run of
/// its text is done.
#[tracing::instrument(skip_all, fields(policy.id = %id))]
pub async fn test(
    ctx: &AppContext,
    actor: &Actor,
    id: PolicyId,
    cases: Option<Vec<PolicyCase>>,
) -> Result<(Policy, Vec<CaseResult>), AppError> {
    let mut tx = ctx.begin().await?;
    let mut policy = candidate(&mut tx, id).await?;
    let cases = match cases {
        Some(cases) => cases,
        None => std::mem::take(&mut policy.cases),
    };
    let asked = checked(&policy, cases)?;
    let loaded = Candidate::load(&mut tx, ctx, &policy).await?;
    if policy.state == PolicyState::Draft {
        validate_policy::record(&mut tx, ctx, actor, &policy).await?;
    }
    let results = off_thread(move || run(&loaded, asked)).await?;
    let at = ctx.clock.now();
    let failed = results.iter().filter(|result| !result.passed()).count();
    let passed_at = (failed == 0).then_some(at);
    let kept: Vec<PolicyCase> = results.iter().map(|result| result.case.clone()).collect();
    policy_steps::record_cases(&mut tx, id, &kept, passed_at).await?;
    let entry = Entry {
        at,
        actor,
        action: "policy.test",
        subject: Subject::Policy(id),
        before: None,
        after: Some(json!({ "digest": policy.digest, "cases": kept.len(), "failed": failed })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    conclude(&mut tx, actor, id, at).await?;
    let after = again(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok((after, results))
}

/// Records that a validated policy is tested, where nothing is missing any more. The caller has locked it.
pub(super) async fn conclude(
    conn: &mut PgConnection,
    actor: &Actor,
    id: PolicyId,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let policy = again(conn, id).await?;
    if policy.state != PolicyState::Validated || policy.passed_at.is_none() {
        return Ok(());
    }
    let run = dry_runs::newest_done(conn, id, false).await?;
    let Some(run) = run.filter(|run| run.digest == policy.digest) else {
        return Ok(());
    };
    policy_steps::record_tested(conn, id, &stamp(actor, at)).await?;
    let entry = Entry {
        at,
        actor,
        action: "policy.tested",
        subject: Subject::Policy(id),
        before: Some(json!({ "state": policy.state })),
        after: Some(
            json!({ "state": PolicyState::Tested, "digest": policy.digest, "dry_run_id": run.id }),
        ),
        reason: None,
        decision: None,
    };
    Ok(audit::record(conn, entry).await?)
}

/// What a candidate says of cases.
pub(super) fn run(candidate: &Candidate, cases: Vec<(PolicyCase, Facts)>) -> Vec<CaseResult> {
    let one = |(case, facts): (PolicyCase, Facts)| CaseResult {
        case,
        decision: decide(&facts, candidate),
    };
    cases.into_iter().map(one).collect()
}

/// Cases with their facts, each of which can be judged.
pub(super) fn checked(
    policy: &Policy,
    cases: Vec<PolicyCase>,
) -> Result<Vec<(PolicyCase, Facts)>, AppError> {
    let refuse =
        |field: String, detail: String| AppError::new(Code::InvalidRequest, detail).field(field);
    if cases.is_empty() || cases.len() > MOST_CASES {
        let detail = format!("give 1 to {MOST_CASES} cases, not {}", cases.len());
        return Err(refuse("cases".to_owned(), detail));
    }
    let mut checked = Vec::with_capacity(cases.len());
    for (at, mut case) in cases.into_iter().enumerate() {
        let field = |member: &str| format!("cases[{at}].{member}");
        case.name = text::checked_line(&field("name"), &case.name, LONGEST_NAME)?;
        let facts =
            Facts::from_json(&case.facts).map_err(|e| refuse(field("facts"), e.to_string()))?;
        // JSON can say NUL, and the database cannot keep it.
        if case.facts.to_string().contains("\\u0000") {
            return Err(refuse(
                field("facts"),
                "facts must not contain NUL".to_owned(),
            ));
        }
        if policy.service.is_some_and(|own| own != facts.service.id) {
            let detail = "the policy is for another service than these facts";
            return Err(refuse(field("facts.service.id"), detail.to_owned()));
        }
        checked.push((case, facts));
    }
    Ok(checked)
}
