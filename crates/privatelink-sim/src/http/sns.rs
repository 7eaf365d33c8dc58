//! The certificates behind SNS's signatures: SNS's own where its envelopes say, the authority's in the control API.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::control::{done, problem};
use super::object::Object;
use crate::Simulator;
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

/// Certificates in PEM that HTTPS endpoints may be vouched for by, besides those the machine trusts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trust {
    pem: Vec<String>,
}

pub(super) async fn trusted(simulator: web::Data<Simulator>) -> HttpResponse {
    let pem = simulator.world().trusted_roots().to_vec();
    HttpResponse::Ok().json(Trust { pem })
}

pub(super) async fn trust(
    simulator: web::Data<Simulator>,
    trust: web::Json<Object<Trust>>,
) -> HttpResponse {
    let Trust { pem } = trust.into_inner().0;
    let readable = |text: &String| {
        reqwest::Certificate::from_pem_bundle(text.as_bytes()).is_ok_and(|all| !all.is_empty())
    };
    if !pem.iter().all(readable) {
        let detail = "each text must hold at least one certificate in PEM";
        return problem(StatusCode::BAD_REQUEST, "InvalidCertificate", detail);
    }
    done(simulator.with_world(|world| world.trust_roots(pem)))
}

fn pem(text: Option<&String>) -> HttpResponse {
    match text {
        Some(text) => HttpResponse::Ok()
            .content_type("application/x-pem-file")
            .body(text.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}
