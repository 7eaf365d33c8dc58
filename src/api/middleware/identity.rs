//! Finds out who sends a request before it is worked on.
//!
//! It may take a look into the database or a fetch of keys, so it comes before the handler: its arguments are taken all at once, and none of them should
//! answer a caller who is not known yet. Whether somebody has to be known at all is the handler's to say.

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage as _, web};

use crate::api::auth::Identity;
use crate::api::edge::Edge;
use crate::app::AppContext;

/// Leaves the [`Identity`] of the sender with the request.
pub(crate) async fn establish(request: &ServiceRequest, edge: &Edge) {
    let path = request.path();
    // The catalogue shows those who say who they are what is sold to them, too.
    let asks = path.starts_with("/v1/") || path == "/catalog" || path.starts_with("/catalog/");
    if !asks {
        return;
    }
    let ctx = request.app_data::<web::Data<AppContext>>().cloned();
    let ctx = ctx.as_ref().map(web::Data::get_ref);
    let identity = Identity::of(request.headers(), edge, ctx).await;
    request.extensions_mut().insert(identity);
}
