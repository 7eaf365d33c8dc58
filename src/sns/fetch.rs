//! The way out: the few addresses of AWS that a message can make us ask for.

use async_trait::async_trait;

use super::url::AwsUrl;

/// The longest answer that is read, in bytes. A certificate with its chain has some six thousand.
pub const LONGEST_ANSWER: usize = 64 * 1024;

/// Asks an address of AWS.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The body of an answer with status 200. Follows no redirect, reads at most [`LONGEST_ANSWER`], and ends in a bounded time.
    async fn get(&self, url: &AwsUrl) -> Result<Vec<u8>, FetchError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nobody answered in time, or not as whom they had to be.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer had another status than 200.
    #[error("the answer had status {0}")]
    Status(u16),
    /// The answer was longer than anything that is asked for.
    #[error("the answer was too long")]
    TooLong,
}
