//! A token taken apart, before anything in it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::refusal::{AuthError, Reason};
use super::strict_json;

/// The longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// The longest id of a key, in bytes.
const LONGEST_KEY_ID: usize = 256;

/// The parts of a token. Nothing of it is proven.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What its header names, if that is one that anybody may use here.
    pub(super) algorithm: Algorithm,
    /// What its header names: something to look a key up by, and nothing else.
    pub(super) key_id: String,
    /// Its `typ`, as the header has it.
    pub(super) kind: String,
    /// What it says.
    pub(super) claims: Map<String, Value>,
    /// What is signed.
    pub(super) message: &'a [u8],
    /// The signature, in base64url.
    pub(super) signature: &'a str,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// Keys and addresses of keys in the header (`jwk`, `jku`, `x5c`, `x5u`) are not looked at: what signed a token must not come with it.
    pub(super) fn read(text: &'a str) -> Result<Self, AuthError> {
        let refused = |reason| AuthError::Refused(reason);
        if text.len() > LONGEST_TOKEN {
            return Err(refused(Reason::TooLong));
        }
        let (message, signature) = text.rsplit_once('.').ok_or(refused(Reason::Shape))?;
        let (header, payload) = message.split_once('.').ok_or(refused(Reason::Shape))?;
        // Five parts would be an encrypted token; none has a dot within.
        if payload.contains('.') || signature.is_empty() {
            return Err(refused(Reason::Shape));
        }
        let header = part(header).ok_or(refused(Reason::Header))?;
        // No extension is understood here, so none that is critical may be passed over (RFC 7515 section 4.1.11). Nor is anything unpacked.
        if ["crit", "enc", "zip"]
            .iter()
            .any(|n| header.contains_key(*n))
        {
            return Err(refused(Reason::Extension));
        }
        let text_of = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = match text_of("alg") {
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            _ => return Err(refused(Reason::Algorithm)),
        };
        let kind = text_of("typ").ok_or(refused(Reason::Type))?.to_owned();
        let key_id = text_of("kid")
            .filter(|id| id.len() <= LONGEST_KEY_ID)
            .ok_or(refused(Reason::Key))?
            .to_owned();
        let claims = part(payload).ok_or(refused(Reason::Claims))?;
        Ok(Self {
            algorithm,
            key_id,
            kind,
            claims,
            message: message.as_bytes(),
            signature,
        })
    }

    /// A claim that is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A time: whole seconds since 1970. `Err` for one that is something else; RFC 7519 would allow fractions, and nobody sends them.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, AuthError> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(AuthError::Refused(Reason::Claims)),
            },
        }
    }
}

fn part(text: &str) -> Option<Map<String, Value>> {
    strict_json::object(&URL_SAFE_NO_PAD.decode(text).ok()?)
}
