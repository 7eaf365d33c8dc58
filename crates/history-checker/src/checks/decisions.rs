//! I1 and I2: decisions are there, whole and in an order that the rules allow.

use std::collections::{HashMap, HashSet};

use crate::index::Index;
use crate::owed::review_of;
use crate::report::{Invariant, Report};

pub(crate) fn check(index: &Index<'_>, report: &mut Report) {
    let database = &index.history.database;
    let known: HashSet<&str> = database.decisions.iter().map(|d| d.id.as_str()).collect();
    for id in &index.circumstances().acknowledged {
        let there = database.decisions.iter().any(|d| same_id(&d.id, id));
        report.hold(Invariant::I1, there, || {
            format!("decision {id} was acknowledged and is not there")
        });
    }
    let mut audited: HashMap<&str, Vec<&str>> = HashMap::new();
    for entry in &database.audit {
        // A retry names the decision that it is for; it is not the entry of that decision.
        let decides = ["accept", "reject", "revoke"]
            .iter()
            .any(|verb| entry.action.ends_with(verb));
        if let Some(decision) = entry.decision.as_deref() {
            report.hold(Invariant::I2, known.contains(decision), || {
                format!(
                    "audit entry {} ({}) names decision {decision}, which is not there",
                    entry.id, entry.action
                )
            });
            if decides {
                audited.entry(decision).or_default().push(&entry.subject);
            }
        }
    }
    for decision in &database.decisions {
        let entries = audited
            .get(decision.id.as_str())
            .map_or(&[][..], Vec::as_slice);
        report.hold(
            Invariant::I2,
            entries == [decision.connection.as_str()],
            || {
                format!(
                    "decision {} ({} of {}) has the audit entries about {entries:?}",
                    decision.id, decision.verb, decision.connection
                )
            },
        );
    }
    for story in &index.stories {
        let row = story.row;
        let verbs: Vec<&str> = story.decisions.iter().map(|d| d.verb.as_str()).collect();
        let legal = matches!(
            verbs.as_slice(),
            [] | ["accept" | "reject"] | ["accept", "revoke"]
        );
        report.hold(Invariant::I1, legal, || {
            format!("{row}: its decisions are {verbs:?}, which do not end in one outcome")
        });
        let newest = story.decisions.last();
        let review = newest.map_or("undecided", |d| review_of(&d.verb));
        let whole = row.review_state == review
            && row.decision_id.as_deref() == newest.map(|d| d.id.as_str());
        report.hold(Invariant::I2, whole, || {
            format!(
                "{row}: its review does not follow from its newest decision {:?}",
                newest.map(|d| (&d.id, &d.verb))
            )
        });
    }
}

/// Whether two ids are one: the API writes `dec_` and 32 hexadecimal digits, the database a UUID.
fn same_id(one: &str, other: &str) -> bool {
    let digits = |id: &str| {
        let tail = id.rsplit('_').next().unwrap_or(id);
        tail.replace('-', "").to_ascii_lowercase()
    };
    digits(one) == digits(other)
}
