//! The catalogue: what is sold, as whoever looks may see it. What may not be seen is refused in the words for what does not exist.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::own::read::proven_account_ids;
use super::read::Listed;
use super::read_listings::missing;
use super::{AppContext, AppError};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{EndpointServiceId, ListingId, PlanId};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::listing::{Listing, ListingContent, OfferKind, Revision};
use crate::domain::member::Member;
use crate::store::listings::CatalogFilter;
use crate::store::offers::{Looked, OpenOffer};
use crate::store::{
    PgConnection, endpoint_services, listing_revisions as revisions, listings, offers,
};

/// The most offers of a listing that a list shows.
const MOST_IN_A_LIST: i64 = 10;
/// The most that a listing's own address shows.
const MOST_AT_ITS_ADDRESS: i64 = 100;

/// Something that is sold.
#[derive(Debug)]
pub struct CatalogEntry {
    /// The listing.
    pub listing: Listing,
    /// What is sold.
    pub live: Revision,
    /// Its services that are in use, in the order of the revision.
    pub services: Vec<RegisteredService>,
    /// Offers that whoever looks can take now, as many as are shown.
    pub offers: Vec<OpenOffer>,
    /// Whether there are more of them.
    pub more_offers: bool,
}

/// What is sold to whoever looks, newest first.
pub async fn catalog(
    ctx: &AppContext,
    member: Option<&Member>,
    filter: &CatalogFilter<'_>,
    before: Option<ListingId>,
    limit: i64,
) -> Result<Listed<CatalogEntry, ListingId>, AppError> {
    let own = accounts_of(ctx, member).await?;
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let names: Vec<String> = own.iter().map(ToString::to_string).collect();
    let who = (names.as_slice(), ctx.clock.now());
    let rows = listings::catalog(conn, who, filter, before, limit + 1).await?;
    let listed = Listed::cut(rows, limit, |row| row.id);
    Ok(Listed {
        items: with_parts(conn, listed.items, who, MOST_IN_A_LIST).await?,
        next: listed.next,
    })
}

/// One listing, at its own address.
pub async fn entry(
    ctx: &AppContext,
    member: Option<&Member>,
    id: ListingId,
) -> Result<CatalogEntry, AppError> {
    let own = accounts_of(ctx, member).await?;
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = listings::by_id(conn, id).await?;
    let found = found.ok_or_else(|| missing(id))?;
    let names: Vec<String> = own.iter().map(ToString::to_string).collect();
    let who = (names.as_slice(), ctx.clock.now());
    let mut entries = with_parts(conn, vec![found], who, MOST_AT_ITS_ADDRESS).await?;
    let shown = entries.pop().filter(|entry| {
        // Private ones come first, so none is cut off by public ones.
        let mut offers = entry.offers.iter();
        let offered = offers.any(|it| it.offer.kind == OfferKind::Private);
        entry.listing.is_shown_to(&own, offered)
    });
    shown.ok_or_else(|| missing(id))
}

/// The accounts that count: an account that somebody merely named sees nothing that is not everybody's.
async fn accounts_of(
    ctx: &AppContext,
    member: Option<&Member>,
) -> Result<BTreeSet<AccountId>, AppError> {
    match member {
        Some(member) => proven_account_ids(ctx, member).await,
        None => Ok(BTreeSet::new()),
    }
}

async fn with_parts(
    conn: &mut PgConnection,
    rows: Vec<Listing>,
    (accounts, now): (&[String], DateTime<Utc>),
    most: i64,
) -> Result<Vec<CatalogEntry>, AppError> {
    let ids: Vec<ListingId> = rows.iter().map(|row| row.id).collect();
    let live = revisions::live(conn, &ids).await?.into_iter();
    let mut live: BTreeMap<ListingId, Revision> = live.map(|it| (it.listing, it)).collect();
    let contents = || live.values().map(|it| &it.content);
    let wanted: Vec<EndpointServiceId> = contents().flat_map(ListingContent::service_ids).collect();
    let plans = contents().flat_map(|it| &it.plans);
    let plans: Vec<PlanId> = plans.filter_map(|plan| plan.id).collect();
    let services = endpoint_services::by_ids(conn, &wanted).await?;
    let looked = Looked {
        listings: &ids,
        plans: &plans,
        accounts,
        now,
        most: most + 1,
    };
    let mut offers = offers::open_for(conn, &looked).await?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let entry = |listing: Listing| {
        let live = live.remove(&listing.id)?;
        let sold = live.content.services.iter();
        let found = |id| services.iter().find(|service| service.id == id);
        let services = sold
            .filter_map(|it| found(it.service_id))
            .filter(|service| service.lifecycle.state == LifecycleState::Active)
            .cloned()
            .collect();
        let mut offers: Vec<OpenOffer> = offers
            .extract_if(.., |it| it.offer.listing == listing.id)
            .collect();
        let more_offers = offers.len() > most;
        offers.truncate(most);
        Some(CatalogEntry {
            listing,
            live,
            services,
            offers,
            more_offers,
        })
    };
    Ok(rows.into_iter().filter_map(entry).collect())
}
