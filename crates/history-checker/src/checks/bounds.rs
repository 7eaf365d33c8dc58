//! I14: nothing grows without end.

use std::collections::HashMap;

use crate::index::Index;
use crate::report::{Invariant, Report};

/// Open drifts of one connection: one of a kind.
const MOST_OPEN_DRIFTS: usize = 4;

pub(crate) fn check(index: &Index<'_>, report: &mut Report) {
    let circumstances = index.circumstances();
    let tries = if circumstances.client_retries { 2 } else { 1 };
    let most = circumstances.max_attempts * tries * (1 + circumstances.retries)
        + circumstances.losses.len();
    for story in &index.stories {
        for act in ["accept", "reject"] {
            // A throttled or denied call costs no attempt, but it did nothing either.
            let told = story
                .told
                .iter()
                .filter(|t| t.act == act && (t.call.done || t.call.answer_is_lost()))
                .count();
            report.hold(Invariant::I14, told <= most, || {
                format!(
                    "{}: AWS was told {told} times to {act} it; at most {most} are allowed",
                    story.row
                )
            });
        }
    }
    let mut open: HashMap<&str, usize> = HashMap::new();
    for drift in index.history.database.drifts.iter().filter(|d| d.open) {
        *open.entry(&drift.connection).or_insert(0) += 1;
    }
    for (connection, count) in open {
        report.hold(Invariant::I14, count <= MOST_OPEN_DRIFTS, || {
            format!("{connection} has {count} open drifts")
        });
    }
    let waiting = index.history.database.hints_waiting;
    if circumstances.at_rest {
        report.hold(Invariant::I14, waiting == 0, || {
            format!("{waiting} hints wait, although everything is at rest")
        });
    }
}
