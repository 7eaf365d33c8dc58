//! Who works on a request. A claim tells others; it keeps nobody from deciding.

use serde_json::{Value, json};

use super::code::Code;
use super::desk::{self, Note, UnderReview};
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::ids::ConnectionId;
use crate::domain::review_desk::{Claim, NoClaim, ReviewStep, claimed, may_release};
use crate::store::reviews;

/// Makes the actor work on it, for as long as claims last. One's own claim begins anew.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn claim_review(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
) -> Result<UnderReview, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    desk::refuse_unless_open(&before.connection)?;
    let claim = claimed(before.desk.claim.as_ref(), actor, at, ctx.reviews.claim_ttl)
        .map_err(|refusal| refused(&refusal))?;
    reviews::set_claim(&mut tx, id, Some(&claim)).await?;
    let note = Note {
        actor,
        id,
        step: ReviewStep::Claimed,
        reason: None,
        before: shown(before.desk.claim.as_ref()),
        details: shown(Some(&claim)),
        at,
    };
    desk::note(&mut tx, note).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Leaves it to others: one's own claim, or anybody's for who `manages`.
#[tracing::instrument(skip_all, fields(connection.id = %id))]
pub async fn release_review(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    manages: bool,
) -> Result<UnderReview, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = desk::locked(&mut tx, ctx, id, at).await?;
    may_release(before.desk.claim.as_ref(), actor, manages, at)
        .map_err(|refusal| refused(&refusal))?;
    reviews::set_claim(&mut tx, id, None).await?;
    let note = Note {
        actor,
        id,
        step: ReviewStep::Released,
        reason: None,
        before: shown(before.desk.claim.as_ref()),
        details: None,
        at,
    };
    desk::note(&mut tx, note).await?;
    let after = desk::read(&mut tx, ctx, id, at).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

fn shown(claim: Option<&Claim>) -> Option<Value> {
    claim.map(|claim| json!({ "claimed_by": claim.by, "ends_at": claim.ends_at }))
}

fn refused(refusal: &NoClaim) -> AppError {
    let code = match refusal {
        NoClaim::Others { .. } => Code::ReviewClaimed,
        NoClaim::Nobodys => Code::ReviewNotClaimed,
    };
    AppError::new(code, refusal.to_string())
}
