//! Showing answers on standard output.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::client::Answer;
use crate::options::Format;
use crate::outcome::Failure;
use crate::pages::Rows;
use crate::safe;
use crate::table::{self, Column};

/// Standard output, and how to write to it.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    terminal: bool,
}

impl Output {
    /// Looks at where standard output leads.
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Whether it is for people.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// A part of a list.
    pub(crate) fn list(&self, rows: Rows, columns: &[Column]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(&rows.document()),
            Format::Jsonl => self.lines(&rows.items),
            Format::Table => {
                self.put(&table::list(&rows.items, columns, self.terminal))?;
                if rows.more {
                    eprintln!("there is more: --limit ROWS or --page-all");
                }
                Ok(())
            }
        }
    }

    /// Rows of a list that goes on, as far as there are any: in JSON a line each.
    pub(crate) fn rows(&self, items: &[Value], columns: &[Column]) -> Result<(), Failure> {
        match self.format {
            _ if items.is_empty() => Ok(()),
            Format::Json | Format::Jsonl => self.lines(items),
            Format::Table => self.put(&table::list(items, columns, self.terminal)),
        }
    }

    /// One thing.
    pub(crate) fn record(&self, answer: &Answer) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(&answer.text),
            Format::Jsonl => self.json(&answer.json()?.to_string()),
            Format::Table => self.put(&table::record(&answer.json()?, self.terminal)),
        }
    }

    /// One thing of which a list is the point: `member` of it as a table, the whole of it as JSON.
    pub(crate) fn results(
        &self,
        answer: &Answer,
        member: &str,
        columns: &[Column],
    ) -> Result<(), Failure> {
        let whole = answer.json()?;
        let rows = whole[member]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        match self.format {
            Format::Json => self.json(&answer.text),
            Format::Jsonl => self.lines(rows),
            Format::Table => self.put(&table::list(rows, columns, self.terminal)),
        }
    }

    /// Several things, each the answer to a request of its own.
    pub(crate) fn several(&self, items: &[Value], columns: &[Column]) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(&Value::from(items.to_vec()).to_string()),
            Format::Jsonl => self.lines(items),
            Format::Table => self.put(&table::list(items, columns, self.terminal)),
        }
    }

    /// A text that is the answer: a policy, a schema. In JSON, the document that has it.
    pub(crate) fn text(&self, answer: &Answer, text: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table if self.terminal => self.put(&safe::lines(text)),
            Format::Table => self.put(text),
            Format::Json | Format::Jsonl => self.json(&answer.text),
        }
    }

    /// What the API answered, whatever it is. A table where that is asked for and possible.
    pub(crate) fn raw(&self, answer: &Answer) -> Result<(), Failure> {
        match self.format {
            Format::Jsonl if answer.json().is_ok_and(|value| value["items"].is_array()) => {
                let items = answer.json()?["items"].take();
                self.lines(items.as_array().map(Vec::as_slice).unwrap_or_default())
            }
            _ => self.json(&answer.text),
        }
    }

    fn lines(&self, rows: &[Value]) -> Result<(), Failure> {
        rows.iter().try_for_each(|row| self.json(&row.to_string()))
    }

    fn json(&self, text: &str) -> Result<(), Failure> {
        if self.terminal {
            self.put(&safe::json(text))
        } else {
            self.put(text)
        }
    }

    #[expect(clippy::unused_self, reason = "whoever writes has an Output")]
    fn put(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }
}
