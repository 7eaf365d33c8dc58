//! Who is calling: accounts, and roles that were assumed.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};

use super::{Caller, World, later, regions};
use crate::AwsError;

/// An identity inside an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What `GetCallerIdentity` calls it.
    pub arn: String,
    /// The role behind an assumed-role session, as an IAM ARN.
    pub role_arn: Option<String>,
    /// The unique id that STS shows.
    pub user_id: String,
    /// Who is behind a session, as its first `AssumeRole` said; sessions that it opens inherit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<String>,
}

impl Identity {
    /// The account itself.
    pub fn root(account: &AccountId, region: &Region) -> Self {
        Self {
            arn: format!("arn:{}:iam::{account}:root", regions::partition(region)),
            role_arn: None,
            user_id: account.to_string(),
            source_identity: None,
        }
    }

    /// Somebody who signed nothing: who follows a link that SNS sent.
    pub fn anonymous() -> Self {
        Self {
            arn: ANONYMOUS.to_owned(),
            role_arn: None,
            user_id: ANONYMOUS.to_owned(),
            source_identity: None,
        }
    }

    /// Whether the request was not signed.
    pub fn is_anonymous(&self) -> bool {
        self.arn == ANONYMOUS
    }
}

/// The name of those who signed nothing.
const ANONYMOUS: &str = "Anonymous";

/// A role that was registered with an external id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// What the trust policy asks for.
    pub external_id: Option<String>,
}

/// Credentials that `AssumeRole` gave out, or that were registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedKey {
    /// The role's account.
    pub account: AccountId,
    /// Who the session is.
    pub identity: Identity,
    /// When the credentials end; those that were registered never do.
    pub expires_at: Option<DateTime<Utc>>,
    /// What requests are signed with; `None` in snapshots from before signatures were checked.
    #[serde(default)]
    pub secret: Option<String>,
    /// What requests must carry besides.
    #[serde(default)]
    pub session_token: Option<String>,
}

/// How long expired credentials are remembered, to be refused as such.
const REMEMBERED_MS: u64 = 24 * 3_600_000;

/// What `AssumeRole` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// The role.
    pub role_arn: String,
    /// The name of the session.
    pub session_name: String,
    /// The external id, where the role wants one.
    pub external_id: Option<String>,
    /// How long the credentials last, in seconds: 900 to 43,200.
    pub duration_seconds: u64,
    /// Who is behind the session, 2 to 64 characters.
    pub source_identity: Option<String>,
}

/// What `AssumeRole` answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// `ASIA…`.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// The session token.
    pub session_token: String,
    /// When the credentials end.
    pub expires_at: DateTime<Utc>,
    /// Who the session is.
    pub identity: Identity,
}

impl World {
    /// Registers a role and the external id that its trust policy asks for.
    pub fn register_role(
        &mut self,
        role_arn: &str,
        external_id: Option<String>,
    ) -> Result<(), AwsError> {
        role_parts(role_arn)?;
        self.roles.insert(role_arn.to_owned(), Role { external_id });
        Ok(())
    }

    /// Who an access key belongs to: 12 digits are the account itself, keys from `AssumeRole` the role's account,
    /// anything else the account `000000000000`. `ExpiredToken` when the credentials have ended.
    pub fn who(
        &self,
        access_key: &str,
        region: &Region,
        now: DateTime<Utc>,
    ) -> Result<(AccountId, Identity), AwsError> {
        if let Some(key) = self.keys.get(access_key) {
            if key.expires_at.is_some_and(|end| now >= end) {
                return Err(AwsError::new(
                    "ExpiredToken",
                    "The security token included in the request is expired",
                ));
            }
            return Ok((key.account.clone(), key.identity.clone()));
        }
        let account = access_key
            .parse::<AccountId>()
            .or_else(|_| "000000000000".parse())
            .map_err(|_| AwsError::with_status(401, "AuthFailure", "No such account"))?;
        let identity = Identity::root(&account, region);
        Ok((account, identity))
    }

    /// What is known about an access key.
    pub(crate) fn key(&self, access_key: &str) -> Option<&IssuedKey> {
        self.keys.get(access_key)
    }

