//! What AWS lets one account in one Region do in a second, shared by every loop of that AccountRegion.
//!
//! The figures are AWS's documented defaults (EC2 `throttling`: `Accept…` and `RejectVpcEndpointConnections` and the service
//! configuration calls have a bucket of 10 refilled by 1 a second each; other mutations 50 and 5; reads 100 and 20; ELBv2 reads 40 and
//! 10; SNS's control calls 30 and more; SQS has no bound that matters). One replica owns an AccountRegion, so the buckets are plain process memory. They learn from throttling: see
//! [`crate::domain::bucket`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::batch_size::BatchSize;
use crate::domain::bucket::TokenBucket;
pub use crate::domain::dispatch::Urgency;
use crate::domain::sync::Act;

/// The buckets that calls pay from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// `AcceptVpcEndpointConnections`.
    Accept,
    /// `RejectVpcEndpointConnections`.
    Reject,
    /// Create, modify and delete of service configurations.
    ServiceMutation,
    /// Permissions and other mutations.
    Mutation,
    /// EC2 reads.
    Read,
    /// ELBv2 reads.
    BalancerRead,
    /// SNS, and what SQS does besides receiving and deleting.
    Messaging,
    /// Receiving and deleting messages. SQS would take more; a flood of messages need not be read faster.
    Queue,
}

impl Bucket {
    /// The bucket that a call to change a connection pays from.
    pub fn of(act: Act) -> Self {
        match act {
            Act::Accept => Self::Accept,
            Act::Reject => Self::Reject,
        }
    }

    /// Whether the calls that pay from it change something in AWS.
    pub fn pays_changes(self) -> bool {
        match self {
            Self::Accept
            | Self::Reject
            | Self::ServiceMutation
            | Self::Mutation
            | Self::Messaging => true,
            // A receive changes nothing but how long its messages are hidden.
            Self::Read | Self::BalancerRead | Self::Queue => false,
        }
    }
}

/// Token buckets of one AccountRegion.
#[derive(Debug)]
pub struct Budget {
    began: Instant,
    accept: Mutex<TokenBucket>,
    reject: Mutex<TokenBucket>,
    service: Mutex<TokenBucket>,
    mutation: Mutex<TokenBucket>,
    read: Mutex<TokenBucket>,
    balancer: Mutex<TokenBucket>,
    batch: Mutex<BatchSize>,
    messaging: Mutex<TokenBucket>,
    queue: Mutex<TokenBucket>,
}

impl Budget {
    /// Full buckets of AWS's default sizes.
    pub fn aws_defaults() -> Self {
        Self::with_batches(BatchSize::new(100, 1_000))
    }

    /// The same, with accepts and rejects that begin with this size.
    pub fn with_batches(batch: BatchSize) -> Self {
        let bucket = |size, per_second| Mutex::new(TokenBucket::full(size, per_second));
        Self {
            began: Instant::now(),
            accept: bucket(10, 1),
            reject: bucket(10, 1),
            service: bucket(10, 1),
            mutation: bucket(50, 5),
            read: bucket(100, 20),
            balancer: bucket(40, 10),
            batch: Mutex::new(batch),
            messaging: bucket(30, 10),
            queue: bucket(200, 100),
        }
    }

    /// How many endpoints an accept or a reject names now.
    pub fn batch_size(&self) -> usize {
        self.batch().get()
    }

    /// The size of accepts and rejects, for learning.
    pub(super) fn batch(&self) -> MutexGuard<'_, BatchSize> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until there is a token for a call of this urgency. Nothing if there is one.
    pub fn wait(&self, bucket: Bucket, urgency: Urgency) -> Duration {
        self.locked(bucket).wait(urgency.keeps(), self.now())
    }

    /// How many calls of this urgency could be made at once.
    pub fn tokens(&self, bucket: Bucket, urgency: Urgency) -> usize {
        self.locked(bucket).tokens(urgency.keeps(), self.now())
    }

    /// How full a bucket is, from 0 to 1.
    pub fn fullness(&self, bucket: Bucket) -> f64 {
        self.locked(bucket).fullness(self.now())
    }

    /// Waits for a token and takes it. The call has ended when the token is dropped.
    pub async fn take(&self, bucket: Bucket) -> Token<'_> {
        loop {
            let wait = {
                let mut tokens = self.locked(bucket);
                if tokens.take(self.now()) {
                    return Token {
                        budget: self,
                        bucket,
                        throttled: false,
                    };
                }
                tokens.wait(0, self.now())
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn locked(&self, bucket: Bucket) -> MutexGuard<'_, TokenBucket> {
        let bucket = match bucket {
            Bucket::Accept => &self.accept,
            Bucket::Reject => &self.reject,
            Bucket::ServiceMutation => &self.service,
            Bucket::Mutation => &self.mutation,
            Bucket::Read => &self.read,
            Bucket::BalancerRead => &self.balancer,
            Bucket::Messaging => &self.messaging,
            Bucket::Queue => &self.queue,
        };
        bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was paid for and is under way. A call that is cut off ends here too.
#[derive(Debug)]
#[must_use = "the call is over when the token is dropped"]
pub struct Token<'a> {
    budget: &'a Budget,
    bucket: Bucket,
    throttled: bool,
}

impl Token<'_> {
    /// Notes that AWS throttled the call.
    pub fn throttled(mut self) {
        self.throttled = true;
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        let now = self.budget.now();
        self.budget
            .locked(self.bucket)
            .answered(self.throttled, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token, if it is there without a wait that is worth the name.
    async fn now(budget: &Budget, bucket: Bucket) -> Option<Token<'_>> {
        let soon = Duration::from_millis(50);
        tokio::time::timeout(soon, budget.take(bucket)).await.ok()
    }

    #[tokio::test]
    async fn a_full_bucket_gives_its_burst_at_once_and_then_makes_the_caller_wait() {
        let budget = Budget::aws_defaults();
        for _ in 0..10 {
            assert!(now(&budget, Bucket::Accept).await.is_some());
        }
        assert!(now(&budget, Bucket::Accept).await.is_none());
        assert!(
            now(&budget, Bucket::Reject).await.is_some(),
            "rejects have a bucket of their own"
        );
    }

    #[tokio::test]
    async fn two_tokens_are_kept_for_people() {
        let budget = Budget::aws_defaults();
        for _ in 0..8 {
            assert_eq!(budget.wait(Bucket::Accept, Urgency::Policy), Duration::ZERO);
            drop(budget.take(Bucket::Accept).await);
        }
        assert!(budget.wait(Bucket::Accept, Urgency::Policy) > Duration::ZERO);
        assert_eq!(budget.wait(Bucket::Accept, Urgency::Person), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_throttled_call_leaves_no_token_for_the_next() {
        let budget = Budget::aws_defaults();
        budget.take(Bucket::Accept).await.throttled();
        assert!(now(&budget, Bucket::Accept).await.is_none());
        assert!(budget.wait(Bucket::Accept, Urgency::Person) > Duration::from_secs(1));
    }
}
