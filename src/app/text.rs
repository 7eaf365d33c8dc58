//! Checks on free text that callers send.

use super::AppError;
use super::code::Code;

/// Trims a line of text and refuses it when it is empty, longer than `most` characters, or carries control characters other than
/// line breaks and tabs.
pub(super) fn checked(field: &str, text: &str, most: usize) -> Result<String, AppError> {
    let refuse = |detail: String| AppError::new(Code::InvalidRequest, detail).field(field);
    let text = text.trim();
    if text.is_empty() {
        return Err(refuse(format!("{field} must not be empty")));
    }
    let length = text.chars().count();
    if length > most {
        return Err(refuse(format!(
            "{field} may have {most} characters, not {length}"
        )));
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(refuse(format!(
            "{field} must not contain control characters"
        )));
    }
    Ok(text.to_owned())
}

/// As [`checked`], for what stands on one line: a name.
pub(super) fn checked_line(field: &str, text: &str, most: usize) -> Result<String, AppError> {
    let text = checked(field, text, most)?;
    if text.chars().any(char::is_control) {
        let detail = format!("{field} must be a single line");
        return Err(AppError::new(Code::InvalidRequest, detail).field(field));
    }
    Ok(text)
}

/// A reason that may be left out.
pub(super) fn optional_reason(reason: Option<&str>) -> Result<Option<String>, AppError> {
    reason
        .map(|reason| checked("reason", reason, super::decide_connection::LONGEST_REASON))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_bounded() {
        assert_eq!(checked("reason", "  fine\n", 4).unwrap(), "fine");
        for bad in ["", "   ", "too long", "nul\0"] {
            let refusal = checked("reason", bad, 4).unwrap_err();
            assert_eq!(refusal.blamed_field(), Some("reason"), "{bad:?}");
        }
    }

    #[test]
    fn a_name_stands_on_one_line() {
        assert_eq!(checked_line("name", "Ledger EU", 20).unwrap(), "Ledger EU");
        for bad in ["a\nb", "a\tb", "a\r\nb"] {
            assert!(checked_line("name", bad, 20).is_err(), "{bad:?}");
        }
    }
}
