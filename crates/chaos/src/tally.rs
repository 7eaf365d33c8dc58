//! What was done, counted, and written down with its time for whoever reads the logs of a run that failed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::Result;

/// Counts by word; all clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    log: Arc<File>,
}

impl Tally {
    /// Nothing yet; each thing that is counted becomes a line of `log`.
    pub(crate) fn new(log: &Path) -> Result<Self> {
        Ok(Self {
            counts: Arc::default(),
            log: Arc::new(File::create(log)?),
        })
    }

    /// One more of these.
    pub(crate) fn add(&self, what: &str) {
        let now = DateTime::<Utc>::from(std::time::SystemTime::now());
        let now = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        // A line that is missing spoils nothing: the counts are the report.
        let _ = writeln!(&*self.log, "{now} {what}");
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
