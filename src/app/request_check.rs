//! Asks the worker to look at a service now.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::admission::is_looked_after;
use super::code::Code;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::ids::EndpointServiceId;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{doctor, endpoint_services};

/// What whoever asked can go by.
#[derive(Debug, Clone, Copy)]
pub struct Requested {
    /// A `checked_at` at this time or later is the fresh one.
    pub requested_at: DateTime<Utc>,
    /// When the worker last looked.
    pub checked_at: Option<DateTime<Utc>>,
}

/// Makes the service due for a look, also one that is stalled. Asking again before the worker has looked changes nothing, so that asking often
/// costs AWS nothing.
pub async fn request_check(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
) -> Result<Requested, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let missing = || AppError::new(Code::ServiceNotFound, format!("there is no service {id}"));
    let service = endpoint_services::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    is_looked_after(&service)?;
    let checked_at = service.checks.map(|checks| checks.at);
    if let Some(requested_at) = doctor::request(&mut tx, id, at).await? {
        return Ok(Requested {
            requested_at,
            checked_at,
        });
    }
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.check",
        subject: Subject::EndpointService(id),
        before: Some(json!({ "checked_at": checked_at })),
        after: Some(json!({ "check_requested_at": at })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(Requested {
        requested_at: at,
        checked_at,
    })
}
