//! What gates and policies said of a connection, and why.

use actix_web::get;
use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::arguments::Limit;
use super::policy_views::ReasonView;
use crate::api::auth::{Caller, Read};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, ConnectionMissing, InputProblems, JudgementMissing};
use crate::app::AppContext;
use crate::app::explain_connection::{self as app, ExplainedSet, Explanation, Replayed};
use crate::app::policies::{Answer, Effect, Explained};
use crate::domain::actor::ActorKind;
use crate::domain::decision::{Gate, Outcome, PolicyEffect, Remedy, RemedyBy, RemedyKind};
use crate::domain::ids::{ConnectionId, DecisionId, JudgementId, PolicyId};
use crate::domain::judgement::Judgement;
use crate::domain::review::Verb;
use crate::store::decisions::Standing;

/// What gates and policies said of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct JudgementView {
    /// Its id.
    id: JudgementId,
    /// When.
    judged_at: DateTime<Utc>,
    /// What was said.
    outcome: Outcome,
    /// The gate that decided; `policy` where none of them stopped it.
    gate: Gate,
    /// Why.
    reasons: Vec<ReasonView>,
    /// The policies that determined it, by id. None where a gate decided before them.
    policies: Vec<String>,
    /// The SHA-256 of each text that was asked: the provider's, then the service's.
    policy_versions: Vec<String>,
    /// The licence that pays.
    licence: Option<String>,
    /// The decision that was made of it, or by a person while it was heard; null where it holds and nobody decided.
    decision_id: Option<DecisionId>,
    /// What it was said from.
    #[schema(value_type = Object)]
    facts: Value,
}

impl From<Judgement> for JudgementView {
    fn from(row: Judgement) -> Self {
        Self {
            id: row.id,
            judged_at: row.at,
            outcome: row.decision.outcome,
            gate: row.decision.gate,
            reasons: row.decision.reasons.into_iter().map(Into::into).collect(),
            policies: row.decision.policies,
            policy_versions: row.decision.policy_versions,
            licence: row.decision.licence,
            decision_id: row.decided,
            facts: row.facts,
        }
    }
}

/// A page of judgements, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct JudgementList {
    /// The rows.
    items: Vec<JudgementView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<JudgementId>,
}

/// Why a connection was judged as it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplanationView {
    /// The last judgement.
    judgement: JudgementView,
    /// When the same was last said, from the same facts but for the time; `judged_at` where it was said once.
    last_judged_at: DateTime<Utc>,
    /// The decision that stands; null while there is none. Where its id is not the judgement's `decision_id`, the judgement is older than the
    /// decision: a block, a drain, a removal of access or a timer made it, and they ask nobody.
    decision: Option<StandingDecisionView>,
    /// The same, made again from its record.
    replay: ReplayView,
    /// What the policies say that were asked, text by text. None where a gate decided before them.
    sets: Vec<ExplainedSetView>,
    /// What would have to change for it to come out better, reason by reason. None where it accepts.
    remedies: Vec<RemedyView>,
}

/// The decision that stands about a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct StandingDecisionView {
    /// Its id.
    id: DecisionId,
    /// What was decided.
    verb: Verb,
    /// What kind of actor decided.
    actor_kind: ActorKind,
    /// Who: a person's name, a policy's id, or the gate.
    actor: String,
    /// Why.
    reason: String,
    /// A stable word for why, where a rule decided.
    reason_code: Option<String>,
    /// What the consumer was told.
    message: Option<String>,
    /// When.
    decided_at: DateTime<Utc>,
}

impl From<Standing> for StandingDecisionView {
    fn from(row: Standing) -> Self {
        Self {
            id: row.id,
            verb: row.verb,
            actor_kind: row.actor_kind,
            actor: row.actor,
            reason: row.reason,
            reason_code: row.reason_code,
            message: row.message,
            decided_at: row.at,
        }
    }
}

/// One change that would do away with a reason. The next gate may then have something to say.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemedyView {
    /// The code of the reason.
    reason: String,
    /// What would have to change: a stable word.
    remedy: RemedyKind,
    /// Who can bring it about; `time` where it comes by itself.
    by: RemedyBy,
    /// The same in a sentence, for the provider's people.
    sentence: String,
    /// What it is about: ids, figures, Regions.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
}

impl From<Remedy> for RemedyView {
    fn from(remedy: Remedy) -> Self {
        Self {
            reason: remedy.reason,
            by: remedy.kind.by(),
            remedy: remedy.kind,
            sentence: remedy.sentence,
            details: remedy.details,
        }
    }
}

