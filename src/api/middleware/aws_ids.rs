//! AWS's ids in the place of ours, in paths and queries: `/v1/connections/vpce-…` is `/v1/connections/con_…`.
//!
//! It is done to the address, before anything is looked up by it, so that keys, entity tags and handlers know one name for each thing. In bodies, which only
//! handlers read, [`ServiceRef`](crate::api::v1) does the same.

use std::str::FromStr as _;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use uuid::Uuid;

use crate::api::auth::claims_of;
use crate::api::problem::Problem;
use crate::app::aws_ids::{AwsId, OurId, find};
use crate::app::code::Code;
use crate::app::{AppContext, AppError};
use crate::domain::member::Member;

/// What all such ids begin with.
const PREFIX: &str = "vpce-";

/// Where something consumers' own lies; there, ids mean what the consumer can know about.
const OWN: &str = "/v1/me/";

/// Why an id of AWS's is none here. The extractors of path and query say so, because they do after the caller's permission was looked at.
#[derive(Debug)]
struct Untranslated(Problem);

/// The refusal of an id of AWS's in the address, if there is one that cannot be written as ours.
pub(crate) fn untranslated(request: &HttpRequest) -> Option<Problem> {
    let left = request.extensions_mut().remove::<Untranslated>();
    left.map(|Untranslated(problem)| problem)
}

/// Writes our ids for AWS's.
pub(crate) async fn translate<B>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error>
where
    B: actix_web::body::MessageBody,
{
    if let Some(address) = ours(&request).await {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(address);
        if let Ok(uri) = Uri::from_parts(parts) {
            request.match_info_mut().get_mut().update(&uri);
            request.head_mut().uri = uri;
        }
    }
    next.call(request).await
}

/// The address with our ids in it; none where nothing is to be written, or by nobody who is known.
async fn ours(request: &ServiceRequest) -> Option<PathAndQuery> {
    let address = request.uri().path_and_query()?;
    if !address.path().starts_with("/v1/") || !address.as_str().contains(PREFIX) {
        return None;
    }
    let ctx = request.app_data::<web::Data<AppContext>>()?.clone();
    let claims = claims_of(request.request()).ok()?;
    // Whoever speaks for an organisation has no business elsewhere, and nobody else has there.
    let asks = match (address.path().starts_with(OWN), claims.organisation) {
        (true, Some(organisation)) => Some(Member::new(organisation, claims.subject.clone())),
        (false, None) => None,
        (true, None) | (false, Some(_)) => return None,
    };
    let mut path: Vec<String> = address.path().split('/').map(str::to_owned).collect();
    if let Some((segment, id)) = in_path(&mut path) {
        *segment = match find(&ctx, asks.as_ref(), &id).await {
            Ok(ours) => ours.to_string(),
            Err(error) => {
                let problem = Untranslated(refusal(error, Code::InvalidPath));
                request.extensions_mut().insert(problem);
                nothing(&id).to_string()
            }
        };
    }
    let mut written = path.join("/");
    if let Some(query) = address.query() {
        let mut pairs: Vec<String> = Vec::new();
        for pair in query.split('&') {
            // A name that stands twice is refused by whoever reads the query; nothing is looked up for it.
            let again = |name: &str| {
                pairs
                    .iter()
                    .any(|pair| pair.split('=').next() == Some(name))
            };
            pairs.push(match in_query(pair).filter(|(name, _)| !again(name)) {
                Some((name, id)) => match find(&ctx, asks.as_ref(), &id).await {
                    Ok(ours) => format!("{name}={ours}"),
                    // What is not there is found by no filter.
                    Err(error) if is_missing(&error) => format!("{name}={}", nothing(&id)),
                    Err(error) => {
                        let problem = Untranslated(refusal(error, Code::InvalidQuery));
                        request.extensions_mut().insert(problem);
                        pair.to_owned()
                    }
                },
                None => pair.to_owned(),
            });
        }
        written = format!("{written}?{}", pairs.join("&"));
    }
    PathAndQuery::from_str(&written).ok()
}

/// The segment of a path that names a service or a connection by an id of AWS's.
fn in_path(path: &mut [String]) -> Option<(&mut String, AwsId)> {
    let at = if path.get(2).is_some_and(|name| name == "me") {
        3
    } else {
        2
    };
    let id: AwsId = path.get(at + 1)?.parse().ok()?;
    let fits = matches!(
        (path.get(at)?.as_str(), &id),
        ("services", AwsId::Service(_)) | ("connections", AwsId::Endpoint(_))
    );
    if fits {
        path.get_mut(at + 1).map(|segment| (segment, id))
    } else {
        None
    }
}

/// A parameter that names a service or a connection by an id of AWS's.
fn in_query(pair: &str) -> Option<(&str, AwsId)> {
    let (name, value) = pair.split_once('=')?;
    let id: AwsId = value.parse().ok()?;
    let fits = matches!(
        (name, &id),
        ("service_id" | "subject_id", AwsId::Service(_))
            | ("connection_id" | "subject_id", AwsId::Endpoint(_))
    );
    fits.then_some((name, id))
}

/// An id of ours that nothing has.
fn nothing(id: &AwsId) -> OurId {
    match id {
        AwsId::Service(_) => OurId::Service(Uuid::nil().into()),
        AwsId::Endpoint(_) => OurId::Connection(Uuid::nil().into()),
    }
}

fn is_missing(error: &AppError) -> bool {
    [Code::ServiceNotFound, Code::ConnectionNotFound].contains(&error.code())
}

/// An id that means several things is a fault of where it stands.
fn refusal(error: AppError, at: Code) -> Problem {
    match error.code() {
        Code::InvalidRequest => Problem::new(at, error.detail()),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Option<String> {
        let mut path: Vec<String> = text.split('/').map(str::to_owned).collect();
        in_path(&mut path).map(|(_, id)| id.to_string())
    }

    #[test]
    fn an_id_is_taken_in_the_place_of_its_kind_only() {
        let (service, endpoint) = ("vpce-svc-0123456789abcdef0", "vpce-0123456789abcdef0");
        for base in ["/v1", "/v1/me"] {
            for tail in ["", "/drain"] {
                let at = path(&format!("{base}/services/{service}{tail}"));
                assert_eq!(at.as_deref(), Some(service), "{base}{tail}");
                let at = path(&format!("{base}/connections/{endpoint}{tail}"));
                assert_eq!(at.as_deref(), Some(endpoint), "{base}{tail}");
            }
            assert_eq!(path(&format!("{base}/services/{endpoint}")), None);
            assert_eq!(path(&format!("{base}/connections/{service}")), None);
            assert_eq!(path(&format!("{base}/consumers/{service}")), None);
            assert_eq!(path(&format!("{base}/services/vpce-svc-x")), None);
        }
        let named = |pair: &str| in_query(pair).map(|(name, id)| format!("{name} {id}"));
        for pair in [
            format!("service_id={service}"),
            format!("connection_id={endpoint}"),
            format!("subject_id={endpoint}"),
        ] {
            assert_eq!(named(&pair), Some(pair.replace('=', " ")));
        }
        for pair in [
            format!("service_id={endpoint}"),
            format!("cursor={service}"),
            format!("aws_service_id={service}"),
            "service_id".to_owned(),
        ] {
            assert_eq!(named(&pair), None, "{pair}");
        }
    }
}
