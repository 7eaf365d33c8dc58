//! What a use case says when it refuses: what the caller can do about it, and nothing internal.
//!
//! The public sentence and the cause are kept apart on purpose. `detail` is shown to callers as it
//! is; the cause is for the log and is reachable only through [`Error::source`].

use std::error::Error;
use std::fmt;

use super::code::Code;
use crate::domain::listing::Wrong;
use crate::domain::listing::readiness::Readiness;

/// What lies behind an [`AppError`]; for the log, never for the caller.
pub type Cause = Box<dyn Error + Send + Sync>;

/// One thing that is wrong with a policy text. Line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What may help.
    pub help: Option<String>,
}

/// More that is wrong than one sentence has room for.
#[derive(Debug)]
struct Faults {
    wrongs: Vec<Wrong>,
    unready: Vec<Readiness>,
}

/// A refusal: a code to match on, a public sentence, the field to blame and the cause.
#[derive(Debug)]
pub struct AppError {
    code: Code,
    detail: String,
    field: Option<String>,
    findings: Vec<Finding>,
    faults: Option<Box<Faults>>,
    source: Option<Cause>,
}

impl AppError {
    /// Refuses with a sentence that the caller will read.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            findings: Vec::new(),
            faults: None,
            source: None,
        }
    }

    /// Names the part of the request to blame, for example `load_balancer_arns[0]`.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what is wrong with a policy text, and where.
    #[must_use]
    pub fn findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// Refuses with everything that is wrong at once; the sentence is about the first. None where nothing is.
    pub fn of_wrongs(code: Code, wrongs: Vec<Wrong>) -> Option<Self> {
        let first = wrongs.first()?;
        let detail = match wrongs.len() {
            1 => first.detail.clone(),
            count => format!("{} ({} more)", first.detail, count - 1),
        };
        let mut error = Self::new(code, detail);
        error.faults = Some(Box::new(Faults {
            wrongs,
            unready: Vec::new(),
        }));
        Some(error)
    }

    /// Says which readiness checks do not pass.
    #[must_use]
    pub fn unready(mut self, checks: Vec<Readiness>) -> Self {
        self.faults = Some(Box::new(Faults {
            wrongs: Vec::new(),
            unready: checks,
        }));
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// A fault of ours; the caller learns only that it happened.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::new(Code::Internal, "an unexpected fault").because(cause)
    }

    /// A part we depend on, the database for example, cannot be reached now.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::new(Code::Unavailable, "a needed part is out of reach").because(cause)
    }

    /// A part we depend on did not answer in time.
    pub fn timeout(cause: impl Into<Cause>) -> Self {
        Self::new(Code::Timeout, "a needed part did not answer in time").because(cause)
    }

    /// The reason, for programs.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The reason, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The part of the request to blame, if there is one.
    pub fn blamed_field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// All that is wrong, where more than one part can be.
    pub fn wrongs(&self) -> &[Wrong] {
        self.faults.as_ref().map_or(&[], |all| &all.wrongs)
    }

    /// The readiness checks that do not pass, if that is why.
    pub fn unready_checks(&self) -> &[Readiness] {
        self.faults.as_ref().map_or(&[], |all| &all.unready)
    }

    /// What is wrong with a policy text, if that is why.
    pub fn found(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl Error for AppError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_a_source_and_not_a_part_of_the_sentence() {
        let error = AppError::unavailable(std::io::Error::other("connection refused by 10.0.0.7"));
        assert_eq!(
            error.to_string(),
            "unavailable: a needed part is out of reach"
        );
        let cause = error.source().expect("a cause").to_string();
        assert_eq!(cause, "connection refused by 10.0.0.7");
    }

    #[test]
    fn a_field_can_be_blamed() {
        let error = AppError::new(Code::InvalidRequest, "not an ARN").field("arns[0]");
        assert_eq!(
            (error.code(), error.blamed_field()),
            (Code::InvalidRequest, Some("arns[0]"))
        );
    }
}
