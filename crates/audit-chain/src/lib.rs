//! An audit trail that cannot be changed quietly.
//!
//! Entries are written by whoever does something, in any order and at once. Later, batch by batch, they are *sealed*: a [`Seal`] names each entry of its
//! batch by id and by the SHA-256 of its text, and the seal before it by its hash; its own hash is signed. So sealing is a chain, and writing entries is
//! not: nobody who writes one waits for another.
//!
//! Whoever changes, deletes, adds or exchanges an entry breaks its seal; whoever changes, deletes or exchanges a seal breaks the chain; whoever makes the
//! chain anew lacks the key; and whoever cuts off its end is found by a [`Head`] that was kept elsewhere. Old entries may be let go by a signed word, a
//! [`Retirement`]; their seals stay.
#![deny(clippy::wildcard_enum_match_arm)]

mod export;
mod key;
mod retirement;
mod seal;
mod verify;

pub use export::{Line, ReadError, verify_export};
pub use key::{BadKey, PublicKey, SealingKey, Signature};
pub use retirement::Retirement;
pub use seal::{Hash, Leaf, Seal, hash_of, hex};
pub use verify::{Checked, Fault, Head, Verifier};
