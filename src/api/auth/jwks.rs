//! The keys that an issuer publishes (RFC 7517): each with one algorithm, under one id. A key that does not fit is left out.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::strict_json;
use crate::app::auth_settings::SigningAlgorithm;

/// The most keys that one issuer may have.
const MOST_KEYS: usize = 100;

/// RSA keys from 2048 to 8192 bits, in bytes.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// What a key is used with.
#[derive(Debug, Clone)]
pub(super) struct VerifyingKey {
    /// The only algorithm that it is used with.
    pub(super) algorithm: Algorithm,
    /// The key.
    pub(super) key: DecodingKey,
}

/// Keys by their ids.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySet(HashMap<String, VerifyingKey>);

/// Why a document has no keys in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadKeySet {
    /// It is no set of keys.
    #[error("it is no JSON object with a list of keys, or says something twice")]
    Malformed,
    /// It has more keys than anybody needs.
    #[error("it has more than {MOST_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private part, which nobody should see.
    d: Option<String>,
}

impl KeySet {
    /// One key.
    pub(super) fn of(id: String, algorithm: Algorithm, key: DecodingKey) -> Self {
        Self(HashMap::from([(id, VerifyingKey { algorithm, key })]))
    }

    /// Reads a set of keys and keeps those that can be used. Of two with one id neither is: nobody could say which is meant.
    pub(super) fn read(text: &[u8], allowed: &[SigningAlgorithm]) -> Result<Self, BadKeySet> {
        let mut document = strict_json::object(text).ok_or(BadKeySet::Malformed)?;
        let Some(serde_json::Value::Array(all)) = document.remove("keys") else {
            return Err(BadKeySet::Malformed);
        };
        if all.len() > MOST_KEYS {
            return Err(BadKeySet::TooMany);
        }
        let mut keys = HashMap::new();
        let mut twice = Vec::new();
        for one in all {
            let usable = serde_json::from_value(one)
                .ok()
                .and_then(|raw| usable(raw, allowed));
            let Some((id, key)) = usable else { continue };
            if keys.insert(id.clone(), key).is_some() {
                twice.push(id);
            }
        }
        for id in twice {
            tracing::warn!(key.id = ?id, "an issuer has two keys with one id; neither is used");
            keys.remove(&id);
        }
        Ok(Self(keys))
    }

