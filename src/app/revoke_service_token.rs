//! Ends a program's token.

use serde_json::json;

use super::read_service_tokens::{missing, revoked};
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::ServiceTokenId;
use crate::domain::service_token::ServiceToken;
use crate::store::audit::{self, Entry, Subject};
use crate::store::service_tokens;

/// Ends a token, both its secrets. From the commit on no request with it is begun, by whichever replica.
#[tracing::instrument(skip_all, fields(service_token.id = %id))]
pub async fn revoke_service_token(
    ctx: &AppContext,
    actor: &Actor,
    id: ServiceTokenId,
    reason: &str,
) -> Result<ServiceToken, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    let mut token = service_tokens::locked(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    if let Some(said) = &token.revoked {
        return Err(revoked(said));
    }
    let at = ctx.clock.now();
    let said = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    if !service_tokens::revoke(&mut tx, id, &said).await? {
        return Err(AppError::internal("the token changed under its own lock"));
    }
    let entry = Entry {
        at,
        actor,
        action: "service_token.revoke",
        subject: Subject::ServiceToken(id),
        before: Some(json!({ "state": token.state(at) })),
        after: None,
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    token.revoked = Some(said);
    Ok(token)
}
