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
    audit::record(conn, entry(actor, id, notice, at)).await?;
    Ok(())
}

/// Notes several, each once for each occasion.
pub(super) async fn tell_consumers(
    conn: &mut PgConnection,
    actor: &Actor,
    all: &[(ConnectionId, Notice)],
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let news = notices::insert_many(conn, all, at).await?;
    let told = all.iter().filter(|(id, _)| news.contains(id));
    let entries = told.map(|(id, notice)| entry(actor, *id, notice, at));
    Ok(audit::record_many(conn, entries.collect()).await?)
}

fn entry<'a>(actor: &'a Actor, id: ConnectionId, notice: &Notice, at: DateTime<Utc>) -> Entry<'a> {
    Entry {
        at,
        actor,
        action: "connection.notify",
        subject: Subject::Connection(id),
        before: None,
        after: Some(json!({ "notice": notice.kind, "content": notice.content })),
        reason: None,
        decision: None,
    }
}