    /// Registers an access key of an account, whose signatures are checked from now on.
    pub fn register_key(
        &mut self,
        access_key: &str,
        secret: &str,
        account: &AccountId,
        arn: Option<String>,
    ) {
        let arn = arn.unwrap_or_else(|| format!("arn:aws:iam::{account}:root"));
        let root = arn.ends_with(":root");
        let user_id = if root {
            account.to_string()
        } else {
            // The same key always has the same user, whatever was called before.
            let number = self.ids.fixed_number(&["user", &arn]);
            format!("AIDA{number:017X}")
        };
        let key = IssuedKey {
            account: account.clone(),
            identity: Identity {
                arn,
                role_arn: None,
                user_id,
                source_identity: None,
            },
            expires_at: None,
            secret: Some(secret.to_owned()),
            session_token: None,
        };
        self.keys.insert(access_key.to_owned(), key);
    }

    /// Whether a role would let itself be assumed with this external id: not when it was registered with another one, and one that was
    /// never registered as the switch `assume_unknown_roles` says.
    pub fn check_external_id(&self, role_arn: &str, given: Option<&str>) -> Result<(), AwsError> {
        let wanted = self
            .roles
            .get(role_arn)
            .and_then(|role| role.external_id.as_deref());
        let known = self.roles.contains_key(role_arn) || self.behavior.assume_unknown_roles;
        if known && (wanted.is_none() || wanted == given) {
            return Ok(());
        }
        Err(AwsError::with_status(
            403,
            "AccessDenied",
            format!(
                "The caller is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            ),
        ))
    }

    /// Gives out temporary credentials of a role. A role that was never registered trusts everybody.
    pub fn assume_role(
        &mut self,
        caller: &Caller,
        request: &AssumeRole,
    ) -> Result<AssumedRole, AwsError> {
        let (account, name) = role_parts(&request.role_arn)?;
        if !(900..=43_200).contains(&request.duration_seconds) {
            return Err(AwsError::new(
                "ValidationError",
                "DurationSeconds must be between 900 and 43200",
            ));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        let name_of_session = &request.session_name;
        if !(2..=64).contains(&name_of_session.len()) || !name_of_session.chars().all(word) {
            return Err(AwsError::new(
                "ValidationError",
                "RoleSessionName must be 2 to 64 letters, digits and characters of _+=,.@-",
            ));
        }
        let external_id = request.external_id.as_deref();
        let allowed = |c: char| word(c) || ":/".contains(c);
        if external_id
            .is_some_and(|id| !(2..=1_224).contains(&id.len()) || !id.chars().all(allowed))
        {
            return Err(AwsError::new(
                "ValidationError",
                "ExternalId must be 2 to 1224 letters, digits and characters of _+=,.@:/-",
            ));
        }
        let source = request.source_identity.as_deref();
        if source.is_some_and(|name| !(2..=64).contains(&name.len()) || !name.chars().all(word)) {
            return Err(AwsError::new(
                "ValidationError",
                "SourceIdentity must be 2 to 64 letters, digits and characters of _+=,.@-",
            ));
        }
        self.check_external_id(&request.role_arn, request.external_id.as_deref())?;
        let inherited = caller.identity.source_identity.as_deref();
        if source.is_some() && inherited.is_some() && source != inherited {
            return Err(AwsError::with_status(
                403,
                "AccessDenied",
                "The source identity of a session cannot be changed by the sessions that it opens",
            ));
        }
        let user_id = self.ids.key("AROA", 17);
        let identity = Identity {
            arn: format!(
                "arn:{}:sts::{account}:assumed-role/{name}/{}",
                regions::partition(&caller.region),
                request.session_name
            ),
            role_arn: Some(request.role_arn.clone()),
            user_id: format!("{user_id}:{}", request.session_name),
            source_identity: inherited.or(source).map(str::to_owned),
        };
        let expires_at = later(caller.now, request.duration_seconds.saturating_mul(1_000));
        let answer = AssumedRole {
            access_key_id: self.ids.key("ASIA", 16),
            secret_access_key: self.ids.key("", 40),
            session_token: self.ids.key("FwoG", 96),
            expires_at,
            identity: identity.clone(),
        };
        let key = IssuedKey {
            account,
            identity,
            expires_at: Some(expires_at),
            secret: Some(answer.secret_access_key.clone()),
            session_token: Some(answer.session_token.clone()),
        };
        self.keys.retain(|_, key| {
            let end = key.expires_at.map(|end| later(end, REMEMBERED_MS));
            end.is_none_or(|end| end > caller.now)
        });
        self.keys.insert(answer.access_key_id.clone(), key);
        Ok(answer)
    }
}

/// The account and the bare name of an IAM role ARN.
fn role_parts(arn: &str) -> Result<(AccountId, String), AwsError> {
    let wrong = || {
        AwsError::new(
            "ValidationError",
            format!("{arn:?} is not the ARN of a role"),
        )
    };
    let mut parts = arn.splitn(6, ':');
    let shape = (parts.next(), parts.nth(1), parts.next());
    if shape != (Some("arn"), Some("iam"), Some("")) {
        return Err(wrong());
    }
    let account = parts
        .next()
        .and_then(|a| a.parse().ok())
        .ok_or_else(wrong)?;
    let name = parts
        .next()
        .and_then(|resource| resource.strip_prefix("role/"))
        .and_then(|path| path.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .ok_or_else(wrong)?;
    Ok((account, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{START, caller, world};

    fn request(external_id: Option<&str>) -> AssumeRole {
        AssumeRole {
            role_arn: "arn:aws:iam::222222222222:role/portcullis".into(),
            session_name: "test".into(),
            external_id: external_id.map(str::to_owned),
            duration_seconds: 3_600,
            source_identity: None,
        }
    }

    #[test]
    fn an_assumed_role_acts_in_the_roles_account() {
        let mut world = world();
        let me = caller("111111111111");
        let answer = world.assume_role(&me, &request(None)).unwrap();
        let (account, identity) = world.who(&answer.access_key_id, &me.region, START).unwrap();
        assert_eq!(account.as_str(), "222222222222");
        assert_eq!(
            identity.arn,
            "arn:aws:sts::222222222222:assumed-role/portcullis/test"
        );
        let error = world
            .who(&answer.access_key_id, &me.region, answer.expires_at)
            .unwrap_err();
        assert_eq!(error.code, "ExpiredToken");
    }

    #[test]
    fn a_wrong_external_id_is_denied() {
        let mut world = world();
        let arn = request(None).role_arn;
        world.register_role(&arn, Some("secret".into())).unwrap();
        let me = caller("111111111111");
        for given in [None, Some("wrong")] {
            let error = world.assume_role(&me, &request(given)).unwrap_err();
            assert_eq!((error.code.as_str(), error.status), ("AccessDenied", 403));
        }
        assert!(world.assume_role(&me, &request(Some("secret"))).is_ok());
    }

    #[test]
    fn a_role_nobody_registered_is_denied_when_the_switch_says_so() {
        let mut world = world();
        let me = caller("111111111111");
        world.behavior.assume_unknown_roles = false;
        let error = world.assume_role(&me, &request(None)).unwrap_err();
        assert_eq!((error.code.as_str(), error.status), ("AccessDenied", 403));
        world.register_role(&request(None).role_arn, None).unwrap();
        assert!(world.assume_role(&me, &request(None)).is_ok());
    }

    #[test]
    fn sessions_with_impossible_names_and_durations_are_refused() {
        let mut world = world();
        let me = caller("111111111111");
        for (name, seconds, external_id) in [
            ("x", 3_600, None),
            ("a b", 3_600, None),
            ("test", 899, None),
            ("test", 43_201, None),
            ("test", 3_600, Some("x".to_owned())),
        ] {
            let request = AssumeRole {
                session_name: name.into(),
                duration_seconds: seconds,
                external_id,
                ..request(None)
            };
            let error = world.assume_role(&me, &request).unwrap_err();
            assert_eq!(error.code, "ValidationError", "{name} {seconds}");
        }
    }

    #[test]
    fn a_source_identity_follows_its_session_and_stays_what_it_is() {
        let mut world = world();
        let as_alice = AssumeRole {
            source_identity: Some("alice".into()),
            ..request(None)
        };
        let mut session = caller("111111111111");
        let first = world.assume_role(&session, &as_alice).unwrap();
        session.identity = first.identity;
        let next = world.assume_role(&session, &request(None)).unwrap();
        assert_eq!(next.identity.source_identity.as_deref(), Some("alice"));
        assert!(world.assume_role(&session, &as_alice).is_ok());
        for (name, code) in [("bob", "AccessDenied"), ("x", "ValidationError")] {
            let other = AssumeRole {
                source_identity: Some(name.into()),
                ..request(None)
            };
            let error = world.assume_role(&session, &other).unwrap_err();
            assert_eq!(error.code, code, "{name}");
        }
    }

    #[test]
    fn twelve_digits_are_an_account_and_other_keys_are_nobodys() {
        let world = world();
        let region = "eu-west-1".parse().unwrap();
        let who = |key| world.who(key, &region, START).unwrap().0.to_string();
        assert_eq!(who("123456789012"), "123456789012");
        assert_eq!(who("AKIAEXAMPLE"), "000000000000");
    }
}
