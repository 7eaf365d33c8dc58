//! Whom we trust to say who somebody is, and what their tokens must say for it.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::issuer_keys::IssuerKeys;
use super::jwks::KeySet;
use super::key_fetch::KeyClient;
use super::metrics::AuthMetrics;
use super::permission::Permission;
use super::refusal::{AuthError, Reason};
use super::token::Token;
use crate::app::auth_settings::{ClaimPath, IssuerSettings};
use crate::domain::actor::{ActorKind, SEPARATOR, name_at};
use crate::domain::ids::ConsumerId;
use crate::domain::role::{Role, Roles};
use crate::domain::service_token::Scope;

/// How far another clock may be off, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// The longest subject, in bytes.
const LONGEST_SUBJECT: usize = 255;

/// The claim that names the organisation of a consumer.
const ORGANISATION: &str = "consumer";

/// The most roles or groups that a token may name.
const MOST_ROLES: usize = 500;

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who the caller is: a name that nobody else has, whoever vouches for them.
    pub subject: String,
    /// What the caller is trusted with.
    pub roles: Roles,
    /// The organisation that the caller speaks for: there if, and only if, the role is consumer.
    pub organisation: Option<ConsumerId>,
    /// The permissions that the token is narrowed to; `None` is all that its roles grant.
    pub scopes: Option<Vec<Scope>>,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

impl Claims {
    /// Says whether the caller may do what needs the permission `P`.
    pub fn may<P: Permission>(&self) -> bool {
        let named = |scope: &Scope| scope.as_str() == P::NAME;
        let within = self.scopes.as_ref();
        P::allowed(&self.roles)
            && within.is_none_or(|scopes| scopes.iter().any(named))
            && !(P::FOR_PEOPLE && self.is_program())
    }

    /// Whether it is a program with a service token.
    pub fn is_program(&self) -> bool {
        ActorKind::of_caller(&self.subject) == ActorKind::ServiceToken
    }
}

/// Somebody whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    issuer: String,
    audience: String,
    /// In lower case, without `application/`.
    types: Vec<String>,
    roles: RoleNames,
    max_life: Option<TimeDelta>,
    /// What its people's names begin with; the development issuer's are bare.
    prefix: Option<String>,
    keys: Keys,
}

#[derive(Debug, Clone)]
enum Keys {
    Fixed(Arc<KeySet>),
    Fetched(Arc<IssuerKeys>),
}

/// Where a token has its roles and what they are here.
#[derive(Debug, Clone, Default)]
struct RoleNames {
    path: ClaimPath,
    /// Empty where names are taken as they are.
    map: HashMap<String, Role>,
}

