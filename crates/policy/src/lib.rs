//! Acceptance policies: text in, a verdict out.
//!
//! A policy says which requests to connect are accepted (`permit`) and which are refused (`forbid`). What no policy speaks of is left to people. The language is
//! Cedar, checked strictly against a typed schema ([`SCHEMA`]) when a set is compiled, so that a misspelt attribute is found before the set decides anything.
//!
//! This is the only crate that names Cedar: what goes in and comes out are plain types. Nothing here does I/O, and the same set and facts give the same verdict.

mod annotations;
mod compile;
mod diagnostic;
mod evaluate;
mod explain;
mod facts;
mod guard;
mod prefilter;
mod request;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;
mod vocabulary;
mod words;

pub use annotations::digest;
pub use compile::PolicySet;
pub use diagnostic::{Diagnostic, Place};
pub use explain::{Answer, Explained};
pub use facts::{Account, Agreement, Consumer, Counts, Endpoint, Facts, Listing, Service};
pub use guard::{MAX_ARITHMETIC, MAX_BYTES, MAX_DEPTH, MAX_OPERATORS, MAX_POLICIES};
pub use template::{TEMPLATES, Template};
pub use verdict::{Effect, Failure, Matched, Verdict};
pub use vocabulary::SCHEMA;
