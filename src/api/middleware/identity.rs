//! Finds out who sends a request before it is worked on.
//!
//! It may take a look into the database or a fetch of keys, so it comes before the handler: its arguments are taken all at once, and none of them should
//! answer a caller who is not known yet. Whether somebody has to be known at all is the handler's to say.
//!
//! A service token that did not prove itself in this process before is paid for by its sender's address before it is looked up, so guesses cost the database no more than
//! the address may ask.

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage as _, web};

use super::client;
use crate::api::auth::{Identity, shows_a_guess};
use crate::api::edge::Edge;
use crate::api::limits::rates::{Payer, Told};
use crate::app::AppContext;

/// Leaves the [`Identity`] of the sender with the request. Answers what the address was told where it paid; fails where it has nothing left to pay with.
pub(crate) async fn establish(request: &ServiceRequest, edge: &Edge) -> Result<Option<Told>, Told> {
    let path = request.path();
    // The catalogue shows those who say who they are what is sold to them, too.
    let asks = path.starts_with("/v1/") || path == "/catalog" || path.starts_with("/catalog/");
    if !asks {
        return Ok(None);
    }
    let headers = request.headers();
    let told = if shows_a_guess(headers, edge) {
        let limits = edge.limits();
        let address = client::address(request.request(), limits.settings.proxies);
        let weight = client::weight(request.method());
        limits.rates.charge(&Payer::Address(address), weight)?
    } else {
        None
    };
    let ctx = request.app_data::<web::Data<AppContext>>().cloned();
    let ctx = ctx.as_ref().map(web::Data::get_ref);
    let identity = Identity::of(headers, edge, ctx).await;
    request.extensions_mut().insert(identity);
    Ok(told)
}