impl TrustedIssuer {
    /// Trusts an identity provider of the configuration.
    pub fn configured(settings: IssuerSettings, client: KeyClient, metrics: AuthMetrics) -> Self {
        let pairs = settings.role_map.iter();
        Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            types: settings.token_types.iter().map(|t| bare_type(t)).collect(),
            roles: RoleNames {
                path: settings.roles_claim.clone(),
                map: pairs.map(|one| (one.from.clone(), one.to)).collect(),
            },
            max_life: Some(TimeDelta::from_std(settings.max_token_life).unwrap_or(TimeDelta::MAX)),
            prefix: Some(settings.name.clone()),
            keys: Keys::Fetched(Arc::new(IssuerKeys::new(settings, client, metrics))),
        }
    }

    /// Trusts one key, whose tokens name this issuer and this audience. Their subjects are names as they stand.
    pub(super) fn of_key(issuer: &str, audience: &str, token_type: &str, keys: KeySet) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            types: vec![bare_type(token_type)],
            roles: RoleNames::default(),
            max_life: None,
            prefix: None,
            keys: Keys::Fixed(Arc::new(keys)),
        }
    }

    /// The `iss` of its tokens.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its keys, where they come from elsewhere.
    pub(super) fn fetched(&self) -> Option<&Arc<IssuerKeys>> {
        match &self.keys {
            Keys::Fixed(_) => None,
            Keys::Fetched(keys) => Some(keys),
        }
    }

    /// Its keys as they are believed now.
    pub(super) fn keys(&self, now: DateTime<Utc>) -> Option<Arc<KeySet>> {
        match &self.keys {
            Keys::Fixed(keys) => Some(Arc::clone(keys)),
            Keys::Fetched(keys) => keys.get(now),
        }
    }

    /// Checks a token that names this issuer. The signature comes before everything that it says, so that nobody learns anything by forging.
    pub(super) fn check(&self, token: &Token<'_>, now: DateTime<Utc>) -> Result<Claims, AuthError> {
        let refused = |reason| AuthError::Refused(reason);
        let keys = self.keys(now).ok_or(AuthError::KeysUnavailable)?;
        let known = keys.get(&token.key_id).ok_or(refused(Reason::Key))?;
        if token.algorithm != known.algorithm {
            return Err(refused(Reason::Algorithm));
        }
        let verified = jsonwebtoken::crypto::verify(
            token.signature,
            token.message,
            &known.key,
            known.algorithm,
        );
        if !verified.is_ok_and(|good| good) {
            return Err(refused(Reason::Signature));
        }
        if !self.types.contains(&bare_type(&token.kind)) {
            return Err(refused(Reason::Type));
        }
        if !self.is_meant(token) {
            return Err(refused(Reason::Audience));
        }
        let expires_at = self.lifetime(token, now)?;
        let roles = self.roles.of(token).ok_or(refused(Reason::Claims))?;
        let organisation = organisation(&roles, token)?;
        Ok(Claims {
            subject: self.name(token)?,
            roles,
            organisation,
            scopes: None,
            expires_at,
        })
    }

    /// `aud` is one text or a list of them, and we are among them.
    fn is_meant(&self, token: &Token<'_>) -> bool {
        match token.claims.get("aud") {
            Some(Value::String(one)) => *one == self.audience,
            Some(Value::Array(all)) => {
                all.iter().all(Value::is_string) && all.iter().any(|one| *one == *self.audience)
            }
            _ => false,
        }
    }

    fn lifetime(&self, token: &Token<'_>, now: DateTime<Utc>) -> Result<DateTime<Utc>, AuthError> {
        let refused = |reason| AuthError::Refused(reason);
        let seconds = now.timestamp();
        let ends = token.time("exp")?.ok_or(refused(Reason::Claims))?;
        let (starts, issued) = (token.time("nbf")?, token.time("iat")?);
        let expires_at = DateTime::from_timestamp(ends, 0).ok_or(refused(Reason::Claims))?;
        if ends < seconds.saturating_sub(LEEWAY_SECONDS) {
            return Err(AuthError::Expired);
        }
        let latest = seconds.saturating_add(LEEWAY_SECONDS);
        if [starts, issued].into_iter().flatten().any(|at| at > latest) {
            return Err(refused(Reason::NotYet));
        }
        // Without `iat` what counts is how long it goes on from now.
        let from = issued.unwrap_or(seconds);
        if let Some(most) = self.max_life
            && ends.saturating_sub(from) > most.num_seconds()
        {
            return Err(refused(Reason::Lifetime));
        }
        Ok(expires_at)
    }

    /// The name of the caller everywhere: in decisions, in claims, in the audit trail.
    fn name(&self, token: &Token<'_>) -> Result<String, AuthError> {
        let refused = AuthError::Refused(Reason::Subject);
        let subject = token.text("sub").ok_or(refused)?;
        let whole = !subject.is_empty() && subject.len() <= LONGEST_SUBJECT;
        if !whole || subject.chars().any(char::is_control) {
            return Err(refused);
        }
        match &self.prefix {
            Some(prefix) => Ok(name_at(prefix, subject)),
            // A bare name must not read like one that somebody else vouches for.
            None if subject.contains(SEPARATOR) => Err(refused),
            None => Ok(subject.to_owned()),
        }
    }
}

/// The organisation that a token speaks for, in the claim `consumer`.
fn organisation(roles: &Roles, token: &Token<'_>) -> Result<Option<ConsumerId>, AuthError> {
    let refused = AuthError::Refused(Reason::Organisation);
    let claim = match token.claims.get(ORGANISATION) {
        None | Some(Value::Null) => None,
        Some(Value::String(claim)) => Some(claim.as_str()),
        // What is no text is of no organisation, and may not pass as none either.
        Some(_) => return Err(refused),
    };
    roles.organisation(claim).map_err(|_| refused)
}

impl RoleNames {
    /// The roles that a token grants; `None` where the claim is there and is no list of names.
    fn of(&self, token: &Token<'_>) -> Option<Roles> {
        let mut names = self.path.names().iter();
        let mut found = names.next().and_then(|name| token.claims.get(name));
        for name in names {
            found = found.and_then(|within| within.get(name));
        }
        let Some(found) = found else {
            return Some(Roles::default());
        };
        let all = found.as_array().filter(|all| all.len() <= MOST_ROLES)?;
        let names = all.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?;
        Some(if self.map.is_empty() {
            Roles::from_names(names)
        } else {
            names
                .iter()
                .filter_map(|name| self.map.get(*name).copied())
                .collect()
        })
    }
}

/// A type as it is compared: RFC 7515 section 4.1.9 lets `application/` be left out, and RFC 2045 has no case.
fn bare_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(bare) if !bare.contains('/') => bare.to_owned(),
        _ => lower,
    }
}
