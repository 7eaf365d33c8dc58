//! Who did something.

use super::ids::ServiceTokenId;
use super::text::text_enum;

text_enum!(
    /// The kinds of actors that audit entries and decisions name.
    ActorKind {
        /// Somebody with a token.
        Person = "person",
        /// A program with a service token.
        ServiceToken = "service_token",
        /// A policy.
        Policy = "policy",
        /// The sync worker.
        Worker = "worker",
        /// AWS itself, or somebody who used AWS without us.
        Aws = "aws",
    }
);

/// Stands between an issuer's name and the subject of its token in a caller's name. No issuer's name has it, and no bare subject.
pub const SEPARATOR: char = '|';

/// What stands in place of an issuer's name before the id of a service token. No issuer is called so.
pub const SERVICE_TOKEN: &str = "service-token";

impl ActorKind {
    /// The kind of a caller by name. The names of callers are made by those who check their tokens, so that a name is one caller's alone: an issuer's
    /// name, the separator and the subject; [`SERVICE_TOKEN`], the separator and the id; or the bare subject of a development token.
    pub fn of_caller(name: &str) -> Self {
        match name.split_once(SEPARATOR) {
            Some((SERVICE_TOKEN, _)) => Self::ServiceToken,
            _ => Self::Person,
        }
    }

    /// Whether it is somebody who sends requests, a person or a program.
    pub fn is_caller(self) -> bool {
        matches!(self, Self::Person | Self::ServiceToken)
    }
}

/// The name of a caller whom an issuer vouches for.
pub fn name_at(issuer: &str, subject: &str) -> String {
    format!("{issuer}{SEPARATOR}{subject}")
}

/// The service token that a caller is, by the caller's name.
pub fn service_token_of(name: &str) -> Option<ServiceTokenId> {
    let (kind, id) = name.split_once(SEPARATOR)?;
    id.parse().ok().filter(|_| kind == SERVICE_TOKEN)
}

/// Who did something, and in answer to which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// Its name: the token's subject, the policy's id, the worker's name.
    pub name: String,
    /// The HTTP request that caused it.
    pub request_id: Option<String>,
}

impl Actor {
    /// A person who sent a request.
    pub fn person(subject: impl Into<String>, request_id: impl Into<String>) -> Self {
        Self {
            kind: ActorKind::Person,
            name: subject.into(),
            request_id: Some(request_id.into()),
        }
    }

    /// Somebody who sent a request, by the name that their token gives them.
    pub fn caller(name: impl Into<String>, request_id: Option<String>) -> Self {
        let name = name.into();
        Self {
            kind: ActorKind::of_caller(&name),
            name,
            request_id,
        }
    }

    /// A policy, or a gate before the policies.
    pub fn policy(name: impl Into<String>) -> Self {
        Self {
            kind: ActorKind::Policy,
            name: name.into(),
            request_id: None,
        }
    }

    /// The worker.
    pub fn worker() -> Self {
        Self {
            kind: ActorKind::Worker,
            name: "worker".to_owned(),
            request_id: None,
        }
    }

    /// Time: what a person or a service's rules wanted to happen at a time, and that time has come.
    pub fn timer() -> Self {
        Self {
            kind: ActorKind::Policy,
            name: "timer".to_owned(),
            request_id: None,
        }
    }

    /// AWS, or somebody behind our back: Describe does not say which.
    pub fn aws() -> Self {
        Self {
            kind: ActorKind::Aws,
            name: "aws".to_owned(),
            request_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_service_tokens_are_called_service_tokens() {
        let kinds = [
            ("ada", ActorKind::Person),
            ("corp|ada", ActorKind::Person),
            ("corp|service-token|stk_1", ActorKind::Person),
            ("service-tokens|ada", ActorKind::Person),
            ("service-token", ActorKind::Person),
            ("service-token|stk_1", ActorKind::ServiceToken),
        ];
        for (name, kind) in kinds {
            assert_eq!(Actor::caller(name, None).kind, kind, "{name}");
        }
        assert_eq!(name_at("corp", "a|b"), "corp|a|b");
    }
}
