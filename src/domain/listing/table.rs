//! `docs/listing-states.md`, made from the code: every step, and where it leads from every standing.
//!
//! `PORTCULLIS_WRITE_DOCS=1 cargo test --no-default-features --lib listing::table` writes it; without the variable the test compares.

use std::fmt::Write as _;

use super::standing::Standing;
use super::state::ListingState;
use super::steps::{ListingVerb, STEPS, StepBy, StepGuard, Target};

fn states(all: &[ListingState]) -> String {
    let words: Vec<String> = all.iter().map(|state| format!("`{state}`")).collect();
    words.join(", ")
}

fn by(who: StepBy) -> &'static str {
    match who {
        StepBy::Author => "author (admin)",
        StepBy::Reviewer => "reviewer (approver)",
        StepBy::Operator => "operator (approver)",
    }
}

fn asks(guard: StepGuard) -> &'static str {
    match guard {
        StepGuard::Complete => {
            "every field that is needed is there; the services are `Available` and have no principal `*`"
        }
        StepGuard::Continuous => {
            "no pricing model, currency, dimension key, type or unit of a plan that was live has changed"
        }
        StepGuard::AnotherPerson => "the reviewer neither wrote in the revision nor submitted it",
        StepGuard::Checklist => "every item of the review's list is ticked",
        StepGuard::Reasons => "at least one machine-readable reason",
        StepGuard::TestAccount => "an account on the allow-list",
        StepGuard::Sellable => "the services are `Available` and have no principal `*`",
        StepGuard::ServicesFree => "no other listing sells one of the services",
        StepGuard::Ready => "every readiness check passes",
        StepGuard::ReadyAgain => "every readiness check passes, if it was public",
        StepGuard::Reason => "a reason",
        StepGuard::NothingLive => {
            "no agreement is active or in grace, and no connection to a service is live"
        }
    }
}

fn document() -> String {
    let mut out = String::from(
        "# States of listings\n\n\
         Made from `src/domain/listing/steps.rs` by `PORTCULLIS_WRITE_DOCS=1 cargo test --no-default-features --lib listing::table`; a test compares. Do not edit.\n\n\
         ## Steps\n\n\
         \"Revision\" is the open one: it has to stand in the first status and goes to the second. Guards are asked in their order.\n\n\
         | Step | Who | From | To | Revision | What has to hold |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for step in STEPS {
        let to = match step.to {
            Target::To(state) => format!("`{state}`"),
            Target::Same => "the same".to_owned(),
            Target::Before => "where it was suspended".to_owned(),
        };
        let revision = step
            .revision
            .map_or_else(String::new, |(from, to)| format!("`{from}` → `{to}`"));
        let guards: Vec<&str> = step.guards.iter().map(|guard| asks(*guard)).collect();
        let guards = guards.join("; ");
        writeln!(
            out,
            "| `{}` | {} | {} | {to} | {revision} | {guards} |",
            step.verb,
            by(step.by),
            states(step.from),
        )
        .unwrap();
    }
    out.push_str(
        "\n## Where a step leads\n\n\
         For a listing whose open revision stands as the step needs it. Suspended is shown for a listing that was public.\n\n| State |",
    );
    for verb in ListingVerb::ALL {
        write!(out, " `{verb}` |").unwrap();
    }
    out.push_str("\n| --- |");
    out.push_str(&" --- |".repeat(ListingVerb::ALL.len()));
    for state in ListingState::ALL {
        write!(out, "\n| `{state}` |").unwrap();
        for verb in ListingVerb::ALL {
            write!(out, " {} |", leads(*state, *verb)).unwrap();
        }
    }
    out.push('\n');
    out
}

/// Where a verb leads from a state, with an open revision as it needs it.
fn leads(state: ListingState, verb: ListingVerb) -> String {
    let step = STEPS
        .iter()
        .find(|step| step.verb == verb && step.from.contains(&state));
    let Some(step) = step else {
        return String::new();
    };
    let standing = Standing {
        state,
        suspended_from: (state == ListingState::Suspended).then_some(ListingState::Public),
        open: step.revision.map(|(needed, _)| needed),
    };
    standing
        .take(verb)
        .map_or_else(|_| String::new(), |taken| taken.state.to_string())
}

#[test]
fn the_document_is_that_of_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/listing-states.md");
    let made = document();
    if std::env::var_os("PORTCULLIS_WRITE_DOCS").is_some() {
        std::fs::write(file, made).unwrap();
        return;
    }
    let known = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        known == made,
        "docs/listing-states.md differs; write it with PORTCULLIS_WRITE_DOCS=1"
    );
}
