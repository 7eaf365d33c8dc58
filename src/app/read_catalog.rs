//! The catalogue: what is sold, as whoever looks may see it. What may not be seen is refused in the words for what does not exist.

use std::collections::{BTreeMap, BTreeSet};

use privatelink::AccountId;

use super::own::read::account_ids;
use super::read::Listed;
use super::read_listings::missing;
use super::{AppContext, AppError};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{EndpointServiceId, ListingId};
use crate::domain::listing::{Listing, Offer, Revision};
use crate::domain::member::Member;
use crate::store::listings::CatalogFilter;
use crate::store::{
    PgConnection, endpoint_services, listing_revisions as revisions, listings, offers,
};

/// Something that is sold.
#[derive(Debug)]
pub struct CatalogEntry {
    /// The listing.
    pub listing: Listing,
    /// What is sold.
    pub live: Revision,
    /// Its services, whatever became of them since, in the order of the revision.
    pub services: Vec<RegisteredService>,
    /// Offers that whoever looks can take now.
    pub offers: Vec<Offer>,
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
    let rows = listings::catalog(conn, &names, filter, before, limit + 1).await?;
    let listed = Listed::cut(rows, limit, |row| row.id);
    Ok(Listed {
        items: with_parts(ctx, conn, listed.items, &names).await?,
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
    let found = found.filter(|listing| listing.is_shown_to(&own));
    let found = found.ok_or_else(|| missing(id))?;
    let names: Vec<String> = own.iter().map(ToString::to_string).collect();
    let mut entries = with_parts(ctx, conn, vec![found], &names).await?;
    entries.pop().ok_or_else(|| missing(id))
}

async fn accounts_of(
    ctx: &AppContext,
    member: Option<&Member>,
) -> Result<BTreeSet<AccountId>, AppError> {
    match member {
        Some(member) => account_ids(ctx, member).await,
        None => Ok(BTreeSet::new()),
    }
}

async fn with_parts(
    ctx: &AppContext,
    conn: &mut PgConnection,
    rows: Vec<Listing>,
    own: &[String],
) -> Result<Vec<CatalogEntry>, AppError> {
    let ids: Vec<ListingId> = rows.iter().map(|row| row.id).collect();
    let live = revisions::live(conn, &ids).await?.into_iter();
    let mut live: BTreeMap<ListingId, Revision> = live.map(|it| (it.listing, it)).collect();
    let wanted: Vec<EndpointServiceId> = live
        .values()
        .flat_map(|it| it.content.service_ids())
        .collect();
    let services = endpoint_services::by_ids(conn, &wanted).await?;
    let offers = offers::open_for(conn, &ids, own, ctx.clock.now()).await?;
    let entry = |listing: Listing| {
        let live = live.remove(&listing.id)?;
        let sold = live.content.services.iter();
        let found = |id| services.iter().find(|service| service.id == id).cloned();
        let services = sold.filter_map(|it| found(it.service_id)).collect();
        // An offer of an older revision goes on, as long as there is its plan.
        let mine =
            |offer: &&Offer| offer.listing == listing.id && live.content.plan(offer.plan).is_some();
        let offers = offers.iter().filter(mine).cloned().collect();
        Some(CatalogEntry {
            listing,
            live,
            services,
            offers,
        })
    };
    Ok(rows.into_iter().filter_map(entry).collect())
}
