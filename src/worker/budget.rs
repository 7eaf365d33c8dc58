//! What AWS lets one account in one Region do in a second, shared by every loop of that AccountRegion.
//!
//! The figures are AWS's documented defaults (EC2 `throttling`: `Accept…` and `RejectVpcEndpointConnections` and the service
//! configuration calls have a bucket of 10 refilled by 1 a second each; other mutations 50 and 5; reads 100 and 20; ELBv2 reads 40 and
//! 10). One replica owns an AccountRegion, so the buckets are plain process memory.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

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
}

/// Token buckets of one AccountRegion.
#[derive(Debug)]
pub struct Budget {
    accept: DefaultDirectRateLimiter,
    reject: DefaultDirectRateLimiter,
    service: DefaultDirectRateLimiter,
    mutation: DefaultDirectRateLimiter,
    read: DefaultDirectRateLimiter,
    balancer: DefaultDirectRateLimiter,
}

impl Budget {
    /// Full buckets of AWS's default sizes.
    pub fn aws_defaults() -> Self {
        let bucket = |per_second: u32, burst: u32| {
            let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst))
        };
        Self {
            accept: bucket(1, 10),
            reject: bucket(1, 10),
            service: bucket(1, 10),
            mutation: bucket(5, 50),
            read: bucket(20, 100),
            balancer: bucket(10, 40),
        }
    }

    /// Waits for a token.
    pub async fn take(&self, bucket: Bucket) {
        let limiter = match bucket {
            Bucket::Accept => &self.accept,
            Bucket::Reject => &self.reject,
            Bucket::ServiceMutation => &self.service,
            Bucket::Mutation => &self.mutation,
            Bucket::Read => &self.read,
            Bucket::BalancerRead => &self.balancer,
        };
        limiter.until_ready().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_full_bucket_gives_its_burst_at_once_and_then_makes_the_caller_wait() {
        let budget = Budget::aws_defaults();
        for _ in 0..10 {
            let now =
                tokio::time::timeout(Duration::from_millis(50), budget.take(Bucket::Accept)).await;
            assert!(now.is_ok());
        }
        let eleventh =
            tokio::time::timeout(Duration::from_millis(50), budget.take(Bucket::Accept)).await;
        assert!(
            eleventh.is_err(),
            "the eleventh call has to wait for a token"
        );
        let other =
            tokio::time::timeout(Duration::from_millis(50), budget.take(Bucket::Reject)).await;
        assert!(other.is_ok(), "rejects have a bucket of their own");
    }
}
