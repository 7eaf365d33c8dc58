//! A JSON body.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::de::DeserializeOwned;

use super::body::{BodyLimits, whole_body};
use super::sentence;
use crate::api::problem::Problem;
use crate::app::code::Code;

/// A JSON body of at most `http.max_body_bytes`, read into `T`. Nothing in it may be nested deeper than 128 levels, which is the parser's limit.
///
/// Refuses with `unsupported_media_type` (415) unless the body is declared as JSON,
/// `payload_too_large` (413), `request_timeout` (408), or `invalid_json` (400) with the path to the
/// offending field. Document it with `request_body = T` in the handler's attribute.
#[derive(Debug)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for ApiJson<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared_json = is_json(request);
        let limits = BodyLimits::of(request);
        let payload = payload.take();
        Box::pin(async move {
            if !declared_json {
                return Err(Problem::new(
                    Code::UnsupportedMediaType,
                    "Send the body with the header Content-Type: application/json.",
                ));
            }
            let body = whole_body(payload, limits?).await?;
            parse(&body).map(Self)
        })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    // Two such headers are two opinions about one body; we take neither.
    if request.headers().get_all(header::CONTENT_TYPE).count() != 1 {
        return false;
    }
    let essence = request.content_type().trim().to_ascii_lowercase();
    match essence.strip_prefix("application/") {
        Some(subtype) => subtype == "json" || subtype.ends_with("+json"),
        None => false,
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // A struct can be read from an array, by position; nobody who sends one means that.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::new(
            Code::InvalidJson,
            "The request body must be a JSON object.",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = Some(error.path().to_string());
        // "." is the document itself.
        let path = path.filter(|path| path != ".");
        let error = error.inner();
        if error.is_syntax() || error.is_eof() {
            // It may be anything that is wrong there, so no member is to blame.
            let near = path.map_or_else(String::new, |path| format!(" (in {path})"));
            return Problem::new(Code::InvalidJson, sentence(&format!("{error}{near}")));
        }
        let problem = Problem::new(Code::InvalidJson, sentence(error));
        let field = match (path, lacking(&error.to_string())) {
            (Some(path), Some(member)) => Some(format!("{path}.{member}")),
            (path, member) => path.or(member),
        };
        match field {
            Some(field) => problem.field(field),
            None => problem,
        }
    })?;
    reader
        .end()
        .map_err(|error| Problem::new(Code::InvalidJson, sentence(&error)))?;
    Ok(value)
}

/// The member that is not there, where that is what is wrong: it has no path of its own.
fn lacking(said: &str) -> Option<String> {
    let member = said.strip_prefix("missing field `")?;
    member.split_once('`').map(|(member, _)| member.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        #[serde(rename = "counts")]
        _counts: Vec<u8>,
    }

    fn declared(content_type: &str) -> bool {
        is_json(
            &TestRequest::default()
                .insert_header(("content-type", content_type))
                .to_http_request(),
        )
    }

    #[test]
    fn json_and_its_kin_are_json() {
        for yes in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/x+json",
        ] {
            assert!(declared(yes), "{yes}");
        }
        for no in [
            "text/plain",
            "application/jsonp",
            "text/json",
            "application/x-www-form-urlencoded",
        ] {
            assert!(!declared(no), "{no}");
        }
        assert!(!is_json(&TestRequest::default().to_http_request()));
    }

    #[test]
    fn a_wrong_element_is_named_by_its_path() {
        let problem = parse::<Thing>(br#"{"counts":[1,300]}"#).expect_err("300 is not a u8");
        let body = format!("{problem:?}");
        assert!(body.contains("counts[1]"), "{body}");
        assert_eq!(problem.status_code(), 400);
    }

    #[derive(Debug, Deserialize)]
    struct Nest {
        #[serde(rename = "things")]
        _things: Vec<Thing>,
    }

    #[test]
    fn what_is_missing_is_named_and_where_the_text_breaks_off() {
        for (text, member) in [("{}", "things"), (r#"{"things":[{}]}"#, "things[0].counts")] {
            let problem = parse::<Nest>(text.as_bytes()).expect_err("it is not there");
            let body = format!("{problem:?}");
            assert!(body.contains(&format!("Some(\"{member}\")")), "{body}");
        }
        for text in [
            r#"{"things":[{"counts":[1,x"#,
            r#"{"things":[{"counts":[1,"#,
        ] {
            let problem = parse::<Nest>(text.as_bytes()).expect_err("it is no JSON");
            let body = format!("{problem:?}");
            assert!(body.contains("(in things[0].counts"), "{body}");
            assert!(body.contains("at line 1 column"), "{body}");
        }
    }

    #[test]
    fn unknown_and_missing_fields_trailing_text_and_deep_nesting_are_refused() {
        let deep = format!("{{\"counts\":{}", "[".repeat(10_000));
        let bad = [
            r#"{"counts":[],"x":1}"#,
            "{}",
            r#"{"counts":[]} {}"#,
            " [[1]]",
            "",
            "{",
            deep.as_str(),
        ];
        for text in bad {
            let problem = parse::<Thing>(text.as_bytes()).expect_err(text);
            assert_eq!(problem.code(), Code::InvalidJson);
        }
    }
}
