//! Gives a program's token another secret.

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::json;

use super::auth_settings::ServiceTokenRules;
use super::code::Code;
use super::read_service_tokens::{missing, revoked};
use super::{AppContext, AppError, service_token_secret};
use crate::domain::actor::Actor;
use crate::domain::ids::ServiceTokenId;
use crate::domain::role::Roles;
use crate::domain::service_token::{ServiceToken, ServiceTokenState};
use crate::store::audit::{self, Entry, Subject};
use crate::store::service_tokens;

/// Gives a token another secret; the one before goes on for `grace`, and one before that ends at once. It may do what it could, until when it could, so
/// whoever holds the roles `held` has to hold what it has: the secret is theirs to see.
#[tracing::instrument(skip_all, fields(service_token.id = %id))]
pub async fn rotate_service_token(
    ctx: &AppContext,
    rules: &ServiceTokenRules,
    actor: &Actor,
    held: &Roles,
    id: ServiceTokenId,
    grace: TimeDelta,
) -> Result<(ServiceToken, SecretString), AppError> {
    if grace < TimeDelta::zero() || grace > rules.max_rotation_grace {
        let most = rules.max_rotation_grace.num_seconds();
        let detail = format!("the secret before may go on for 0 to {most} seconds");
        return Err(AppError::new(Code::InvalidRequest, detail).field("grace_seconds"));
    }
    let mut tx = ctx.begin().await?;
    let before = service_tokens::locked(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let at = ctx.clock.now();
    match (before.state(at), &before.revoked) {
        (ServiceTokenState::Active, _) => {}
        (_, Some(said)) => return Err(revoked(said)),
        _ => {
            let detail = "its time is over; make another one";
            return Err(AppError::new(Code::ServiceTokenEnded, detail));
        }
    }
    if let Some(role) = before.roles.iter().find(|role| !held.cover(**role)) {
        let detail = format!("you do not have the role {role}, which the token has");
        return Err(AppError::new(Code::Forbidden, detail));
    }
    let (secret, hash) = service_token_secret::make(id)?;
    let until = (grace > TimeDelta::zero()).then(|| at + grace);
    if !service_tokens::rotate(&mut tx, id, &hash, until, at, &actor.name).await? {
        return Err(AppError::internal("the token changed under its own lock"));
    }
    let entry = Entry {
        at,
        actor,
        action: "service_token.rotate",
        subject: Subject::ServiceToken(id),
        before: None,
        after: Some(json!({ "previous_until": until })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    let after = ServiceToken {
        rotated: Some((at, actor.name.clone())),
        previous_until: until,
        ..before
    };
    Ok((after, secret))
}
