//! Permissions: what a handler asks of its caller, as a type in its signature.

use crate::domain::role::{Role, Roles};

/// Something a handler may demand of its caller.
pub trait Permission: 'static {
    /// The name that a refusal shows, and that a service token may be narrowed to.
    const NAME: &'static str;

    /// Whether it is for people alone, whatever a service token is trusted with.
    const FOR_PEOPLE: bool = false;

    /// Says whether the roles grant it.
    fn allowed(roles: &Roles) -> bool;
}

/// Reading anything: viewers and above.
#[derive(Debug, Clone, Copy)]
pub struct Read;

/// Deciding about connections: approvers and above.
#[derive(Debug, Clone, Copy)]
pub struct Decide;

/// Registering accounts and services: admins.
#[derive(Debug, Clone, Copy)]
pub struct Manage;

/// Reading the audit trail: auditors and admins.
#[derive(Debug, Clone, Copy)]
pub struct Audit;

/// Managing the tokens of programs: admins, and only if they are people, so that a stolen token makes no others.
#[derive(Debug, Clone, Copy)]
pub struct ManageTokens;

impl Permission for ManageTokens {
    const NAME: &'static str = "manage-tokens";
    const FOR_PEOPLE: bool = true;

    fn allowed(roles: &Roles) -> bool {
        roles.reach(Role::Admin)
    }
}

/// Seeing and asking for what is an organisation's own: those who speak for it, and nobody of the provider's.
#[derive(Debug, Clone, Copy)]
pub struct Own;

impl Permission for Own {
    const NAME: &'static str = "own";

    fn allowed(roles: &Roles) -> bool {
        roles.has(Role::Consumer)
    }
}

impl Permission for Audit {
    const NAME: &'static str = "audit";

    fn allowed(roles: &Roles) -> bool {
        roles.has(Role::Auditor) || roles.reach(Role::Admin)
    }
}

impl Permission for Read {
    const NAME: &'static str = "read";

    fn allowed(roles: &Roles) -> bool {
        roles.reach(Role::Viewer)
    }
}

impl Permission for Decide {
    const NAME: &'static str = "decide";

    fn allowed(roles: &Roles) -> bool {
        roles.reach(Role::Approver)
    }
}

impl Permission for Manage {
    const NAME: &'static str = "manage";

    fn allowed(roles: &Roles) -> bool {
        roles.reach(Role::Admin)
    }
}
