//! The steps in the life of a policy: validating, testing, activating, taking it out of force, giving it up.

use actix_web::post;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actor;
use super::decisions::ReasonBody;
use super::policy_views::{PolicyCaseView, PolicyForceView, PolicyView, ReasonView};
use crate::api::auth::{Caller, Manage, Read};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::{DiagnosticView, Problem};
use crate::api::responses::{
    ActivationConflict, AuthProblems, BodyProblems, DeactivationConflict, InputProblems,
    PolicyMissing, PolicyStepConflict, PolicyWrong,
};
use crate::app::test_policy::CaseResult;
use crate::app::validate_policy::Validation;
use crate::app::{
    AppContext, activate_policy as activation, deactivate_policy as deactivation,
    test_policy as testing, validate_policy as validation, write_policy as writing,
};
use crate::domain::decision::{Gate, Outcome};
use crate::domain::ids::PolicyId;

/// A text to compile.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTextBody {
    /// The text, in Cedar.
    #[schema(max_length = 65_536)]
    text: String,
}

/// What compiling a text said.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValidationView {
    /// Whether it compiles.
    valid: bool,
    /// What is wrong, in the order of the text; at most 100 at once.
    diagnostics: Vec<DiagnosticView>,
    /// What compiles and yet is hardly meant, such as a policy that can never apply.
    warnings: Vec<DiagnosticView>,
    /// The ids of the policies, in the order of the text.
    policies: Vec<String>,
    /// The text's SHA-256.
    digest: String,
    /// The policy as it stands now; absent for a text that is stored nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    policy: Option<PolicyView>,
}

impl ValidationView {
    fn of(said: Validation, policy: Option<PolicyView>) -> Self {
        Self {
            valid: said.errors.is_empty(),
            diagnostics: said.errors.into_iter().map(Into::into).collect(),
            warnings: said.warnings.into_iter().map(Into::into).collect(),
            policies: said.policies,
            digest: said.digest,
            policy,
        }
    }
}

/// What to try a policy with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTestBody {
    /// 1 to 100 cases, in the place of those that it has; when absent, those that it has are run again.
    cases: Option<Vec<PolicyCaseView>>,
}

/// What came out of the cases.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyTestView {
    /// Whether all came out as expected.
    passed: bool,
    /// Each case.
    results: Vec<CaseResultView>,
    /// The policy as it stands now: `tested` once a dry run of its text is done too.
    policy: PolicyView,
}

/// What came out of a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseResultView {
    /// The case's name.
    name: String,
    /// Whether it came out as expected.
    passed: bool,
    /// What was expected.
    expect: Outcome,
    /// What came out.
    outcome: Outcome,
    /// The gate that decided.
    gate: Gate,
    /// Why.
    reasons: Vec<ReasonView>,
    /// The policies that determined it.
    policies: Vec<String>,
}

impl From<CaseResult> for CaseResultView {
    fn from(result: CaseResult) -> Self {
        let passed = result.passed();
        Self {
            name: result.case.name,
            passed,
            expect: result.case.expect,
            outcome: result.decision.outcome,
            gate: result.decision.gate,
            reasons: result
                .decision
                .reasons
                .into_iter()
                .map(Into::into)
                .collect(),
            policies: result.decision.policies,
        }
    }
}

/// What is meant to be put in force, or taken out of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyForceBody {
    /// The `version` that you have read; may be left out with `If-Match`.
    version: Option<i64>,
    /// Why, for the record.
    #[schema(
        min_length = 1,
        max_length = 1000,
        example = "Known accounts need no review any more"
    )]
    reason: String,
    /// The `losing_access` of the dry run. Needed where that is a larger share than the installation allows; if it is something else, nothing is done.
    #[schema(minimum = 0)]
    confirm_losing_access: Option<u64>,
}

/// Says whether a text compiles
///
/// The text is stored nowhere.
#[utoipa::path(
    tag = "policies",
    request_body = PolicyTextBody,
    responses((status = 200, description = "What compiling it said.", body = ValidationView), AuthProblems, BodyProblems)
)]
#[post("/v1/policies/validate")]
pub(super) async fn validate_policy_text(
    _caller: Caller<Read>,
    ApiJson(body): ApiJson<PolicyTextBody>,
) -> Result<Json<ValidationView>, Problem> {
    let said = validation::validate_text(body.text).await?;
    Ok(Json(ValidationView::of(said, None)))
}

