//! Changes who may connect to a service, on behalf of what is larger than the service: blocks, access requests, and the end of access.

use chrono::{DateTime, Utc};

use super::change_service::differences;
use super::principals::has_everybody;
use super::settle_service_drift::settle_by_change;
use super::{AppError, PgConnection, sold_services};
use crate::domain::actor::Actor;
use crate::domain::endpoint_service::RegisteredService;
use crate::store::audit::{self, Entry, Subject};
use crate::store::service_changes;

/// Records other principals of a service that the caller has locked, as a change by a person does: the next version, the settled drifts, the audit entry,
/// and AWS due. `opens` is whether somebody confirmed that everybody may connect unasked. Answers false where the service cannot be changed, and refuses to open one
/// that is sold.
pub(super) async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    before: &RegisteredService,
    principals: Vec<String>,
    opens: bool,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    sold_services::refuse_everybody(conn, before, &principals).await?;
    let mut after = before.clone();
    after.allowed_principals = principals;
    after.open_to_everybody =
        opens && !after.acceptance_required && has_everybody(&after.allowed_principals);
    if !service_changes::record_desired(conn, &after, at).await? {
        return Ok(false);
    }
    settle_by_change(conn, actor, &after, reason, at).await?;
    let (old, new) = differences(before, &after);
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.change",
        subject: Subject::EndpointService(before.id),
        before: Some(old),
        after: Some(new),
        reason: Some(reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(true)
}
