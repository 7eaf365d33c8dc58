//! Who did something.

use super::text::text_enum;

text_enum!(
    /// The kinds of actors that audit entries and decisions name.
    ActorKind {
        /// Somebody with a token.
        Person = "person",
        /// A policy.
        Policy = "policy",
        /// The sync worker.
        Worker = "worker",
        /// AWS itself, or somebody who used AWS without us.
        Aws = "aws",
    }
);

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
