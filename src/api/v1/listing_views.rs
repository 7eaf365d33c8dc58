//! What listings, their revisions and offers look like.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::consumer_accounts::SaidView;
use super::policy_views::StampView;
use crate::app::read_listings::WholeListing;
use crate::domain::ids::{ListingId, OfferId, PlanId};
use crate::domain::listing::readiness::{Readiness, ReadinessStatus};
use crate::domain::listing::{
    ListingContent, ListingState, Offer, OfferKind, OfferState, PriceOverride, Rejection,
    ReviewItem, Revision, RevisionStatus, Visibility,
};

/// A listing in as few words as a list takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingSummaryView {
    /// Its id.
    id: ListingId,
    /// A short name that is used once, in addresses.
    #[schema(example = "ledger-over-privatelink")]
    slug: String,
    /// Who answers for it at the provider.
    #[schema(example = "payments")]
    owner: String,
    /// What it is called: by the live revision, or by the next one where none is live.
    #[schema(example = "Ledger over PrivateLink")]
    title: String,
    /// Where it stands.
    state: ListingState,
    /// Where it goes back to; null unless it is suspended.
    suspended_from: Option<ListingState>,
    /// Who sees it once it is public.
    visibility: Visibility,
    /// The accounts of the allow-list: who may buy while it is limited, and see it where only they may.
    #[schema(example = json!(["222222222222"]))]
    allow_list: Vec<String>,
    /// The revision that is sold; null before the first release.
    #[schema(minimum = 1, example = 1)]
    live_revision: Option<i64>,
    /// The revision after it, or the first; null where nothing was written since the live one.
    #[schema(minimum = 1, example = 2)]
    next_revision: Option<i64>,
    /// Where that one stands.
    next_status: Option<RevisionStatus>,
    /// Counts the changes of the listing and its draft. Send it with a change.
    version: i64,
    /// Who began it.
    created: StampView,
    /// Who moved it where it stands.
    moved: StampView,
    /// Why, if they said so.
    #[schema(example = "The price is wrong")]
    moved_reason: Option<String>,
}

/// A listing with the revisions that matter.
#[derive(Debug, Serialize, ToSchema)]
pub struct WholeListingView {
    /// The listing.
    #[serde(flatten)]
    summary: ListingSummaryView,
    /// The revision that is sold; null before the first release.
    live: Option<ListingRevisionView>,
    /// The revision after it, or the first: a draft, in review, approved or rejected. Null where nothing was written since the live one.
    next: Option<ListingRevisionView>,
}

impl From<&WholeListing> for ListingSummaryView {
    fn from(whole: &WholeListing) -> Self {
        let row = &whole.listing;
        let named = whole.live.as_ref().or(whole.next.as_ref());
        Self {
            id: row.id,
            slug: row.slug.clone(),
            owner: row.owner.clone(),
            title: named.map(|it| it.content.title.clone()).unwrap_or_default(),
            state: row.state,
            suspended_from: row.suspended_from,
            visibility: row.visibility,
            allow_list: row.allow_list.iter().map(ToString::to_string).collect(),
            live_revision: row.live_revision,
            next_revision: whole.next.as_ref().map(|it| it.number),
            next_status: whole.next.as_ref().map(|it| it.status),
            version: row.version,
            created: row.created.clone().into(),
            moved: row.moved.clone().into(),
            moved_reason: row.moved_reason.clone(),
        }
    }
}

impl From<WholeListing> for WholeListingView {
    fn from(whole: WholeListing) -> Self {
        Self {
            summary: (&whole).into(),
            live: whole.live.map(Into::into),
            next: whole.next.map(Into::into),
        }
    }
}

/// A revision of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingRevisionView {
    /// Counts the revisions of the listing, from 1.
    #[schema(minimum = 1, example = 1)]
    number: i64,
    /// Where it stands.
    status: RevisionStatus,
    /// What it says. Frozen once it was submitted.
    content: ListingContent,
    /// Everybody who wrote in it. None of them reviews it.
    #[schema(example = json!(["ann@provider.example"]))]
    authors: Vec<String>,
    /// Who began it.
    begun: StampView,
    /// Who wrote in it last.
    written: StampView,
    /// Who submitted it; null while it is a draft.
    submitted: Option<StampView>,
    /// Who approved or rejected it; null before.
    reviewed: Option<StampView>,
    /// What the reviewer ticked.
    checklist: Vec<ReviewItem>,
    /// What the reviewer said.
    #[schema(example = "Looks good")]
    review_note: Option<String>,
    /// Why it was rejected; empty where it was not.
    rejections: Vec<Rejection>,
    /// When it became live.
    live_at: Option<DateTime<Utc>>,
    /// When another took its place, or it was taken back.
    superseded_at: Option<DateTime<Utc>>,
}

impl From<Revision> for ListingRevisionView {
    fn from(row: Revision) -> Self {
        Self {
            number: row.number,
            status: row.status,
            content: row.content,
            authors: row.authors.into_iter().collect(),
            begun: row.begun.into(),
            written: row.written.into(),
            submitted: row.submitted.map(Into::into),
            reviewed: row.reviewed.map(Into::into),
            checklist: row.checklist,
            review_note: row.review_note,
            rejections: row.rejections,
            live_at: row.live_at,
            superseded_at: row.superseded_at,
        }
    }
}

/// Whether a revision can be sold.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingReadinessView {
    /// The revision that was looked at.
    #[schema(minimum = 1, example = 1)]
    revision: i64,
    /// Whether every check passes.
    ready: bool,
    /// Each check: those of the services, then the listing's own.
    checks: Vec<Readiness>,
}

impl From<(i64, Vec<Readiness>)> for ListingReadinessView {
    fn from((revision, checks): (i64, Vec<Readiness>)) -> Self {
        Self {
            revision,
            ready: checks.iter().all(|one| one.status == ReadinessStatus::Pass),
            checks,
        }
    }
}

/// An offer: a plan for other prices, for everybody or for some accounts, for a while.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferView {
    /// Its id.
    id: OfferId,
    /// What is offered.
    listing_id: ListingId,
    /// Which plan of it.
    plan_id: PlanId,
    /// The revision that has the plan as it is offered.
    #[schema(minimum = 1, example = 1)]
    revision: i64,
    /// Whom it is for.
    kind: OfferKind,
    /// Where it stands now.
    state: OfferState,
    /// What people call it.
    #[schema(example = "First year for Acme")]
    name: String,
    /// The accounts of a private offer.
    #[schema(example = json!(["222222222222"]))]
    accounts: Vec<String>,
    /// From when it can be taken.
    valid_from: DateTime<Utc>,
    /// Until when; null is without an end.
    valid_until: Option<DateTime<Utc>>,
    /// Other prices than the plan's. What is not here costs what the plan says.
    prices: Vec<PriceOverride>,
    /// Counts the changes.
    version: i64,
    /// Who made it.
    made: StampView,
    /// Who took it back; null while nobody has.
    withdrawn: Option<SaidView>,
}

impl OfferView {
    /// As it stands at a time.
    pub(super) fn at(row: Offer, now: DateTime<Utc>) -> Self {
        Self {
            id: row.id,
            listing_id: row.listing,
            plan_id: row.plan,
            revision: row.revision,
            kind: row.kind,
            state: row.state(now),
            name: row.name,
            accounts: row.accounts.into_iter().map(String::from).collect(),
            valid_from: row.valid_from,
            valid_until: row.valid_until,
            prices: row.prices,
            version: row.version,
            made: row.made.into(),
            withdrawn: row.withdrawn.map(Into::into),
        }
    }
}
