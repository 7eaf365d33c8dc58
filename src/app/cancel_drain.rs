//! Takes a drain back, as long as AWS has not been asked to delete the service, or has said that it did not.

use serde_json::json;

use super::drain_service::{locked, read};
use super::preconditions::ExpectedVersion;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::EndpointServiceId;
use crate::domain::judgement::Wake;
use crate::domain::lifecycle::{LifecycleVerb, Notice, NoticeKind};
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::{drain_progress, lifecycles};

/// Makes the service active again. AWS is made to follow what was desired all along; connections that were rejected stay rejected, because
/// there is no accept after a reject.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn cancel_drain(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    version: ExpectedVersion,
    reason: &str,
) -> Result<RegisteredService, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = locked(&mut tx, id, version, LifecycleVerb::CancelDrain).await?;
    if !lifecycles::cancel_drain(&mut tx, id, before.version, at).await? {
        return Err(AppError::internal("the service changed under its own lock"));
    }
    if let Some(said) = &before.lifecycle.said {
        let notice = Notice {
            kind: NoticeKind::ServiceDrainCancelled,
            since: at,
            content: json!({ "reason": reason }),
        };
        drain_progress::notify_of_cancel(&mut tx, id, said.at, &notice, actor).await?;
    }
    let drain = before.lifecycle.drain.as_ref();
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.cancel_drain",
        subject: Subject::EndpointService(id),
        before: Some(json!({
            "lifecycle": before.lifecycle.state, "version": before.version,
            "reject_at": drain.map(|d| d.reject_at), "then_delete": drain.is_some_and(|d| d.then_delete),
        })),
        after: Some(json!({ "lifecycle": "active", "version": before.version + 1 })),
        reason: Some(&reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    judge_wakes::wake(&mut tx, &Wake::Service(id), at).await?;
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}
