//! Tokens of programs: what they may do and how long. Pure.

use chrono::{DateTime, Utc};

use super::consumer::Said;
use super::ids::ServiceTokenId;
use super::role::{Role, Roles};
use super::text::text_enum;

text_enum!(
    /// A permission that a service token may be narrowed to.
    Scope {
        /// Reading everything but the audit trail.
        Read = "read",
        /// Reading the audit trail.
        Audit = "audit",
        /// Deciding about connections.
        Decide = "decide",
        /// Registering accounts and services, and all that an admin does but the management of service tokens.
        Manage = "manage",
    }
);

text_enum!(
    /// Where a service token stands.
    ServiceTokenState {
        /// It is good.
        Active = "active",
        /// Its time is over.
        Expired = "expired",
        /// Somebody ended it.
        Revoked = "revoked",
    }
);

impl Scope {
    /// Whether the roles grant it.
    pub fn is_granted_by(self, roles: &Roles) -> bool {
        match self {
            Self::Read => roles.reach(Role::Viewer),
            Self::Audit => roles.has(Role::Auditor) || roles.reach(Role::Admin),
            Self::Decide => roles.reach(Role::Approver),
            Self::Manage => roles.reach(Role::Admin),
        }
    }
}

/// A service token, without its secret.
#[derive(Debug, Clone)]
pub struct ServiceToken {
    /// Our id: the public part of the token.
    pub id: ServiceTokenId,
    /// What it is for.
    pub name: String,
    /// What it is trusted with.
    pub roles: Vec<Role>,
    /// What of that it is narrowed to; `None` is all of it.
    pub scopes: Option<Vec<Scope>>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Who made it.
    pub made_by: String,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it last got a new secret, and from whom.
    pub rotated: Option<(DateTime<Utc>, String)>,
    /// Until when the secret before goes on.
    pub previous_until: Option<DateTime<Utc>>,
    /// When it was last used, give or take a few minutes.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Who ended it, and why.
    pub revoked: Option<Said>,
}

impl ServiceToken {
    /// Where it stands at a time.
    pub fn state(&self, now: DateTime<Utc>) -> ServiceTokenState {
        if self.revoked.is_some() {
            ServiceTokenState::Revoked
        } else if self.expires_at <= now {
            ServiceTokenState::Expired
        } else {
            ServiceTokenState::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_granted_by_the_roles_that_have_the_permission() {
        let granted = |role: Role| {
            let roles = Roles::from_iter([role]);
            let all = Scope::ALL.iter().copied();
            all.filter(|scope| scope.is_granted_by(&roles))
                .collect::<Vec<_>>()
        };
        assert_eq!(granted(Role::Viewer), [Scope::Read]);
        assert_eq!(granted(Role::Auditor), [Scope::Read, Scope::Audit]);
        assert_eq!(granted(Role::Approver), [Scope::Read, Scope::Decide]);
        assert_eq!(granted(Role::Admin), Scope::ALL);
    }
}
