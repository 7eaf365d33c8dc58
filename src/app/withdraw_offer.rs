//! Takes an offer back. Agreements that were made by it go on.

use serde_json::json;

use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::read_offers::missing;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::OfferId;
use crate::domain::listing::{Offer, OfferState};
use crate::store::audit::{self, Entry, Subject};
use crate::store::offers;

/// Takes an offer back that is open, or whose time has not come.
#[tracing::instrument(skip_all, fields(offer.id = %id))]
pub async fn withdraw_offer(
    ctx: &AppContext,
    actor: &Actor,
    id: OfferId,
    reason: &str,
) -> Result<Offer, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let said = Said {
        at: ctx.clock.now(),
        by: actor.name.clone(),
        reason,
    };
    let mut tx = ctx.begin().await?;
    let mut offer = offers::locked(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let state = offer.state(said.at);
    let over = matches!(state, OfferState::Expired | OfferState::Withdrawn);
    if over || !offers::withdraw(&mut tx, id, &said).await? {
        return Err(AppError::new(Code::OfferEnded, format!("it is {state}")));
    }
    let entry = Entry {
        at: said.at,
        actor,
        action: "offer.withdraw",
        subject: Subject::Offer(id),
        before: Some(json!({ "state": state })),
        after: Some(json!({ "state": OfferState::Withdrawn })),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    offer.version += 1;
    offer.withdrawn = Some(said);
    Ok(offer)
}
