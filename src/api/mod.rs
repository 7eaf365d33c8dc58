//! HTTP, and nothing but HTTP: routes, callers, bodies and refusals.
//!
//! A handler reads its arguments through the extractors in [`extract`] and [`auth`], makes one call
//! to a use case in `app`, and shows the result. Every refusal is a [`problem::Problem`]. The
//! OpenAPI document is collected from the very functions that register the routes, so the two
//! cannot disagree. This file is the map: what is served and what every request passes through.

pub mod auth;
mod catalog;
mod conditions;
mod connections;
mod docs;
mod edge;
mod event_stream;
pub mod extract;
mod fallback;
mod hooks;
pub mod limits;
mod middleware;
pub mod openapi;
mod ops;
pub mod problem;
pub mod responses;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod v1;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpServer, web};
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

pub use edge::{Edge, NotReady, Readiness};
pub use event_stream::EventFeed;
pub(crate) use middleware::idempotency::KeptInstead;
pub use middleware::request_id::{RequestId, current as current_request_id};

use crate::app::AppContext;
use crate::app::auth_settings::{ServiceTokenRules, ServiceTokenSettings};
use crate::sns::Hook;
use connections::Connections;
use middleware::{
    aws_ids, follow, gate, idempotency, metrics, preconditions, request_id, security_headers,
    trace::Trace,
};
use openapi::Document;
use tls::Tls;

/// How many threads serve requests unless told otherwise.
pub const DEFAULT_WORKERS: usize = 2;

/// How many event streams there may be at once unless told otherwise.
pub const DEFAULT_STREAMS: usize = 2_048;

/// How long a client may take to close a connection that we are done with.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything the API needs to serve.
#[derive(Clone)]
pub struct ApiState {
    /// What the use cases need.
    pub app: AppContext,
    /// What the HTTP layer itself needs.
    pub edge: Edge,
    /// How many threads serve requests.
    pub workers: usize,
    /// How long service tokens may be good for.
    pub service_tokens: ServiceTokenRules,
    /// Who judges what SNS posts; without one there is no `/hooks/sns`.
    pub sns: Option<Arc<Hook>>,
    /// What event streams send.
    pub events: EventFeed,
    /// The certificate to serve with; without one there is no encryption.
    pub tls: Option<Tls>,
}

impl ApiState {
    /// Serves with [`DEFAULT_WORKERS`] threads.
    pub fn new(app: AppContext, edge: Edge) -> Self {
        Self {
            app,
            edge,
            workers: DEFAULT_WORKERS,
            service_tokens: ServiceTokenSettings::default().rules(),
            sns: None,
            events: v1::events::feed(DEFAULT_STREAMS),
            tls: None,
        }
    }
}

/// Makes the server on a listener that is already bound; it runs when awaited.
///
/// It leaves signals alone: whoever starts it stops it through its handle. Fails if the listener
/// cannot be used.
pub fn server(listener: TcpListener, state: ApiState) -> std::io::Result<Server> {
    let ApiState {
        app,
        edge,
        workers,
        service_tokens,
        sns,
        events,
        tls,
    } = state;
    serve(listener, edge, workers, tls, move |cfg| {
        cfg.app_data(web::Data::new(app.clone()));
        cfg.app_data(web::Data::new(events.clone()));
        cfg.app_data(web::Data::new(service_tokens));
        if let Some(hook) = &sns {
            cfg.app_data(web::Data::from(hook.clone()));
        }
        product(cfg);
    })
}

/// Registers everything but the operational routes.
fn product(cfg: &mut ServiceConfig) {
    v1::configure(cfg);
    catalog::configure(cfg);
    hooks::configure(cfg);
}

/// Makes a server of the operational routes alone: health, readiness, metrics. For a process that serves no API.
pub fn operational_server(listener: TcpListener, edge: Edge) -> std::io::Result<Server> {
    serve(listener, edge, 1, None, |_| ())
}

/// As [`server`], with any routes.
fn serve(
    listener: TcpListener,
    edge: Edge,
    workers: usize,
    tls: Option<Tls>,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let settings = edge.limits().settings.clone();
    let connections = Connections::watch(&settings, edge.connection_metrics().clone());
    let document = Arc::new(Document::new(&openapi::collect(routes.clone())));
    let build = move || assemble(edge.clone(), Arc::clone(&document), routes.clone());
    let server = HttpServer::new(build)
        .workers(workers)
        .max_connections(settings.max_connections.div_ceil(workers))
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.header_timeout)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .on_connect(move |stream, data| connections.note(stream, data))
        .disable_signals();
    let server = match tls {
        None => server.listen(listener)?,
        Some(tls) => server
            .tls_handshake_timeout(settings.header_timeout)
            .listen_rustls_0_23(listener, tls.config())?,
    };
    Ok(server.run())
}

/// The application: what is served, and around it what every request passes through.
fn assemble(
    edge: Edge,
    document: Arc<Document>,
    routes: impl Fn(&mut ServiceConfig),
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(web::Data::new(edge))
        .app_data(web::Data::from(document))
        .into_utoipa_app()
        .configure(|cfg| documented(cfg, routes))
        .into_app()
        .configure(docs::configure)
        .default_service(web::to(fallback::refuse))
        // The last one named is the first that a request meets.
        .wrap(from_fn(preconditions::honour))
        .wrap(from_fn(idempotency::honour))
        .wrap(from_fn(aws_ids::translate))
        .wrap(from_fn(gate::pass))
        .wrap(from_fn(security_headers::add))
        .wrap(from_fn(metrics::measure))
        .wrap(TracingLogger::<Trace>::new())
        .wrap(from_fn(request_id::assign))
        .wrap(from_fn(follow::follow))
}

/// Registers everything that the OpenAPI document describes.
fn documented(cfg: &mut ServiceConfig, routes: impl Fn(&mut ServiceConfig)) {
    ops::configure(cfg);
    routes(cfg);
}
