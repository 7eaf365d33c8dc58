//! Has agreements pay for connections.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::agreement_standing::Steps;
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::Unbound;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::store::agreement_bindings::{self, NewBinding};

/// Has an agreement pay for a connection from now on, in place of any other, and notes it with both. The caller has locked the agreement and the connection.
pub(super) async fn bind(
    conn: &mut PgConnection,
    actor: &Actor,
    agreement: AgreementId,
    connection: ConnectionId,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let one = NewBinding {
        agreement,
        connection,
        since: at,
    };
    bind_many(conn, actor, &[one], at).await
}

/// The same for many, each from a time of its own on.
pub(super) async fn bind_many(
    conn: &mut PgConnection,
    actor: &Actor,
    all: &[NewBinding],
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    if all.is_empty() {
        return Ok(());
    }
    let connections: Vec<ConnectionId> = all.iter().map(|one| one.connection).collect();
    let before = agreement_bindings::of_connections(conn, &connections).await?;
    let new = agreement_bindings::bind_many(conn, all).await?;
    let mut steps = Steps::of(actor, at);
    for one in all.iter().filter(|one| new.contains(&one.connection)) {
        if let Some(before) = before.get(&one.connection) {
            let after = json!({ "connection_id": one.connection, "because": Unbound::Moved, "agreement_id": one.agreement });
            steps.add(before.agreement, "agreement.unbind", (None, Some(after)));
        }
        let after = json!({ "connection_id": one.connection, "since": one.since });
        steps.add(one.agreement, "agreement.bind", (None, Some(after)));
    }
    steps.write(conn).await
}

/// Has nobody pay for connections any more.
pub(super) async fn unbind(
    conn: &mut PgConnection,
    actor: &Actor,
    connections: &[ConnectionId],
    why: Unbound,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let mut steps = Steps::of(actor, at);
    for row in agreement_bindings::unbind(conn, connections, why, at).await? {
        let after = json!({ "connection_id": row.connection, "because": why });
        steps.add(row.agreement, "agreement.unbind", (None, Some(after)));
    }
    steps.write(conn).await
}
