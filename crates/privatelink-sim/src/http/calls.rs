//! The calls of the control API in one table: what is served, what `GET /_sim` lists, and what a wrong call is told.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, Route, Scope, web};
use serde_json::{Value, json};

use super::{control, control_elb, lattice, names};
use crate::Simulator;

/// One call.
struct Call {
    method: &'static str,
    /// Below `/_sim`.
    path: &'static str,
    does: &'static str,
    route: fn() -> Route,
}

const fn call(
    method: &'static str,
    path: &'static str,
    does: &'static str,
    route: fn() -> Route,
) -> Call {
    Call {
        method,
        path,
        does,
        route,
    }
}

/// Every call there is.
const CALLS: &[Call] = &[
    call("GET", "", "this list", || web::get().to(index)),
    call(
        "GET",
        "/actions",
        "every simulated action, by service",
        || web::get().to(control::actions),
    ),
    call("GET", "/state", "a summary of the world", || {
        web::get().to(control::state)
    }),
    call(
        "GET",
        "/connections",
        "every listed connection and its state",
        || web::get().to(control::connections),
    ),
    call("GET", "/snapshot", "the whole world", || {
        web::get().to(control::snapshot)
    }),
    call("POST", "/reset", "empties the world", || {
        web::post().to(control::reset)
    }),
    call("PUT", "/snapshot", "replaces the whole world", || {
        web::put().to(control::restore)
    }),
    call(
        "POST",
        "/populate",
        "makes many services and connections",
        || web::post().to(control::populate),
    ),
    call("GET", "/clock", "the simulated time", || {
        web::get().to(control::clock)
    }),
    call("POST", "/clock", "stops, runs or moves the clock", || {
        web::post().to(control::move_clock)
    }),
    call("GET", "/faults", "the planned faults", || {
        web::get().to(control::faults)
    }),
    call("POST", "/faults", "plans a fault", || {
        web::post().to(control::plan_fault)
    }),
    call("DELETE", "/faults", "removes all faults", || {
        web::delete().to(control::clear_faults)
    }),
    call("DELETE", "/faults/{id}", "removes a fault", || {
        web::delete().to(control::remove_fault)
    }),
    call(
        "POST",
        "/targets/health",
        "sets the health of targets",
        || web::post().to(control_elb::set_health),
    ),
    call(
        "POST",
        "/load-balancers/state",
        "sets the state of a load balancer",
        || web::post().to(control_elb::set_state),
    ),
    call("GET", "/events", "the call log", || {
        web::get().to(control::events)
    }),
    call("GET", "/behavior", "the switches", || {
        web::get().to(control::behavior)
    }),
    call("PUT", "/behavior", "sets the switches", || {
        web::put().to(control::set_behavior)
    }),
    call("POST", "/roles", "registers a role", || {
        web::post().to(control::register_role)
    }),
    call("POST", "/keys", "registers an access key", || {
        web::post().to(super::keys::register)
    }),
    call("GET", "/sns/root.pem", "the authority behind SNS", || {
        web::get().to(super::sns::root)
    }),
    call("GET", "/sns/trust", "trusted certificates", || {
        web::get().to(super::sns::trusted)
    }),
    call("PUT", "/sns/trust", "trusts certificates", || {
        web::put().to(super::sns::trust)
    }),
    call("GET", "/dns", "the public TXT records", || {
        web::get().to(control::txt_records)
    }),
    call("PUT", "/dns", "adds a TXT record", || {
        web::put().to(control::put_txt)
    }),
    call("DELETE", "/dns", "removes TXT records", || {
        web::delete().to(control::remove_txt)
    }),
    call(
        "POST",
        "/endpoints/failures",
        "plans endpoints that fail",
        || web::post().to(control::fail_endpoints),
    ),
    call(
        "GET",
        "/lattice",
        "what is registered of VPC Lattice",
        || web::get().to(lattice::registered),
    ),
    call("PUT", "/lattice", "registers ARNs of VPC Lattice", || {
        web::put().to(lattice::register)
    }),
    call("GET", "/hosted-zones", "the private hosted zones", || {
        web::get().to(names::zones)
    }),
    call("PUT", "/hosted-zones", "adds a private hosted zone", || {
        web::put().to(names::put_zone)
    }),
    call(
        "DELETE",
        "/hosted-zones",
        "removes a private hosted zone",
        || web::delete().to(names::remove_zone),
    ),
    call(
        "POST",
        "/services/failed",
        "makes a service or one of its Regions fail",
        || web::post().to(super::states::fail_service),
    ),
    call(
        "POST",
        "/endpoints/partial",
        "makes an endpoint partial for a while",
        || web::post().to(super::states::partial_endpoint),
    ),
    call(
        "POST",
        "/services/owner-alias",
        "shows an alias for a service's owner",
        || web::post().to(names::set_alias),
    ),
    call(
        "PUT",
        "/prefix-lists",
        "changes the addresses of a service",
        || web::put().to(names::change_prefix_list),
    ),
];

/// All of them as routes.
pub(super) fn register(scope: Scope) -> Scope {
    CALLS
        .iter()
        .fold(scope, |scope, call| scope.route(call.path, (call.route)()))
        .default_service(web::to(elsewhere))
}

async fn index(simulator: web::Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "seed": simulator.seed(),
        "calls": list(),
    }))
}

fn list() -> Vec<Value> {
    CALLS
        .iter()
        .map(|call| json!({"method": call.method, "path": format!("/_sim{}", call.path), "does": call.does}))
        .collect()
}

/// A wrong path (404) or a wrong method (405); both say what there is.
async fn elsewhere(request: HttpRequest) -> HttpResponse {
    let path = request.path().strip_prefix("/_sim").unwrap_or_default();
    let methods: Vec<_> = CALLS
        .iter()
        .filter(|call| fits(call.path, path))
        .map(|call| call.method)
        .collect();
    if methods.is_empty() {
        let detail = "there is no such call; `calls` lists those that there are";
        return with_calls(StatusCode::NOT_FOUND, "NotFound", detail, "");
    }
    let allowed = methods.join(", ");
    let detail = format!("{} takes {allowed}", request.path());
    with_calls(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        &detail,
        &allowed,
    )
}

/// Whether a path is one of a table's, where `{id}` stands for any part.
fn fits(pattern: &str, path: &str) -> bool {
    let (wanted, given): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    wanted.len() == given.len()
        && wanted
            .iter()
            .zip(given)
            .all(|(want, part)| *want == part || want.starts_with('{'))
}

fn with_calls(status: StatusCode, code: &str, detail: &str, allowed: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if !allowed.is_empty() {
        response.insert_header((header::ALLOW, allowed));
    }
    response.json(json!({"code": code, "detail": detail, "calls": list()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_its_pattern_part_by_part() {
        assert!(fits("/faults/{id}", "/faults/7"));
        assert!(!fits("/faults/{id}", "/faults"));
        assert!(!fits("/faults", "/faults/7"));
        assert!(fits("", ""));
    }

    #[test]
    fn no_call_is_listed_twice_and_each_says_what_it_does() {
        let mut seen = std::collections::BTreeSet::new();
        for call in CALLS {
            assert!(seen.insert((call.method, call.path)), "{}", call.path);
            assert!(!call.does.is_empty());
        }
    }
}
