//! Makes an agreement of a plan, as the live revision or an offer has it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::json;

use super::agreement_checks::{
    Asked, Sold, Span, find, proofs, refuse_overlap, refuse_replacing, refuse_second_trial,
};
use super::agreement_standing::{know, note, stand};
use super::code::Code;
use super::hear_notice::keep;
use super::listing_parts::{refuse, stamp};
use super::{AppContext, AppError, PgConnection, read_agreements, text};
use crate::domain::actor::Actor;
use crate::domain::agreement::notice_rules::{OWN_EVENTS, foreign_id, happened};
use crate::domain::agreement::purchase::Wanted;
use crate::domain::agreement::{
    Account, AccountProof, Agreement, HeardNotice, Notice, Terms, Told,
};
use crate::domain::decision::{AgreementSource, AgreementState};
use crate::domain::ids::{AgreementAccountId, AgreementId, ListingId, OfferId, PlanId, uuid_at};
use crate::domain::listing::{ContractTerm, Wrong};
use crate::store::{agreement_accounts, agreement_notices, agreements, parties};

/// The most accounts besides the buyer's.
pub const MOST_ACCOUNTS: usize = 100;

/// What is bought, and by whom.
#[derive(Debug)]
pub struct NewAgreement {
    /// Of which listing.
    pub listing: ListingId,
    /// Which plan; an offer says it as well.
    pub plan: Option<PlanId>,
    /// By which offer.
    pub offer: Option<OfferId>,
    /// The account that buys.
    pub buyer: AccountId,
    /// Accounts besides it.
    pub accounts: Vec<AccountId>,
    /// The provider's own id of it.
    pub reference: Option<String>,
    /// The provider's own id of the event that it was made.
    pub event_id: Option<String>,
    /// When it was made; now when absent.
    pub made_at: Option<DateTime<Utc>>,
    /// For how long and how much.
    pub wanted: Wanted,
    /// The one whose place it takes.
    pub replaces: Option<AgreementId>,
    /// Why.
    pub reason: Option<String>,
}

/// Makes an agreement. The buyer's account is attached to it, and others with what is known of them.
#[tracing::instrument(skip_all, fields(listing.id = %new.listing))]
pub async fn make_agreement(
    ctx: &AppContext,
    actor: &Actor,
    new: NewAgreement,
) -> Result<Agreement, AppError> {
    let at = ctx.clock.now();
    refuse(Code::InvalidRequest, limits(&new, at))?;
    let reason = text::optional_reason(new.reason.as_deref())?;
    let mut tx = ctx.begin().await?;
    if let Some(reference) = &new.reference {
        agreement_notices::lock_reference(&mut tx, AgreementSource::Private, reference).await?;
    }
    let all: BTreeSet<AccountId> = new.accounts.iter().chain([&new.buyer]).cloned().collect();
    let (buyer, others): (Vec<_>, Vec<_>) = parties::lock_many(&mut tx, &all)
        .await?
        .into_iter()
        .partition(|party| *party.account() == new.buyer);
    let [buyer] = buyer.as_slice() else {
        return Err(AppError::internal("the buyer was not locked"));
    };
    let asked = Asked {
        listing: new.listing,
        plan: new.plan,
        offer: new.offer,
        buyer: &new.buyer,
        goes_on: new.replaces.is_some(),
    };
    let sold = find(&mut tx, &asked, at).await?;
    let replaces = match new.replaces {
        Some(id) => Some(replaced(&mut tx, id, &sold, &new.buyer).await?),
        None => None,
    };
    let starts_at = new.wanted.starts_at.unwrap_or(at);
    let anchor = replaces
        .as_ref()
        .and_then(|old| old.anchor_for(sold.plan_id, starts_at));
    let term = new.wanted.term;
    let terms = new.wanted.terms(&sold.plan, anchor, at).map_err(wrongs)?;
    let (buyer_account, accounts) = (new.buyer.clone(), new.accounts.clone());
    let place = move |account: &AccountId| {
        let index = accounts.iter().position(|it| it == account);
        match index {
            Some(index) if *account != buyer_account => format!("accounts[{index}]"),
            _ => "buyer_account".to_owned(),
        }
    };
    let proven = proofs(&mut tx, buyer, &others, &place).await?;
    let deal = Deal {
        sold,
        buyer: new.buyer,
        others: proven
            .into_iter()
            .map(|(it, proof)| (it, proof, None))
            .collect(),
        reference: new.reference,
        event_id: new.event_id,
        made_at: new.made_at.unwrap_or(at),
        term,
        anchor,
        terms,
        replaces,
        reason,
    };
    let made = close(&mut tx, actor, deal, &place, at).await?;
    ctx.commit(tx).await?;
    Ok(made)
}

