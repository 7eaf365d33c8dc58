//! What has to hold before an agreement is made, changed, or an account attached: asked in the transaction.
//!
//! Whether one account has another agreement at the time, or has tried the plan, stays true because the caller has locked the accounts: whoever makes one, amends one, or
//! attaches an account takes these locks. The listing and the offer are only kept as they are, so that many may buy at a time.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use privatelink::AccountId;

use super::agreement_standing::{Known, know};
use super::code::Code;
use super::read_listings::missing;
use super::{AppError, PgConnection, read_offers};
use crate::domain::agreement::{AccountProof, Agreement};
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementId, ListingId, OfferId, PlanId};
use crate::domain::listing::{Listing, ListingState, Offer, OfferState, Plan};
use crate::store::parties::Party;
use crate::store::{
    agreement_accounts, agreements, facts, listing_revisions as revisions, listings, offers,
};

/// What somebody wants to buy, and who.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) listing: ListingId,
    pub(super) plan: Option<PlanId>,
    pub(super) offer: Option<OfferId>,
    pub(super) buyer: &'a AccountId,
    /// Whether it takes the place of an agreement: those that have one may go on where nobody else can begin.
    pub(super) goes_on: bool,
}

/// What is bought.
#[derive(Debug)]
pub(super) struct Sold {
    pub(super) listing: Listing,
    pub(super) plan: Plan,
    pub(super) plan_id: PlanId,
    pub(super) revision: i64,
    pub(super) offer: Option<OfferId>,
}

/// Finds what is bought, and keeps the listing and the offer as they are. Refuses what is not sold, or not to this buyer.
pub(super) async fn find(
    conn: &mut PgConnection,
    asked: &Asked<'_>,
    at: DateTime<Utc>,
) -> Result<Sold, AppError> {
    let listing = listings::kept(conn, asked.listing)
        .await?
        .ok_or_else(|| missing(asked.listing))?;
    refuse_unsold(&listing, asked)?;
    let offer = match asked.offer {
        Some(id) => Some(open_offer(conn, id, asked, at).await?),
        None => None,
    };
    let (plan_id, revision) = match (&offer, asked.plan, listing.live_revision) {
        (Some(offer), _, _) => (offer.plan, offer.revision),
        (None, Some(plan), Some(live)) => (plan, live),
        (None, None, _) => {
            let detail = "say which plan is bought, or by which offer";
            return Err(AppError::new(Code::InvalidRequest, detail).field("plan_id"));
        }
        (None, Some(_), None) => {
            return Err(AppError::internal(
                "a listing sells without a live revision",
            ));
        }
    };
    let revision = revisions::by_number(conn, listing.id, revision).await?;
    let revision = revision.ok_or_else(|| AppError::internal("a revision that is sold is gone"))?;
    let plan = revision.content.plan(plan_id).cloned().ok_or_else(|| {
        let detail = format!("the listing sells no plan {plan_id} now");
        AppError::new(Code::InvalidRequest, detail).field("plan_id")
    })?;
    Ok(Sold {
        listing,
        plan,
        plan_id,
        revision: revision.number,
        offer: offer.map(|offer| offer.id),
    })
}

fn refuse_unsold(listing: &Listing, asked: &Asked<'_>) -> Result<(), AppError> {
    let allowed = listing.allow_list.contains(asked.buyer);
    match listing.state {
        ListingState::Public => Ok(()),
        ListingState::Limited | ListingState::Restricted | ListingState::Suspended
            if asked.goes_on =>
        {
            Ok(())
        }
        ListingState::Limited if allowed => Ok(()),
        ListingState::Limited => {
            let detail = format!(
                "the listing is limited to its allow-list, which account {} is not on",
                asked.buyer
            );
            Err(AppError::new(Code::BuyerNotAllowed, detail).field("buyer_account"))
        }
        state => {
            let detail = match state {
                ListingState::Restricted => {
                    "the listing is restricted: agreements that exist are renewed, and no new one is made"
                        .to_owned()
                }
                ListingState::Suspended => {
                    "the listing is suspended: agreements that exist are renewed, and no new one is made"
                        .to_owned()
                }
                _ => format!("the listing is {state}; what is sold is limited or public"),
            };
            Err(AppError::new(Code::ListingNotSelling, detail))
        }
    }
}

