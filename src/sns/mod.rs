//! What Amazon SNS posts to us: is it really from SNS, about a topic of ours, and what does it ask for?
//!
//! The sender is anybody on the internet. Each check has a bounded cost and stands before the next dearer one: the shape, the topic's name,
//! the addresses and the time cost nothing; then the database is asked for the AccountRegion; then the certificate is fetched, which is
//! cached; then the signature is verified. What comes out is a hint, which is where to look and never what to believe, or the confirmation of
//! a subscription. HTTP in front of it is `api::hooks`; HTTP behind it is [`fetch::Fetch`], the only way out of here.

pub mod certificates;
pub mod fetch;
pub mod hook;
mod http;
pub mod message;
pub mod metrics;
pub mod refusal;
pub mod settings;
pub mod topic;
pub mod trust;
pub mod url;

pub use hook::{Hook, Outcome};
pub use http::HttpFetch;
pub use settings::HookSettings;