/// All that is wrong, as one refusal.
pub(super) fn wrongs(wrong: Vec<Wrong>) -> AppError {
    let error = AppError::of_wrongs(Code::InvalidRequest, wrong);
    error.unwrap_or_else(|| AppError::internal("nothing is wrong, and it was refused"))
}

fn limits(new: &NewAgreement, now: DateTime<Utc>) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    wrong.extend(
        new.reference
            .as_deref()
            .and_then(|id| foreign_id("reference", id)),
    );
    wrong.extend(
        new.event_id
            .as_deref()
            .and_then(|id| foreign_id("event_id", id)),
    );
    wrong.extend(new.made_at.and_then(|at| happened("made_at", at, now)));
    if new.accounts.len() > MOST_ACCOUNTS {
        let given = new.accounts.len();
        wrong.push(Wrong {
            field: "accounts".to_owned(),
            detail: format!("accounts may have {MOST_ACCOUNTS} entries, not {given}"),
        });
    }
    for (index, account) in new.accounts.iter().enumerate() {
        if *account == new.buyer || new.accounts[..index].contains(account) {
            wrong.push(Wrong {
                field: format!("accounts[{index}]"),
                detail: format!("account {account} is there already"),
            });
        }
    }
    wrong
}

/// The agreement whose place another shall take, locked.
async fn replaced(
    conn: &mut PgConnection,
    id: AgreementId,
    sold: &Sold,
    buyer: &AccountId,
) -> Result<Agreement, AppError> {
    let old = agreements::locked(conn, &[id]).await?.into_iter().next();
    let old = old.ok_or_else(|| read_agreements::missing(id))?;
    let wrong = |detail: String| {
        let error = AppError::new(Code::InvalidRequest, detail);
        Err(error.field("replaces"))
    };
    if old.listing != sold.listing.id {
        return wrong(format!("it is of the listing {}", old.listing));
    }
    if old.buyer != *buyer {
        return wrong(format!("account {} bought it", old.buyer));
    }
    Ok(old)
}

/// What was agreed, with everything found that it takes.
#[derive(Debug)]
pub(super) struct Deal {
    pub(super) sold: Sold,
    pub(super) buyer: AccountId,
    /// The other accounts, how each was proven, and why it is attached.
    pub(super) others: Vec<(AccountId, AccountProof, Option<String>)>,
    pub(super) reference: Option<String>,
    pub(super) event_id: Option<String>,
    pub(super) made_at: DateTime<Utc>,
    pub(super) term: Option<ContractTerm>,
    /// From when a term is counted, where it goes on another one.
    pub(super) anchor: Option<DateTime<Utc>>,
    pub(super) terms: Terms,
    /// The one whose place it takes, locked.
    pub(super) replaces: Option<Agreement>,
    pub(super) reason: Option<String>,
}

