//! Which paths are of a resource whose state a write can name, and how a handler asks for that.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::problem::Problem;
use crate::app::code::Code;
use crate::app::preconditions::{ExpectedVersion, Resource};
use crate::domain::audit_entry::Subject;
use crate::domain::ids::DriftId;

/// The collections whose members have states.
const COLLECTIONS: &[&str] = &[
    "access-removals",
    "access-requests",
    "account-regions",
    "agreements",
    "blocks",
    "connections",
    "consumers",
    "denials",
    "drifts",
    "listings",
    "offers",
    "policies",
    "rejudgements",
    "service-tokens",
    "services",
];

/// Of what consumers have of their own, the one collection that they write to. The tags of others would count what the provider has written down.
const OWN_UNDER_V1: &str = "me/access-requests/";

/// What under a resource is a part of its state, and may be read with a tag of its own.
const PARTS: &[&str] = &["quota", "review-rules"];

/// Splits a path under `/v1` into the collection, the member and what follows.
fn segments(path: &str) -> Option<(&str, &str, Option<&str>)> {
    let path = path.strip_prefix("/v1/")?;
    let path = if path.starts_with(OWN_UNDER_V1) {
        path.strip_prefix("me/")?
    } else {
        path
    };
    let mut segments = path.splitn(3, '/');
    let collection = segments.next().filter(|name| COLLECTIONS.contains(name))?;
    Some((collection, segments.next()?, segments.next()))
}

/// The resource that a path is of, or under.
pub(crate) fn resource_at(path: &str) -> Option<Resource> {
    let (collection, id, _) = segments(path)?;
    if collection == "drifts" {
        return DriftId::from_str(id).ok().map(Resource::Drift);
    }
    Subject::from_str(id).ok().map(Resource::Subject)
}

/// Whether the path of an operation (with `{id}` in it) reads a state whole, so that the answer has a tag.
pub(super) fn reads_a_state(pattern: &str) -> bool {
    segments(pattern)
        .is_some_and(|(_, id, rest)| id == "{id}" && rest.is_none_or(|rest| PARTS.contains(&rest)))
}

/// Whether the path of an operation (with `{id}` in it) writes to a state.
pub(super) fn writes_a_state(pattern: &str) -> bool {
    segments(pattern).is_some_and(|(_, id, _)| id == "{id}")
}

/// Says that the request named a state with `If-Match`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tagged;

/// How a request names the state that its change is meant for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meant(Option<Tagged>);

impl FromRequest for Meant {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.extensions().get().copied())))
    }
}

impl Meant {
    /// The state by the body's `version` or by the header. A change that names none is refused.
    pub(super) fn version(self, in_body: Option<i64>) -> Result<ExpectedVersion, Problem> {
        match (in_body, self.0) {
            (Some(version), _) => Ok(ExpectedVersion::Exactly(version)),
            (None, Some(Tagged)) => Ok(ExpectedVersion::Tagged),
            (None, None) => {
                let detail = "Say which state you have read: send its ETag as If-Match, or its version in the body.";
                Err(Problem::new(Code::PreconditionRequired, detail).field("version"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_found_at_its_path_and_below() {
        let id = "con_00000000000000000000000000000007";
        let connection = Subject::from_str(id).map(Resource::Subject).ok();
        for path in ["", "/accept", "/drifts/x"] {
            let path = format!("/v1/connections/{id}{path}");
            assert_eq!(resource_at(&path), connection, "{path}");
        }
        let drift = resource_at("/v1/drifts/dft_00000000000000000000000000000007/adopt");
        assert!(matches!(drift, Some(Resource::Drift(_))), "{drift:?}");
        for path in [
            "/v1/connections",
            "/v1/connections/bulk-decisions",
            "/v1/stalls/x",
            "/healthz",
        ] {
            assert_eq!(resource_at(path), None, "{path}");
        }
    }

    #[test]
    fn a_change_names_a_state() {
        let code = |named: Result<_, Problem>| named.expect_err("a refusal").code();
        let tagged = Meant(Some(Tagged));
        assert_eq!(tagged.version(None).unwrap(), ExpectedVersion::Tagged);
        assert_eq!(
            tagged.version(Some(7)).unwrap(),
            ExpectedVersion::Exactly(7)
        );
        assert_eq!(code(Meant(None).version(None)), Code::PreconditionRequired);
    }
}
