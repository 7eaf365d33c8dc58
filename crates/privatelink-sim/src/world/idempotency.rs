//! Client tokens: the same request twice has one effect, another request under the same token is refused.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Caller, World, ids, later};
use crate::{AwsError, Behavior};

/// What a client token was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedToken {
    fingerprint: u64,
    resource: String,
    /// Missing in older snapshots: such a token is remembered for ever.
    #[serde(default)]
    at: Option<DateTime<Utc>>,
}

impl UsedToken {
    fn is_forgotten(&self, behavior: &Behavior, now: DateTime<Utc>) -> bool {
        self.at
            .is_some_and(|at| later(at, behavior.client_token_ms) <= now)
    }
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
        let used = self
            .tokens
            .get(&key(caller, action, token))
            .filter(|used| !used.is_forgotten(&self.behavior, caller.now));
        match used {
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
        let Some(token) = token else { return };
        self.forget_tokens(caller.now);
        let used = UsedToken {
            fingerprint: fingerprint(request),
            resource: resource.to_owned(),
            at: Some(caller.now),
        };
        let key = key(caller, action, token);
        self.token_ages.push_back(key.clone());
        self.tokens.insert(key, used);
    }

    /// Forgets the tokens whose time is over, oldest first, so that a long run does not fill the memory with them.
    fn forget_tokens(&mut self, now: DateTime<Utc>) {
        while let Some(key) = self.token_ages.front() {
            let used = self.tokens.get(key);
            if used.is_some_and(|used| !used.is_forgotten(&self.behavior, now)) {
                break;
            }
            self.tokens.remove(key);
            self.token_ages.pop_front();
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

#[cfg(test)]
mod tests {
    use crate::world::testing::{PROVIDER, after, caller, load_balancer, new_service, world};

    #[test]
    fn a_client_token_is_forgotten_after_its_time_and_kept_no_longer() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let mut balancers = Vec::new();
        for name in ["a", "b", "c"] {
            balancers.push(load_balancer(&mut world, &me, name));
        }
        let first = new_service(&balancers[0], true);
        let second = new_service(&balancers[1], true);
        let made = world.create_service(&me, &first, Some("t")).unwrap().id;
        let day = world.behavior.client_token_ms;
        let late = after(&me, day - 1);
        assert_eq!(
            world.create_service(&late, &first, Some("t")).unwrap().id,
            made
        );
        let refused = world.create_service(&late, &second, Some("t"));
        assert_eq!(refused.unwrap_err().code, "IdempotentParameterMismatch");
        let over = after(&me, day);
        let other = world.create_service(&over, &second, Some("t")).unwrap().id;
        assert_ne!(other, made);
        let third = new_service(&balancers[2], true);
        world
            .create_service(&after(&me, 2 * day), &third, Some("u"))
            .unwrap();
        assert_eq!((world.tokens.len(), world.token_ages.len()), (1, 1));
    }
}
