//! Client tokens: the same request twice has one effect, another request under the same token is refused.

use serde::{Deserialize, Serialize};

use super::{Caller, World, ids};
use crate::AwsError;

/// What a client token was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedToken {
    fingerprint: u64,
    resource: String,
}

impl World {
    /// The resource that an equal request with this token made before. A token is private to an account, a Region and an action.
    pub(crate) fn replayed<R: Serialize>(
        &self,
        caller: &Caller,
        action: &str,
        token: Option<&str>,
        request: &R,
    ) -> Result<Option<String>, AwsError> {
        let Some(token) = token else { return Ok(None) };
        if token.len() > 64 || !token.is_ascii() {
            return Err(AwsError::bad_value("ClientToken", token));
        }
        match self.tokens.get(&key(caller, action, token)) {
            None => Ok(None),
            Some(used) if used.fingerprint == fingerprint(request) => {
                Ok(Some(used.resource.clone()))
            }
            Some(_) => Err(AwsError::new(
                "IdempotentParameterMismatch",
                "The client token was used before with other parameters",
            )),
        }
    }

    /// Remembers what a request with a client token made.
    pub(crate) fn remember<R: Serialize>(
        &mut self,
        caller: &Caller,
        action: &str,
        token: Option<&str>,
        request: &R,
        resource: &str,
    ) {
        if let Some(token) = token {
            let used = UsedToken {
                fingerprint: fingerprint(request),
                resource: resource.to_owned(),
            };
            self.tokens.insert(key(caller, action, token), used);
        }
    }
}

fn key(caller: &Caller, action: &str, token: &str) -> String {
    format!("{} {} {action} {token}", caller.account, caller.region)
}

fn fingerprint<R: Serialize>(request: &R) -> u64 {
    // Requests are plain structs of strings, numbers and lists: writing them cannot fail.
    ids::hash(&serde_json::to_string(request).unwrap_or_default())
}
