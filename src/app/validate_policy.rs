//! Says whether a policy text compiles, and if not, what is wrong where.

use serde_json::json;

use super::context::off_thread;
use super::error::Finding;
use super::policies::{self, digest};
use super::write_policy::{again, candidate, stamp};
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::ids::PolicyId;
use crate::domain::policy::{Policy, PolicyState};
use crate::store::audit::{self, Entry, Subject};
use crate::store::policy_steps;

/// What compiling a text said.
#[derive(Debug)]
pub struct Validation {
    /// What is wrong, in the order of the text. It compiles where there is nothing.
    pub errors: Vec<Finding>,
    /// What compiles and yet is hardly meant.
    pub warnings: Vec<Finding>,
    /// The ids of the policies, in the order of the text.
    pub policies: Vec<String>,
    /// The text's SHA-256.
    pub digest: String,
}

/// Compiles a text that is stored nowhere.
pub async fn validate_text(text: String) -> Result<Validation, AppError> {
    let compiled = move || {
        let digest = digest(&text);
        match policies::compile(&text) {
            Ok(set) => Validation {
                errors: Vec::new(),
                warnings: policies::warnings(&set),
                policies: set.ids().map(str::to_owned).collect(),
                digest,
            },
            Err(errors) => Validation {
                errors,
                warnings: Vec::new(),
                policies: Vec::new(),
                digest,
            },
        }
    };
    off_thread(compiled).await
}

/// Compiles a candidate. A draft that compiles is validated; one that does not stays a draft.
#[tracing::instrument(skip_all, fields(policy.id = %id))]
pub async fn validate(
    ctx: &AppContext,
    actor: &Actor,
    id: PolicyId,
) -> Result<(Policy, Validation), AppError> {
    let mut tx = ctx.begin().await?;
    let before = candidate(&mut tx, id).await?;
    let validation = validate_text(before.text.clone()).await?;
    if !validation.errors.is_empty() || before.state != PolicyState::Draft {
        return Ok((before, validation));
    }
    record(&mut tx, ctx, actor, &before).await?;
    let after = again(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok((after, validation))
}

/// Records that a draft compiles, with its audit entry. The caller has locked it.
pub(super) async fn record(
    conn: &mut crate::store::PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    draft: &Policy,
) -> Result<(), AppError> {
    let at = ctx.clock.now();
    policy_steps::record_validated(conn, draft.id, &stamp(actor, at)).await?;
    let entry = Entry {
        at,
        actor,
        action: "policy.validate",
        subject: Subject::Policy(draft.id),
        before: Some(json!({ "state": draft.state })),
        after: Some(json!({ "state": PolicyState::Validated, "digest": draft.digest })),
        reason: None,
        decision: None,
    };
    Ok(audit::record(conn, entry).await?)
}