async fn open_offer(
    conn: &mut PgConnection,
    id: OfferId,
    asked: &Asked<'_>,
    at: DateTime<Utc>,
) -> Result<Offer, AppError> {
    let offer = offers::kept(conn, id)
        .await?
        .ok_or_else(|| read_offers::missing(id))?;
    let wrong =
        |field: &str, detail: String| Err(AppError::new(Code::InvalidRequest, detail).field(field));
    if offer.listing != asked.listing {
        return wrong(
            "offer_id",
            format!("the offer is of the listing {}", offer.listing),
        );
    }
    if asked.plan.is_some_and(|plan| plan != offer.plan) {
        return wrong(
            "plan_id",
            format!("the offer is of the plan {}", offer.plan),
        );
    }
    match offer.state(at) {
        OfferState::Open => {}
        OfferState::Scheduled => {
            let detail = format!("it can be taken from {} on", offer.valid_from.to_rfc3339());
            return Err(AppError::new(Code::OfferNotOpen, detail).field("offer_id"));
        }
        over @ (OfferState::Expired | OfferState::Withdrawn) => {
            let detail = format!("the offer is {over}");
            return Err(AppError::new(Code::OfferEnded, detail).field("offer_id"));
        }
    }
    if !offer.is_for(asked.buyer) {
        let detail = format!("the offer is private, and not for account {}", asked.buyer);
        return Err(AppError::new(Code::OfferNotForBuyer, detail).field("offer_id"));
    }
    Ok(offer)
}

/// When accounts may connect by what, and by which agreements they may do so without a question.
pub(super) struct Span<'a> {
    pub(super) listing: ListingId,
    pub(super) plan: &'a Plan,
    pub(super) accounts: &'a [AccountId],
    pub(super) starts_at: DateTime<Utc>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    /// The agreement itself, and the one whose place it takes.
    pub(super) but: &'a [AgreementId],
    /// Which part of the request brings an account to that time.
    pub(super) blame: &'a (dyn Fn(&AccountId) -> String + Sync),
}

/// Refuses a second agreement of a listing for one account at one time, unless the plans of both say which one pays.
pub(super) async fn refuse_overlap(
    conn: &mut PgConnection,
    span: &Span<'_>,
) -> Result<(), AppError> {
    let accounts = texts(span.accounts);
    let mut others = agreements::of_accounts(conn, &[span.listing], &accounts).await?;
    others.retain(|it| {
        it.state != AgreementState::Ended && it.succeeded_at.is_none() && !span.but.contains(&it.id)
    });
    let known = know(conn, &others).await?;
    for other in others {
        let starts = known.terms(other.id).map(|terms| terms.starts_at);
        let ends = known.record(other.id)?.ends_first();
        let begins_before = span
            .ends_at
            .is_none_or(|end| starts.is_some_and(|at| at < end));
        let ends_after = ends.is_none_or(|at| at > span.starts_at);
        let ruled = span.plan.bind_rule.is_some() && known.plan(&other)?.bind_rule.is_some();
        if !begins_before || !ends_after || ruled {
            continue;
        }
        let attached = agreement_accounts::of_many(conn, &[other.id]).await?;
        // What anybody may attach without a proof keeps no account from buying for itself.
        let attached = attached.into_iter().filter(|it| it.proof.lets_in());
        let mut shared = attached.map(|it| it.account);
        let Some(shared) = shared.find(|it| span.accounts.contains(it)) else {
            continue;
        };
        let detail = format!(
            "account {shared} has the agreement {} of this listing {}, and this one is {}; renew it, end it, or give both plans a bind_rule",
            other.id,
            time_span(starts, ends),
            time_span(Some(span.starts_at), span.ends_at),
        );
        let field = (span.blame)(&shared);
        return Err(AppError::new(Code::AgreementOverlaps, detail).field(field));
    }
    Ok(())
}

