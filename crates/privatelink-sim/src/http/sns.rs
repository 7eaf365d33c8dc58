//! The certificates behind SNS's signatures: SNS's own where its envelopes say, the authority's in the control API.

use actix_web::{HttpResponse, web};

use crate::world::messaging::signature::{Authority, authority};

/// The certificate that an envelope's `SigningCertURL` names.
pub(super) async fn certificate(file: web::Path<String>) -> HttpResponse {
    pem(authority()
        .filter(|authority| authority.file == *file)
        .map(|authority| &authority.certificate))
}

/// The certificate of the authority that vouches for it.
pub(super) async fn root() -> HttpResponse {
    pem(authority().map(|Authority { root, .. }| root))
}

fn pem(text: Option<&String>) -> HttpResponse {
    match text {
        Some(text) => HttpResponse::Ok()
            .content_type("application/x-pem-file")
            .body(text.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}
