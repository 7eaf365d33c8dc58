//! Who is calling and what they may do.
//!
//! A request carries a signed token (`Authorization: Bearer …`). The [`Verifier`] checks it against
//! the issuers that it was told to trust; a handler states the permission it needs by taking a
//! [`Caller`], and a handler that takes none is public. Rules about single rows are not
//! decided here but in the use case, where the row is.

mod caller;
mod issuer;
mod issuer_keys;
mod jwks;
mod key_fetch;
mod key_file;
mod metrics;
mod permission;
mod refusal;
mod service_token;
mod strict_json;
#[cfg(test)]
pub(crate) mod test_tokens;
#[cfg(test)]
mod tests;
mod token;
mod trust;
mod verifier;

pub use caller::{Caller, Looker};
pub(super) use caller::{Identity, caller_of, claims_of, shows_a_guess};
pub use issuer::{AUDIENCE, DEVELOPMENT_ISSUER, DevelopmentIssuer, IssuerError};
pub use key_fetch::KeyClient;
pub use key_file::{KeyFileError, SigningKey, open as open_key_file};
pub use metrics::AuthMetrics;
pub use permission::{Audit, Decide, Manage, ManageTokens, Own, Permission, Read};
pub use refusal::{AuthError, Reason};
pub(super) use service_token::TokenUses;
pub use trust::{Claims, TrustedIssuer};
pub(super) use verifier::Trust;
pub use verifier::{Verifier, keep_fresh};

pub use crate::domain::role::{Ambiguous, Role, Roles};