fn time_span(starts_at: Option<DateTime<Utc>>, ends_at: Option<DateTime<Utc>>) -> String {
    let shown = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let starts = starts_at.map_or_else(|| "a time that is not known yet".to_owned(), shown);
    match ends_at {
        Some(ends) => format!("from {starts} until {}", shown(ends)),
        None => format!("from {starts} on, without an end"),
    }
}

/// Refuses a second trial of a plan for one account.
pub(super) async fn refuse_second_trial(
    conn: &mut PgConnection,
    plan: PlanId,
    accounts: &[AccountId],
    but: Option<AgreementId>,
) -> Result<(), AppError> {
    match agreements::trial_of(conn, plan, &texts(accounts), but).await? {
        None => Ok(()),
        Some((id, account)) => {
            let detail =
                format!("account {account} has tried the plan by {id}; a plan is tried once");
            Err(AppError::new(Code::TrialTaken, detail))
        }
    }
}

/// How it is proven that accounts belong to whoever bought: by their membership of the same consumer. An account of somebody else's is refused; one that is known to
/// be nobody's has no proof.
pub(super) async fn proofs(
    conn: &mut PgConnection,
    buyer: &Party,
    others: &[Party],
    field: impl Fn(&AccountId) -> String,
) -> Result<Vec<(AccountId, AccountProof)>, AppError> {
    let accounts: Vec<AccountId> = others.iter().map(|it| it.account().clone()).collect();
    let memberships = facts::memberships(conn, &texts(&accounts)).await?;
    let whose = buyer.consumer().map(|consumer| consumer.id);
    let mut proofs = Vec::with_capacity(accounts.len());
    for account in accounts {
        let membership = memberships.iter().find(|it| it.account == account);
        let proof = match membership {
            None => AccountProof::None,
            Some(it) if Some(it.consumer) == whose => it.proof.into(),
            Some(it) => {
                let detail = format!(
                    "account {account} belongs to {} ({}), and the buyer does not",
                    it.name, it.consumer
                );
                return Err(AppError::new(Code::AccountTaken, detail).field(field(&account)));
            }
        };
        proofs.push((account, proof));
    }
    Ok(proofs)
}

/// Refuses to put another agreement in the place of one that is over, that another has replaced already, or that would be cut before.
pub(super) async fn refuse_replacing(
    conn: &mut PgConnection,
    known: &Known,
    old: &Agreement,
    begins: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    refuse_foreign(old)?;
    let now = known.now(old, at)?;
    // Also one that was to take the place of one that never came to be.
    let next = agreements::heirs(conn, &[old.id]).await?;
    let told = know(conn, &next).await?;
    for next in next {
        if !told.record(next.id)?.is_rolled_back() {
            let detail = format!("{} takes its place", next.id);
            return Err(AppError::new(Code::AgreementRenewed, detail));
        }
    }
    if now.state == AgreementState::Ended {
        return Err(over(&now));
    }
    if !known.goes_over(old, begins, at)? {
        let detail = "it would begin when all is over of the one whose place it takes; begin earlier, or make one of its own";
        return Err(AppError::new(Code::InvalidRequest, detail).field("starts_at"));
    }
    Ok(())
}

/// Refuses to have people say what happened to an agreement that is kept elsewhere.
pub(super) fn refuse_foreign(of: &Agreement) -> Result<(), AppError> {
    match of.source {
        AgreementSource::Private => Ok(()),
        AgreementSource::Aws => {
            let detail = "the agreement is kept by AWS Marketplace; change it there";
            Err(AppError::new(Code::AgreementForeign, detail))
        }
    }
}

/// Says that nothing can be done to an agreement any more.
pub(super) fn over(now: &Agreement) -> AppError {
    let why = now
        .cause
        .map_or_else(String::new, |cause| format!(" ({cause})"));
    AppError::new(Code::AgreementOver, format!("it is {}{why}", now.state))
}

/// What the agreements' store takes.
pub(super) fn texts(accounts: &[AccountId]) -> Vec<String> {
    let distinct: BTreeSet<String> = accounts.iter().map(ToString::to_string).collect();
    distinct.into_iter().collect()
}
