//! Who a request is from, as far as limits and logs are concerned.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::Method;

use crate::api::auth::{AuthError, Claims, Role};
use crate::api::limits::rates::{Payer, Weight};

/// Who pays for a request with these claims.
pub(super) fn payer(claims: &Result<Claims, AuthError>, address: Option<IpAddr>) -> Payer {
    match claims {
        Ok(claims) => Payer::Caller {
            caller: claims.subject.clone(),
            organisation: claims.organisation.map(|id| id.to_string()),
        },
        Err(_) => Payer::Address(address),
    }
}

/// What kind of caller it is, for the log: never who.
pub(super) fn kind(claims: &Result<Claims, AuthError>) -> String {
    match claims {
        Ok(claims) => {
            let roles: Vec<&str> = claims.roles.iter().map(Role::name).collect();
            if roles.is_empty() {
                "without a role".to_owned()
            } else {
                roles.join(",")
            }
        }
        Err(AuthError::Missing) => "anonymous".to_owned(),
        Err(AuthError::Expired) => "expired".to_owned(),
        Err(AuthError::Malformed | AuthError::Refused(_)) => "refused".to_owned(),
        Err(AuthError::KeysUnavailable | AuthError::LookupFailed) => "unchecked".to_owned(),
    }
}

/// Whether a request reads or writes.
pub(super) fn weight(method: &Method) -> Weight {
    if method.is_safe() {
        Weight::Read
    } else {
        Weight::Write
    }
}

/// The client's address: of the peer, or what the outermost of our proxies saw. What stands further left in `X-Forwarded-For` is the client's own invention.
pub(super) fn address(request: &HttpRequest, proxies: usize) -> Option<IpAddr> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    if proxies == 0 {
        return peer;
    }
    let headers = request.headers().get_all("x-forwarded-for");
    let told = headers.filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = told.flat_map(|value| value.split(',')).collect();
    let place = told.len().checked_sub(proxies)?;
    told.get(place)?.trim().parse().ok().or(peer)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn seen(forwarded: &[&str], proxies: usize) -> Option<String> {
        let mut request = TestRequest::default().peer_addr("192.0.2.9:4711".parse().expect("one"));
        for value in forwarded {
            request = request.append_header(("x-forwarded-for", *value));
        }
        address(&request.to_http_request(), proxies).map(|address| address.to_string())
    }

    #[test]
    fn a_client_cannot_choose_its_address() {
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(seen(&["10.1.1.1"], 0), told("192.0.2.9"));
        assert_eq!(seen(&["10.1.1.1, 198.51.100.7"], 1), told("198.51.100.7"));
        assert_eq!(
            seen(&["10.1.1.1", "198.51.100.7, 203.0.113.5"], 2),
            told("198.51.100.7")
        );
        assert_eq!(seen(&["2001:db8::1"], 1), told("2001:db8::1"));
        assert_eq!(seen(&["unknown"], 1), told("192.0.2.9"));
        // Whoever comes around the proxies shares one bucket.
        assert_eq!(seen(&[], 1), None);
    }
}