/// Validates a policy
///
/// A draft that compiles against the schema is `validated`; one that does not stays a draft, and `diagnostics` says why.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    responses(
        (status = 200, description = "What compiling it said.", body = ValidationView),
        AuthProblems, InputProblems, PolicyMissing, PolicyStepConflict
    )
)]
#[post("/v1/policies/{id}/validate")]
pub(super) async fn validate_policy(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<PolicyId>,
    ctx: Data<AppContext>,
) -> Result<Json<ValidationView>, Problem> {
    let (policy, said) = validation::validate(&ctx, &actor(caller.subject), id).await?;
    Ok(Json(ValidationView::of(said, Some(policy.into()))))
}

/// Tries a policy with cases
///
/// Each case is decided by the gates and by the policy together with what is in force beside it. The cases are kept with the policy.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    request_body = PolicyTestBody,
    responses(
        (status = 200, description = "What came out.", body = PolicyTestView),
        AuthProblems, BodyProblems, PolicyMissing, PolicyStepConflict, PolicyWrong
    )
)]
#[post("/v1/policies/{id}/test")]
pub(super) async fn test_policy(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<PolicyId>,
    ApiJson(body): ApiJson<PolicyTestBody>,
    ctx: Data<AppContext>,
) -> Result<Json<PolicyTestView>, Problem> {
    let cases = body
        .cases
        .map(|cases| cases.into_iter().map(Into::into).collect());
    let (policy, results) = testing::test(&ctx, &actor(caller.subject), id, cases).await?;
    Ok(Json(PolicyTestView {
        passed: results.iter().all(CaseResult::passed),
        results: results.into_iter().map(Into::into).collect(),
        policy: policy.into(),
    }))
}

/// Activates a policy
///
/// It decides from now on, in the place of the one of its scope that did, and what waits is judged again. Its dry run has to be of this text, beside the
/// policies that are in force now, and not too old. What is live keeps its access; a preview is asked for of which of it would be rejected now, and an earlier
/// one of the scope that nobody has applied is cancelled.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    request_body = PolicyForceBody,
    responses(
        (status = 200, description = "In force.", body = PolicyForceView),
        AuthProblems, BodyProblems, PolicyMissing, ActivationConflict, PolicyWrong
    )
)]
#[post("/v1/policies/{id}/activate")]
pub(super) async fn activate_policy(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<PolicyId>,
    ApiJson(body): ApiJson<PolicyForceBody>,
    ctx: Data<AppContext>,
) -> Result<Json<PolicyForceView>, Problem> {
    let actor = actor(caller.subject);
    let confirmed = body.confirm_losing_access;
    let activated = activation::activate(
        &ctx,
        &actor,
        id,
        meant.version(body.version)?,
        confirmed,
        &body.reason,
    )
    .await?;
    Ok(Json(activated.into()))
}

/// Takes a policy out of force
///
/// Nothing takes its place: what no other policy speaks of is held for a person, and what it forbade may be permitted. So a dry run of the policy in force has to
/// be done, which says what is decided without it: beside the policies that are in force now, and not too old. What is live keeps its access, and a preview is
/// asked for as for an activation.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    request_body = PolicyForceBody,
    responses(
        (status = 200, description = "Out of force.", body = PolicyForceView),
        AuthProblems, BodyProblems, PolicyMissing, DeactivationConflict
    )
)]
#[post("/v1/policies/{id}/deactivate")]
pub(super) async fn deactivate_policy(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<PolicyId>,
    ApiJson(body): ApiJson<PolicyForceBody>,
    ctx: Data<AppContext>,
) -> Result<Json<PolicyForceView>, Problem> {
    let actor = actor(caller.subject);
    let confirmed = body.confirm_losing_access;
    let ended = deactivation::deactivate(
        &ctx,
        &actor,
        id,
        meant.version(body.version)?,
        confirmed,
        &body.reason,
    )
    .await?;
    Ok(Json(ended.into()))
}

/// Gives a policy up
///
/// One that was never in force. There is no way back.
#[utoipa::path(
    tag = "policies",
    params(("id" = PolicyId, Path, description = "The policy.")),
    request_body = ReasonBody,
    responses(
        (status = 200, description = "Given up.", body = PolicyView),
        AuthProblems, BodyProblems, PolicyMissing, PolicyStepConflict
    )
)]
#[post("/v1/policies/{id}/discard")]
pub(super) async fn discard_policy(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<PolicyId>,
    ApiJson(body): ApiJson<ReasonBody>,
    ctx: Data<AppContext>,
) -> Result<Json<PolicyView>, Problem> {
    let actor = actor(caller.subject);
    let ended = writing::discard(&ctx, &actor, id, body.reason()).await?;
    Ok(Json(ended.into()))
}
