//! The API reference for people, under `/docs/`: Swagger UI, embedded in the program, reading
//! `/openapi.json`. It contacts no other host.

use actix_web::guard;
use actix_web::web::{self, Redirect, ServiceConfig};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Registers the reference and the redirects to it.
pub(super) fn configure(cfg: &mut ServiceConfig) {
    let config = Config::new(["/openapi.json"])
        .display_operation_id(true)
        // The default asks a public service to validate the document.
        .validator_url("none");
    cfg.service(
        web::resource(["/", "/docs"])
            .guard(guard::Get())
            .to(async || Redirect::to("/docs/").see_other()),
    )
    .service(SwaggerUi::new("/docs/{file:.*}").config(config));
}
