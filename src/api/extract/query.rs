//! A query string.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::error::QueryPayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::sentence;
use crate::api::middleware::aws_ids::untranslated;
use crate::api::problem::Problem;
use crate::app::code::Code;

/// The query string, read into `T`; refuses with `invalid_query` (400).
///
/// Document it with `params(T)` in the handler's attribute, where `T` derives `IntoParams` with
/// `#[into_params(parameter_in = Query)]`.
#[derive(Debug)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned> FromRequest for ApiQuery<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(problem) = untranslated(request) {
            return ready(Err(problem));
        }
        ready(parse(request.query_string()).map(Self))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    // No text in PostgreSQL has it, so nothing can be found by it.
    if query.contains("%00") {
        return Err(Problem::new(
            Code::InvalidQuery,
            "A query parameter must not contain NUL.",
        ));
    }
    web::Query::from_query(query)
        .map(web::Query::into_inner)
        .map_err(|error| {
            let reason = match &error {
                QueryPayloadError::Deserialize(inner) => sentence(inner),
                other => sentence(other),
            };
            Problem::new(Code::InvalidQuery, reason)
        })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Paging {
        limit: Option<u16>,
    }

    #[test]
    fn an_absent_parameter_is_absent() {
        assert_eq!(parse::<Paging>("").expect("empty").limit, None);
        assert_eq!(parse::<Paging>("limit=7").expect("seven").limit, Some(7));
    }

    #[test]
    fn unknown_repeated_and_unreadable_parameters_are_refused() {
        for query in [
            "limmit=7",
            "limit=7&limit=8",
            "limit=seven",
            "limit=70000",
            "limit=7%00",
        ] {
            let problem = parse::<Paging>(query).expect_err(query);
            assert_eq!(problem.code(), Code::InvalidQuery, "{query}");
        }
    }
}
