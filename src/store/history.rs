//! The history of one connection, put together from what each writer recorded.

use super::{PgConnection, StoreError};
use crate::domain::history::{HistoryEntry, HistoryEvent, StepDetails};
use crate::domain::ids::{ConnectionId, DecisionId, DriftId};
use crate::domain::review_desk::ReviewStep;

/// The most entries of one kind that a history shows, newest kept. A connection that flaps for years must not fill a response.
pub const MOST_OF_A_KIND: i64 = 200;

/// How many of the newest audit entries are looked through for steps of the review: most are, and whatever else fills a trail must not make a read slow.
const LOOKED_THROUGH: i64 = 1_000;

/// Everything that happened to a connection, oldest first.
pub async fn of_connection(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let broken = |what: String| StoreError::inconsistent("connections", id, what);
    let mut all = Vec::new();

    let rows = sqlx::query!(
        "SELECT at, from_state, to_state FROM observations WHERE connection_id = $1 ORDER BY at DESC LIMIT $2",
        id as _,
        MOST_OF_A_KIND,
    )
    .fetch_all(&mut *conn)
    .await?;
    all.extend(rows.into_iter().map(|row| HistoryEntry {
        at: row.at,
        event: HistoryEvent::Observed {
            from: row.from_state,
            to: row.to_state,
        },
    }));

    // Before the decisions: a step that led to one happened at the same time.
    all.extend(steps(&mut *conn, id).await?);

    let rows = sqlx::query!(
        r#"SELECT id AS "id: DecisionId", decided_at, verb, actor_kind, actor, reason, message, ticket_url, reason_code
             FROM decisions WHERE connection_id = $1 ORDER BY id DESC LIMIT $2"#,
        id as _,
        MOST_OF_A_KIND,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        all.push(HistoryEntry {
            at: row.decided_at,
            event: HistoryEvent::Decided {
                decision_id: row.id,
                verb: row.verb.parse().map_err(broken)?,
                actor_kind: row.actor_kind.parse().map_err(broken)?,
                actor: row.actor,
                reason: row.reason,
                message: row.message,
                ticket_url: row.ticket_url,
                reason_code: row.reason_code,
            },
        });
    }

    let rows = sqlx::query!(
        r#"SELECT at, decision_id AS "decision_id: DecisionId", act, outcome, aws_code, message
             FROM sync_attempts WHERE connection_id = $1 ORDER BY at DESC LIMIT $2"#,
        id as _,
        MOST_OF_A_KIND,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        all.push(HistoryEntry {
            at: row.at,
            event: HistoryEvent::Called {
                act: row.act.parse().map_err(broken)?,
                decision_id: row.decision_id,
                outcome: row.outcome,
                aws_code: row.aws_code,
                message: row.message,
            },
        });
    }

    let rows = sqlx::query!(
        r#"SELECT id AS "id: DriftId", state, detected_at, kind, review_state AS "review_state!",
                  observed_state AS "observed_state!", resolved_at
             FROM drifts WHERE connection_id = $1 ORDER BY id DESC LIMIT $2"#,
        id as _,
        MOST_OF_A_KIND,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        all.push(HistoryEntry {
            at: row.detected_at,
            event: HistoryEvent::Drifted {
                drift_id: row.id,
                state: row.state.parse().map_err(broken)?,
                kind: row.kind.parse().map_err(broken)?,
                review: row.review_state.parse().map_err(broken)?,
                observed: row.observed_state,
                resolved_at: row.resolved_at,
            },
        });
    }

    all.extend(notices(conn, id).await?);
    all.sort_by_key(|entry| entry.at);
    Ok(all)
}

/// The steps of its review that decided nothing. The audit trail has them.
async fn steps(conn: &mut PgConnection, id: ConnectionId) -> Result<Vec<HistoryEntry>, StoreError> {
    let actions: Vec<String> = ReviewStep::ALL
        .iter()
        .map(|step| step.action().to_owned())
        .collect();
    let rows = sqlx::query!(
        "SELECT at, action, actor_kind, actor, reason, after
           FROM (SELECT * FROM audit_entries WHERE subject_id = $1 AND subject_kind = 'connection' ORDER BY at DESC, id DESC LIMIT $4) AS newest
          WHERE action = ANY($2) ORDER BY at DESC, id DESC LIMIT $3",
        id as _,
        &actions,
        MOST_OF_A_KIND,
        LOOKED_THROUGH,
    )
    .fetch_all(conn)
    .await?;
    // Newest first here, and turned round for those that happened at the same time.
    rows.into_iter()
        .rev()
        .map(|row| {
            let broken = |what: String| StoreError::inconsistent("audit_entries", id, what);
            let step = ReviewStep::of_action(&row.action)
                .ok_or_else(|| broken(format!("{:?} is no step", row.action)))?;
            Ok(HistoryEntry {
                at: row.at,
                event: HistoryEvent::Reviewed {
                    step,
                    actor_kind: row.actor_kind.parse().map_err(broken)?,
                    actor: row.actor,
                    reason: row.reason,
                    details: row.after.map(StepDetails),
                },
            })
        })
        .collect()
}

/// What the consumer is to be told.
async fn notices(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let rows = sqlx::query!(
        "SELECT at, kind, content FROM connection_notices WHERE connection_id = $1 ORDER BY at DESC LIMIT $2",
        id as _,
        MOST_OF_A_KIND,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: String| StoreError::inconsistent("connections", id, what);
            Ok(HistoryEntry {
                at: row.at,
                event: HistoryEvent::Notified {
                    notice: row.kind.parse().map_err(broken)?,
                    content: row.content,
                },
            })
        })
        .collect()
}
