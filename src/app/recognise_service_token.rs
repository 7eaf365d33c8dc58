//! Whose is a token that somebody shows? Asked with every request that carries one, so that what is revoked is revoked everywhere at once.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use chrono::{DateTime, TimeDelta, Utc};

use super::{AppContext, AppError, service_token_secret};
pub use crate::app::service_token_secret::PREFIX;
use crate::domain::ids::ServiceTokenId;
use crate::domain::role::Roles;
use crate::domain::service_token::Scope;
use crate::store::service_tokens::{self, Credentials};

/// How often the use of a token is noted.
pub const NOTED_EVERY: TimeDelta = TimeDelta::minutes(5);

/// A program that has proven itself.
#[derive(Debug)]
pub struct Program {
    /// Its token.
    pub id: ServiceTokenId,
    /// What it is trusted with.
    pub roles: Roles,
    /// What of that it is narrowed to.
    pub scopes: Option<Vec<Scope>>,
    /// When its token, or this secret of it, ends.
    pub expires_at: DateTime<Utc>,
    /// Whether its use is to be noted.
    pub note_use: bool,
}

/// What a token that is shown comes to.
#[derive(Debug)]
pub enum Recognised {
    /// It is good.
    Program(Program),
    /// It was good until its end.
    Expired,
    /// Somebody ended it.
    Revoked,
    /// It is none.
    Unknown,
}

/// What a token that is shown is known by, where it is shaped like one: its hash. Asks nobody.
pub fn fingerprint(text: &str) -> Option<[u8; 32]> {
    service_token_secret::read(text).map(|shown| shown.hash)
}

/// Looks a token up. Whether it exists is told only to whoever has its secret.
pub async fn recognise(ctx: &AppContext, text: &str) -> Result<Recognised, AppError> {
    let Some(shown) = service_token_secret::read(text) else {
        return Ok(Recognised::Unknown);
    };
    // Outside of any unit of work: nothing that the request does is seen by whether it may be done.
    let conn = &mut *ctx.acquire().await?;
    let Some(known) = service_tokens::credentials(conn, shown.id).await? else {
        return Ok(Recognised::Unknown);
    };
    let now = ctx.clock.now();
    let Some(ends) = secret_ends(&known, &shown.hash) else {
        return Ok(Recognised::Unknown);
    };
    if known.revoked {
        return Ok(Recognised::Revoked);
    }
    if ends <= now {
        return Ok(Recognised::Expired);
    }
    let noted = known.last_used_at;
    Ok(Recognised::Program(Program {
        id: shown.id,
        roles: known.roles,
        scopes: known.scopes,
        expires_at: ends,
        note_use: noted.is_none_or(|at| now - at >= NOTED_EVERY),
    }))
}

/// When the secret with this hash ends; `None` where it is not the token's. Both are compared, so that how long it takes says nothing.
fn secret_ends(known: &Credentials, hash: &[u8; 32]) -> Option<DateTime<Utc>> {
    let is = |kept: &[u8]| verify_slices_are_equal(kept, hash).is_ok();
    let current = is(&known.hash);
    let previous = known.previous.as_ref();
    let previous = previous.filter(|(kept, _)| is(kept));
    match (current, previous) {
        (true, _) => Some(known.expires_at),
        (false, Some((_, until))) => Some(known.expires_at.min(*until)),
        (false, None) => None,
    }
}

/// Notes that a token was used.
pub async fn note_use(ctx: &AppContext, id: ServiceTokenId) -> Result<(), AppError> {
    let conn = &mut *ctx.acquire().await?;
    let at = ctx.clock.now();
    service_tokens::note_use(conn, id, at, at - NOTED_EVERY).await?;
    Ok(())
}
