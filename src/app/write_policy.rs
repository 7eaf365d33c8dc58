//! Writing policies: beginning one, giving a candidate another text, giving it up.

use serde_json::json;

use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::policies::{self, MAX_BYTES, TEMPLATES};
use super::preconditions::ExpectedVersion;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::{EndpointServiceId, PolicyId};
use crate::domain::policy::{Policy, PolicyState, Stamp};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, dry_runs, endpoint_services, policies as store, policy_steps};

/// The most characters of a note.
const LONGEST_NOTE: usize = 1000;

/// Where the text of a new policy comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// It is given.
    Text(String),
    /// A ready one, by its name.
    Template(String),
}

/// Begins a policy as a draft. The text may be wrong: validating says so.
#[tracing::instrument(skip_all)]
pub async fn create(
    ctx: &AppContext,
    actor: &Actor,
    service: Option<EndpointServiceId>,
    source: Source,
    note: Option<&str>,
) -> Result<Policy, AppError> {
    let written = match source {
        Source::Text(text) => checked(text)?,
        Source::Template(name) => of_template(&name)?,
    };
    let note = note
        .map(|note| text::checked("note", note, LONGEST_NOTE))
        .transpose()?;
    let at = ctx.clock.now();
    let (id, by) = (PolicyId::new(at), stamp(actor, at));
    let mut tx = ctx.begin().await?;
    if let Some(service) = service {
        let missing = || {
            AppError::new(
                Code::ServiceNotFound,
                format!("there is no service {service}"),
            )
        };
        endpoint_services::by_id(&mut tx, service)
            .await?
            .ok_or_else(missing)?;
    }
    policy_steps::lock_force(&mut tx).await?;
    let digest = policies::digest(&written);
    let new = policy_steps::New {
        id,
        service,
        text: &written,
        digest: &digest,
        note: note.as_deref(),
        by: &by,
    };
    policy_steps::insert(&mut tx, new).await?;
    let made = again(&mut tx, id).await?;
    let entry = Entry {
        at,
        actor,
        action: "policy.create",
        subject: Subject::Policy(id),
        before: None,
        after: Some(
            json!({ "service_id": service, "number": made.number, "digest": made.digest, "note": made.note }),
        ),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(made)
}

/// What to change of a candidate. `None` stays as it is.
#[derive(Debug, Default)]
pub struct PolicyChange {
    /// The version that the caller has read.
    pub version: ExpectedVersion,
    /// Another text: the policy is a draft again.
    pub text: Option<String>,
    /// Another note, or none.
    pub note: Option<Option<String>>,
    /// Why.
    pub reason: Option<String>,
}

/// Changes a candidate.
#[tracing::instrument(skip_all, fields(policy.id = %id))]
pub async fn change(
    ctx: &AppContext,
    actor: &Actor,
    id: PolicyId,
    change: PolicyChange,
) -> Result<Policy, AppError> {
    let reason = text::optional_reason(change.reason.as_deref())?;
    let written = change.text.map(checked).transpose()?;
    let note = match change.note {
        Some(Some(note)) => Some(Some(text::checked("note", &note, LONGEST_NOTE)?)),
        other => other,
    };
    let mut tx = ctx.begin().await?;
    let before = candidate(&mut tx, id).await?;
    change.version.check(before.version, Code::PolicyChanged)?;
    let at = ctx.clock.now();
    let other_text = written.filter(|written| *written != before.text);
    if let Some(written) = &other_text {
        let digest = policies::digest(written);
        policy_steps::write_text(&mut tx, id, written, &digest, &stamp(actor, at)).await?;
        let why = "the policy got another text";
        dry_runs::give_up(&mut tx, id, why, at).await?;
    }
    let other_note = note.filter(|note| *note != before.note);
    if let Some(note) = &other_note {
        policy_steps::write_note(&mut tx, id, note.as_deref()).await?;
    }
    if other_text.is_none() && other_note.is_none() {
        return Ok(before);
    }
    let after = again(&mut tx, id).await?;
    let shown = |policy: &Policy| json!({ "state": policy.state, "digest": policy.digest, "note": policy.note });
    let entry = Entry {
        at,
        actor,
        action: "policy.change",
        subject: Subject::Policy(id),
        before: Some(shown(&before)),
        after: Some(shown(&after)),
        reason: reason.as_deref(),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Gives a candidate up.
#[tracing::instrument(skip_all, fields(policy.id = %id))]
pub async fn discard(
    ctx: &AppContext,
    actor: &Actor,
    id: PolicyId,
    reason: &str,
) -> Result<Policy, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    let before = candidate(&mut tx, id).await?;
    let said = Said {
        at: ctx.clock.now(),
        by: actor.name.clone(),
        reason,
    };
    policy_steps::record_ended(&mut tx, id, PolicyState::Discarded, &said, None).await?;
    dry_runs::give_up(&mut tx, id, "the policy was given up", said.at).await?;
    let entry = Entry {
        at: said.at,
        actor,
        action: "policy.discard",
        subject: Subject::Policy(id),
        before: Some(json!({ "state": before.state })),
        after: Some(json!({ "state": PolicyState::Discarded })),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = again(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// A policy that may still be changed, locked until the transaction ends.
pub(super) async fn candidate(conn: &mut PgConnection, id: PolicyId) -> Result<Policy, AppError> {
    let policy = store::locked(conn, id).await?.ok_or_else(|| missing(id))?;
    if policy.state.is_candidate() {
        return Ok(policy);
    }
    Err(settled(&policy))
}

/// The refusal of what is over, or in force and not to be changed.
pub(super) fn settled(policy: &Policy) -> AppError {
    let detail = format!("it is {}; begin a new policy", policy.state);
    AppError::new(Code::PolicySettled, detail)
}

/// The row after a step under its lock.
pub(super) async fn again(conn: &mut PgConnection, id: PolicyId) -> Result<Policy, AppError> {
    store::by_id(conn, id).await?.ok_or_else(|| missing(id))
}

pub(super) fn missing(id: PolicyId) -> AppError {
    AppError::new(Code::PolicyNotFound, format!("there is no policy {id}"))
}

pub(super) fn stamp(actor: &Actor, at: chrono::DateTime<chrono::Utc>) -> Stamp {
    Stamp {
        at,
        by: actor.name.clone(),
    }
}

/// A text that can be kept, whether it compiles or not.
fn checked(text: String) -> Result<String, AppError> {
    let refuse = |detail: String| Err(AppError::new(Code::InvalidRequest, detail).field("text"));
    if text.len() > MAX_BYTES {
        return refuse(format!(
            "text may have {MAX_BYTES} bytes, not {}",
            text.len()
        ));
    }
    if text.contains('\0') {
        return refuse("text must not contain NUL".to_owned());
    }
    Ok(text)
}

fn of_template(name: &str) -> Result<String, AppError> {
    let found = TEMPLATES.iter().find(|template| template.name == name);
    let unknown = || {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        let detail = format!("template is one of {}", names.join(", "));
        AppError::new(Code::InvalidRequest, detail).field("template")
    };
    Ok(found.ok_or_else(unknown)?.text.to_owned())
}
