//! The history checker: given what AWS was asked and ended as, and what the database says, which of the numbered invariants were broken?
//!
//! It is pure, and knows nothing of Portcullis' code: the rules are written down here a second time, so that a fault in the first writing
//! shows. It is used by the failure matrix in `tests/it` and by `cargo xtask chaos`. The invariants are listed in `docs/testing.md`.
//!
//! Not every invariant can be seen in these inputs. [`Invariant`] says for each what is looked at; [`Report::looked_at`] says how
//! often, because a check that looked at nothing has shown nothing.

pub mod aws;
mod checks;
pub mod circumstances;
pub mod database;
mod index;
mod owed;
pub mod report;

pub use aws::{Aws, Call, Connection as AwsConnection, Service as AwsService};
pub use circumstances::{Circumstances, Jump, Outside};
pub use database::Database;
pub use report::{Invariant, Report, Violation};

/// Everything that is known about a run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The simulator's side.
    pub aws: Aws,
    /// Portcullis' side.
    pub database: Database,
    /// What was done to both, and how patient the settings were.
    pub circumstances: Circumstances,
}

/// Checks everything that can be checked.
pub fn check(history: &History) -> Report {
    let index = index::Index::of(history);
    let mut report = Report::default();
    checks::decisions::check(&index, &mut report);
    checks::calls::check(&index, &mut report);
    checks::attempts::check(&index, &mut report);
    checks::observations::check(&index, &mut report);
    checks::bounds::check(&index, &mut report);
    if history.circumstances.at_rest {
        checks::rest::check(&index, &mut report);
    }
    report
}

#[cfg(test)]
mod tests;
