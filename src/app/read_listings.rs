//! Lookups and lists of listings, their revisions, and whether they are ready.

use chrono::{DateTime, Utc};

use super::code::Code;
use super::read::Listed;
use super::{AppContext, AppError};
use crate::domain::ids::ListingId;
use crate::domain::listing::readiness::{Readiness, ReadinessFacts, readiness};
use crate::domain::listing::{Listing, Revision};
use crate::store::{PgConnection, listing_revisions as revisions, listing_services, listings};

/// A listing with the revisions that matter.
#[derive(Debug)]
pub struct WholeListing {
    /// The listing.
    pub listing: Listing,
    /// The revision that is sold.
    pub live: Option<Revision>,
    /// The one after it, or the first: a draft, in review, approved or rejected.
    pub next: Option<Revision>,
}

/// One listing.
pub async fn listing(ctx: &AppContext, id: ListingId) -> Result<WholeListing, AppError> {
    whole(&mut *ctx.acquire().await?, id).await
}

/// One listing, as a transaction sees it.
pub(super) async fn whole(
    conn: &mut PgConnection,
    id: ListingId,
) -> Result<WholeListing, AppError> {
    let listing = listings::by_id(conn, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let standing = revisions::standing(conn, &[id]).await?;
    Ok(together(listing, standing))
}

fn together(listing: Listing, standing: Vec<Revision>) -> WholeListing {
    let mut whole = WholeListing {
        listing,
        live: None,
        next: None,
    };
    for revision in standing {
        if whole.listing.live_revision == Some(revision.number) {
            whole.live = Some(revision);
        } else {
            whole.next = Some(revision);
        }
    }
    whole
}

/// Listings, newest first.
pub async fn listings(
    ctx: &AppContext,
    filter: &listings::Filter<'_>,
    before: Option<ListingId>,
    limit: i64,
) -> Result<Listed<WholeListing, ListingId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = listings::page(conn, filter, before, limit + 1).await?;
    let listed = Listed::cut(rows, limit, |row| row.id);
    let ids: Vec<ListingId> = listed.items.iter().map(|row| row.id).collect();
    let mut standing = revisions::standing(conn, &ids).await?;
    let with = |row: Listing| {
        let own = standing.extract_if(.., |revision| revision.listing == row.id);
        let own: Vec<Revision> = own.collect();
        together(row, own)
    };
    Ok(Listed {
        items: listed.items.into_iter().map(with).collect(),
        next: listed.next,
    })
}

/// One revision of a listing.
pub async fn revision(ctx: &AppContext, id: ListingId, number: i64) -> Result<Revision, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    listings::by_id(conn, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let found = revisions::by_number(conn, id, number).await?;
    found.ok_or_else(|| no_revision(id, number))
}

/// Revisions of a listing, newest first.
pub async fn revisions(
    ctx: &AppContext,
    id: ListingId,
    before: Option<i64>,
    limit: i64,
) -> Result<Listed<Revision, i64>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    listings::by_id(conn, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let rows = revisions::page(conn, id, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.number))
}

/// Whether a revision can be sold, and which one was looked at: the one that is named, else the next one, else the live one.
pub async fn readiness_of(
    ctx: &AppContext,
    id: ListingId,
    number: Option<i64>,
) -> Result<(i64, Vec<Readiness>), AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = whole(conn, id).await?;
    let revision = match number {
        Some(number) => revisions::by_number(conn, id, number)
            .await?
            .ok_or_else(|| no_revision(id, number))?,
        None => found
            .next
            .or(found.live)
            .ok_or_else(|| AppError::internal("a listing without a revision"))?,
    };
    let checks = examine(conn, &found.listing, &revision, ctx.fresh_since()).await?;
    Ok((revision.number, checks))
}

/// Every readiness check of a revision. What was seen before `since` is too old.
pub(super) async fn examine(
    conn: &mut PgConnection,
    listing: &Listing,
    revision: &Revision,
    since: DateTime<Utc>,
) -> Result<Vec<Readiness>, AppError> {
    let ids = revision.content.service_ids();
    let accounts: Vec<String> = listing.allow_list.iter().map(ToString::to_string).collect();
    let facts = ReadinessFacts {
        services: listing_services::readiness(conn, listing.id, &ids).await?,
        test_connection: listing_services::connected_at(conn, &ids, &accounts).await?,
    };
    Ok(readiness(&revision.content, &facts, since))
}

pub(super) fn missing(id: ListingId) -> AppError {
    AppError::new(Code::ListingNotFound, format!("there is no listing {id}"))
}

fn no_revision(id: ListingId, number: i64) -> AppError {
    let detail = format!("the listing {id} has no revision {number}");
    AppError::new(Code::ListingRevisionNotFound, detail)
}
