//! What the server says when it refuses: RFC 9457, or whatever stands between it and us says.

use std::fmt;

use serde_json::Value;

/// As much as is shown of an answer that is no problem document.
const SHOWN: usize = 300;

/// A refusal.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The stable code, if it is one of ours.
    pub(crate) code: Option<String>,
    detail: String,
    fields: Vec<String>,
    diagnostics: Vec<String>,
    request_id: Option<String>,
}

impl Refusal {
    /// Reads the body of an answer that is not a success. `request_id` is the header's, for answers that are not ours.
    pub(crate) fn read(status: u16, body: &str, request_id: Option<&str>) -> Self {
        let parsed: Option<Value> = serde_json::from_str(body).ok();
        let Some(problem) = parsed.filter(Value::is_object) else {
            return Self {
                status,
                code: None,
                detail: body.trim().chars().take(SHOWN).collect(),
                fields: Vec::new(),
                diagnostics: Vec::new(),
                request_id: request_id.map(str::to_owned),
            };
        };
        let text = |name: &str| problem[name].as_str().map(str::to_owned);
        let each = |name: &str, say: &dyn Fn(&Value) -> String| {
            problem[name]
                .as_array()
                .map(|all| all.iter().map(say).collect())
                .unwrap_or_default()
        };
        Self {
            status,
            code: text("code"),
            detail: text("detail").or_else(|| text("title")).unwrap_or_default(),
            fields: each("errors", &field),
            diagnostics: each("diagnostics", &diagnostic),
            request_id: text("request_id").or_else(|| request_id.map(str::to_owned)),
        }
    }
}

fn field(error: &Value) -> String {
    let text = |name: &str| error[name].as_str();
    let place = text("field").or_else(|| text("pointer"));
    let detail = text("detail").or_else(|| text("message"));
    match (place, detail) {
        (Some(place), Some(detail)) => format!("{place}: {detail}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => error.to_string(),
    }
}

fn diagnostic(found: &Value) -> String {
    let message = found["message"].as_str().unwrap_or_default();
    match (found["line"].as_u64(), found["column"].as_u64()) {
        (Some(line), Some(column)) => format!("{line}:{column}: {message}"),
        _ => message.to_owned(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code} ({})", self.status)?,
            None => write!(f, "the server answered {}", self.status)?,
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        for line in self.fields.iter().chain(&self.diagnostics) {
            write!(f, "\n  {line}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "\n  request id: {id}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_code_fields_and_request_id() {
        let body = r#"{"type":"urn:portcullis:error:invalid_json","title":"T","status":400,"detail":"It is not valid.","code":"invalid_json",
            "request_id":"r-1","errors":[{"field":"items[0].id","detail":"missing"}],"diagnostics":[{"line":2,"column":8,"message":"unknown attribute"}]}"#;
        let told = Refusal::read(400, body, Some("another")).to_string();
        assert_eq!(
            told,
            "invalid_json (400): It is not valid.\n  items[0].id: missing\n  2:8: unknown attribute\n  request id: r-1"
        );
    }

    #[test]
    fn what_is_no_problem_is_told_as_it_is() {
        let told = Refusal::read(502, "<html>Bad Gateway</html>", Some("r-2")).to_string();
        assert_eq!(
            told,
            "the server answered 502: <html>Bad Gateway</html>\n  request id: r-2"
        );
        assert_eq!(
            Refusal::read(500, "", None).to_string(),
            "the server answered 500"
        );
        assert!(
            Refusal::read(500, &"x".repeat(10_000), None)
                .to_string()
                .len()
                < 400
        );
    }
}
