//! The caller of a handler: proven, and allowed what the handler does.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use chrono::{DateTime, Utc};

use super::permission::{Own, Permission};
use super::refusal::AuthError;
use super::service_token;
use super::trust::Claims;
use crate::api::edge::Edge;
use crate::api::problem::Problem;
use crate::app::AppContext;
use crate::app::code::Code;
use crate::app::error::AppError;
use crate::app::recognise_service_token::PREFIX;
use crate::domain::member::Member;
use crate::domain::role::{Role, Roles};

/// After how many seconds a caller may ask again whom nobody can check just now.
const RETRY_AFTER: &str = "10";

/// Proof that the request was made by somebody who holds the permission `P`.
///
/// Put it first among a handler's arguments: arguments are taken in order, and nothing else of a
/// request should be looked at before its caller is known.
#[derive(Debug, Clone)]
pub struct Caller<P> {
    /// Who it is: a name that nobody else has, see [`Claims::subject`].
    pub subject: String,
    /// What they are trusted with.
    pub roles: Roles,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
    claims: Claims,
    permission: PhantomData<fn() -> P>,
}

impl Caller<Own> {
    /// Who it is and for which organisation. The operations of consumers take this, so they cannot be asked about anybody else. Whoever speaks for none is
    /// refused, whatever their roles say.
    pub fn member(&self) -> Result<Member, Problem> {
        let organisation = self.claims.organisation;
        let organisation = organisation.ok_or_else(|| forbid::<Own>(&self.claims))?;
        Ok(Member::new(organisation, self.subject.clone()))
    }
}

impl<P> Caller<P> {
    /// Says whether they may also do what needs another permission.
    pub fn may<Q: Permission>(&self) -> bool {
        self.claims.may::<Q>()
    }
}

impl<P: Permission> FromRequest for Caller<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(request))
    }
}

/// Whoever looks at what is shown to everybody, and to some organisations more. Nobody has to say who they are; a token that is sent has to be good.
#[derive(Debug, Clone)]
pub struct Looker(Option<Member>);

impl Looker {
    /// Who it is, where somebody speaks for an organisation. The provider's people see what everybody sees.
    pub fn member(&self) -> Option<&Member> {
        self.0.as_ref()
    }
}

impl FromRequest for Looker {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match claims_of(request) {
            Ok(claims) => {
                let organisation = claims.organisation;
                Ok(Self(organisation.map(|it| Member::new(it, claims.subject))))
            }
            Err(AuthError::Missing) => Ok(Self(None)),
            Err(error) => Err(refuse(error)),
        })
    }
}

fn identify<P: Permission>(request: &HttpRequest) -> Result<Caller<P>, Problem> {
    let edge = request
        .app_data::<web::Data<Edge>>()
        .ok_or_else(|| Problem::from(AppError::internal("the application has no verifier")))?;
    let claims = claims_of(request).map_err(|error| {
        edge.verifier().count(error);
        refuse(error)
    })?;
    if !claims.may::<P>() {
        return Err(forbid::<P>(&claims));
    }
    Ok(Caller {
        subject: claims.subject.clone(),
        roles: claims.roles.clone(),
        expires_at: claims.expires_at,
        claims,
        permission: PhantomData,
    })
}

/// Who sends a request, or why that is not known; found out once for each request, before anything else is done with it.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Result<Claims, AuthError>);

impl Identity {
    /// Finds out who sends a request with these headers.
    pub(crate) async fn of(headers: &HeaderMap, edge: &Edge, ctx: Option<&AppContext>) -> Self {
        Self(match bearer(headers) {
            Ok(token) if token.starts_with(PREFIX) => {
                service_token::identify(token, ctx, edge.token_uses()).await
            }
            Ok(token) => edge.verifier().verify_or_refresh(token, edge.now()).await,
            Err(error) => Err(error),
        })
    }
}

/// Whether whoever sends these headers shows a service token that did not prove itself here before, so that the database has to be asked about what may be a guess.
pub(crate) fn shows_a_guess(headers: &HeaderMap, edge: &Edge) -> bool {
    bearer(headers)
        .is_ok_and(|token| token.starts_with(PREFIX) && edge.token_uses().is_guess(token))
}

