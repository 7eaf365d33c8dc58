//! Roles: three steps, each with everything the one below it may do, the auditor beside them, and the consumer outside.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ConsumerId;

/// What a person or a program is trusted with.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything but the audit trail, changes nothing.
    Viewer,
    /// Reads the audit trail too. Changes nothing, so that nobody audits what they did.
    Auditor,
    /// Decides about connections as well.
    Approver,
    /// Registers accounts and services as well.
    Admin,
    /// Speaks for an organisation that connects, and for nothing else: not a step of the provider's ladder.
    Consumer,
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Auditor,
        Self::Approver,
        Self::Admin,
        Self::Consumer,
    ];

    /// How high it is on the provider's ladder; `None` for whoever does not stand on it.
    const fn step(self) -> Option<u8> {
        match self {
            Self::Consumer => None,
            Self::Viewer | Self::Auditor => Some(0),
            Self::Approver => Some(1),
            Self::Admin => Some(2),
        }
    }

    /// The name in a token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Approver => "approver",
            Self::Admin => "admin",
            Self::Consumer => "consumer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or(UnknownRole)
    }
}

/// The text is not the name of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of viewer, auditor, approver, admin and consumer")]
pub struct UnknownRole;

/// Roles and organisation do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the role consumer goes with one organisation and with no other role")]
pub struct Ambiguous;

/// The roles that a token grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Keeps the names that are roles of ours and ignores the rest, so that a token may carry the
    /// roles of other systems too.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            names
                .into_iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
        )
    }

    /// Says whether the roles reach the given role's step of the provider's ladder. A consumer reaches none, and nobody reaches it.
    pub fn reach(&self, role: Role) -> bool {
        role.step()
            .is_some_and(|wanted| self.0.iter().any(|held| held.step() >= Some(wanted)))
    }

    /// The organisation that these roles speak for, by the claim `consumer` that came with them; `None` for the provider's people. Refused, because it
    /// could be read in two ways: the role consumer without an organisation or beside another role, and an organisation that a provider's role came with.
    pub fn organisation(&self, claim: Option<&str>) -> Result<Option<ConsumerId>, Ambiguous> {
        let speaks = self.has(Role::Consumer);
        match claim {
            Some(claim) if speaks && self.0.len() == 1 => {
                claim.parse().map(Some).map_err(|_| Ambiguous)
            }
            None if !speaks => Ok(None),
            // Whoever has no role of ours may do nothing anyway.
            Some(_) if self.0.is_empty() => Ok(None),
            _ => Err(Ambiguous),
        }
    }

    /// Says whether the role is among them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Says whether whoever holds them can do all that the given role can.
    pub fn cover(&self, role: Role) -> bool {
        match role {
            Role::Viewer | Role::Approver | Role::Admin => self.reach(role),
            Role::Consumer => self.has(role),
            Role::Auditor => self.has(role) || self.reach(Role::Admin),
        }
    }

    /// The roles, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Role> {
        self.0.iter().copied()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_serde_agree() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).expect("JSON"), role.name());
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
    }

    #[test]
    fn a_role_reaches_itself_and_everything_below() {
        for held in Role::ALL {
            for wanted in Role::ALL {
                let expected = wanted.step().is_some() && held.step() >= wanted.step();
                assert_eq!(Roles::from_iter([held]).reach(wanted), expected);
            }
        }
    }

    #[test]
    fn a_role_covers_what_it_can_do() {
        let covered = |held: Role| {
            let held = Roles::from_iter([held]);
            let all = Role::ALL.into_iter();
            all.filter(|role| held.cover(*role)).collect::<Vec<_>>()
        };
        assert_eq!(covered(Role::Viewer), [Role::Viewer]);
        assert_eq!(covered(Role::Auditor), [Role::Viewer, Role::Auditor]);
        assert_eq!(covered(Role::Approver), [Role::Viewer, Role::Approver]);
        assert_eq!(covered(Role::Admin), Role::ALL[..4]);
        // Nobody of the provider speaks for an organisation.
        assert_eq!(covered(Role::Consumer), [Role::Consumer]);
    }

    #[test]
    fn a_consumer_stands_on_no_step() {
        for other in Role::ALL {
            assert!(!Roles::from_iter([Role::Consumer]).reach(other), "{other}");
            assert!(!Roles::from_iter([other]).reach(Role::Consumer), "{other}");
        }
    }

    #[test]
    fn an_organisation_goes_with_the_role_consumer_alone() {
        let id = format!("cns_{}", "0".repeat(32));
        let consumer = Roles::from_iter([Role::Consumer]);
        assert_eq!(consumer.organisation(Some(&id)), Ok(id.parse().ok()));
        for bad in [
            "",
            "cns_",
            "acme",
            &id[4..],
            &format!("{id}0"),
            &format!(" {id}"),
        ] {
            assert_eq!(consumer.organisation(Some(bad)), Err(Ambiguous), "{bad:?}");
        }
        assert_eq!(consumer.organisation(None), Err(Ambiguous));
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Consumer) {
            let alone = Roles::from_iter([role]);
            let mixed = Roles::from_iter([role, Role::Consumer]);
            assert_eq!(alone.organisation(None), Ok(None), "{role}");
            assert_eq!(alone.organisation(Some(&id)), Err(Ambiguous), "{role}");
            assert_eq!(mixed.organisation(Some(&id)), Err(Ambiguous), "{role}");
            assert_eq!(mixed.organisation(None), Err(Ambiguous), "{role}");
        }
        assert_eq!(Roles::default().organisation(Some(&id)), Ok(None));
    }

    #[test]
    fn foreign_names_grant_nothing() {
        let roles = Roles::from_names(["root", "ADMIN", "admin ", ""]);
        assert_eq!(roles, Roles::default());
        assert!(!roles.reach(Role::Viewer));
    }
}
