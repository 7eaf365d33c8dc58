//! I11: what was seen, one after the other.

use crate::database::Observation;
use crate::index::Index;
use crate::report::{Invariant, Report};

pub(crate) fn check(index: &Index<'_>, report: &mut Report) {
    let lagging = index.circumstances().stale_reads;
    for story in &index.stories {
        let row = story.row;
        let mut before: Option<&str> = None;
        for seen in in_order(&story.observations) {
            report.hold(Invariant::I11, seen.from_state.as_deref() == before, || {
                format!(
                    "{row}: seen to go from {:?} to {} when it was {before:?}",
                    seen.from_state, seen.to_state
                )
            });
            let back = before.is_some_and(|before| goes_back(before, &seen.to_state));
            // A lagging read that begins later may show less: AWS gives nothing to tell it by.
            report.hold(Invariant::I11, !back || lagging, || {
                format!(
                    "{row}: at {} it went back from {before:?} to {}",
                    seen.at, seen.to_state
                )
            });
            before = Some(&seen.to_state);
        }
        report.hold(
            Invariant::I11,
            before == Some(row.observed_state.as_str()),
            || format!("{row}: the newest observation is {before:?}"),
        );
        let newest = story.observations.last().map(|seen| seen.at);
        report.hold(
            Invariant::I11,
            newest.is_none_or(|at| at <= row.observed_at),
            || {
                format!(
                    "{row}: was observed at {} and at {newest:?}",
                    row.observed_at
                )
            },
        );
    }
}

/// Oldest first. Of those with one time, which the clock could not tell apart, the one goes first that follows.
fn in_order<'a>(observations: &[&'a Observation]) -> Vec<&'a Observation> {
    let mut left = observations.to_vec();
    let mut ordered: Vec<&Observation> = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let before = ordered.last().map(|seen| seen.to_state.as_str());
        let next = left
            .iter()
            .take_while(|seen| seen.at == first.at)
            .position(|seen| seen.from_state.as_deref() == before);
        ordered.push(left.remove(next.unwrap_or(0)));
    }
    ordered
}

/// Whether AWS never goes this way.
fn goes_back(from: &str, to: &str) -> bool {
    match from {
        "deleted" => true,
        "deleting" => to != "deleted",
        "expired" | "failed" => !matches!(to, "deleting" | "deleted"),
        _ => to == "pendingAcceptance",
    }
}
