//! The keys: Ed25519 (RFC 8032), as PKCS#8 and `SubjectPublicKeyInfo` (RFC 8410).

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::seal::{Hash, hash_of, hex};

/// The bytes that come before the 32 of the key itself (RFC 8410, section 10.1).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// What is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an Ed25519 key")]
pub struct BadKey;

/// A signature over the hash of a seal, and by which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The [id](PublicKey::id) of the key.
    pub key: String,
    /// The 64 bytes.
    pub bytes: Vec<u8>,
}

/// Signs seals. Does not show itself.
pub struct SealingKey {
    pair: Ed25519KeyPair,
    id: String,
}

impl SealingKey {
    /// Reads a private key, PKCS#8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BadKey> {
        let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| BadKey)?;
        let id = PublicKey(pair.public_key().as_ref().to_vec()).id();
        Ok(Self { pair, id })
    }

    /// Signs the hash of a seal.
    pub fn sign(&self, hash: &Hash) -> Signature {
        Signature {
            key: self.id.clone(),
            bytes: self.pair.sign(hash).as_ref().to_vec(),
        }
    }

    /// What verifies its signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().to_vec())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Verifies signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// A name for it: the first 16 hexadecimal digits of its SHA-256.
    pub fn id(&self) -> String {
        let mut id = hex(&hash_of(&self.0));
        id.truncate(16);
        id
    }

    /// Whether it made this signature.
    pub fn verifies(&self, hash: &Hash, signature: &Signature) -> bool {
        signature.key == self.id()
            && UnparsedPublicKey::new(&ED25519, &self.0)
                .verify(hash, &signature.bytes)
                .is_ok()
    }

    /// As a PEM file.
    pub fn to_pem(&self) -> String {
        let mut der = SPKI.to_vec();
        der.extend_from_slice(&self.0);
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
    }

    /// Reads a PEM file.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let body = text
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END));
        let base64: String = body.ok_or(BadKey)?.split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).map_err(|_| BadKey)?;
        let key = der.strip_prefix(&SPKI[..]).ok_or(BadKey)?;
        if key.len() == 32 {
            Ok(Self(key.to_vec()))
        } else {
            Err(BadKey)
        }
    }
}

#[cfg(test)]
pub(crate) fn a_key() -> SealingKey {
    let pair = Ed25519KeyPair::generate().unwrap();
    SealingKey::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_read_as_it_was_written() {
        let key = a_key().public();
        assert_eq!(PublicKey::from_pem(&key.to_pem()), Ok(key.clone()));
        for bad in [
            "",
            BEGIN,
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        ] {
            assert_eq!(PublicKey::from_pem(bad), Err(BadKey), "{bad}");
        }
        assert!(SealingKey::from_pkcs8(b"no key").is_err());
    }

    #[test]
    fn only_the_key_itself_made_a_signature() {
        let (key, other) = (a_key(), a_key());
        let signature = key.sign(&[7; 32]);
        assert!(key.public().verifies(&[7; 32], &signature));
        assert!(!key.public().verifies(&[8; 32], &signature));
        assert!(!other.public().verifies(&[7; 32], &signature));
        let renamed = Signature {
            key: other.public().id(),
            ..signature
        };
        assert!(!other.public().verifies(&[7; 32], &renamed));
        assert!(!format!("{key:?}").contains("pair"));
    }
}
