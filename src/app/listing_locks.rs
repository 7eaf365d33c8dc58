//! The rows that a step of a listing holds: the services that its revisions name, in the order of their ids, and then the listing.
//!
//! Who changes a service locks it and asks who sells it (`sold_services`); a step looks at its services and begins to sell them. Because both hold the services, whoever
//! comes second sees what the first has done.

use super::code::Code;
use super::read_listings::missing;
use super::{AppError, PgConnection};
use crate::domain::ids::ListingId;
use crate::domain::listing::Listing;
use crate::store::{listing_services, listings};

/// Locks a listing behind its services. Which those are is read before anything is locked, and asked again after it.
pub(super) async fn lock(conn: &mut PgConnection, id: ListingId) -> Result<Listing, AppError> {
    let seen = listing_services::named(conn, id).await?;
    listing_services::hold(conn, &seen).await?;
    let listing = listings::locked(conn, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let named = listing_services::named(conn, id).await?;
    if named.is_subset(&seen) {
        return Ok(listing);
    }
    let detail = "somebody wrote another service into it at this moment; read it again";
    Err(AppError::new(Code::ListingChanged, detail))
}
