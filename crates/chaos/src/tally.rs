//! What was done, counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by word; all clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Tally {
    /// One more of these.
    pub(crate) fn add(&self, what: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.to_owned()).or_insert(0) += 1;
    }

    /// One line each.
    pub(crate) fn print(&self) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, count) in counts.iter() {
            println!("{count:>7}  {what}");
        }
    }
}
