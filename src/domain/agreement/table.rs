//! `docs/agreement-states.md`, made from the code: where an agreement of every state stands after every notice.
//!
//! `PORTCULLIS_WRITE_DOCS=1 cargo test --no-default-features --lib agreement::table` writes it; without the variable the test compares.

use std::fmt::Write as _;

use super::tests::{at, made, patience, record};
use super::{Notice, Record, Told};
use crate::domain::decision::AgreementState;
use crate::domain::listing::EndCause;

/// The hour at which everything is looked at.
const NOW: i64 = 1_000;

/// An agreement of each state.
fn example(state: AgreementState) -> Record {
    let live = [(0, made(0, None)), (0, Told::Licensed)];
    let with = |more: &[(i64, Told)]| {
        let mut told = live.to_vec();
        told.extend_from_slice(more);
        record(&told)
    };
    match state {
        AgreementState::Pending => record(&[(0, made(0, None))]),
        AgreementState::Active => with(&[]),
        AgreementState::Review => with(&[(1, Told::Questioned)]),
        AgreementState::Superseded => with(&[(NOW - 1, Told::Replaced)]),
        AgreementState::Grace => with(&[(NOW - 10, Told::Ended(EndCause::Cancelled))]),
        AgreementState::Ended => with(&[(NOW - 500, Told::Ended(EndCause::Cancelled))]),
    }
}

fn notices() -> Vec<(String, Told)> {
    let mut all = vec![
        ("made".to_owned(), made(0, None)),
        ("licensed".to_owned(), Told::Licensed),
        ("unlicensed".to_owned(), Told::Unlicensed),
        ("questioned".to_owned(), Told::Questioned),
        ("cleared".to_owned(), Told::Cleared),
        ("replaced".to_owned(), Told::Replaced),
    ];
    let ends = EndCause::ALL.iter();
    all.extend(ends.map(|cause| (format!("ended: {cause}"), Told::Ended(*cause))));
    all.push(("rolled back".to_owned(), Told::RolledBack));
    all
}

fn document() -> String {
    let mut out = String::from(
        "# States of agreements\n\n\
         Made from `src/domain/agreement` by `PORTCULLIS_WRITE_DOCS=1 cargo test --no-default-features --lib agreement::table`; a test compares. Do not edit.\n\n\
         An agreement has no state that is moved: where it stands is what all notices about it come to at a time, in whatever order and however often they were heard. The table\n\
         shows where one of each state stands after one more notice, heard now, of a plan with the default grace and a source that licenses. Time goes on by itself:\n\
         `pending` becomes `active` when it begins, `grace` becomes `ended` when the grace is over, and `superseded` becomes `grace` or `ended` if nothing took its place in a day.\n\n\
         | State |",
    );
    let notices = notices();
    for (word, _) in &notices {
        write!(out, " {word} |").unwrap();
    }
    out.push_str("\n| --- |");
    out.push_str(&" --- |".repeat(notices.len()));
    for state in AgreementState::ALL {
        let before = example(*state);
        assert_eq!(before.standing(patience(), at(NOW)).state, *state);
        write!(out, "\n| `{state}` |").unwrap();
        for (_, told) in &notices {
            let mut after = before.clone();
            after.hear(&Notice {
                id: "next".to_owned(),
                at: at(NOW),
                told: told.clone(),
            });
            let after = after.standing(patience(), at(NOW)).state;
            if after == *state {
                out.push_str(" |");
            } else {
                write!(out, " `{after}` |").unwrap();
            }
        }
    }
    out.push('\n');
    out
}

#[test]
fn the_table_is_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/agreement-states.md");
    let made = document();
    if std::env::var_os("PORTCULLIS_WRITE_DOCS").is_some() {
        std::fs::write(path, made).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(kept, made, "docs/agreement-states.md is out of date");
}
