//! Path parameters: an id, usually.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::sentence;
use crate::api::fallback::wrong_method;
use crate::api::middleware::aws_ids::untranslated;
use crate::api::problem::Problem;
use crate::app::code::Code;

/// The path parameters, read into `T`: an id, a tuple of ids or a struct with their names.
///
/// Refuses with `invalid_path` (400) and the sentence of the id's own parser, which is better than
/// a plain 404 when a listing's id is pasted where a service's belongs. Document it with
/// `params(("id" = String, Path, description = "..."))` in the handler's attribute.
#[derive(Debug)]
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned> FromRequest for ApiPath<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(problem) = untranslated(request) {
            return ready(Err(problem));
        }
        let read = request.match_info().load().map(Self).map_err(|error| {
            wrong_method(request)
                .unwrap_or_else(|| Problem::new(Code::InvalidPath, sentence(&error)))
        });
        ready(read)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct ThingId(u32);

    impl TryFrom<String> for ThingId {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            let digits = text
                .strip_prefix("thg_")
                .ok_or("a thing's id starts with thg_")?;
            digits
                .parse()
                .map(Self)
                .map_err(|_| "a thing's id ends in digits".to_owned())
        }
    }

    async fn read(id: &'static str) -> Result<ThingId, Problem> {
        let request = TestRequest::default().param("id", id).to_http_request();
        ApiPath::extract(&request).await.map(|ApiPath(id)| id)
    }

    #[actix_web::test]
    async fn an_id_is_read() {
        assert_eq!(read("thg_7").await.expect("an id").0, 7);
    }

    #[actix_web::test]
    async fn a_malformed_id_is_refused_in_the_words_of_its_parser() {
        let problem = read("svc_7").await.expect_err("another kind of id");
        assert_eq!(
            problem.to_string(),
            "invalid_path: a thing's id starts with thg_."
        );
    }
}
