//! Has an agreement pay for a connection.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::agreement_standing::note;
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::Unbound;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::store::agreement_bindings;

/// Has an agreement pay for a connection from a time on, in place of any other, and notes it with both, as of now. The caller has locked the agreement and the connection.
pub(super) async fn bind(
    conn: &mut PgConnection,
    actor: &Actor,
    agreement: AgreementId,
    connection: ConnectionId,
    since: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let before = agreement_bindings::of_connections(conn, &[connection]).await?;
    let before = before.get(&connection).map(|row| row.agreement);
    if !agreement_bindings::bind(conn, agreement, connection, since).await? {
        return Ok(());
    }
    if let Some(before) = before {
        let after = json!({ "connection_id": connection, "because": Unbound::Moved, "agreement_id": agreement });
        let change = (None, Some(after));
        note(conn, actor, before, "agreement.unbind", change, None, at).await?;
    }
    let change = (
        None,
        Some(json!({ "connection_id": connection, "since": since })),
    );
    note(conn, actor, agreement, "agreement.bind", change, None, at).await
}

/// Has nobody pay for connections any more.
pub(super) async fn unbind(
    conn: &mut PgConnection,
    actor: &Actor,
    connections: &[ConnectionId],
    why: Unbound,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    for row in agreement_bindings::unbind(conn, connections, why, at).await? {
        let after = json!({ "connection_id": row.connection, "because": why });
        let change = (None, Some(after));
        note(
            conn,
            actor,
            row.agreement,
            "agreement.unbind",
            change,
            None,
            at,
        )
        .await?;
    }
    Ok(())
}