/// What was found out about the sender of a request. Nobody is looked for outside of the API.
pub(crate) fn claims_of(request: &HttpRequest) -> Result<Claims, AuthError> {
    let known = request.extensions().get::<Identity>().cloned();
    known.map_or(Err(AuthError::Missing), |Identity(known)| known)
}

/// Who sends a request, with which roles and for which organisation, as one word, if the request proves that. What they may do is asked elsewhere.
pub(crate) fn caller_of(request: &HttpRequest) -> Option<String> {
    let extensions = request.extensions();
    let claims = extensions.get::<Identity>()?.0.as_ref().ok()?;
    let roles: Vec<&str> = claims.roles.iter().map(Role::name).collect();
    let name = match claims.organisation {
        Some(organisation) => Member::new(organisation, claims.subject.clone()).to_string(),
        None => claims.subject.clone(),
    };
    Some(format!("{} {name}", roles.join(",")))
}

fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let value = values.next().ok_or(AuthError::Missing)?;
    if values.next().is_some() {
        return Err(AuthError::Malformed);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(AuthError::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(AuthError::Malformed)
    }
}

/// Says no, and in the challenge of RFC 6750 how a caller could do better.
fn refuse(error: AuthError) -> Problem {
    tracing::debug!(error.reason = %error, "a caller was not identified");
    match error {
        AuthError::KeysUnavailable => return later(Code::IssuerUnavailable),
        AuthError::LookupFailed => return later(Code::Unavailable),
        AuthError::Missing | AuthError::Malformed | AuthError::Refused(_) | AuthError::Expired => {}
    }
    let (code, detail, challenge) = match error {
        AuthError::Missing => (
            Code::Unauthenticated,
            "Send a token in the header Authorization: Bearer <token>.",
            r#"Bearer realm="portcullis""#,
        ),
        AuthError::Malformed
        | AuthError::Refused(_)
        | AuthError::KeysUnavailable
        | AuthError::LookupFailed => (
            Code::Unauthenticated,
            "The bearer token is not accepted.",
            r#"Bearer realm="portcullis", error="invalid_token", error_description="not accepted""#,
        ),
        AuthError::Expired => (
            Code::TokenExpired,
            "The bearer token has expired; get a new one.",
            r#"Bearer realm="portcullis", error="invalid_token", error_description="expired""#,
        ),
    };
    Problem::new(code, detail).header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    )
}

/// The token may be good; nobody can say so just now.
fn later(code: Code) -> Problem {
    Problem::new(code, code.title())
        .header(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))
}

fn forbid<P: Permission>(claims: &Claims) -> Problem {
    let permission = P::NAME;
    if P::FOR_PEOPLE && claims.is_program() {
        let detail = "This is for people: service tokens do not manage service tokens.";
        return Problem::new(Code::Forbidden, detail);
    }
    let challenge =
        format!(r#"Bearer realm="portcullis", error="insufficient_scope", scope="{permission}""#);
    let problem = Problem::new(
        Code::Forbidden,
        format!("This needs the permission to {permission}, which the token does not grant."),
    );
    match HeaderValue::from_str(&challenge) {
        Ok(value) => problem.header(header::WWW_AUTHENTICATE, value),
        Err(_) => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(values: &[&str]) -> Result<String, AuthError> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_str(value).expect("a header value");
            headers.append(header::AUTHORIZATION, value);
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(token_of(&["bearer abc"]), Ok("abc".to_owned()));
        assert_eq!(token_of(&["BEARER  abc"]), Ok("abc".to_owned()));
    }

    #[test]
    fn other_schemes_bare_tokens_and_two_headers_are_malformed() {
        for values in [
            &["Basic abc"][..],
            &["abc"],
            &["Bearer a", "Bearer b"],
            &["Bearer"],
        ] {
            assert_eq!(token_of(values), Err(AuthError::Malformed), "{values:?}");
        }
        assert_eq!(token_of(&[]), Err(AuthError::Missing));
    }
}
