//! Requests by people with roles, and what they are answered.

use std::time::Duration;

use portcullis::api::auth::Role;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::Value;

use super::TestApp;

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Nobody,
    Viewer,
    Auditor,
    Approver,
    Admin,
}

impl Who {
    /// The ladder. The auditor stands beside it.
    pub(crate) const ALL: [Self; 4] = [Self::Nobody, Self::Viewer, Self::Approver, Self::Admin];

    fn role(self) -> Option<Role> {
        match self {
            Self::Nobody => None,
            Self::Viewer => Some(Role::Viewer),
            Self::Auditor => Some(Role::Auditor),
            Self::Approver => Some(Role::Approver),
            Self::Admin => Some(Role::Admin),
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.expect("a body"),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|v| v.to_str().expect("text"));
        value.unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The body of an answer that should be good.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            self.text
        );
        self.json()
    }

    /// Asserts a refusal: the status, the media type, the code, and that the body repeats them.
    #[track_caller]
    pub(crate) fn refused(&self, what: &str, status: u16, code: &str) {
        assert_eq!(self.status, status, "{what}: {}", self.text);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{what}"
        );
        let body = self.json();
        assert_eq!(body["code"], code, "{what}: {body}");
        assert_eq!(body["status"], status, "{what}: {body}");
        assert_eq!(
            body["request_id"],
            self.header("x-request-id"),
            "{what}: {body}"
        );
    }
}

impl TestApp {
    /// A good token, ten minutes long.
    pub(crate) fn token(&self, who: Who) -> Option<String> {
        let role = who.role()?;
        let name = format!("{role}@provider.example");
        let ttl = Duration::from_mins(10);
        let now = self.clock.now();
        Some(self.issuer.issue(&name, &[role], ttl, now).expect("signed"))
    }

    /// A request that is not sent yet.
    pub(crate) fn request(&self, who: Who, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address));
        match self.token(who) {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, who: Who, path: &str) -> Answer {
        send(self.request(who, Method::GET, path)).await
    }

    /// With a key of its own, as a careful client sends it.
    pub(crate) async fn post(&self, who: Who, path: &str, body: &Value) -> Answer {
        let request = self.request(who, Method::POST, path).json(body);
        let key = uuid::Uuid::new_v4().to_string();
        send(request.header("Idempotency-Key", key)).await
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("an answer")).await
}
