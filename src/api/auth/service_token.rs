//! Programs: a service token in place of a JWT.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::refusal::{AuthError, Reason};
use super::trust::Claims;
use crate::app::AppContext;
use crate::app::recognise_service_token::{self as tokens, NOTED_EVERY, Recognised};
use crate::domain::actor::{SERVICE_TOKEN, name_at};
use crate::domain::ids::ServiceTokenId;

/// More tokens than are in use anywhere; beyond that, what was noted is forgotten.
const MOST_NOTED: usize = 10_000;

/// What this process has seen of service tokens. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(in crate::api) struct TokenUses {
    /// Whose use it has noted lately, so that many requests at once note it once.
    noted: Arc<Mutex<HashMap<ServiceTokenId, DateTime<Utc>>>>,
    /// The hashes of tokens that were good when they were shown last. Only who has a good token gets in here.
    proven: Arc<Mutex<HashSet<[u8; 32]>>>,
}

impl TokenUses {
    /// Says whether nobody here has noted it lately, and takes that as done.
    fn first(&self, id: ServiceTokenId, now: DateTime<Utc>) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&id).is_some_and(|at| now - *at < NOTED_EVERY) {
            return false;
        }
        if noted.len() >= MOST_NOTED {
            noted.clear();
        }
        noted.insert(id, now);
        true
    }

    /// Whether a token has to be looked up that has not proven itself here: one shaped like a service token, of which there may be any number.
    pub(super) fn is_guess(&self, text: &str) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        tokens::fingerprint(text).is_some_and(|hash| !proven.contains(&hash))
    }

    fn prove(&self, text: &str, good: bool) {
        let Some(hash) = tokens::fingerprint(text) else {
            return;
        };
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if !good {
            proven.remove(&hash);
            return;
        }
        if proven.len() >= MOST_NOTED {
            proven.clear();
        }
        proven.insert(hash);
    }
}

/// Who shows a service token. Asks the database each time, so that one that is revoked is refused at once, by every replica.
pub(super) async fn identify(
    text: &str,
    ctx: Option<&AppContext>,
    uses: &TokenUses,
) -> Result<Claims, AuthError> {
    let ctx = ctx.ok_or(AuthError::Refused(Reason::ServiceToken))?;
    let recognised = tokens::recognise(ctx, text).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "a service token cannot be looked up");
        AuthError::LookupFailed
    })?;
    uses.prove(text, matches!(recognised, Recognised::Program(_)));
    let program = match recognised {
        Recognised::Program(program) => program,
        Recognised::Expired => return Err(AuthError::Expired),
        Recognised::Revoked => return Err(AuthError::Refused(Reason::Revoked)),
        Recognised::Unknown => return Err(AuthError::Refused(Reason::ServiceToken)),
    };
    if program.note_use && uses.first(program.id, ctx.clock.now()) {
        note(ctx.clone(), program.id);
    }
    Ok(Claims {
        subject: name_at(SERVICE_TOKEN, &program.id.to_string()),
        roles: program.roles,
        // A program speaks for the provider: nobody can make one a token for an organisation.
        organisation: None,
        scopes: program.scopes,
        expires_at: program.expires_at,
    })
}

/// Notes the use beside the request, which does not wait for it.
fn note(ctx: AppContext, id: ServiceTokenId) {
    tokio::spawn(async move {
        if let Err(error) = tokens::note_use(&ctx, id).await {
            tracing::warn!(%error, service_token.id = %id, "the use of a service token cannot be noted");
        }
    });
}
