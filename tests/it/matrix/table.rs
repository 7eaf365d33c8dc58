//! What the cells of a story came to, in a few lines.

use std::collections::BTreeMap;
use std::time::Instant;

use super::cell::{Cell, Ended};
use super::kill::Kill;
use super::stories::Story;

/// The table.
pub(super) struct Table {
    story: Story,
    began: Instant,
    cells: usize,
    killed: usize,
    /// Cells by what struck and by how they ended.
    ends: BTreeMap<(String, String), usize>,
    wrong: Vec<String>,
}

impl Table {
    pub(super) fn new(story: Story) -> Self {
        Self {
            story,
            began: Instant::now(),
            cells: 0,
            killed: 0,
            ends: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, cell: &Cell, ended: &Ended) {
        self.cells += 1;
        self.killed += usize::from(ended.killed);
        let struck = cell.struck.as_ref();
        let row = struck.map_or("no fault".to_owned(), |s| format!("{:?}", s.trouble));
        let end = if ended.stalled.is_empty() {
            "converged".to_owned()
        } else {
            let codes: Vec<&str> = ended.stalled.iter().map(String::as_str).collect();
            format!("stalled as {}", codes.join(" and "))
        };
        *self.ends.entry((row, end)).or_insert(0) += 1;
        if !ended.wrong.is_empty() {
            let what = struck.map_or_else(
                || "no fault".to_owned(),
                |s| format!("{:?} on {}", s.trouble, s.action),
            );
            let kill = match cell.kill {
                Kill::Never => String::new(),
                kill => format!(", killed {kill:?}"),
            };
            let few: Vec<&str> = ended.wrong.iter().take(4).map(String::as_str).collect();
            self.wrong
                .push(format!("{what}{kill}:\n    {}", few.join("\n    ")));
        }
    }

    /// Prints the table, and fails if anything was wrong.
    pub(super) fn conclude(self) {
        let took = self.began.elapsed();
        eprintln!(
            "{:?}: {} cells, {} with a killed worker, in {:.1} s",
            self.story,
            self.cells,
            self.killed,
            took.as_secs_f64()
        );
        for ((row, end), count) in &self.ends {
            eprintln!("{count:>6}  {row:<20} {end}");
        }
        assert!(self.cells > 0 && self.killed > 0, "nothing was tried");
        let few: Vec<&str> = self.wrong.iter().take(20).map(String::as_str).collect();
        assert!(
            self.wrong.is_empty(),
            "{} of {} cells went wrong; the first:\n{}",
            self.wrong.len(),
            self.cells,
            few.join("\n")
        );
    }
}
