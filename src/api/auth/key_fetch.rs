//! Asks an issuer for its keys over HTTP.
//!
//! Only what the configuration names is asked, and what the issuer's own discovery document names as the place of its keys: over HTTPS, or on this
//! machine. Redirects are not followed, and nothing is read beyond a limit of size and of time.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use serde_json::Value;

use super::jwks::{BadKeySet, KeySet};
use super::strict_json;
use crate::app::auth_settings::{IssuerSettings, url_problem};
use crate::domain::causes::chain;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchFailed {
    /// Nobody answered, or not to the end.
    #[error("there was no answer: {0}")]
    NoAnswer(String),
    /// The answer was another than 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The answer goes on after the most that is read.
    #[error("the answer is too long")]
    TooLong,
    /// The discovery document cannot be used.
    #[error("the discovery document has no usable {0}")]
    Discovery(&'static str),
    /// The discovery document is another issuer's.
    #[error("the discovery document is another issuer's")]
    IssuerMismatch,
    /// The keys cannot be read.
    #[error("the keys cannot be read: {0}")]
    Keys(#[from] BadKeySet),
}

impl FetchFailed {
    /// In one word, for the metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NoAnswer(_) => "no_answer",
            Self::Status(_) => "status",
            Self::TooLong => "too_long",
            Self::Discovery(_) => "bad_discovery",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::Keys(_) => "bad_keys",
        }
    }
}

/// What asks issuers for their keys.
#[derive(Debug, Clone)]
pub struct KeyClient(Client);

impl KeyClient {
    /// Trusts the public authorities and `extra` (certificates in DER).
    pub fn new(extra: &[Vec<u8>]) -> Result<Self, reqwest::Error> {
        let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let roots = public.map(AsRef::as_ref);
        let roots = roots.chain(extra.iter().map(Vec::as_slice));
        let client = Client::builder()
            .redirect(Policy::none())
            .tls_certs_only(
                roots
                    .map(Certificate::from_der)
                    .collect::<Result<Vec<_>, _>>()?,
            )
            .user_agent("portcullis")
            .build()?;
        Ok(Self(client))
    }

    /// The keys of an issuer, as they are now.
    pub(super) async fn keys(&self, issuer: &IssuerSettings) -> Result<KeySet, FetchFailed> {
        let url = match &issuer.jwks_url {
            Some(url) => url.clone(),
            None => self.discover(issuer).await?,
        };
        let text = self.get(&url, issuer).await?;
        Ok(KeySet::read(&text, &issuer.algorithms)?)
    }

    /// Where the issuer says that its keys are (section 4 of Connect Discovery 1.0).
    async fn discover(&self, issuer: &IssuerSettings) -> Result<String, FetchFailed> {
        let base = issuer.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let text = self.get(&url, issuer).await?;
        let document = strict_json::object(&text).ok_or(FetchFailed::Discovery("JSON object"))?;
        let text_of = |name: &str| document.get(name).and_then(Value::as_str);
        if text_of("issuer") != Some(issuer.issuer.as_str()) {
            return Err(FetchFailed::IssuerMismatch);
        }
        let keys = text_of("jwks_uri").filter(|url| url_problem(url).is_none());
        let keys = keys.ok_or(FetchFailed::Discovery("jwks_uri"))?;
        // Only an issuer on this machine may send us to this machine.
        let plain = |url: &str| url.starts_with("http:");
        if plain(keys) && !plain(&issuer.issuer) {
            return Err(FetchFailed::Discovery("jwks_uri"));
        }
        Ok(keys.to_owned())
    }

    async fn get(&self, url: &str, issuer: &IssuerSettings) -> Result<Vec<u8>, FetchFailed> {
        let read = self.read(url, issuer.max_document_bytes);
        let limit: Duration = issuer.fetch_timeout;
        match tokio::time::timeout(limit, read).await {
            Ok(read) => read,
            Err(_) => Err(FetchFailed::NoAnswer("it took too long".to_owned())),
        }
    }

    async fn read(&self, url: &str, most: usize) -> Result<Vec<u8>, FetchFailed> {
        let failed = |error: reqwest::Error| FetchFailed::NoAnswer(chain(&error));
        let mut response = self.0.get(url).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchFailed::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > most {
                return Err(FetchFailed::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}
