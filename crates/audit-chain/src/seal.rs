//! What a seal is, and what its hash is made from.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A SHA-256.
pub type Hash = [u8; 32];

/// What is hashed begins with this, so that no hash of ours means anything else too.
const CONTEXT: &[u8] = b"portcullis audit seal 1\0";
const ID: usize = 16;
const TIME: usize = 8;
const HASH: usize = 32;

/// The SHA-256 of an entry's text.
pub fn hash_of(text: &[u8]) -> Hash {
    Sha256::digest(text).into()
}

/// Lower case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One entry in a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The entry's id.
    pub id: Uuid,
    /// When it happened, in microseconds since 1970; where to look for it.
    pub at: i64,
    /// The SHA-256 of its text.
    pub hash: Hash,
}

impl Leaf {
    /// How many bytes a leaf has.
    pub const SIZE: usize = ID + TIME + HASH;

    /// The leaves as they are stored and hashed: id, time (big endian) and hash of each.
    pub fn pack(leaves: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(leaves.len() * Self::SIZE);
        for leaf in leaves {
            bytes.extend_from_slice(leaf.id.as_bytes());
            bytes.extend_from_slice(&leaf.at.to_be_bytes());
            bytes.extend_from_slice(&leaf.hash);
        }
        bytes
    }

    /// Reads them again; `None` where the bytes are no leaves.
    pub fn unpack(bytes: &[u8]) -> Option<Vec<Self>> {
        let chunks = bytes.chunks_exact(Self::SIZE);
        if !chunks.remainder().is_empty() {
            return None;
        }
        chunks
            .map(|chunk| {
                let (id, rest) = chunk.split_first_chunk::<ID>()?;
                let (at, rest) = rest.split_first_chunk::<TIME>()?;
                let (hash, _) = rest.split_first_chunk::<HASH>()?;
                Some(Self {
                    id: Uuid::from_bytes(*id),
                    at: i64::from_be_bytes(*at),
                    hash: *hash,
                })
            })
            .collect()
    }
}

/// A batch of entries, bound to the batch before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Its number: 1, 2, 3, …
    pub number: u64,
    /// When it was made, in microseconds since 1970.
    pub at: i64,
    /// The hash of the seal before; zeros for the first.
    pub previous: Hash,
    /// The entries, in the order of their ids.
    pub leaves: Vec<Leaf>,
}

impl Seal {
    /// The hash of all of it.
    pub fn hash(&self) -> Hash {
        let mut hash = Sha256::new();
        hash.update(CONTEXT);
        hash.update(self.number.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        hash.update(self.previous);
        hash.update(Leaf::pack(&self.leaves));
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u8) -> Leaf {
        Leaf {
            id: Uuid::from_bytes([n; 16]),
            at: i64::from(n) - 3,
            hash: hash_of(&[n]),
        }
    }

    #[test]
    fn leaves_are_read_as_they_were_packed() {
        let leaves: Vec<Leaf> = (0..5).map(leaf).collect();
        let bytes = Leaf::pack(&leaves);
        assert_eq!(bytes.len(), 5 * Leaf::SIZE);
        assert_eq!(Leaf::unpack(&bytes), Some(leaves));
        assert_eq!(Leaf::unpack(&bytes[1..]), None);
        assert_eq!(Leaf::unpack(&[]), Some(Vec::new()));
    }

    #[test]
    fn the_hash_covers_everything() {
        let seal = Seal {
            number: 1,
            at: 2,
            previous: [0; 32],
            leaves: vec![leaf(1), leaf(2)],
        };
        let others = [
            Seal {
                number: 2,
                ..seal.clone()
            },
            Seal {
                at: 3,
                ..seal.clone()
            },
            Seal {
                previous: [1; 32],
                ..seal.clone()
            },
            Seal {
                leaves: vec![leaf(2), leaf(1)],
                ..seal.clone()
            },
            Seal {
                leaves: vec![leaf(1)],
                ..seal.clone()
            },
            Seal {
                leaves: vec![],
                ..seal.clone()
            },
        ];
        for other in others {
            assert_ne!(other.hash(), seal.hash(), "{other:?}");
        }
        assert_eq!(seal.clone().hash(), seal.hash());
    }

    /// What was sealed years ago has to be verified by the program of today: the bytes that are hashed never change.
    #[test]
    fn the_format_does_not_change() {
        let seal = Seal {
            number: 7,
            at: 1_800_000_000_000_000,
            previous: [9; 32],
            leaves: vec![leaf(1)],
        };
        assert_eq!(
            hex(&seal.hash()),
            "71d62905c501ffeca2c4c9283bc762ceda4e4edc788603cf115db8c4c95fa13b"
        );
    }
}
