//! Checks a token: pinned algorithm, trusted key, issuer, audience, type and time.
//!
//! The token's own header chooses nothing but the key to try, by its id; key material or URLs in it
//! are ignored. The time is given by the caller, so that tests can move it.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::role::Roles;
use crate::domain::ids::ConsumerId;

/// The `typ` header we issue and accept (RFC 9068).
pub(super) const TOKEN_TYPE: &str = "at+jwt";

/// How far another clock may be off, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// The longest token we look at, in bytes.
const TOKEN_LIMIT: usize = 8 * 1024;

/// A key whose tokens we accept, and what those must say.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    key_id: String,
    algorithm: Algorithm,
    key: DecodingKey,
    validation: Validation,
}

impl TrustedKey {
    /// Trusts `key` for tokens whose header names `key_id` and `algorithm`, and whose claims name
    /// this `issuer` and this `audience`.
    pub fn new(
        key_id: impl Into<String>,
        issuer: &str,
        audience: &str,
        algorithm: Algorithm,
        key: DecodingKey,
    ) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library compares with the system's clock; `verify` compares with the given time.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            key_id: key_id.into(),
            algorithm,
            key,
            validation,
        }
    }
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who the caller is.
    pub subject: String,
    /// What the caller is trusted with.
    pub roles: Roles,
    /// The organisation that the caller speaks for: there if, and only if, the role is consumer.
    pub organisation: Option<ConsumerId>,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no token.
    #[error("the request carries no bearer token")]
    Missing,
    /// The `Authorization` header is not one bearer token.
    #[error("the Authorization header is not one bearer token")]
    Malformed,
    /// The token is not one we accept; which check failed is for the log only.
    #[error("the bearer token is not accepted ({0})")]
    Refused(&'static str),
    /// The token was good until its end.
    #[error("the bearer token has expired")]
    Expired,
}

#[derive(Deserialize)]
struct RawClaims {
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    #[serde(default)]
    roles: Vec<String>,
    consumer: Option<String>,
}

/// Accepts the tokens of trusted keys.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    trusted: Vec<TrustedKey>,
}

impl Verifier {
    /// Trusts the given keys and no others.
    pub fn new(trusted: impl IntoIterator<Item = TrustedKey>) -> Self {
        Self {
            trusted: trusted.into_iter().collect(),
        }
    }

    /// Checks a token as of `now` and returns what it says.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, AuthError> {
        if token.len() > TOKEN_LIMIT {
            return Err(AuthError::Refused("too long"));
        }
        let header =
            jsonwebtoken::decode_header(token).map_err(|_| AuthError::Refused("header"))?;
        if !header.typ.as_deref().is_some_and(is_access_token) {
            return Err(AuthError::Refused("type"));
        }
        // We understand no critical extension, so one that is named must not be ignored (RFC 7515).
        if header.crit.is_some() {
            return Err(AuthError::Refused("critical extension"));
        }
        let trusted = self
            .trusted
            .iter()
            .find(|key| Some(key.key_id.as_str()) == header.kid.as_deref())
            .ok_or(AuthError::Refused("key"))?;
        if header.alg != trusted.algorithm {
            return Err(AuthError::Refused("algorithm"));
        }
        let raw = jsonwebtoken::decode::<RawClaims>(token, &trusted.key, &trusted.validation)
            .map_err(|_| AuthError::Refused("signature or claims"))?
            .claims;
        check_times(raw, now)
    }
}

/// Both spellings that RFC 9068 allows, in any case.
fn is_access_token(typ: &str) -> bool {
    typ.eq_ignore_ascii_case(TOKEN_TYPE) || typ.eq_ignore_ascii_case("application/at+jwt")
}

fn check_times(raw: RawClaims, now: DateTime<Utc>) -> Result<Claims, AuthError> {
    let seconds = now.timestamp();
    if raw
        .nbf
        .is_some_and(|start| start > seconds.saturating_add(LEEWAY_SECONDS))
    {
        return Err(AuthError::Refused("not valid yet"));
    }
    if raw.exp < seconds.saturating_sub(LEEWAY_SECONDS) {
        return Err(AuthError::Expired);
    }
    if raw.sub.is_empty() {
        return Err(AuthError::Refused("empty subject"));
    }
    let roles = Roles::from_names(raw.roles.iter().map(String::as_str));
    let organisation = roles
        .organisation(raw.consumer.as_deref())
        .map_err(|_| AuthError::Refused("roles and organisation"))?;
    Ok(Claims {
        subject: raw.sub,
        roles,
        organisation,
        expires_at: DateTime::from_timestamp(raw.exp, 0).ok_or(AuthError::Refused("expiry"))?,
    })
}
