//! Notes what the consumer of a connection is to be told, with its audit entry. Nothing is sent from here.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::ids::ConnectionId;
use crate::domain::lifecycle::Notice;
use crate::store::audit::{self, Entry, Subject};
use crate::store::notices;

/// Notes it once for each occasion, however often it is called.
pub(super) async fn tell_consumer(
    conn: &mut PgConnection,
    actor: &Actor,
    id: ConnectionId,
    notice: &Notice,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    if !notices::insert(conn, id, notice, at).await? {
        return Ok(());
    }
    let entry = Entry {
        at,
        actor,
        action: "connection.notify",
        subject: Subject::Connection(id),
        before: None,
        after: Some(json!({ "notice": notice.kind, "content": notice.content })),
        reason: None,
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}
