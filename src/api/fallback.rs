//! The answer where no route matches: 405 with the methods that would, or 404.
//!
//! The router tries path and method together and so cannot tell the two apart; the OpenAPI document
//! can.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::openapi::DocumentData;
use super::problem::Problem;
use crate::app::code::Code;

/// Refuses the request.
pub(super) async fn refuse(
    request: HttpRequest,
    document: DocumentData,
) -> Result<HttpResponse, Problem> {
    let methods = document.methods_at(request.path());
    if methods.is_empty() {
        return Err(Problem::new(
            Code::NotFound,
            "No route has this path; the paths are listed under /docs/.",
        ));
    }
    Err(not_allowed(&methods))
}

/// The refusal of a request that came to a route with an id in its path, while its path is another one's by the word, of other methods: a GET of
/// `/v1/policies/validate`. Nothing where that is not so.
pub(super) fn wrong_method(request: &HttpRequest) -> Option<Problem> {
    let document = request.app_data::<DocumentData>()?;
    let methods = document.methods_at(request.path());
    let known = methods.is_empty() || methods.contains(request.method());
    (!known).then(|| not_allowed(&methods))
}

fn not_allowed(methods: &[Method]) -> Problem {
    let allowed = methods
        .iter()
        .map(Method::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let problem = Problem::new(
        Code::MethodNotAllowed,
        format!("This path can be used with {allowed}."),
    );
    match HeaderValue::from_str(&allowed) {
        Ok(value) => problem.header(header::ALLOW, value),
        Err(_) => problem,
    }
}
