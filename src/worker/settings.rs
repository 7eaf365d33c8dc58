//! How patient, how eager and how careful the worker is.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Deserialize;

pub use crate::app::retain::Retention;
use crate::domain::private_dns::Pace;
use crate::domain::sync_step::Rules;

/// The least time for which what was seen of a service is good enough to sell by: twice the longest pause of a service that waits for endpoints.
const SHORTEST_EVIDENCE: TimeDelta = TimeDelta::minutes(30);

/// The worker's settings. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSettings {
    /// How long a lease on an AccountRegion lasts unless renewed.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How often leases are renewed and free ones claimed.
    #[serde(with = "humantime_serde")]
    pub lease_interval: Duration,
    /// For how many whole months rows are kept of the tables that grow for ever.
    pub retention: Retention,
    /// The most AccountRegions that one replica serves.
    pub max_account_regions: usize,
    /// How often all connections of an AccountRegion are listed.
    #[serde(with = "humantime_serde")]
    pub listing_interval: Duration,
    /// How often a registered service is read and checked.
    #[serde(with = "humantime_serde")]
    pub service_interval: Duration,
    /// How often it is read while a load balancer or a target of it is still coming up.
    #[serde(with = "humantime_serde")]
    pub settling_interval: Duration,
    /// How often attributes, zones and notifications are read again, which hardly ever change.
    #[serde(with = "humantime_serde")]
    pub attributes_interval: Duration,
    /// How often all services of an AccountRegion are listed, registered or not.
    #[serde(with = "humantime_serde")]
    pub inventory_interval: Duration,
    /// How often the database is asked for work that another process caused.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// With how many connections in a call accepts and rejects begin. AWS documents no bound.
    pub batch_size: usize,
    /// How many that may grow to while AWS takes full calls.
    pub largest_batch: usize,
    /// The most connections that one pass reads back after their calls.
    pub pass_size: i64,
    /// How long a read may still show the state from before a call that AWS recorded.
    #[serde(with = "humantime_serde")]
    pub stale_read_grace: Duration,
    /// How many calls are made for one decision before the connection stalls.
    pub max_attempts: i32,
    /// How long AWS may take to show a decision before the connection stalls.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// The delay before the first retry; doubles with each further one.
    #[serde(with = "humantime_serde")]
    pub retry_base: Duration,
    /// How often the TXT record of a private DNS name is looked for while it is awaited, at first.
    #[serde(with = "humantime_serde")]
    pub private_dns_poll: Duration,
    /// How long that record must be visible before AWS is asked to check.
    #[serde(with = "humantime_serde")]
    pub private_dns_settle: Duration,
    /// How often AWS is asked again while a name is not verified.
    #[serde(with = "humantime_serde")]
    pub private_dns_retry: Duration,
    /// How often the record of a verified name is looked for.
    #[serde(with = "humantime_serde")]
    pub private_dns_recheck: Duration,
    /// How long a request that gates and policies hold rests until they are asked again, because time is a fact too.
    #[serde(with = "humantime_serde")]
    pub judge_again_after: Duration,
    /// How often the hour that is counted is brought up to date.
    #[serde(with = "humantime_serde")]
    pub usage_interval: Duration,
    /// How long after its hour a row of the usage ledger is sealed.
    #[serde(with = "humantime_serde")]
    pub usage_seal_after: Duration,
    /// How often what was bought is compared with who is let in and who is connected.
    #[serde(with = "humantime_serde")]
    pub findings_interval: Duration,
    /// Whether AWS is set up to tell of connections by itself, over SNS and SQS.
    pub notifications: bool,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(4),
            lease_interval: Duration::from_secs(1),
            retention: Retention::default(),
            max_account_regions: 200,
            listing_interval: Duration::from_secs(5),
            service_interval: Duration::from_mins(5),
            settling_interval: Duration::from_secs(3),
            attributes_interval: Duration::from_mins(30),
            inventory_interval: Duration::from_mins(15),
            poll_interval: Duration::from_secs(1),
            batch_size: 100,
            largest_batch: 1_000,
            pass_size: 2_000,
            stale_read_grace: Duration::from_secs(10),
            max_attempts: 5,
            patience: Duration::from_mins(15),
            retry_base: Duration::from_millis(500),
            private_dns_poll: Duration::from_mins(1),
            private_dns_settle: Duration::from_mins(1),
            private_dns_retry: Duration::from_mins(30),
            private_dns_recheck: Duration::from_hours(24),
            judge_again_after: Duration::from_mins(5),
            usage_interval: Duration::from_mins(5),
            usage_seal_after: Duration::from_mins(10),
            findings_interval: Duration::from_mins(15),
            notifications: true,
        }
    }
}

impl WorkerSettings {
    /// What the rules of `domain` need of these.
    pub fn rules(&self) -> Rules {
        Rules {
            stale_read_grace: delta(self.stale_read_grace),
            max_attempts: self.max_attempts,
            patience: delta(self.patience),
            retry_base: self.retry_base,
        }
    }

    /// For how long what was seen of a service is good enough to sell by: three looks may fail, and one that waits for endpoints is looked at every 15 minutes only.
    pub fn evidence_lasts(&self) -> TimeDelta {
        delta(self.service_interval.saturating_mul(3)).max(SHORTEST_EVIDENCE)
    }

    /// How often private DNS names are looked at.
    pub fn private_dns_pace(&self) -> Pace {
        Pace {
            hidden: delta(self.settling_interval),
            poll: delta(self.private_dns_poll),
            settle: delta(self.private_dns_settle),
            retry: delta(self.private_dns_retry),
            recheck: delta(self.private_dns_recheck),
        }
    }

    /// What is wrong with the settings, all of it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.lease_ttl < self.lease_interval * 3 {
            problems.push(
                "worker.lease_ttl must be at least three times worker.lease_interval".to_owned(),
            );
        }
        if self.batch_size == 0 || self.batch_size > 1_000 {
            problems.push("worker.batch_size must be 1 to 1000".to_owned());
        }
        if self.largest_batch < self.batch_size || self.largest_batch > 1_000 {
            problems.push("worker.largest_batch must be worker.batch_size to 1000".to_owned());
        }
        if self.pass_size < 1 {
            problems.push("worker.pass_size must be at least 1".to_owned());
        }
        if self.max_account_regions == 0 {
            problems.push("worker.max_account_regions must be at least 1".to_owned());
        }
        if self.max_attempts < 1 {
            problems.push("worker.max_attempts must be at least 1".to_owned());
        }
        problems.extend(self.retention.problem());
        if self.usage_seal_after > Duration::from_hours(24) {
            problems.push("worker.usage_seal_after must be at most 24 h".to_owned());
        }
        for (name, value) in [
            ("lease_interval", self.lease_interval),
            ("listing_interval", self.listing_interval),
            ("service_interval", self.service_interval),
            ("settling_interval", self.settling_interval),
            ("attributes_interval", self.attributes_interval),
            ("inventory_interval", self.inventory_interval),
            ("poll_interval", self.poll_interval),
            ("judge_again_after", self.judge_again_after),
            ("usage_interval", self.usage_interval),
            ("findings_interval", self.findings_interval),
            ("retry_base", self.retry_base),
            ("private_dns_poll", self.private_dns_poll),
            ("private_dns_retry", self.private_dns_retry),
            ("private_dns_recheck", self.private_dns_recheck),
        ] {
            if value < Duration::from_millis(10) {
                problems.push(format!("worker.{name} must be at least 10 ms"));
            }
        }
        problems
    }
}

/// A duration as the database's and the clock's arithmetic want it.
pub(super) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
