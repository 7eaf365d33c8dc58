//! Requests to the API: sent with the token, repeated where that is safe, their answers read to the end.

use std::error::Error as _;
use std::time::Duration;

use rand::Rng as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url, redirect};
use serde_json::Value;
use uuid::Uuid;

use crate::outcome::Failure;
use crate::problem::Refusal;
use crate::retry::{self, Met, Twice};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// The header that makes a POST safe to repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The body, as it came.
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.text)
            .map_err(|error| Failure::Garbled(format!("the answer is not JSON: {error}")))
    }
}

/// A request: what `Client::send` needs to know.
#[derive(Debug)]
pub(crate) struct Request {
    method: Method,
    url: Url,
    body: Option<Vec<u8>>,
    key: Option<String>,
}

impl Request {
    /// One without a body. A POST gets an `Idempotency-Key` of its own, kept over all its tries.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        let key = (method == Method::POST).then(|| Uuid::new_v4().to_string());
        Self {
            method,
            url,
            body: None,
            key,
        }
    }

    /// The same with a JSON body.
    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// The same with a key of the caller's.
    pub(crate) fn key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    fn twice(&self) -> Twice {
        if matches!(self.method, Method::GET | Method::HEAD) || self.key.is_some() {
            Twice::Harmless
        } else {
            Twice::Unknown
        }
    }
}

/// The API, as somebody with a token.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<HeaderValue>,
    retries: u32,
}

impl Client {
    /// Fails where the address or the token cannot be one.
    pub(crate) fn new(
        url: &str,
        token: Option<&str>,
        timeout: Duration,
        retries: u32,
    ) -> Result<Self, Failure> {
        let base =
            Url::parse(url).map_err(|error| Failure::Usage(format!("--url {url:?}: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(Failure::Usage(format!(
                "--url {url:?}: it must begin with http:// or https://"
            )));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(Failure::Usage(
                "--url takes no credentials and no query".to_owned(),
            ));
        }
        let token = token.map(bearer).transpose()?;
        if token.is_some() && base.scheme() == "http" && !is_here(&base) {
            eprintln!("portcullis: the token is sent unencrypted: use https://");
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(timeout)
            // The API redirects nowhere, and a token must not follow whoever does.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("portcullis-ctl/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self {
            http,
            base,
            token,
            retries,
        })
    }

    /// An address under the API's own, from segments: whatever is in one stays in it.
    pub(crate) fn url(&self, segments: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// An address from a path with its query, as somebody typed it. Fails where it is none of the API's.
    pub(crate) fn typed(&self, path: &str) -> Result<Url, Failure> {
        if !path.starts_with('/') {
            return Err(Failure::Usage(format!("{path:?}: a path begins with /")));
        }
        let whole = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        Url::parse(&whole)
            .ok()
            .filter(|url| url.origin() == self.base.origin())
            .ok_or_else(|| Failure::Usage(format!("{path:?} is not a path of {}", self.base)))
    }

    pub(crate) async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<Answer, Failure> {
        self.send(Request::new(Method::GET, self.url(segments, query)))
            .await
    }

    /// A POST with a JSON body, or without one.
    pub(crate) async fn post(
        &self,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::new(Method::POST, self.url(segments, &[]));
        if let Some(body) = body {
            request = request.body(body.to_string().into_bytes());
        }
        self.send(request).await
    }

    /// Sends a request until there is an answer to keep.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let mut done = 0;
        loop {
            let (met, failure) = match self.once(&request).await {
                Ok(answer) => return Ok(answer),
                Err(ended) => ended,
            };
            let chance = rand::rng().random_range(0.0..1.0);
            match retry::wait(met, request.twice(), done, chance) {
                Some(wait) if done < self.retries => tokio::time::sleep(wait).await,
                _ => return Err(failure),
            }
            done += 1;
        }
    }

    async fn once(&self, request: &Request) -> Result<Answer, (Met, Failure)> {
        let mut made = self
            .http
            .request(request.method.clone(), request.url.clone())
            .header(ACCEPT, "application/json, application/problem+json, */*");
        if let Some(token) = &self.token {
            made = made.header(AUTHORIZATION, token.clone());
        }
        if let Some(key) = &request.key {
            made = made.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(body) = &request.body {
            made = made
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let unreachable = |error: reqwest::Error| {
            let met = if error.is_connect() {
                Met::NoConnection
            } else {
                Met::NoAnswer
            };
            (met, Failure::Unreachable(self.told(&error)))
        };
        let answer = made.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let text = answer.text().await.map_err(unreachable)?;
        if (200..300).contains(&status) {
            return Ok(Answer { text });
        }
        let refusal = Refusal::read(status, &text, header(&headers, "x-request-id"));
        let mut asked = header(&headers, RETRY_AFTER.as_str()).and_then(retry::retry_after);
        if refusal.code.as_deref() == Some("idempotency_in_progress") {
            asked = asked.or(Some(Duration::from_secs(1)));
        } else if status == 409 {
            asked = None;
        }
        Err((
            Met::Status(status, asked),
            Failure::Refused(Box::new(refusal)),
        ))
    }

    /// An error with what is behind it, without the address, which may have been long.
    fn told(&self, error: &reqwest::Error) -> String {
        let mut text = format!("no answer from {}", self.base);
        let mut cause = error.source();
        if error.is_timeout() {
            text.push_str(": it took too long");
            cause = None;
        }
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        text
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::Usage("the token has characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether an address is on this machine.
fn is_here(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.starts_with("127."),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, Failure> {
        Client::new(url, None, CONNECT, 0)
    }

    #[test]
    fn an_id_cannot_lead_to_another_path() {
        let client = client("https://api.example/base/").expect("a client");
        let url = client.url(
            &["v1", "connections", "../services?x=1#y"],
            &[("limit", "5".to_owned())],
        );
        assert_eq!(
            url.as_str(),
            "https://api.example/base/v1/connections/..%2Fservices%3Fx=1%23y?limit=5"
        );
    }

    #[test]
    fn a_typed_path_stays_with_the_api() {
        let client = client("https://api.example").expect("a client");
        let url = client.typed("/v1/services?limit=1").expect("a path");
        assert_eq!(url.as_str(), "https://api.example/v1/services?limit=1");
        for foreign in ["v1/services", "@evil.example/", ".evil.example/", ""] {
            assert!(client.typed(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "api.example",
            "ftp://api.example",
            "https://user:word@api.example",
            "mailto:a@b",
        ] {
            assert!(matches!(client(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_post_has_a_key_and_another_one_each() {
        let url = Url::parse("https://api.example").expect("an address");
        let [one, two] = [(); 2].map(|()| Request::new(Method::POST, url.clone()));
        assert!(one.key.is_some() && one.key != two.key);
        assert_eq!(one.twice(), Twice::Harmless);
        assert_eq!(Request::new(Method::PATCH, url).twice(), Twice::Unknown);
    }
}
