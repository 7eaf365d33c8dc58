//! What a listing asks of the services that it sells from its release on: nobody opens them to everybody or ends them unnoticed.
//!
//! It is asked of a service that the caller has locked for a change. The steps of a listing hold their services too (`listing_locks`), so no sale begins in between.

use super::code::Code;
use super::principals::has_everybody;
use super::{AppError, PgConnection};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{EndpointServiceId, ListingId};
use crate::store::listing_services::{self, Seller};

/// Refuses principals that let everybody ask for a service that is sold. Where everybody could before, nothing gets worse.
pub(super) async fn refuse_everybody(
    conn: &mut PgConnection,
    before: &RegisteredService,
    after: &[String],
) -> Result<(), AppError> {
    match who_forbids_everybody(conn, before, after).await? {
        None => Ok(()),
        Some(seller) => {
            let detail = format!(
                "{}, and nothing is sold that everybody with an AWS account may ask for; name accounts instead of *",
                sells(&seller, before.id)
            );
            Err(AppError::new(Code::ServiceSold, detail))
        }
    }
}

/// The listing because of which a service may not get these principals.
pub(super) async fn who_forbids_everybody(
    conn: &mut PgConnection,
    before: &RegisteredService,
    after: &[String],
) -> Result<Option<Seller>, AppError> {
    if has_everybody(&before.allowed_principals) || !has_everybody(after) {
        return Ok(None);
    }
    Ok(listing_services::seller(conn, before.id).await?)
}

/// Refuses to end a service that is sold, unless the request names the listing: then somebody knows what it ends. Answers the listing.
pub(super) async fn confirm_end(
    conn: &mut PgConnection,
    service: EndpointServiceId,
    confirmed: Option<ListingId>,
) -> Result<Option<ListingId>, AppError> {
    let Some(seller) = listing_services::seller(conn, service).await? else {
        return Ok(None);
    };
    if confirmed == Some(seller.listing) {
        return Ok(confirmed);
    }
    let detail = format!(
        "{}; release a revision without it or retire the listing first, or confirm it with confirm_sold_by: {}",
        sells(&seller, service),
        seller.listing
    );
    Err(AppError::new(Code::ServiceSold, detail).field("confirm_sold_by"))
}

fn sells(seller: &Seller, service: EndpointServiceId) -> String {
    format!(
        "the listing {} ({}) is {} and sells the service {service}",
        seller.listing, seller.slug, seller.state
    )
}