/// A judgement made again from its record: the facts and the texts of then.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    /// Whether the same comes out: outcome, gate, reasons, policies, versions.
    same: bool,
    /// What comes out; null where it cannot be made again.
    outcome: Option<Outcome>,
    /// The gate that decides.
    gate: Option<Gate>,
    /// Why.
    reasons: Vec<ReasonView>,
    /// Why it cannot be made again.
    problem: Option<String>,
}

/// What the policies of one text say.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainedSetView {
    /// The policy that has the text.
    policy_id: PolicyId,
    /// The text's SHA-256.
    version: String,
    /// Those that apply first, then those that come nearest.
    policies: Vec<ExplainedPolicyView>,
}

/// What one policy says.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainedPolicyView {
    /// Its id in the text.
    id: String,
    /// What it does where it applies.
    effect: PolicyEffect,
    /// Whether it applies.
    applies: bool,
    /// Where it does not: what would have to change first.
    unmet: Option<UnmetView>,
    /// Where it could not be evaluated: what went wrong.
    failure: Option<String>,
}

/// The first clause of a policy that is not met.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnmetView {
    /// The clause, as Cedar writes it.
    clause: String,
    /// Clauses before it, all met.
    met: usize,
    /// Clauses of the policy.
    of: usize,
}

impl From<Explained> for ExplainedPolicyView {
    fn from(explained: Explained) -> Self {
        let (applies, unmet, failure) = match explained.answer {
            Answer::Applies => (true, None, None),
            Answer::Unmet { clause, met, of } => (false, Some(UnmetView { clause, met, of }), None),
            Answer::Failed(message) => (false, None, Some(message)),
        };
        Self {
            id: explained.id,
            effect: match explained.effect {
                Effect::Permit => PolicyEffect::Permit,
                Effect::Forbid => PolicyEffect::Forbid,
                Effect::Neither => PolicyEffect::Neither,
            },
            applies,
            unmet,
            failure,
        }
    }
}

impl From<ExplainedSet> for ExplainedSetView {
    fn from(set: ExplainedSet) -> Self {
        Self {
            policy_id: set.policy,
            version: set.version,
            policies: set.policies.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Explanation> for ExplanationView {
    fn from(explanation: Explanation) -> Self {
        let same = explanation.is_same();
        let replay = match explanation.replayed {
            Replayed::Decided(decision) => ReplayView {
                same,
                outcome: Some(decision.outcome),
                gate: Some(decision.gate),
                reasons: decision.reasons.into_iter().map(Into::into).collect(),
                problem: None,
            },
            Replayed::Impossible(why) => ReplayView {
                same,
                outcome: None,
                gate: None,
                reasons: Vec::new(),
                problem: Some(why),
            },
        };
        Self {
            judgement: explanation.judgement.into(),
            last_judged_at: explanation.last_judged_at,
            decision: explanation.decision.map(Into::into),
            replay,
            sets: explanation.sets.into_iter().map(Into::into).collect(),
            remedies: explanation.remedies.into_iter().map(Into::into).collect(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<JudgementId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Explains why a connection was judged as it was
///
/// Its last judgement, made again from its record, and what would have to change for each policy that does not apply.
#[utoipa::path(
    tag = "policies",
    params(("id" = ConnectionId, Path, description = "The connection.")),
    responses((status = 200, description = "Why.", body = ExplanationView), AuthProblems, InputProblems, JudgementMissing)
)]
#[get("/v1/connections/{id}/explanation")]
pub(super) async fn explain_connection(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConnectionId>,
    ctx: Data<AppContext>,
) -> Result<Json<ExplanationView>, Problem> {
    Ok(Json(app::explain(&ctx, id).await?.into()))
}

/// Lists what gates and policies said of a connection
///
/// Each with the facts that it was made from, so that it can be made again.
#[utoipa::path(
    tag = "policies",
    params(("id" = ConnectionId, Path, description = "The connection."), ListQuery),
    responses((status = 200, description = "A page, newest first.", body = JudgementList), AuthProblems, InputProblems, ConnectionMissing)
)]
#[get("/v1/connections/{id}/judgements")]
pub(super) async fn list_judgements(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConnectionId>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<JudgementList>, Problem> {
    let listed = app::judgements(&ctx, id, query.cursor, query.limit.0).await?;
    Ok(Json(JudgementList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}
