//! What a service token looks like: `pcl_`, the id, an underscore, 256 bits of chance and a checksum, all but the first in hexadecimal digits.
//!
//! The prefix and the checksum are for programs that look for secrets where none should be: `pcl_[0-9a-f]{32}_[0-9a-f]{72}`, and the last eight digits
//! are the beginning of the SHA-256 of all before them. They prove nothing here; the secret does.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use secrecy::SecretString;

use super::AppError;
use crate::domain::ids::ServiceTokenId;

/// How every service token begins.
pub const PREFIX: &str = "pcl_";

/// The random part, in bytes.
const SECRET_BYTES: usize = 32;
/// The checksum, in digits.
const CHECKSUM: usize = 8;
/// A token's length, in characters.
const LENGTH: usize = PREFIX.len() + 32 + 1 + 2 * SECRET_BYTES + CHECKSUM;

/// A token that somebody shows.
#[derive(Debug)]
pub(super) struct Shown {
    /// Which one it says that it is.
    pub(super) id: ServiceTokenId,
    /// SHA-256 of all of it.
    pub(super) hash: [u8; 32],
}

/// Makes a token for an id: the text that is shown once, and the hash that is stored.
pub(super) fn make(id: ServiceTokenId) -> Result<(SecretString, [u8; 32]), AppError> {
    let mut secret = [0; SECRET_BYTES];
    rand::fill(&mut secret).map_err(|_| AppError::internal("the system gives no randomness"))?;
    let mut text = format!("{PREFIX}{}_{}", id.uuid().simple(), hex(&secret));
    text.push_str(&checksum(&text));
    let hash = hash(&text);
    Ok((SecretString::from(text), hash))
}

/// Reads a token; `None` where it is not shaped like one, or was typed wrong.
pub(super) fn read(text: &str) -> Option<Shown> {
    if text.len() != LENGTH || !text.is_ascii() {
        return None;
    }
    let (before, sum) = text.split_at(LENGTH - CHECKSUM);
    let (id, secret) = before.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if id.len() != 32 || !digits(id) || !digits(secret) || sum != checksum(before) {
        return None;
    }
    Some(Shown {
        id: uuid::Uuid::try_parse(id).ok()?.into(),
        hash: hash(text),
    })
}

fn checksum(text: &str) -> String {
    hex(&hash(text)[..CHECKSUM / 2])
}

fn hash(text: &str) -> [u8; 32] {
    let mut whole = [0; 32];
    whole.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    whole
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_reads_back_as_itself_and_no_two_are_alike() {
        let id = ServiceTokenId::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let (one, kept) = make(id).unwrap();
        let (two, _) = make(id).unwrap();
        assert_ne!(one.expose_secret(), two.expose_secret());
        let shown = read(one.expose_secret()).unwrap();
        assert_eq!((shown.id, shown.hash), (id, kept));
        assert_eq!(one.expose_secret().len(), LENGTH);
        assert!(!format!("{one:?}").contains(PREFIX));
    }

    #[test]
    fn what_is_not_whole_is_no_token() {
        let id = ServiceTokenId::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let (good, _) = make(id).unwrap();
        let good = good.expose_secret();
        for at in 0..good.len() {
            let mut bad = good.as_bytes().to_vec();
            bad[at] = if bad[at] == b'0' { b'1' } else { b'0' };
            assert!(read(&String::from_utf8(bad).unwrap()).is_none(), "{at}");
        }
        for bad in [
            "",
            PREFIX,
            &good[1..],
            &format!("{good}0"),
            &good.to_uppercase(),
            &"é".repeat(LENGTH / 2 + 1),
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
