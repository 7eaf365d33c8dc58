//! Makes an offer of a plan, as the live revision has it.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::code::Code;
use super::listing_parts::{refuse, stamp};
use super::read_listings::missing;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::ids::{ListingId, OfferId, PlanId};
use crate::domain::listing::offer::{OfferTerms, offer_limits};
use crate::domain::listing::{Offer, OfferKind, PriceOverride};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, listing_revisions as revisions, listings, offers};

/// What is offered.
#[derive(Debug)]
pub struct NewOffer {
    /// Of which listing.
    pub listing: ListingId,
    /// Which plan.
    pub plan: PlanId,
    /// Whom it is for.
    pub kind: OfferKind,
    /// What people call it.
    pub name: String,
    /// The accounts of a private one.
    pub accounts: Vec<String>,
    /// From when it can be taken; at once when absent.
    pub valid_from: Option<DateTime<Utc>>,
    /// Until when.
    pub valid_until: Option<DateTime<Utc>>,
    /// Other prices than the plan's.
    pub prices: Vec<PriceOverride>,
}

/// Makes an offer. The listing sells, and the plan is one that it sells now.
#[tracing::instrument(skip_all, fields(listing.id = %new.listing))]
pub async fn make_offer(ctx: &AppContext, actor: &Actor, new: NewOffer) -> Result<Offer, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let listing = listings::locked(&mut tx, new.listing)
        .await?
        .ok_or_else(|| missing(new.listing))?;
    let live = match listing.live_revision {
        Some(number) if listing.state.sells() => {
            revisions::by_number(&mut tx, listing.id, number).await?
        }
        Some(_) | None => None,
    };
    let Some(live) = live else {
        let detail = format!(
            "the listing is {}; offers are made of one that is limited or public",
            listing.state
        );
        return Err(AppError::new(Code::ListingNotSelling, detail));
    };
    let plan = live.content.plan(new.plan).ok_or_else(|| {
        let detail = format!("the listing sells no plan {} now", new.plan);
        AppError::new(Code::InvalidRequest, detail).field("plan_id")
    })?;
    let terms = OfferTerms {
        kind: new.kind,
        name: new.name.trim().to_owned(),
        accounts: new.accounts,
        valid_from: new.valid_from.unwrap_or(at),
        valid_until: new.valid_until,
        prices: new.prices,
    };
    refuse(Code::InvalidRequest, offer_limits(&terms, plan, at))?;
    let accounts = terms
        .accounts
        .iter()
        .filter_map(|account| account.parse().ok());
    let offer = Offer {
        id: OfferId::new(at),
        listing: listing.id,
        plan: new.plan,
        revision: live.number,
        kind: terms.kind,
        name: terms.name,
        accounts: accounts.collect(),
        valid_from: terms.valid_from,
        valid_until: terms.valid_until,
        prices: terms.prices,
        version: 1,
        made: stamp(actor, at),
        withdrawn: None,
    };
    refuse_second(&mut tx, &offer).await?;
    offers::insert(&mut tx, &offer).await?;
    let entry = Entry {
        at,
        actor,
        action: "offer.make",
        subject: Subject::Offer(offer.id),
        before: None,
        after: Some(json!({
            "listing_id": offer.listing, "plan_id": offer.plan, "revision": offer.revision, "kind": offer.kind, "name": offer.name,
            "accounts": offer.accounts, "valid_from": offer.valid_from, "valid_until": offer.valid_until, "prices": offer.prices,
        })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(offer)
}

/// Two public offers of one plan at one time would be two prices for everybody.
async fn refuse_second(conn: &mut PgConnection, offer: &Offer) -> Result<(), AppError> {
    if offer.kind != OfferKind::Public {
        return Ok(());
    }
    match offers::overlapping(conn, offer).await? {
        Some(other) => {
            let detail = format!(
                "the public offer {} of the plan is valid at that time; withdraw it first",
                other.id
            );
            Err(AppError::new(Code::OfferExists, detail).field("valid_from"))
        }
        None => Ok(()),
    }
}
