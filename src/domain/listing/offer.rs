//! Offers: a plan for other prices, for everybody or for some accounts, for a while. An offer pins the plan as it was in one revision.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plan::{ContractTerm, Plan};
use super::wrong::{Wrong, Wrongs};
use crate::domain::consumer::Said;
use crate::domain::ids::{ListingId, OfferId, PlanId};
use crate::domain::money::Amount;
use crate::domain::policy::Stamp;
use crate::domain::text::text_enum;

/// The most accounts of a private offer.
pub const MOST_ACCOUNTS: usize = 26;

text_enum!(
    /// Whom an offer is for.
    OfferKind {
        /// Everybody who can see the listing.
        Public = "public",
        /// The accounts that it names.
        Private = "private",
    }
);

text_enum!(
    /// Where an offer stands.
    OfferState {
        /// Its time has not come yet.
        Scheduled = "scheduled",
        /// It can be taken.
        Open = "open",
        /// Its time is over.
        Expired = "expired",
        /// Somebody took it back.
        Withdrawn = "withdrawn",
    }
);

/// Another price than the plan's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceOverride {
    /// The dimension, by its key.
    #[schema(min_length = 1, max_length = 100, example = "endpoint_seat")]
    pub dimension: String,
    /// For which term; absent for what is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<ContractTerm>,
    /// What one costs, in the plan's currency.
    pub price: Amount,
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Our id.
    pub id: OfferId,
    /// What is offered.
    pub listing: ListingId,
    /// Which plan of it.
    pub plan: PlanId,
    /// As it was in which revision.
    pub revision: i64,
    /// Whom it is for.
    pub kind: OfferKind,
    /// What people call it.
    pub name: String,
    /// The accounts of a private one.
    pub accounts: BTreeSet<AccountId>,
    /// From when it can be taken.
    pub valid_from: DateTime<Utc>,
    /// Until when; `None` is without an end.
    pub valid_until: Option<DateTime<Utc>>,
    /// Other prices than the plan's.
    pub prices: Vec<PriceOverride>,
    /// Rises with every change.
    pub version: i64,
    /// Who made it.
    pub made: Stamp,
    /// Who took it back.
    pub withdrawn: Option<Said>,
}

impl Offer {
    /// Where it stands at a time.
    pub fn state(&self, now: DateTime<Utc>) -> OfferState {
        if self.withdrawn.is_some() {
            OfferState::Withdrawn
        } else if self.valid_until.is_some_and(|until| until <= now) {
            OfferState::Expired
        } else if self.valid_from > now {
            OfferState::Scheduled
        } else {
            OfferState::Open
        }
    }

    /// Whether an account may take it, as far as the offer is concerned.
    pub fn is_for(&self, account: &AccountId) -> bool {
        self.kind == OfferKind::Public || self.accounts.contains(account)
    }

    /// A plan as this offer sells it: with its own prices where it has any.
    pub fn applied_to(&self, mut plan: Plan) -> Plan {
        for card in &mut plan.rate_cards {
            for rate in &mut card.rates {
                let same = |own: &&PriceOverride| {
                    (&own.dimension, own.term) == (&rate.dimension, card.term)
                };
                if let Some(own) = self.prices.iter().find(same) {
                    rate.price = own.price;
                }
            }
        }
        plan
    }

    /// What one of a dimension costs by this offer.
    pub fn price(
        &self,
        plan: &Plan,
        dimension: &str,
        term: Option<ContractTerm>,
    ) -> Option<Amount> {
        let mut own = self.prices.iter();
        let own = own.find(|it| it.dimension == dimension && it.term == term);
        own.map(|it| it.price)
            .or_else(|| plan.card(term)?.price(dimension))
    }
}

/// What somebody wants to offer.
#[derive(Debug, Clone)]
pub struct OfferTerms {
    /// Whom it is for.
    pub kind: OfferKind,
    /// What people call it.
    pub name: String,
    /// The accounts, as they were given.
    pub accounts: Vec<String>,
    /// From when it can be taken.
    pub valid_from: DateTime<Utc>,
    /// Until when.
    pub valid_until: Option<DateTime<Utc>>,
    /// Other prices than the plan's.
    pub prices: Vec<PriceOverride>,
}

/// What is wrong with an offer of a plan.
pub fn offer_limits(terms: &OfferTerms, plan: &Plan, now: DateTime<Utc>) -> Vec<Wrong> {
    let mut wrong = Wrongs::default();
    let w = &mut wrong;
    w.line("name", &terms.name, 150);
    match terms.kind {
        OfferKind::Private if terms.accounts.is_empty() => {
            w.add(
                "accounts",
                format!("a private offer names the 1 to {MOST_ACCOUNTS} accounts that it is for"),
            );
        }
        OfferKind::Public if !terms.accounts.is_empty() => {
            w.add(
                "accounts",
                "a public offer is for everybody; make it private to name accounts",
            );
        }
        OfferKind::Private | OfferKind::Public => {
            w.count("accounts", terms.accounts.len(), MOST_ACCOUNTS);
        }
    }
    for (index, account) in terms.accounts.iter().enumerate() {
        if let Err(error) = account.parse::<AccountId>() {
            w.add(format!("accounts[{index}]"), error.to_string());
        }
    }
    w.once("accounts", "", terms.accounts.iter().map(String::as_str));
    match terms.valid_until {
        None if terms.kind == OfferKind::Private => {
            w.add("valid_until", "a private offer has an end");
        }
        Some(until) if until <= terms.valid_from || until <= now => {
            w.add(
                "valid_until",
                "give a time that is yet to come, after valid_from",
            );
        }
        Some(_) | None => {}
    }
    w.count("prices", terms.prices.len(), 250);
    for (index, own) in terms.prices.iter().enumerate() {
        let at = format!("prices[{index}]");
        let card = plan.card(own.term);
        if card.and_then(|card| card.price(&own.dimension)).is_none() {
            let term = own
                .term
                .map_or_else(|| "for usage".to_owned(), |term| format!("for {term}"));
            let key: String = own.dimension.chars().take(100).collect();
            w.add(
                format!("{at}.dimension"),
                format!("the plan has no price {term} of a dimension {key:?}"),
            );
        }
        if let (Some(currency), Some(_)) = (plan.currency, own.term)
            && own.price.decimals() > currency.decimals()
        {
            let detail = format!(
                "{currency} has {} decimals, and {} has more",
                currency.decimals(),
                own.price
            );
            w.add(format!("{at}.price"), detail);
        }
        let same = |it: &PriceOverride| (&it.dimension, it.term) == (&own.dimension, own.term);
        if terms.prices[..index].iter().any(same) {
            w.add(at, "there is another price for it already");
        }
    }
    wrong.into_all()
}
