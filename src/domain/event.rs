//! Events: that something happened, to what, and where it stands in the feed. Pure.

use chrono::{DateTime, Utc};

use super::audit_entry::Subject;
use super::ids::{DecisionId, EndpointServiceId};

/// An event of the feed.
#[derive(Debug, Clone)]
pub struct Event {
    /// 1, 2, 3 and so on. Whoever has read up to one has missed none before it.
    pub position: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened: the action of the audit trail, as `noun.verb`, or `connection.observed`.
    pub kind: String,
    /// To what.
    pub subject: Subject,
    /// The service that it is about, or whose connection it is about.
    pub service: Option<EndpointServiceId>,
    /// The decision behind it.
    pub decision: Option<DecisionId>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// Of an observation: the states that AWS showed before and shows now.
    pub observed: Option<(Option<String>, String)>,
}

/// Where the feed begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest position that is kept; one more than `last` where none is.
    pub first: i64,
    /// The newest position; 0 in the beginning.
    pub last: i64,
}

impl Bounds {
    /// Whether whoever has read up to a position can read on without a gap.
    pub fn go_on_after(self, position: i64) -> bool {
        (self.first - 1..=self.last).contains(&position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_goes_on_where_nothing_is_missing() {
        let bounds = Bounds { first: 5, last: 9 };
        for position in 4..=9 {
            assert!(bounds.go_on_after(position), "{position}");
        }
        for position in [-1, 0, 3, 10] {
            assert!(!bounds.go_on_after(position), "{position}");
        }
        let empty = Bounds { first: 1, last: 0 };
        assert!(empty.go_on_after(0) && !empty.go_on_after(1));
    }
}
