//! Makes a token for a program.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;

use super::auth_settings::ServiceTokenRules;
use super::code::Code;
use super::{AppContext, AppError, service_token_secret, text};
use crate::domain::actor::Actor;
use crate::domain::ids::ServiceTokenId;
use crate::domain::role::{Role, Roles};
use crate::domain::service_token::{Scope, ServiceToken};
use crate::store::audit::{self, Entry, Subject};
use crate::store::service_tokens;

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// What the token shall be.
#[derive(Debug)]
pub struct NewServiceToken {
    /// What it is for.
    pub name: String,
    /// What it is trusted with.
    pub roles: Vec<Role>,
    /// What of that it is narrowed to; `None` is all of it.
    pub scopes: Option<Vec<Scope>>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// Makes a token that may do no more than whoever makes it, who holds the roles `held`. Answers with its secret, which is nowhere else.
#[tracing::instrument(skip_all)]
pub async fn make_service_token(
    ctx: &AppContext,
    rules: &ServiceTokenRules,
    actor: &Actor,
    held: &Roles,
    new: NewServiceToken,
) -> Result<(ServiceToken, SecretString), AppError> {
    let at = ctx.clock.now();
    let token = checked(rules, actor, held, new, at)?;
    let (secret, hash) = service_token_secret::make(token.id)?;
    let mut tx = ctx.begin().await?;
    if !service_tokens::insert(&mut tx, &token, &hash).await? {
        let detail = format!(
            "another service token is called {:?}; revoke it or choose another name",
            token.name
        );
        return Err(AppError::new(Code::ServiceTokenExists, detail).field("name"));
    }
    let entry = Entry {
        at,
        actor,
        action: "service_token.make",
        subject: Subject::ServiceToken(token.id),
        before: None,
        after: Some(json!({
            "name": token.name, "roles": token.roles, "scopes": token.scopes, "expires_at": token.expires_at,
        })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok((token, secret))
}

fn checked(
    limits: &ServiceTokenRules,
    actor: &Actor,
    held: &Roles,
    new: NewServiceToken,
    at: DateTime<Utc>,
) -> Result<ServiceToken, AppError> {
    let wrong =
        |field: String, detail: String| AppError::new(Code::InvalidRequest, detail).field(field);
    let name = text::checked_line("name", &new.name, LONGEST_NAME)?;
    if new.roles.is_empty() {
        return Err(wrong(
            "roles".to_owned(),
            "name at least one role".to_owned(),
        ));
    }
    for (index, role) in new.roles.iter().enumerate() {
        if !held.cover(*role) {
            let detail = format!("you do not have the role {role}, so no token of yours has it");
            return Err(wrong(format!("roles[{index}]"), detail));
        }
    }
    // In order and once each.
    let roles: BTreeSet<Role> = new.roles.into_iter().collect();
    let granted: Roles = roles.iter().copied().collect();
    let scopes = new.scopes.map(|scopes| -> Result<Vec<Scope>, AppError> {
        if scopes.is_empty() {
            let detail = "name at least one scope, or leave it out for all of the roles";
            return Err(wrong("scopes".to_owned(), detail.to_owned()));
        }
        for (index, scope) in scopes.iter().enumerate() {
            if !scope.is_granted_by(&granted) {
                let detail = format!("the roles do not grant the permission to {scope}");
                return Err(wrong(format!("scopes[{index}]"), detail));
            }
        }
        let once: BTreeSet<Scope> = scopes.into_iter().collect();
        Ok(once.into_iter().collect())
    });
    if new.expires_at <= at {
        let detail = "give a time that is yet to come";
        return Err(wrong("expires_at".to_owned(), detail.to_owned()));
    }
    if new.expires_at - at > limits.max_life {
        let most = limits.max_life.num_seconds();
        let detail = format!("a service token may be good for {most} seconds at most");
        return Err(wrong("expires_at".to_owned(), detail));
    }
    Ok(ServiceToken {
        id: ServiceTokenId::new(at),
        name,
        roles: roles.into_iter().collect(),
        scopes: scopes.transpose()?,
        made_at: at,
        made_by: actor.name.clone(),
        expires_at: new.expires_at,
        rotated: None,
        previous_until: None,
        last_used_at: None,
        revoked: None,
    })
}
