//! Requests that may be sent twice: their keys, and what they were answered. Pure.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

/// The longest key, in characters.
const LONGEST_KEY: usize = 255;

/// What a caller names a request by: 1 to 255 visible ASCII characters. The quotation marks of a structured field string (RFC 8941), which the IETF's draft
/// of the header asks for, may be left out and mean nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key without quotation marks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IdempotencyKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let inner = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let bare = inner.unwrap_or(text);
        let good = (1..=LONGEST_KEY).contains(&bare.len())
            && bare
                .bytes()
                .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if good {
            Ok(Self(bare.to_owned()))
        } else {
            Err(format!(
                "a key has 1 to {LONGEST_KEY} visible ASCII characters, and no quotation mark or backslash within"
            ))
        }
    }
}

/// Whose request it is, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The caller, with the roles that the caller has: an answer is for nobody else.
    pub caller: String,
    /// The key that the caller chose.
    pub key: IdempotencyKey,
    /// SHA-256 of what is asked for.
    pub hash: [u8; 32],
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Headers, as pairs of name and value.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer as it was kept, with the request that it is to.
#[derive(Debug, Clone)]
pub struct Kept {
    /// SHA-256 of what was asked for.
    pub hash: Vec<u8>,
    /// When it was answered.
    pub at: DateTime<Utc>,
    /// The answer.
    pub answer: KeptAnswer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_with_and_without_quotation_marks() {
        for text in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "a", "order/4711"] {
            let bare: IdempotencyKey = text.parse().unwrap();
            assert_eq!(bare.as_str(), text);
            assert_eq!(format!("\"{text}\"").parse(), Ok(bare));
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_no_key() {
        let long = "x".repeat(256);
        for bad in [
            "",
            "\"\"",
            "a b",
            "a\tb",
            "\"a",
            "a\"b",
            "a\\b",
            "caf\u{e9}",
            &long,
        ] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(255).parse::<IdempotencyKey>().is_ok());
    }
}
