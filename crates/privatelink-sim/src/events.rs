//! The call log: what was asked of the simulator and what it answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};

use crate::api::{Api, Call};

/// The log keeps this many calls; older ones are dropped, their numbers are not used again.
pub const KEPT: usize = 100_000;

/// The log keeps this many ids of one call.
const KEPT_IDS: usize = 200;

/// The log keeps this many ids in all: calls with many of them push older calls out sooner.
const KEPT_IDS_IN_ALL: usize = 1_000_000;

/// The log keeps this many characters of an action; longer ids are not ids and not kept.
const KEPT_TEXT: usize = 128;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Rises by one with every call.
    pub seq: u64,
    /// The simulated time.
    pub at: DateTime<Utc>,
    /// The service.
    pub service: Api,
    /// The action.
    pub action: String,
    /// The account that called.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
    /// `ok`, an AWS error code, or `dropped`, `reset`, `truncated` or `garbled` when the answer did not arrive as it was.
    pub outcome: String,
    /// Whether the work was done, whatever the answer said.
    pub done: bool,
    /// The ids of endpoints and services in the request, at most 200.
    pub ids: Vec<String>,
}

/// The log; all clones share it.
#[derive(Debug, Clone, Default)]
pub struct CallLog {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    events: VecDeque<Event>,
    ids: usize,
}

impl Kept {
    fn push(&mut self, event: Event) {
        self.ids += event.ids.len();
        self.events.push_back(event);
        while self.events.len() > KEPT || self.ids > KEPT_IDS_IN_ALL {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.ids -= oldest.ids.len();
        }
    }
}

impl CallLog {
    /// The calls with a number above `after`, oldest first, at most `limit` of them.
    pub fn since(&self, after: u64, limit: usize) -> Vec<Event> {
        self.with(|kept| {
            let start = kept.events.partition_point(|event| event.seq <= after);
            kept.events
                .iter()
                .skip(start)
                .take(limit)
                .cloned()
                .collect()
        })
    }

    /// All calls that are still kept, oldest first.
    pub fn all(&self) -> Vec<Event> {
        self.since(0, KEPT)
    }

    /// The calls of one action that are still kept.
    pub fn of(&self, action: &str) -> Vec<Event> {
        self.with(|kept| {
            kept.events
                .iter()
                .filter(|e| e.action == action)
                .cloned()
                .collect()
        })
    }

    /// How many calls there were since the start.
    pub fn count(&self) -> u64 {
        self.with(|kept| kept.next)
    }

    pub(crate) fn push(&self, at: DateTime<Utc>, call: Call, outcome: String, done: bool) {
        let mut ids = call.ids;
        // What a caller sends may be of any size; what is kept of it is not.
        ids.retain(|id| id.len() <= KEPT_TEXT);
        ids.truncate(KEPT_IDS);
        ids.shrink_to_fit();
        let action: String = call.action.chars().take(KEPT_TEXT).collect();
        self.with(|kept| {
            kept.next += 1;
            let seq = kept.next;
            kept.push(Event {
                seq,
                at,
                service: call.api,
                action,
                account: call.account,
                region: call.region,
                outcome,
                done,
                ids,
            });
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_many_ids_push_older_ones_out() {
        let log = CallLog::default();
        let call = Call {
            api: Api::Ec2,
            action: "DescribeVpcEndpointConnections".to_owned(),
            account: "111111111111".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            ids: vec![String::new(); 2 * KEPT_IDS],
            unfiltered: false,
        };
        let most = KEPT_IDS_IN_ALL / KEPT_IDS;
        for _ in 0..=most {
            log.push(DateTime::UNIX_EPOCH, call.clone(), "ok".to_owned(), true);
        }
        let kept = log.all();
        assert_eq!(kept.len(), most);
        assert_eq!(kept[0].seq, 2);
        assert_eq!(kept[0].ids.len(), KEPT_IDS);
        assert_eq!(log.count(), most as u64 + 1);
    }

    #[test]
    fn a_huge_call_leaves_a_small_line() {
        let log = CallLog::default();
        let mut ids: Vec<String> = (0..10_000).map(|n| format!("vpce-{n}")).collect();
        ids.insert(0, "vpce-".repeat(1_000));
        let call = Call {
            api: Api::Ec2,
            action: "é".repeat(10_000),
            account: "111111111111".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            ids,
            unfiltered: false,
        };
        log.push(DateTime::UNIX_EPOCH, call, "ok".to_owned(), true);
        let line = &log.all()[0];
        assert_eq!(line.action.chars().count(), KEPT_TEXT);
        assert_eq!((line.ids.len(), line.ids[0].as_str()), (KEPT_IDS, "vpce-0"));
        let held = log.with(|kept| kept.events[0].ids.capacity());
        assert!(held < 2 * KEPT_IDS, "{held}");
    }
}
