//! Renews an agreement: another of the same plan takes its place, with the same accounts, and nothing is cut.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::agreement_checks::{Asked, find, over, refuse_foreign};
use super::agreement_standing::know;
use super::change_agreement::{hold_accounts, refuse_attached};
use super::code::Code;
use super::listing_parts::refuse;
use super::make_agreement::{Deal, close, wrongs};
use super::read_agreements::missing;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::agreement::notice_rules::foreign_id;
use crate::domain::agreement::purchase::Wanted;
use crate::domain::agreement::{AccountProof, Agreement};
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementId, OfferId};
use crate::domain::listing::{ContractTerm, Quotas};
use crate::domain::money::Amount;
use crate::store::{agreement_notices, agreements};

/// How it goes on. What is absent is as it was.
#[derive(Debug, Default)]
pub struct Renewal {
    /// By which offer; the live revision's prices when absent.
    pub offer: Option<OfferId>,
    /// For how long.
    pub term: Option<ContractTerm>,
    /// At once, and not when it ends by itself.
    pub at_once: bool,
    /// When the new one ends, where the plan has no term; when somebody ends it if absent.
    pub ends_at: Option<DateTime<Utc>>,
    /// How much is bought in advance.
    pub quantities: Option<BTreeMap<String, Amount>>,
    /// Other figures than the plan's.
    pub quotas: Option<Quotas>,
    /// The provider's own id of the new one.
    pub reference: Option<String>,
    /// The provider's own id of the event that it was made.
    pub event_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Makes the agreement that takes the place of another. Answers the new one.
#[tracing::instrument(skip_all, fields(agreement.id = %id))]
pub async fn renew_agreement(
    ctx: &AppContext,
    actor: &Actor,
    id: AgreementId,
    new: Renewal,
) -> Result<Agreement, AppError> {
    let at = ctx.clock.now();
    let mut wrong = Vec::new();
    wrong.extend(
        new.reference
            .as_deref()
            .and_then(|it| foreign_id("reference", it)),
    );
    wrong.extend(
        new.event_id
            .as_deref()
            .and_then(|it| foreign_id("event_id", it)),
    );
    refuse(Code::InvalidRequest, wrong)?;
    let reason = text::optional_reason(new.reason.as_deref())?;
    let mut tx = ctx.begin().await?;
    if let Some(reference) = &new.reference {
        agreement_notices::lock_reference(&mut tx, AgreementSource::Private, reference).await?;
    }
    let seen = agreements::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    refuse_foreign(&seen)?;
    let held = hold_accounts(&mut tx, id).await?;
    let asked = Asked {
        listing: seen.listing,
        plan: Some(seen.plan),
        offer: new.offer,
        buyer: &seen.buyer,
        goes_on: true,
    };
    let sold = find(&mut tx, &asked, at).await?;
    let old = agreements::locked(&mut tx, &[id]).await?.into_iter().next();
    let old = old.ok_or_else(|| missing(id))?;
    let known = know(&mut tx, std::slice::from_ref(&old)).await?;
    let now = known.now(&old, at)?;
    let before = known
        .terms(id)
        .filter(|_| now.state != AgreementState::Pending);
    let Some(before) = before else {
        let detail = "it has not begun: amend it, or roll it back and make another";
        return Err(AppError::new(Code::AgreementStepImpossible, detail));
    };
    if now.state == AgreementState::Ended {
        return Err(over(&now));
    }
    let attached = refuse_attached(&mut tx, id, &held).await?;
    let ends = known.record(id)?.ends_first();
    let starts_at = if new.at_once {
        at
    } else {
        ends.map_or(at, |end| end.max(at))
    };
    let term = new.term.or(old.term);
    let wanted = Wanted {
        term,
        trial: false,
        starts_at: Some(starts_at),
        ends_at: new.ends_at,
        quantities: new.quantities.unwrap_or_else(|| before.quantities.clone()),
        quotas: new.quotas.unwrap_or(before.quotas),
    };
    let anchor = old.anchor_for(sold.plan_id, starts_at);
    let terms = wanted.terms(&sold.plan, anchor, at).map_err(wrongs)?;
    let others = attached
        .into_iter()
        .filter(|it| it.proof != AccountProof::Buyer);
    let deal = Deal {
        sold,
        buyer: old.buyer.clone(),
        others: others.map(|it| (it.account, it.proof, it.reason)).collect(),
        reference: new.reference,
        event_id: new.event_id,
        made_at: at,
        term,
        anchor,
        terms,
        replaces: Some(old),
        reason,
    };
    // The accounts are the old one's: what can be changed is until when the new one lasts.
    let length = if term.is_some() { "term" } else { "ends_at" };
    let made = close(&mut tx, actor, deal, &|_| length.to_owned(), at).await?;
    ctx.commit(tx).await?;
    Ok(made)
}
