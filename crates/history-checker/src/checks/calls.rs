//! I3, I4, I7, I9 and I15: what AWS was told, and when.

use chrono::TimeDelta;

use crate::index::{ACCEPT, Index, REJECT, Story, Told};
use crate::owed::act_of;
use crate::report::{Invariant, Report};

pub(crate) fn check(index: &Index<'_>, report: &mut Report) {
    for (call, endpoint) in &index.strangers {
        report.hold(Invariant::I15, false, || {
            format!(
                "call {} told AWS about {endpoint}, of which nothing is known",
                call.seq
            )
        });
    }
    for story in &index.stories {
        for (number, told) in story.told.iter().enumerate() {
            report.hold(Invariant::I15, true, String::new);
            was_decided(index, story, told, report);
            let before = number.checked_sub(1).and_then(|n| story.told.get(n));
            was_looked_at(index, story, before, told, report);
            let same = |t: &&Told<'_>| t.act == told.act;
            if let Some(last) = story.told.iter().take(number).rfind(same) {
                was_repeated_for_a_reason(index, story, last, told, report);
            }
        }
    }
    if let Some(owners) = index.circumstances().pace_of_owners {
        for action in [ACCEPT, REJECT] {
            pace(index, action, owners, report);
        }
    }
}

/// I3: at some moment while the call can have been under way, the newest decision was the one that asks for it.
fn was_decided(index: &Index<'_>, story: &Story<'_>, told: &Told<'_>, report: &mut Report) {
    let from = told.at - index.circumstances().longest_call;
    let fits = |(n, decision): (usize, &&crate::database::Decision)| {
        let replaced = story
            .decisions
            .get(n + 1)
            .is_some_and(|next| next.at < from);
        act_of(&decision.verb) == told.act && decision.at <= told.at && !replaced
    };
    let decided = story.decisions.iter().enumerate().any(fits);
    report.hold(Invariant::I3, decided, || {
        let decisions: Vec<_> = story.decisions.iter().map(|d| (&d.verb, d.at)).collect();
        format!(
            "{}: call {} at {} told AWS to {} it; the decisions are {decisions:?}",
            story.row, told.call.seq, told.at, told.act
        )
    });
}

/// I7: since AWS was last told anything about it, somebody looked. A call that AWS refused as a whole proves that nothing was done, so
/// that its parts can be sent at once.
fn was_looked_at(
    index: &Index<'_>,
    story: &Story<'_>,
    before: Option<&Told<'_>>,
    told: &Told<'_>,
    report: &mut Report,
) {
    let circumstances = index.circumstances();
    let since = before.map_or(0, |b| b.call.seq);
    let looked = story
        .looks
        .iter()
        .any(|seq| (since..told.call.seq).contains(seq));
    let refused = before.is_some_and(|b| !b.call.done && !b.call.answer_is_lost());
    // A client that gave up may have tried again by itself, and AWS may have done the first of two calls last.
    let gave_up = story
        .attempts
        .iter()
        .any(|a| a.act == told.act && a.outcome == "unknown");
    // An answer that AWS gave may have been held up on its way to a client that was stopped or cut off.
    let held_up = |b: &Told<'_>| {
        let within = b.at - circumstances.longest_call..=told.at + circumstances.longest_call;
        circumstances.losses.iter().any(|at| within.contains(at))
    };
    let again_by_itself = circumstances.client_retries
        && before.is_some_and(|b| {
            b.act == told.act
                && (b.call.outcome != "ok" || gave_up || held_up(b))
                && told.at - b.at <= circumstances.longest_call
        });
    report.hold(Invariant::I7, looked || refused || again_by_itself, || {
        format!(
            "{}: call {} told AWS to {} it without a look since call {since}",
            story.row, told.call.seq, told.act
        )
    });
}

/// I4: the last call of the same kind did not surely work, or a read may still be showing the time before it.
fn was_repeated_for_a_reason(
    index: &Index<'_>,
    story: &Story<'_>,
    last: &Told<'_>,
    told: &Told<'_>,
    report: &mut Report,
) {
    let circumstances = index.circumstances();
    let unsure = last.call.outcome != "ok";
    let refused = story
        .attempts
        .iter()
        .any(|a| a.act == told.act && matches!(a.outcome.as_str(), "refused" | "unknown"));
    let long_ago = told.at - last.at >= circumstances.stale_read_grace;
    // Nobody wrote the call down, and a read that lagged did not show it.
    let within = last.at - circumstances.longest_call..=told.at + circumstances.longest_call;
    let forgot = circumstances.losses.iter().any(|at| within.contains(at));
    let forgotten = circumstances.stale_reads && forgot;
    let allowed = unsure || refused || long_ago || forgotten;
    report.hold(Invariant::I4, allowed, || {
        format!(
            "{}: call {} repeats call {}, which worked and was answered {} ms before",
            story.row,
            told.call.seq,
            last.call.seq,
            (told.at - last.at).num_milliseconds()
        )
    });
}

/// I9: in any t seconds at most a bucket of 10 and t more, for every owner that began with a full bucket.
fn pace(index: &Index<'_>, action: &str, owners: usize, report: &mut Report) {
    let calls: Vec<_> = index
        .telling
        .iter()
        .filter(|told| told.call.action == action)
        .collect();
    for (first, begin) in calls.iter().enumerate() {
        for (last, end) in calls.iter().enumerate().skip(first) {
            let seconds = (end.at - begin.at + TimeDelta::milliseconds(999)).num_seconds();
            let allowed = 10 * owners.max(1) + usize::try_from(seconds).unwrap_or(0) + 1;
            let made = last - first + 1;
            // Only the windows that could break it are worth counting.
            if made > allowed || last + 1 == calls.len() {
                report.hold(Invariant::I9, made <= allowed, || {
                    format!(
                        "{made} {action} within {seconds} s, calls {} to {}; {allowed} are allowed",
                        begin.call.seq, end.call.seq
                    )
                });
            }
        }
    }
}