/// Asks what is left to be asked (where another agreement is in the way, `blame` says which part of the request brings its account there), and writes the agreement with its accounts and the notice that it was made; of the one whose place it takes, that it was replaced.
pub(super) async fn close(
    conn: &mut PgConnection,
    actor: &Actor,
    deal: Deal,
    blame: &(dyn Fn(&AccountId) -> String + Sync),
    at: DateTime<Utc>,
) -> Result<Agreement, AppError> {
    let Deal { sold, terms, .. } = &deal;
    let others = deal.others.iter().map(|(account, ..)| account.clone());
    let accounts: Vec<AccountId> = others.chain([deal.buyer.clone()]).collect();
    if let Some(old) = &deal.replaces {
        let known = know(conn, std::slice::from_ref(old)).await?;
        refuse_replacing(conn, &known, old, terms.starts_at, at).await?;
    }
    if terms.trial {
        refuse_second_trial(conn, sold.plan_id, &accounts, None).await?;
    }
    let replaces = deal.replaces.as_ref().map(|old| old.id);
    let but: Vec<AgreementId> = replaces.into_iter().collect();
    let span = Span {
        listing: sold.listing.id,
        plan: &sold.plan,
        accounts: &accounts,
        starts_at: terms.starts_at,
        ends_at: terms.ends_at,
        but: &but,
        blame,
    };
    refuse_overlap(conn, &span).await?;
    let new = row(&deal, actor, at);
    if !agreements::insert(conn, &new).await? {
        let first = agreements::by_reference(conn, new.source, &new.reference).await?;
        let id = first.map_or_else(String::new, |first| first.id.to_string());
        let detail = format!("the agreement {id} has the reference {:?}", new.reference);
        return Err(AppError::new(Code::AgreementExists, detail).field("reference"));
    }
    attach(conn, &new, &deal, actor, at).await?;
    let notice = Notice {
        id: deal.event_id.clone().unwrap_or_else(|| own_event(at)),
        at: deal.made_at,
        told: Told::Made(terms.clone()),
    };
    tell(conn, actor, &new, notice, deal.reason.clone(), at).await?;
    let after = json!({
        "listing_id": new.listing, "plan_id": new.plan, "revision": new.revision, "offer_id": new.offer, "reference": new.reference,
        "buyer_account": new.buyer, "accounts": accounts, "term": new.term, "terms": terms, "replaces": new.replaces,
    });
    let reason = deal.reason.as_deref();
    note(
        conn,
        actor,
        new.id,
        "agreement.make",
        (None, Some(after)),
        reason,
        at,
    )
    .await?;
    let mut rows = vec![new.clone()];
    if let Some(old) = &deal.replaces {
        let notice = Notice {
            id: own_event(at),
            at: terms.starts_at,
            told: Told::Replaced,
        };
        tell(conn, actor, old, notice, deal.reason.clone(), at).await?;
        let after = json!({ "replaced_by": new.id, "at": terms.starts_at });
        note(
            conn,
            actor,
            old.id,
            "agreement.replace",
            (None, Some(after)),
            reason,
            at,
        )
        .await?;
        rows.push(old.clone());
    }
    let stood = stand(conn, actor, &rows, at).await?;
    let made = stood.into_iter().find(|row| row.id == new.id);
    made.ok_or_else(|| AppError::internal("an agreement was made and does not stand"))
}

/// From when the term is counted, where that is not its own beginning.
fn anchor(deal: &Deal) -> Option<DateTime<Utc>> {
    let anchor = deal.anchor.filter(|_| deal.term.is_some());
    anchor.filter(|it| *it != deal.terms.starts_at)
}

fn row(deal: &Deal, actor: &Actor, at: DateTime<Utc>) -> Agreement {
    let id = AgreementId::new(at);
    Agreement {
        id,
        source: AgreementSource::Private,
        reference: deal.reference.clone().unwrap_or_else(|| id.to_string()),
        listing: deal.sold.listing.id,
        plan: deal.sold.plan_id,
        revision: deal.sold.revision,
        offer: deal.sold.offer,
        buyer: deal.buyer.clone(),
        term: deal.term,
        anchored_at: anchor(deal),
        replaces: deal.replaces.as_ref().map(|old| old.id),
        state: AgreementState::Pending,
        cause: None,
        grace_until: None,
        succeeded_at: None,
        starts_at: Some(deal.terms.starts_at),
        ends_at: deal.terms.ends_at,
        over_quota: None,
        due_at: Some(at),
        version: 1,
        made: stamp(actor, at),
        stood_at: at,
    }
}

async fn attach(
    conn: &mut PgConnection,
    new: &Agreement,
    deal: &Deal,
    actor: &Actor,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let buyer = (deal.buyer.clone(), AccountProof::Buyer, None);
    for (account, proof, reason) in std::iter::once(&buyer).chain(&deal.others) {
        let attached = Account {
            id: AgreementAccountId::new(at),
            agreement: new.id,
            account: account.clone(),
            proof: *proof,
            attached: stamp(actor, at),
            reason: reason.clone(),
            detached: None,
        };
        agreement_accounts::attach(conn, &attached).await?;
    }
    Ok(())
}

/// An id of an event of our own.
pub(super) fn own_event(at: DateTime<Utc>) -> String {
    format!("{OWN_EVENTS}{}", uuid_at(at).simple())
}

/// Keeps what people here say happened to an agreement.
pub(super) async fn tell(
    conn: &mut PgConnection,
    actor: &Actor,
    of: &Agreement,
    notice: Notice,
    reason: Option<String>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let heard = HeardNotice {
        source: of.source,
        reference: of.reference.clone(),
        notice,
        reason,
        heard: stamp(actor, at),
    };
    keep(conn, heard).await.map(|_| ())
}
