//! Takes one's own yes to an access request back, while the other person's is missing.

use serde_json::json;

use super::answer_access::{read, refuse_unless_open};
use super::ask_access::missing;
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::{AppContext, AppError, text};
use crate::domain::access_request::{AccessRequest, AccessVerb};
use crate::domain::actor::Actor;
use crate::domain::ids::AccessRequestId;
use crate::store::access_request_parts as parts;
use crate::store::access_requests;
use crate::store::audit::{self, Entry, Subject};

/// Takes the actor's approval back. Whoever approves meanwhile waits for the request's row, or is waited for.
#[tracing::instrument(skip_all, fields(access_request.id = %id))]
pub async fn withdraw_approval(
    ctx: &AppContext,
    actor: &Actor,
    id: AccessRequestId,
    reason: &str,
) -> Result<AccessRequest, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    let request = access_requests::locked(&mut tx, id).await?;
    let request = request.ok_or_else(|| missing(id))?;
    let at = ctx.clock.now();
    // Once it is answered, the answer is what counts.
    refuse_unless_open(&request, AccessVerb::Approve, at)?;
    let Some(approval) = parts::withdraw_approval(&mut tx, id, &actor.name, at).await? else {
        let detail = format!("{} has given no approval that stands", actor.name);
        return Err(AppError::new(Code::ApprovalMissing, detail));
    };
    let entry = Entry {
        at,
        actor,
        action: "access_request.withdraw_yes",
        subject: Subject::AccessRequest(id),
        before: Some(json!({ "approval_id": approval })),
        after: None,
        reason: Some(&reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}
