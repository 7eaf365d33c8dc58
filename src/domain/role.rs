//! Roles: three steps, each with everything the one below it may do, and the auditor beside them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Auditor, Self::Approver, Self::Admin];

    /// How high it is on the ladder.
    const fn step(self) -> u8 {
        match self {
            Self::Viewer | Self::Auditor => 0,
            Self::Approver => 1,
            Self::Admin => 2,
        }
    }

    /// The name in a token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Approver => "approver",
            Self::Admin => "admin",
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
#[error("a role is one of viewer, auditor, approver and admin")]
pub struct UnknownRole;

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

    /// Says whether the roles reach the given role's step of the ladder.
    pub fn reach(&self, role: Role) -> bool {
        self.0.iter().any(|held| held.step() >= role.step())
    }

    /// Says whether the role is among them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Says whether whoever holds them can do all that the given role can.
    pub fn cover(&self, role: Role) -> bool {
        match role {
            Role::Viewer | Role::Approver | Role::Admin => self.reach(role),
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
                let expected = held.step() >= wanted.step();
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
        assert_eq!(covered(Role::Admin), Role::ALL);
    }

    #[test]
    fn foreign_names_grant_nothing() {
        let roles = Roles::from_names(["root", "ADMIN", "admin ", ""]);
        assert_eq!(roles, Roles::default());
        assert!(!roles.reach(Role::Viewer));
    }
}
