//! Who is calling and what they may do.
//!
//! A request carries a signed token (`Authorization: Bearer …`). The [`Verifier`] checks it against
//! the keys it was told to trust; a handler states the permission it needs by taking a
//! [`Caller`], and a handler that takes none is public. Rules about single rows are not
//! decided here but in the use case, where the row is.

mod caller;
mod issuer;
mod key_file;
mod permission;
mod role;
#[cfg(test)]
pub(crate) mod test_tokens;
#[cfg(test)]
mod tests;
mod verifier;

pub use caller::Caller;
pub(super) use caller::caller_of;
pub use issuer::{AUDIENCE, DEVELOPMENT_ISSUER, DevelopmentIssuer, IssuerError};
pub use key_file::{KeyFileError, SigningKey, open as open_key_file};
pub use permission::{Audit, Decide, Manage, Own, Permission, Read};
pub use role::{Ambiguous, Role, Roles};
pub use verifier::{AuthError, Claims, TrustedKey, Verifier};
