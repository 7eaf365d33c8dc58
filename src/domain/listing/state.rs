//! Where a listing stands, and where each of its revisions stands. Which step leads where is in [`super::steps`].
#![deny(clippy::wildcard_enum_match_arm)]

use crate::domain::text::text_enum;

text_enum!(
    /// Where a listing stands.
    ListingState {
        /// It is being written.
        Draft = "draft",
        /// Somebody reviews it.
        InReview = "in_review",
        /// The review asked for changes.
        ChangesRequested = "changes_requested",
        /// The review passed.
        Approved = "approved",
        /// Released to an allow-list.
        Limited = "limited",
        /// Released to everybody.
        Public = "public",
        /// No new agreements; those that exist run on.
        Restricted = "restricted",
        /// Nothing new anywhere, for now.
        Suspended = "suspended",
        /// Over.
        Retired = "retired",
    }
);

impl ListingState {
    /// Whether a revision of it is live.
    pub fn is_released(self) -> bool {
        match self {
            Self::Limited | Self::Public | Self::Restricted | Self::Suspended => true,
            Self::Draft
            | Self::InReview
            | Self::ChangesRequested
            | Self::Approved
            | Self::Retired => false,
        }
    }

    /// Whether somebody can buy, as far as the listing is concerned.
    pub fn sells(self) -> bool {
        matches!(self, Self::Limited | Self::Public)
    }
}

text_enum!(
    /// Where a revision of a listing stands.
    RevisionStatus {
        /// It is being written.
        Draft = "draft",
        /// It is frozen, and somebody reviews it.
        InReview = "in_review",
        /// The review passed; it is not live yet.
        Approved = "approved",
        /// The review asked for changes, which are made in the next one.
        Rejected = "rejected",
        /// It is what is sold.
        Live = "live",
        /// Another took its place, or it was taken back before it was live.
        Superseded = "superseded",
    }
);

impl RevisionStatus {
    /// Whether it may still become live.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::InReview | Self::Approved)
    }
}
