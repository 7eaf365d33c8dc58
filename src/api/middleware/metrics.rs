//! Counts and times requests by route, method and status.
//!
//! The route is the pattern that matched, never the path: the number of series must not be in the
//! hands of callers. For the same reason unusual methods share one label.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::api::edge::Edge;

/// Upper bounds in seconds: from an answer out of memory to a client's usual patience.
const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

/// The metrics of the HTTP layer. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<Request, Counter>,
    duration: Family<Route, Histogram, fn() -> Histogram>,
}

impl HttpMetrics {
    /// Adds the metrics to a registry.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let requests = Family::default();
        let duration: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BOUNDS));
        registry.register(
            "portcullis_http_requests",
            "Requests answered, by route, method and status",
            requests.clone(),
        );
        registry.register_with_unit(
            "portcullis_http_request_duration",
            "Time from the request's header to the response's header",
            Unit::Seconds,
            duration.clone(),
        );
        Self { requests, duration }
    }

    fn record(&self, method: &'static str, route: String, status: u16, took: Duration) {
        let label = Route {
            method,
            route: route.clone(),
        };
        self.duration
            .get_or_create(&label)
            .observe(took.as_secs_f64());
        self.requests
            .get_or_create(&Request {
                method,
                route,
                status,
            })
            .inc();
    }
}

/// The label of a method.
fn label(method: &Method) -> &'static str {
    const USUAL: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    USUAL
        .into_iter()
        .find(|usual| *usual == method.as_str())
        .unwrap_or("other")
}

/// Measures the request.
pub(crate) async fn measure(
    edge: web::Data<Edge>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let method = label(request.method());
    let route = super::route(&request).unwrap_or_else(|| "unmatched".to_owned());
    let outcome = next.call(request).await;
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    edge.http_metrics()
        .record(method, route, status.as_u16(), started.elapsed());
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_as_a_count_and_a_duration() {
        let mut registry = Registry::default();
        let metrics = HttpMetrics::register(&mut registry);
        metrics.record(
            "GET",
            "/v1/things/{id}".to_owned(),
            200,
            Duration::from_millis(7),
        );
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encoded");
        let count = r#"portcullis_http_requests_total{method="GET",route="/v1/things/{id}",status="200"} 1"#;
        assert!(text.contains(count), "{text}");
        assert!(
            text.contains("portcullis_http_request_duration_seconds_bucket"),
            "{text}"
        );
    }

    #[test]
    fn an_invented_method_makes_no_series_of_its_own() {
        let invented = Method::from_bytes(b"FROBNICATE").expect("a method");
        assert_eq!((label(&invented), label(&Method::GET)), ("other", "GET"));
    }
}
