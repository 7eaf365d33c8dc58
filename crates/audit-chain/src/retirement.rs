//! Entries that were let go because they were old enough: who may say so, and up to where.

use sha2::{Digest as _, Sha256};

use crate::seal::Hash;
use crate::verify::Head;

/// What is hashed begins with this, so that no hash of ours means anything else too.
const CONTEXT: &[u8] = b"portcullis audit retirement 1\0";

/// The word that entries before a time were let go. Its hash is signed like a seal's. The seals that name the entries stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// Entries before this are not there any more, in microseconds since 1970.
    pub before: i64,
    /// When that was said.
    pub at: i64,
    /// The end of the chain then: later seals may not lack anything for it.
    pub head: Head,
}

impl Retirement {
    /// The SHA-256 of what it says.
    pub fn hash(&self) -> Hash {
        let mut hash = Sha256::new();
        hash.update(CONTEXT);
        hash.update(self.before.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        hash.update(self.head.number.to_be_bytes());
        hash.update(self.head.hash);
        hash.finalize().into()
    }

    /// Whether an entry of that time, in the seal with that number, may be gone for it.
    pub(crate) fn covers(&self, at: i64, number: u64) -> bool {
        at < self.before && number <= self.head.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_hashed() {
        let head = Head {
            number: 3,
            hash: [7; 32],
        };
        let word = Retirement {
            before: 1,
            at: 2,
            head,
        };
        let other = [
            Retirement { before: 2, ..word },
            Retirement { at: 3, ..word },
            Retirement {
                head: Head { number: 4, ..head },
                ..word
            },
            Retirement {
                head: Head {
                    hash: [8; 32],
                    ..head
                },
                ..word
            },
        ];
        for other in other {
            assert_ne!(other.hash(), word.hash(), "{other:?}");
        }
    }
}
