//! The HTTP layer end to end, with routes of its own: the product's routes come and go, the rules
//! about tokens, bodies and refusals stay.

mod refusals;
mod sample;
mod served;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::test::{self, TestRequest};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prometheus_client::registry::Registry;
use serde_json::Value;

use super::auth::test_tokens::TestTokens;
use super::openapi::{self, Document};
use super::{Edge, NotReady, Readiness, assemble};
use crate::app::code::Code;
use crate::domain::clock::Clock;

struct StoppedClock(DateTime<Utc>);

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// Ready or not, as told.
pub(super) struct Told(pub(super) bool);

#[async_trait]
impl Readiness for Told {
    async fn check(&self) -> Result<(), NotReady> {
        if self.0 {
            Ok(())
        } else {
            Err(NotReady("the database at 10.0.0.7 is gone".to_owned()))
        }
    }
}

fn edge(tokens: &TestTokens, ready: bool) -> Edge {
    let clock = Arc::new(StoppedClock(tokens.now));
    Edge::new(
        tokens.verifier(),
        Arc::new(Told(ready)),
        clock,
        Registry::default(),
    )
}

/// What came back, read to its end.
struct Answer {
    status: StatusCode,
    headers: actix_web::http::header::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("ASCII"))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// Holds that this is a complete refusal with the given code.
    fn assert_problem(&self, code: Code) {
        let body = self.json();
        assert_eq!(body["code"], code.slug(), "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.status, super::problem::status(code));
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["title"], code.title());
        assert_eq!(
            body["type"],
            format!("urn:portcullis:error:{}", code.slug())
        );
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|text| text.ends_with('.')),
            "{body}"
        );
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert_eq!(self.header("x-content-type-options"), "nosniff");
    }
}

/// Asks a fresh application once.
async fn ask(edge: Edge, request: TestRequest) -> Answer {
    let document = Arc::new(Document::new(&openapi::collect(sample::configure)));
    let app = test::init_service(assemble(edge, document, sample::configure)).await;
    read(test::call_service(&app, request.to_request()).await).await
}

async fn read(response: ServiceResponse<impl MessageBody>) -> Answer {
    let status = response.status();
    let headers = response.headers().clone();
    let bytes = test::read_body(response).await;
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Answer {
        status,
        headers,
        text,
    }
}

/// Asks with a bearer token.
async fn ask_as(tokens: &TestTokens, token: &str, request: TestRequest) -> Answer {
    let request = request.insert_header(("authorization", format!("Bearer {token}")));
    ask(edge(tokens, true), request).await
}
