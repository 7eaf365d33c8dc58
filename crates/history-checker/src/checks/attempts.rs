//! I6, I7 and I8: what the records say of the calls.

use std::collections::HashMap;

use crate::aws::is_unknown;
use crate::index::{Index, Story};
use crate::report::{Invariant, Report};

/// Codes under which the worker gives up by itself; every other code is AWS's.
const OWN_CODES: &[&str] = &["not_confirmed", "rejected_outside", "accepted_outside"];

pub(crate) fn check(index: &Index<'_>, report: &mut Report) {
    let circumstances = index.circumstances();
    // The calls that were answered and left no record of some endpoint, by their numbers.
    let mut unrecorded: HashMap<u64, Vec<&str>> = HashMap::new();
    for story in &index.stories {
        for act in ["accept", "reject"] {
            let answered: Vec<u64> = story
                .told
                .iter()
                .filter(|t| t.act == act && t.call.outcome == "ok")
                .map(|t| t.call.seq)
                .collect();
            let count = |outcome: &str| {
                let of = |a: &&&crate::database::Attempt| a.act == act && a.outcome == outcome;
                story.attempts.iter().filter(of).count()
            };
            let (recorded, refused) = (count("recorded"), count("refused"));
            report.hold(Invariant::I7, recorded + refused <= answered.len(), || {
                format!(
                    "{}: {recorded} recorded and {refused} refused {act}s, but AWS answered {}: {answered:?}",
                    story.row,
                    answered.len()
                )
            });
            // An entry without an id makes every item of its call unproven, which is recorded as unknown.
            let kept = recorded + refused + count("unknown");
            for seq in answered.iter().skip(kept) {
                unrecorded
                    .entry(*seq)
                    .or_default()
                    .push(&story.row.endpoint_id);
            }
        }
        stalled_by_its_own(index, story, report);
    }
    let allowed = circumstances.losses.len() * circumstances.calls_under_way;
    report.hold(Invariant::I6, unrecorded.len() <= allowed, || {
        format!(
            "{} calls were answered and not recorded, of which {} losses explain {allowed}: {unrecorded:?}",
            unrecorded.len(),
            circumstances.losses.len()
        )
    });
    let database = &index.history.database;
    for drift in &database.drifts {
        let entered = database
            .audit
            .iter()
            .any(|e| e.subject == drift.connection && e.action.contains("drift"));
        report.hold(Invariant::I6, entered, || {
            format!(
                "the drift {} of {} has no audit entry",
                drift.kind, drift.connection
            )
        });
    }
    for service in &database.services {
        let entered = database.audit.iter().any(|e| e.subject == service.id);
        report.hold(Invariant::I6, entered, || {
            format!("service {} has no audit entry", service.id)
        });
    }
}

/// I8: the code that a connection is stalled under was said about that connection. I7: no lost answer is taken for a refusal.
fn stalled_by_its_own(index: &Index<'_>, story: &Story<'_>, report: &mut Report) {
    if story.row.sync_state != "stalled" {
        return;
    }
    let code = story.row.sync_code.as_deref().unwrap_or_default();
    if OWN_CODES.contains(&code) {
        return;
    }
    let own = story
        .attempts
        .iter()
        .any(|a| a.code.as_deref() == Some(code));
    report.hold(Invariant::I8, own, || {
        let codes: Vec<_> = story.attempts.iter().map(|a| &a.code).collect();
        format!(
            "{}: no call about it was answered with {code}, but with {codes:?}",
            story.row
        )
    });
    let circumstances = index.circumstances();
    let tried = story
        .attempts
        .iter()
        .filter(|a| Some(&a.decision) == story.row.decision_id.as_ref() && a.outcome != "busy");
    let decided = story.decisions.last().map(|d| d.at);
    let patient = decided.is_some_and(|at| circumstances.ended_at - at >= circumstances.patience);
    let given_up_early = is_unknown(code) && tried.count() < circumstances.max_attempts && !patient;
    report.hold(Invariant::I7, !given_up_early, || {
        format!(
            "{}: an answer that never came counts as a refusal",
            story.row
        )
    });
}
