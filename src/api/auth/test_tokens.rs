//! Tokens for tests: good ones, and every bad one that RFC 8725 warns of.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::issuer::{AUDIENCE, DEVELOPMENT_ISSUER};
use super::{DevelopmentIssuer, Role, Verifier};
use crate::domain::ids::ConsumerId;

/// A development issuer with a key of its own, its verifier and a fixed present.
pub(crate) struct TestTokens {
    issuer: DevelopmentIssuer,
    /// The time as of which tokens are issued.
    pub(crate) now: DateTime<Utc>,
}

impl TestTokens {
    /// Makes a key and stops the clock.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let issuer = DevelopmentIssuer::open(&dir.path().join("key.pem")).expect("an issuer");
        Self {
            issuer,
            now: DateTime::from_timestamp(1_800_000_000, 0).expect("a time"),
        }
    }

    /// Trusts this issuer only.
    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new([self.issuer.trusted()])
    }

    /// A good token for `somebody` with the given role; a consumer's names an organisation.
    pub(crate) fn of(&self, role: Role) -> String {
        let ttl = Duration::from_mins(10);
        let issued = if role == Role::Consumer {
            let organisation = ConsumerId::from(uuid::Uuid::nil());
            self.issuer
                .issue_for(organisation, "somebody", ttl, self.now)
        } else {
            self.issuer.issue("somebody", &[role], ttl, self.now)
        };
        issued.expect("a token")
    }

    /// The header of a good token.
    pub(crate) fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.issuer.key_id().to_owned());
        header
    }

    /// The claims of a good token, with some replaced or, by null, taken out.
    pub(crate) fn claims(&self, changes: &Value) -> Value {
        let now = self.now.timestamp();
        let mut claims = json!({
            "iss": DEVELOPMENT_ISSUER, "aud": AUDIENCE, "sub": "somebody",
            "iat": now, "nbf": now, "exp": now + 600, "roles": ["admin"],
        });
        for (name, value) in changes.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        claims
    }

    /// A properly signed token with some claims changed.
    pub(crate) fn with_claims(&self, changes: &Value) -> String {
        self.issuer.sign(&self.header(), &self.claims(changes))
    }

    /// A properly signed token with another header.
    pub(crate) fn with_header(&self, header: &Header) -> String {
        self.issuer.sign(header, &self.claims(&json!({})))
    }

    /// A token that claims to need no signature.
    pub(crate) fn unsigned(&self, alg: &str) -> String {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": self.issuer.key_id() });
        format!(
            "{}.{}.",
            encoded(&header.to_string()),
            encoded(&self.claims(&json!({})).to_string())
        )
    }

    /// The classic confusion: an HMAC whose secret is the public key that everybody may know.
    pub(crate) fn hmac_with_public_key(&self) -> String {
        let mut header = self.header();
        header.alg = Algorithm::HS256;
        let secret = EncodingKey::from_secret(self.issuer.public_key());
        jsonwebtoken::encode(&header, &self.claims(&json!({})), &secret).expect("a token")
    }
}

/// Base64url, as every part of a token is.
pub(crate) fn encoded(text: &str) -> String {
    use base64::Engine as _;

    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}
