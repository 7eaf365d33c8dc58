//! An AWS account in one Region: the unit of AWS work.

use chrono::{DateTime, Utc};
use privatelink::AccountRegionRef;
use uuid::Uuid;

use super::hint_setup::HintSetup;
use super::ids::AccountRegionId;

/// An AWS account in one Region that Portcullis works in, with what is known of its upkeep.
#[derive(Debug, Clone)]
pub struct AccountRegion {
    /// Our id.
    pub id: AccountRegionId,
    /// The account, the Region and how to get in.
    pub place: AccountRegionRef,
    /// What people call it.
    pub name: String,
    /// Whether the worker serves it.
    pub enabled: bool,
    /// Rises with every change by a person.
    pub version: i64,
    /// Which replica serves it, and until when unless it renews.
    pub lease: Option<LeaseView>,
    /// How many times ownership changed.
    pub fence: i64,
    /// The last complete listing of its connections.
    pub listing: Option<Listing>,
    /// The last failure of a listing, until the next success.
    pub error: Option<ListingError>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// Who added it.
    pub created_by: String,
    /// How AWS tells of its connections by itself; absent until the worker has taken it up.
    pub hints: Option<HintSetup>,
}

/// Who owns an AccountRegion right now.
#[derive(Debug, Clone, Copy)]
pub struct LeaseView {
    /// The replica.
    pub holder: Uuid,
    /// Since when it has it; unknown where an older version took it.
    pub since: Option<DateTime<Utc>>,
    /// When the lease ends unless it is renewed.
    pub until: DateTime<Utc>,
}

/// The figures of a complete listing.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// How many connections it saw on registered services.
    pub connections: i64,
    /// How many connections it saw on services that are not registered here.
    pub unregistered: i64,
}

/// Why a listing failed.
#[derive(Debug, Clone)]
pub struct ListingError {
    /// The AWS error code.
    pub code: String,
    /// AWS's words.
    pub message: String,
    /// When.
    pub at: DateTime<Utc>,
    /// When it is tried again, where that is known.
    pub next_at: Option<DateTime<Utc>>,
}

/// A replica's right to work in an AccountRegion. Every write of the worker names the fence; a replica that slept through its lease can
/// finish its call to AWS but can write nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub account_region: AccountRegionId,
    /// The account, the Region and how to get in.
    pub place: AccountRegionRef,
    /// The replica that holds it.
    pub holder: Uuid,
    /// Rises with every change of owner.
    pub fence: i64,
}
