//! What was done to a run. Without it, a repeat that a killed process explains could not be told from one that nothing explains.

use chrono::{DateTime, TimeDelta, Utc};

/// What happened around the run.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Decisions that a client was told of, by id.
    pub acknowledged: Vec<String>,
    /// What others did in AWS with the provider's account.
    pub outside: Vec<Outside>,
    /// An id that others put into every call of theirs, where they cannot be told apart otherwise.
    pub mark_of_others: Option<String>,
    /// When a worker lost what it had in hand, by Portcullis' clock: kills, lost leases, lost databases. Each may leave the calls that
    /// it had under way without a record.
    pub losses: Vec<DateTime<Utc>>,
    /// How many calls a worker has under way at most.
    pub calls_under_way: usize,
    /// Reads lagged behind at times, so that an older state may have been seen after a newer one.
    pub stale_reads: bool,
    /// The client between worker and AWS tries once more by itself when no answer comes.
    pub client_retries: bool,
    /// Times at which AWS's clock jumped ahead.
    pub jumps: Vec<Jump>,
    /// How long a call may be under way.
    pub longest_call: TimeDelta,
    /// How long a read may show the state from before a recorded call.
    pub stale_read_grace: TimeDelta,
    /// How long AWS may take to show a decision before the worker gives up.
    pub patience: TimeDelta,
    /// Calls for one decision before the worker gives up.
    pub max_attempts: usize,
    /// Services in AWS that were never registered, made by others.
    pub services_not_ours: usize,
    /// How often a person asked the worker to try again.
    pub retries: usize,
    /// The run ended with a quiet time that was long enough for everything to come to rest.
    pub at_rest: bool,
    /// When it ended, by Portcullis' clock.
    pub ended_at: DateTime<Utc>,
    /// AWS's clock runs as fast as the worker's, so that the pace of calls means something. Each new owner of an AccountRegion may
    /// begin with a full bucket: this many owners there were at most.
    pub pace_of_owners: Option<usize>,
}

/// Something that somebody else did in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The action.
    pub action: String,
    /// The endpoint or the service.
    pub id: String,
}

/// AWS's clock jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// AWS's time right after it.
    pub to: DateTime<Utc>,
    /// How far.
    pub by: TimeDelta,
}

impl Default for Circumstances {
    fn default() -> Self {
        Self {
            acknowledged: Vec::new(),
            outside: Vec::new(),
            mark_of_others: None,
            losses: Vec::new(),
            calls_under_way: 4,
            stale_reads: false,
            client_retries: false,
            jumps: Vec::new(),
            longest_call: TimeDelta::zero(),
            stale_read_grace: TimeDelta::seconds(10),
            patience: TimeDelta::minutes(15),
            max_attempts: 5,
            services_not_ours: 0,
            retries: 0,
            at_rest: true,
            ended_at: DateTime::UNIX_EPOCH,
            pace_of_owners: None,
        }
    }
}

impl Circumstances {
    /// AWS's time by Portcullis' clock.
    pub(crate) fn ours(&self, aws: DateTime<Utc>) -> DateTime<Utc> {
        let jumped = self.jumps.iter().filter(|jump| jump.to <= aws);
        jumped.fold(aws, |at, jump| at - jump.by)
    }
}
