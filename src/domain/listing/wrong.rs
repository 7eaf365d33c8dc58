//! What is wrong with something that was sent, all of it at once, each with the path to the part to blame.

use std::fmt;

use url::Url;

/// The longest address.
const LONGEST_URL: usize = 2000;

/// A part of a request, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The path to the part, for example `content.plans[0].name`.
    pub field: String,
    /// What is wrong with it, as a clause.
    pub detail: String,
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub struct Wrongs(Vec<Wrong>);

impl Wrongs {
    /// What was found, in the order in which it was looked for.
    pub fn into_all(self) -> Vec<Wrong> {
        self.0
    }

    /// Whether anything was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds something.
    pub(super) fn add(&mut self, field: impl fmt::Display, detail: impl Into<String>) {
        self.0.push(Wrong {
            field: field.to_string(),
            detail: detail.into(),
        });
    }

    /// Text of 1 to `most` characters, without control characters other than line breaks and tabs, and not blank at its ends.
    pub(super) fn text(&mut self, field: impl fmt::Display, text: &str, most: usize) {
        let length = text.chars().count();
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.trim().is_empty() {
            self.add(&field, format!("{field} must not be empty"));
        } else if length > most {
            self.add(
                &field,
                format!("{field} may have {most} characters, not {length}"),
            );
        } else if text.chars().any(control) {
            self.add(
                &field,
                format!("{field} must not contain control characters"),
            );
        } else if text.trim() != text {
            self.add(
                &field,
                format!("{field} must not begin or end with a blank"),
            );
        }
    }

    /// As [`Self::text`], on one line.
    pub(super) fn line(&mut self, field: impl fmt::Display, text: &str, most: usize) {
        let before = self.0.len();
        self.text(&field, text, most);
        if self.0.len() == before && text.chars().any(char::is_control) {
            self.add(&field, format!("{field} must be a single line"));
        }
    }

    /// An `https://` address of a host, without a user or a password.
    pub(super) fn https(&mut self, field: impl fmt::Display, text: &str) {
        let good = Url::parse(text).is_ok_and(|url| {
            url.scheme() == "https"
                && url.host_str().is_some_and(|host| host.contains('.'))
                && url.username().is_empty()
                && url.password().is_none()
        });
        let blank = text.chars().any(|c| c.is_whitespace() || c.is_control());
        if text.len() > LONGEST_URL {
            self.add(
                &field,
                format!("{field} may have {LONGEST_URL} bytes, not {}", text.len()),
            );
        } else if !good || blank {
            self.add(
                &field,
                format!(
                    "{field} must be an https:// address with a host name and without a password"
                ),
            );
        }
    }

    /// At most `most` of something.
    pub(super) fn count(&mut self, field: impl fmt::Display, given: usize, most: usize) {
        if given > most {
            self.add(
                &field,
                format!("{field} may have {most} entries, not {given}"),
            );
        }
    }

    /// Each once: adds the place of every one that came before.
    pub(super) fn once<'a>(
        &mut self,
        field: impl fmt::Display,
        member: &str,
        all: impl Iterator<Item = &'a str>,
    ) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, one) in all.enumerate() {
            if !seen.insert(one.to_lowercase()) {
                let place = if member.is_empty() {
                    format!("{field}[{index}]")
                } else {
                    format!("{field}[{index}].{member}")
                };
                self.add(place, format!("{one:?} is there already"));
            }
        }
    }
}
