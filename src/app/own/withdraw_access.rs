//! A consumer takes its request for access back. Behind the wall but for the audit entry.

use serde_json::json;

use super::{begin, commit};
use crate::app::answer_access::refused;
use crate::app::decide_connection::LONGEST_REASON;
use crate::app::{AppContext, AppError, ask_access, text};
use crate::domain::access_request::{AccessRequestState, AccessVerb};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::AccessRequestId;
use crate::domain::member::Member;
use crate::domain::own::OwnAccessRequest;
use crate::store::audit::{self, Entry, Subject};
use crate::store::tenant::access_requests as store;

/// Takes a request back that nobody has answered.
#[tracing::instrument(skip_all, fields(access_request.id = %id))]
pub async fn withdraw(
    ctx: &AppContext,
    member: &Member,
    actor: &Actor,
    id: AccessRequestId,
    reason: &str,
) -> Result<OwnAccessRequest, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = begin(ctx, member).await?;
    let missing = || ask_access::missing(id);
    let seen = store::by_id(&mut tx, id).await?.ok_or_else(missing)?;
    seen.state_at(at)
        .after(AccessVerb::Withdraw)
        .map_err(refused)?;
    let said = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    let withdrawn = store::withdraw(&mut tx, id, &said).await?;
    let after = store::by_id(&mut tx, id).await?.ok_or_else(missing)?;
    if !withdrawn {
        // Somebody answered in between.
        after.state.after(AccessVerb::Withdraw).map_err(refused)?;
        return Err(AppError::internal("a request that waits was not withdrawn"));
    }
    let entry = Entry {
        at,
        actor,
        action: "access_request.withdraw",
        subject: Subject::AccessRequest(id),
        before: Some(json!({ "state": AccessRequestState::Pending })),
        after: Some(json!({ "state": after.state, "expires_at": after.expires_at })),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(tx.provider().await?, entry).await?;
    commit(ctx, tx).await?;
    Ok(after)
}
