//! The development issuer: tokens for a demo, for tests and for the first hour with the product.
//!
//! It signs with a key from a local file. An installation that faces the world trusts an identity
//! provider's keys instead and never opens this issuer.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;

use super::jwks::KeySet;
use super::key_file::{self, KeyFileError, SigningKey};
use super::trust::TrustedIssuer;
use crate::domain::ids::ConsumerId;
use crate::domain::role::Role;

/// The `iss` claim of development tokens.
pub const DEVELOPMENT_ISSUER: &str = "portcullis-development";

/// The `aud` claim of every token for this API.
pub const AUDIENCE: &str = "portcullis";

/// The `typ` header of every token for this API (RFC 9068).
const TOKEN_TYPE: &str = "at+jwt";

/// Why a development token could not be issued.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct IssuerError(#[from] jsonwebtoken::errors::Error);

/// Issues tokens signed with a key of its own.
pub struct DevelopmentIssuer {
    key_id: String,
    signing: EncodingKey,
    public: Vec<u8>,
}

#[derive(Serialize)]
struct IssuedClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    roles: &'a [Role],
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<ConsumerId>,
}

impl DevelopmentIssuer {
    /// Opens the issuer whose key is in the PEM file at `path`; makes the key if there is none.
    ///
    /// Processes that open the same path at the same time get the same key. The directory must
    /// exist. Fails if the file cannot be used or can be read by others than its owner.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        Ok(Self::from_key(&key_file::open(path)?))
    }

    fn from_key(key: &SigningKey) -> Self {
        Self {
            key_id: thumbprint(&key.public),
            signing: EncodingKey::from_ed_der(&key.pkcs8),
            public: key.public.clone(),
        }
    }

    /// Issues a token that is good from `now` on for `ttl`, counted in whole seconds.
    pub fn issue(
        &self,
        subject: &str,
        roles: &[Role],
        ttl: Duration,
        now: DateTime<Utc>,
    ) -> Result<String, IssuerError> {
        self.issue_claims(subject, roles, None, ttl, now)
    }

    /// As [`DevelopmentIssuer::issue`], for somebody who speaks for an organisation.
    pub fn issue_for(
        &self,
        organisation: ConsumerId,
        subject: &str,
        ttl: Duration,
        now: DateTime<Utc>,
    ) -> Result<String, IssuerError> {
        self.issue_claims(subject, &[Role::Consumer], Some(organisation), ttl, now)
    }

    fn issue_claims(
        &self,
        subject: &str,
        roles: &[Role],
        consumer: Option<ConsumerId>,
        ttl: Duration,
        now: DateTime<Utc>,
    ) -> Result<String, IssuerError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(self.key_id.clone());
        let issued = now.timestamp();
        let lifetime = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let claims = IssuedClaims {
            iss: DEVELOPMENT_ISSUER,
            aud: AUDIENCE,
            sub: subject,
            iat: issued,
            nbf: issued,
            exp: issued.saturating_add(lifetime),
            jti: uuid::Uuid::new_v4().to_string(),
            roles,
            consumer,
        };
        Ok(jsonwebtoken::encode(&header, &claims, &self.signing)?)
    }

    /// What to give to a [`Verifier`](super::Verifier) that shall accept these tokens.
    pub fn trusted(&self) -> TrustedIssuer {
        let key = DecodingKey::from_ed_der(&self.public);
        let keys = KeySet::of(self.key_id.clone(), Algorithm::EdDSA, key);
        TrustedIssuer::of_key(DEVELOPMENT_ISSUER, AUDIENCE, TOKEN_TYPE, keys)
    }

    /// The 32 bytes of the public key.
    #[cfg(test)]
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// The id of the key, as in the `kid` header.
    #[cfg(test)]
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Signs any header and claims, for tests that need a token nobody should issue.
    #[cfg(test)]
    pub(super) fn sign(&self, header: &Header, claims: &impl Serialize) -> String {
        jsonwebtoken::encode(header, claims, &self.signing).expect("signed")
    }
}

impl std::fmt::Debug for DevelopmentIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevelopmentIssuer")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// The RFC 7638 thumbprint of an Ed25519 key, a name that any JWK tool gives the same key.
fn thumbprint(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037_appendix_a_3() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let public = URL_SAFE_NO_PAD.decode(x).expect("base64");
        assert_eq!(
            thumbprint(&public),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn two_openings_of_one_file_sign_for_the_same_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        let first = DevelopmentIssuer::open(&path).expect("made");
        let second = DevelopmentIssuer::open(&path).expect("read");
        assert_eq!(first.key_id(), second.key_id());
        assert!(!format!("{first:?}").contains("signing"));
    }
}
