//! What a decider says: the reason, words for the consumer, a ticket, and until when access is given. Checked here, once, for every way to decide.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::{AppError, text};
use crate::domain::review::Verb;

/// The longest message to a consumer, in characters.
pub const LONGEST_MESSAGE: usize = 1000;
/// The longest address of a ticket, in characters.
pub const LONGEST_TICKET_URL: usize = 2000;

/// What a decider says, as it was sent.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Why, for the record.
    pub reason: String,
    /// What the consumer is told.
    pub message: Option<String>,
    /// Where the work on it is kept.
    pub ticket_url: Option<String>,
    /// Until when access is given; with an accept only.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether an accept is meant also beyond a quota.
    pub over_quota: bool,
}

/// The same, checked, with what a rule adds.
#[derive(Debug, Clone)]
pub(super) struct Why {
    pub(super) reason: String,
    pub(super) message: Option<String>,
    pub(super) ticket_url: Option<String>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    /// A stable word for why, where a rule decides.
    pub(super) reason_code: Option<Cow<'static, str>>,
    /// What the decider could see beside the connection; it is kept with the decision.
    pub(super) evidence: Map<String, Value>,
}

impl Why {
    /// A reason that was checked before, and nothing else.
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: None,
            ticket_url: None,
            expires_at: None,
            reason_code: None,
            evidence: Map::new(),
        }
    }

    /// Checks every part, and blames the one that is wrong.
    pub(super) fn checked(said: &Said, verb: Verb, now: DateTime<Utc>) -> Result<Self, AppError> {
        let message = said.message.as_deref();
        let expires_at = said.expires_at;
        if expires_at.is_some() && verb != Verb::Accept {
            let detail = "only an accept gives access until a time";
            return Err(AppError::new(Code::InvalidRequest, detail).field("expires_at"));
        }
        Ok(Self {
            message: message
                .map(|message| text::checked("message", message, LONGEST_MESSAGE))
                .transpose()?,
            ticket_url: said.ticket_url.as_deref().map(ticket_url).transpose()?,
            expires_at: expires_at
                .map(|at| in_the_future("expires_at", at, now))
                .transpose()?,
            ..Self::because(text::checked("reason", &said.reason, LONGEST_REASON)?)
        })
    }
}

/// Refuses a time that is over.
pub(super) fn in_the_future(
    field: &str,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, AppError> {
    if at > now {
        return Ok(at);
    }
    let detail = format!("{field} must be in the future");
    Err(AppError::new(Code::InvalidRequest, detail).field(field))
}

/// An address that people may follow: `https`, a host, no credentials.
fn ticket_url(given: &str) -> Result<String, AppError> {
    let field = "ticket_url";
    let url = text::checked_line(field, given, LONGEST_TICKET_URL)?;
    let host = url
        .strip_prefix("https://")
        .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let good = host.is_some_and(|host| {
        let name = host.split(':').next().unwrap_or_default();
        !name.is_empty() && !host.contains(['@', '\\'])
    });
    if good && !url.contains(char::is_whitespace) {
        return Ok(url);
    }
    let detail = "ticket_url must be an https:// address without spaces and without a user name";
    Err(AppError::new(Code::InvalidRequest, detail).field(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_an_https_address() {
        for good in [
            "https://tickets.example/4711",
            "https://t:8443?id=1",
            "https://t#a",
        ] {
            assert_eq!(ticket_url(good).unwrap(), good);
        }
        for bad in [
            "http://tickets.example/4711",
            "javascript:alert(1)",
            "https://",
            "https:///4711",
            "https://:443/",
            "https://user@tickets.example/",
            "https://tickets.example\\@evil.example/",
            "https://tickets.example/a b",
            "https://tickets.example/\nb",
            "",
        ] {
            assert_eq!(
                ticket_url(bad).unwrap_err().blamed_field(),
                Some("ticket_url"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn only_an_accept_gives_access_until_a_time() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let said = |seconds| Said {
            reason: "fine".to_owned(),
            expires_at: Some(now + chrono::TimeDelta::seconds(seconds)),
            ..Said::default()
        };
        assert!(Why::checked(&said(1), Verb::Accept, now).is_ok());
        assert!(Why::checked(&said(0), Verb::Accept, now).is_err());
        assert!(Why::checked(&said(1), Verb::Reject, now).is_err());
        assert!(Why::checked(&said(1), Verb::Revoke, now).is_err());
    }
}