    /// The key with an id.
    pub(super) fn get(&self, id: &str) -> Option<&VerifyingKey> {
        self.0.get(id)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A key with its id and its one algorithm; `None` where it is for something else, or is not what it says.
fn usable(raw: RawKey, allowed: &[SigningAlgorithm]) -> Option<(String, VerifyingKey)> {
    use SigningAlgorithm as A;

    let for_signatures = raw.r#use.as_deref().is_none_or(|it| it == "sig")
        && raw
            .key_ops
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !for_signatures || raw.d.is_some() {
        return None;
    }
    let (fits, name, algorithm, key) = match (raw.kty.as_str(), raw.crv.as_deref()) {
        ("RSA", None) => (A::RS256, "RS256", Algorithm::RS256, rsa(&raw.n?, &raw.e?)?),
        ("EC", Some("P-256")) => (A::ES256, "ES256", Algorithm::ES256, p256(&raw.x?, &raw.y?)?),
        ("OKP", Some("Ed25519")) => (A::EdDSA, "EdDSA", Algorithm::EdDSA, ed25519(&raw.x?)?),
        _ => return None,
    };
    if !allowed.contains(&fits) || raw.alg.is_some_and(|said| said != name) {
        return None;
    }
    Some((raw.kid?, VerifyingKey { algorithm, key }))
}

fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let n = URL_SAFE_NO_PAD.decode(modulus).ok()?;
    let e = URL_SAFE_NO_PAD.decode(exponent).ok()?;
    let size = n.iter().skip_while(|byte| **byte == 0).count();
    (RSA_BYTES.contains(&size) && !e.is_empty())
        .then(|| DecodingKey::from_rsa_raw_components(&n, &e))
}

fn p256(x: &str, y: &str) -> Option<DecodingKey> {
    let whole = |text| URL_SAFE_NO_PAD.decode(text).is_ok_and(|v| v.len() == 32);
    (whole(x) && whole(y))
        .then(|| DecodingKey::from_ec_components(x, y).ok())
        .flatten()
}

fn ed25519(x: &str) -> Option<DecodingKey> {
    let bytes = URL_SAFE_NO_PAD.decode(x).ok()?;
    (bytes.len() == 32).then(|| DecodingKey::from_ed_der(&bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ALL: &[SigningAlgorithm] = &[
        SigningAlgorithm::RS256,
        SigningAlgorithm::ES256,
        SigningAlgorithm::EdDSA,
    ];

    fn key(change: &Value) -> Value {
        let mut key = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "a", "use": "sig", "alg": "EdDSA", "x": URL_SAFE_NO_PAD.encode([7; 32]),
        });
        for (name, value) in change.as_object().expect("an object") {
            key[name] = value.clone();
        }
        key
    }

    fn count(keys: &Value, allowed: &[SigningAlgorithm]) -> usize {
        let text = json!({ "keys": keys }).to_string();
        KeySet::read(text.as_bytes(), allowed).expect("keys").len()
    }

    #[test]
    fn a_key_is_used_with_what_it_is_for_and_nothing_else() {
        let none = json!(null);
        assert_eq!(count(&json!([key(&json!({}))]), ALL), 1);
        assert_eq!(
            count(&json!([key(&json!({ "alg": none, "use": none }))]), ALL),
            1
        );
        assert_eq!(
            count(&json!([key(&json!({ "key_ops": ["verify"] }))]), ALL),
            1
        );
        for bad in [
            json!({ "alg": "RS256" }),
            json!({ "alg": "HS256" }),
            json!({ "alg": "none" }),
            json!({ "use": "enc" }),
            json!({ "key_ops": ["sign"] }),
            json!({ "kty": "EC" }),
            json!({ "kty": "oct", "k": "AAAA" }),
            json!({ "crv": "X25519" }),
            json!({ "crv": "Ed448" }),
            json!({ "kid": none }),
            json!({ "kid": 7 }),
            json!({ "x": "AAAA" }),
            json!({ "x": "not base64" }),
            json!({ "d": "AAAA" }),
        ] {
            assert_eq!(count(&json!([key(&bad)]), ALL), 0, "{bad}");
        }
        let without = &[SigningAlgorithm::RS256, SigningAlgorithm::ES256];
        assert_eq!(count(&json!([key(&json!({}))]), without), 0);
    }

    #[test]
    fn rsa_keys_have_their_size_and_no_other_hash() {
        let rsa = |bytes: usize, alg: &str| {
            let n = URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
            json!([{ "kty": "RSA", "kid": "a", "alg": alg, "n": n, "e": "AQAB" }])
        };
        assert_eq!(count(&rsa(256, "RS256"), ALL), 1);
        for (bytes, alg) in [
            (128, "RS256"),
            (255, "RS256"),
            (2048, "RS256"),
            (256, "RS512"),
            (256, "PS256"),
            (256, "RSA-OAEP"),
        ] {
            assert_eq!(count(&rsa(bytes, alg), ALL), 0, "{bytes} {alg}");
        }
    }

    #[test]
    fn of_two_keys_with_one_id_neither_is_used() {
        let other = key(&json!({ "kid": "b" }));
        let again = key(&json!({ "x": URL_SAFE_NO_PAD.encode([8; 32]) }));
        let keys = json!([key(&json!({})), again.clone(), other, again]);
        let set = KeySet::read(json!({ "keys": keys }).to_string().as_bytes(), ALL).expect("keys");
        assert!(set.get("a").is_none());
        assert!(set.get("b").is_some());
        // One that is for something else is in nobody's way.
        let keys = json!([key(&json!({})), key(&json!({ "use": "enc" }))]);
        assert_eq!(count(&keys, ALL), 1);
    }

    #[test]
    fn what_is_no_set_of_keys_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"keys": {}}"#,
            r#"{"keys": [], "keys": []}"#,
            r#"{"keys": [{"kid": "a", "kid": "b"}]}"#,
        ] {
            let read = KeySet::read(bad.as_bytes(), ALL);
            assert_eq!(read.err(), Some(BadKeySet::Malformed), "{bad}");
        }
        let many = vec![key(&json!({})); MOST_KEYS + 1];
        let text = json!({ "keys": many }).to_string();
        let read = KeySet::read(text.as_bytes(), ALL);
        assert_eq!(read.err(), Some(BadKeySet::TooMany));
    }
}
