//! Checks on what callers say about a consumer.

use std::collections::BTreeMap;

use super::code::Code;
use super::{AppError, text};
use crate::domain::consumer::{Contact, check_labels, is_email, is_slug};

/// The longest name, in characters.
const LONGEST_NAME: usize = 128;
/// The longest notes, in characters.
const LONGEST_NOTES: usize = 4000;
/// The most contacts.
const MOST_CONTACTS: usize = 20;

pub(super) fn name(given: &str) -> Result<String, AppError> {
    text::checked_line("name", given, LONGEST_NAME)
}

pub(super) fn slug(given: &str) -> Result<String, AppError> {
    if is_slug(given) {
        return Ok(given.to_owned());
    }
    let detail =
        "a slug has 1 to 63 lower-case letters and digits, with single hyphens between them";
    Err(AppError::new(Code::InvalidRequest, detail).field("slug"))
}

/// Notes may be empty, which takes them away.
pub(super) fn notes(given: &str) -> Result<String, AppError> {
    if given.trim().is_empty() {
        return Ok(String::new());
    }
    text::checked("notes", given, LONGEST_NOTES)
}

pub(super) fn labels(
    given: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, AppError> {
    check_labels(&given)
        .map_err(|why| AppError::new(Code::InvalidRequest, why.to_string()).field("labels"))?;
    Ok(given)
}

pub(super) fn contacts(given: Vec<Contact>) -> Result<Vec<Contact>, AppError> {
    if given.len() > MOST_CONTACTS {
        let detail = format!("give at most {MOST_CONTACTS} contacts, not {}", given.len());
        return Err(AppError::new(Code::InvalidRequest, detail).field("contacts"));
    }
    let checked = given.into_iter().enumerate();
    checked
        .map(|(index, one)| contact(&format!("contacts[{index}]"), &one))
        .collect()
}

/// Somebody to talk to; `at` is where it stands in what the caller sent.
pub(super) fn contact(at: &str, given: &Contact) -> Result<Contact, AppError> {
    let field = |member: &str| format!("{at}.{member}");
    let email = given.email.trim();
    if !is_email(email) {
        let detail = "an e-mail address has one @ with something on each side";
        return Err(AppError::new(Code::InvalidRequest, detail).field(field("email")));
    }
    Ok(Contact {
        name: text::checked_line(&field("name"), &given.name, LONGEST_NAME)?,
        email: email.to_owned(),
        role: text::checked_line(&field("role"), &given.role, 64)?,
    })
}
