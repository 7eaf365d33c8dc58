//! Verification: one pass over the seals in their order, with each entry's text as it is now.

use std::fmt;

use uuid::Uuid;

use crate::key::{PublicKey, Signature};
use crate::retirement::Retirement;
use crate::seal::{Hash, Leaf, Seal, hex};

/// The end of the chain at some time. Kept elsewhere, it finds out whoever cuts off the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last seal.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, hex(&self.hash))
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("a head is NUMBER:HASH with 64 hexadecimal digits, not {text:?}");
        let (number, digits) = text.trim().split_once(':').ok_or_else(wrong)?;
        let number = number.parse().map_err(|_| wrong())?;
        let mut hash = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(wrong());
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            let pair = digits.get(2 * at..2 * at + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self { number, hash })
    }
}

/// What is wrong with a trail. The first one that is met is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A seal is not there.
    #[error("seal {0} is missing")]
    SealMissing(u64),
    /// A seal is not what it was made as.
    #[error("seal {0} was changed")]
    SealChanged(u64),
    /// A seal does not continue the one before it.
    #[error("seal {0} does not follow from the one before it")]
    ChainBroken(u64),
    /// A seal that a key should have signed is not signed.
    #[error("seal {0} is not signed")]
    Unsigned(u64),
    /// A seal has a signature that none of the keys made.
    #[error("seal {number} is signed by none of the keys (its key is {key})")]
    SignatureWrong {
        /// The seal.
        number: u64,
        /// The key that it names.
        key: String,
    },
    /// An entry is not there.
    #[error("entry {entry} of seal {number} is missing")]
    EntryMissing {
        /// The entry.
        entry: Uuid,
        /// Its seal.
        number: u64,
    },
    /// An entry is not what it was.
    #[error("entry {entry} of seal {number} was changed")]
    EntryChanged {
        /// The entry.
        entry: Uuid,
        /// Its seal.
        number: u64,
    },
    /// An entry waits for its seal and is not there.
    #[error("entry {0} is missing before it was sealed")]
    WaitingMissing(Uuid),
    /// An entry is there that was not written as entries are.
    #[error("entry {0} was put there afterwards")]
    EntryForeign(Uuid),
    /// The word that old entries were let go is not what it was.
    #[error("the retirement up to seal {0} was changed")]
    RetirementChanged(u64),
    /// The word that old entries were let go is signed by none of the keys.
    #[error("the retirement up to seal {0} is signed by none of the keys")]
    RetirementUnsigned(u64),
    /// The chain does not reach a head that was kept.
    #[error("the chain ends with seal {ends_with}, before the head {number}")]
    CutOff {
        /// The last seal.
        ends_with: u64,
        /// The head's number.
        number: u64,
    },
    /// The chain is another one than a head that was kept is of.
    #[error("seal {0} is not the one that the head names")]
    OtherChain(u64),
}

/// What was verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many seals.
    pub seals: u64,
    /// How many entries in them.
    pub entries: u64,
    /// How many more were let go, because they were old enough.
    pub retired: u64,
    /// How many signatures.
    pub signatures: u64,
    /// The end of the chain.
    pub head: Option<Head>,
}

/// Goes over a trail, seal by seal.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    kept: Vec<Head>,
    retired: Vec<Retirement>,
    checked: Checked,
}

impl Verifier {
    /// With keys, every seal has to be signed by one of them. Without, signatures are not looked at. The heads have to be on the chain.
    pub fn new(keys: Vec<PublicKey>, kept: Vec<Head>) -> Self {
        Self {
            keys,
            kept,
            retired: Vec::new(),
            checked: Checked::default(),
        }
    }

    /// Takes the word that old entries were let go, with the hash that it was stored with. All of them come before the first seal.
    pub fn retirement(
        &mut self,
        word: Retirement,
        stored: &Hash,
        signature: Option<&Signature>,
    ) -> Result<(), Fault> {
        let number = word.head.number;
        if word.hash() != *stored {
            return Err(Fault::RetirementChanged(number));
        }
        let signed = |by: &Signature| self.keys.iter().any(|key| key.verifies(stored, by));
        if !self.keys.is_empty() && !signature.is_some_and(signed) {
            return Err(Fault::RetirementUnsigned(number));
        }
        self.kept.push(word.head);
        self.retired.push(word);
        Ok(())
    }

    /// Takes the next seal, with the hash that it was stored with.
    pub fn seal(
        &mut self,
        seal: &Seal,
        stored: &Hash,
        signature: Option<&Signature>,
    ) -> Result<(), Fault> {
        let expected = self.checked.head.map_or(1, |head| head.number + 1);
        if seal.number != expected {
            return Err(Fault::SealMissing(expected));
        }
        let hash = seal.hash();
        if hash != *stored {
            return Err(Fault::SealChanged(seal.number));
        }
        if seal.previous != self.checked.head.map_or([0; 32], |head| head.hash) {
            return Err(Fault::ChainBroken(seal.number));
        }
        self.signed(seal.number, &hash, signature)?;
        let head = Head {
            number: seal.number,
            hash,
        };
        let other = |kept: &&Head| kept.number == head.number && **kept != head;
        if self.kept.iter().any(|kept| other(&kept)) {
            return Err(Fault::OtherChain(head.number));
        }
        self.checked.head = Some(head);
        self.checked.seals += 1;
        Ok(())
    }

    fn signed(
        &mut self,
        number: u64,
        hash: &Hash,
        signature: Option<&Signature>,
    ) -> Result<(), Fault> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let signature = signature.ok_or(Fault::Unsigned(number))?;
        if !self.keys.iter().any(|key| key.verifies(hash, signature)) {
            return Err(Fault::SignatureWrong {
                number,
                key: signature.key.clone(),
            });
        }
        self.checked.signatures += 1;
        Ok(())
    }

    /// Whether an entry of a seal has no line because it was let go: the line that comes is another one's.
    pub(crate) fn lets_go(&self, number: u64, leaf: &Leaf, comes: &Hash) -> bool {
        leaf.hash != *comes && self.retired.iter().any(|word| word.covers(leaf.at, number))
    }

    /// Compares an entry of a seal with the hash of its text as it is now; `None` where it is not there.
    pub fn entry(&mut self, number: u64, leaf: &Leaf, now: Option<&Hash>) -> Result<(), Fault> {
        let entry = leaf.id;
        match now {
            None if self.retired.iter().any(|word| word.covers(leaf.at, number)) => {
                self.checked.retired += 1;
                Ok(())
            }
            None => Err(Fault::EntryMissing { entry, number }),
            Some(hash) if *hash != leaf.hash => Err(Fault::EntryChanged { entry, number }),
            Some(_) => {
                self.checked.entries += 1;
                Ok(())
            }
        }
    }

    /// Ends it: the heads that were kept have to have been met.
    pub fn end(self) -> Result<Checked, Fault> {
        let ends_with = self.checked.head.map_or(0, |head| head.number);
        let beyond = self.kept.iter().find(|kept| kept.number > ends_with);
        match beyond {
            Some(kept) => Err(Fault::CutOff {
                ends_with,
                number: kept.number,
            }),
            None => Ok(self.checked),
        }
    }
}

#[cfg(test)]
mod tests;
