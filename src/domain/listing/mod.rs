//! Listings: what is sold, by whom it was reviewed, and who may buy. Pure.
//!
//! A listing has revisions. One may be open (a draft, in review, approved) and one live; what was submitted never changes again, so an agreement that pins a plan and a
//! revision says for ever what was bought. [`steps`] has every step, [`content_rules`] and `plan_rules` every limit, [`continuity`] what may not change once it was
//! live, and [`readiness`] what has to hold before everybody may buy.

pub mod content;
pub mod content_rules;
#[cfg(test)]
mod content_tests;
pub mod continuity;
pub mod grace;
pub mod offer;
pub mod plan;
pub mod plan_ids;
mod plan_rules;
pub mod readiness;
pub mod review;
pub mod standing;
#[cfg(test)]
mod standing_tests;
pub mod state;
pub mod steps;
#[cfg(test)]
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod wrong;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::AccountId;

pub use content::{Acceptance, ListedService, ListingContent};
pub use grace::{EndCause, Grace};
pub use offer::{Offer, OfferKind, OfferState, PriceOverride};
pub use plan::{
    Approval, BindRule, ContractTerm, Dimension, DimensionSource, DimensionType, DimensionUnit,
    Plan, PricingModel, Quotas, RateCard,
};
pub use review::{Rejection, RejectionCode, ReviewItem};
pub use standing::{Standing, StepRefusal, Taken};
pub use state::{ListingState, RevisionStatus};
pub use steps::{ListingVerb, Step, StepBy, StepGuard};
pub use wrong::Wrong;

use super::ids::ListingId;
use super::policy::Stamp;
use super::text::text_enum;

/// The longest name of an owner, in characters.
pub const LONGEST_OWNER: usize = 128;
/// The most accounts of an allow-list: what a body of the default size has room for, several times over.
pub const MOST_ALLOWED: usize = 1000;

text_enum!(
    /// Who sees a listing that is public.
    Visibility {
        /// Everybody.
        Public = "public",
        /// Whoever knows its address.
        Unlisted = "unlisted",
        /// The accounts of its allow-list.
        AllowList = "allow_list",
    }
);

/// A listing, without its revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Our id.
    pub id: ListingId,
    /// A short name that is used once, in addresses.
    pub slug: String,
    /// Who answers for it at the provider: a person or a team.
    pub owner: String,
    /// Where it stands.
    pub state: ListingState,
    /// Where it was when it was suspended; only while it is.
    pub suspended_from: Option<ListingState>,
    /// The revision that is sold.
    pub live_revision: Option<i64>,
    /// Who sees it once it is public.
    pub visibility: Visibility,
    /// Accounts that may buy while it is limited, and see it where only they may.
    pub allow_list: BTreeSet<AccountId>,
    /// Rises with every change of the listing or its open revision.
    pub version: i64,
    /// Who made it.
    pub created: Stamp,
    /// Who moved it where it stands, when, and why if they said so.
    pub moved: Stamp,
    /// Why it stands where it stands, if somebody said so.
    pub moved_reason: Option<String>,
}

impl Listing {
    /// Where it and its open revision stand.
    pub fn standing(&self, open: Option<RevisionStatus>) -> Standing {
        Standing {
            state: self.state,
            suspended_from: self.suspended_from,
            open,
        }
    }

    /// Whether whoever has these accounts may see it in the catalogue's list. Nobody's account sees what everybody may. `offered` is whether one of them can take
    /// a private offer of it: while it is public, that is an invitation; while it is limited, the allow-list alone tests it.
    pub fn is_listed_for(&self, accounts: &BTreeSet<AccountId>, offered: bool) -> bool {
        let allowed = !self.allow_list.is_disjoint(accounts);
        match (self.state, self.visibility) {
            (ListingState::Public, Visibility::Public) => true,
            (ListingState::Public, Visibility::Unlisted | Visibility::AllowList) => {
                allowed || offered
            }
            (ListingState::Limited, _) => allowed,
            _ => false,
        }
    }

    /// Whether it may be seen at its own address.
    pub fn is_shown_to(&self, accounts: &BTreeSet<AccountId>, offered: bool) -> bool {
        let unlisted =
            (self.state, self.visibility) == (ListingState::Public, Visibility::Unlisted);
        unlisted || self.is_listed_for(accounts, offered)
    }
}

/// A revision of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Of which listing.
    pub listing: ListingId,
    /// Counts the revisions of a listing, from 1.
    pub number: i64,
    /// Where it stands.
    pub status: RevisionStatus,
    /// What it says. Frozen once it was submitted.
    pub content: ListingContent,
    /// Everybody who wrote in it; none of them reviews it.
    pub authors: BTreeSet<String>,
    /// Who began it.
    pub begun: Stamp,
    /// Who wrote in it last.
    pub written: Stamp,
    /// Who submitted it, and when it was frozen so.
    pub submitted: Option<Stamp>,
    /// Who approved or rejected it.
    pub reviewed: Option<Stamp>,
    /// What the reviewer ticked.
    pub checklist: Vec<ReviewItem>,
    /// What the reviewer said.
    pub review_note: Option<String>,
    /// Why it was rejected.
    pub rejections: Vec<Rejection>,
    /// When it became live.
    pub live_at: Option<DateTime<Utc>>,
    /// When another took its place, or it was taken back.
    pub superseded_at: Option<DateTime<Utc>>,
}

impl Revision {
    /// Whether somebody may review it: nobody who wrote or submitted it.
    pub fn may_be_reviewed_by(&self, name: &str) -> bool {
        !self.authors.contains(name) && self.submitted.as_ref().is_none_or(|it| it.by != name)
    }
}
