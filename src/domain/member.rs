//! Somebody who speaks for a consumer: an organisation, and a name within it. Pure.

use std::fmt;

use super::actor::Actor;
use super::ids::ConsumerId;

/// A caller of a consumer. What consumers may do takes one, and so cannot be done in the name of an organisation that was merely named in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    organisation: ConsumerId,
    name: String,
}

impl Member {
    /// Somebody of whom it is proven that they speak for the organisation.
    pub fn new(organisation: ConsumerId, name: impl Into<String>) -> Self {
        Self {
            organisation,
            name: name.into(),
        }
    }

    /// For whom.
    pub fn organisation(&self) -> ConsumerId {
        self.organisation
    }

    /// As the audit trail knows them: with the organisation, because another one, or the provider, may have somebody of the same name.
    pub fn actor(&self, request_id: impl Into<String>) -> Actor {
        Actor::person(self.to_string(), request_id)
    }
}

/// The name with the organisation before it.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organisation, self.name)
    }
}

/// The name within the organisation of an actor who spoke for it; `None` for everybody else.
pub fn name_within(organisation: ConsumerId, actor: &str) -> Option<&str> {
    actor
        .strip_prefix(organisation.to_string().as_str())?
        .strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_two_organisations_with_one_name_are_two_actors() {
        let [a, b] = [1, 2].map(|n| ConsumerId::from(uuid::Uuid::from_u128(n)));
        let [ann, other] = [a, b].map(|id| Member::new(id, "ann").actor("r").name);
        assert_ne!(ann, other);
        assert_eq!(name_within(a, &ann), Some("ann"));
        assert_eq!(name_within(a, &other), None);
        assert_eq!(name_within(a, "ann"), None);
        let nested = Member::new(a, "x/ann").to_string();
        assert_eq!(name_within(a, &nested), Some("x/ann"));
    }
}
