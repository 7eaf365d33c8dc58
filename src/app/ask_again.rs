//! Asks for a re-judgement of what is live where something changed that it was accepted by, in the transaction of that change.
//!
//! So a preview of who would lose their access lies ready, for a person to apply or not: nothing is cut off by itself. It is asked for whether or not anything
//! is concerned, because that is what the preview says.

use serde_json::json;

use super::decide_connection::LONGEST_REASON;
use super::rejudge::{self, audit, changed};
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::consumer::Said;
use crate::domain::ids::RejudgementId;
use crate::domain::rejudgement::{Cancelled, Rejudgement, RejudgementState, Scope};
use crate::store::{PgConnection, rejudgement_steps, rejudgements};

/// Asks in the name of whoever made the change. Previews of the very scope that nobody has applied are cancelled: what they say was true before the change.
///
/// Shares the service or the consumer of the scope, then locks re-judgements.
pub(super) async fn ask_again(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    scope: &Scope,
    reason: &str,
) -> Result<RejudgementId, AppError> {
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    let asked = rejudge::ask_within(conn, ctx, actor, scope, &reason).await?;
    for old in rejudgements::unapplied_beside(conn, scope, asked.id).await? {
        supersede(conn, actor, &old, &asked).await?;
    }
    Ok(asked.id)
}

/// Cancels a preview for a newer one. It has planned nothing, so there is nothing to take back.
async fn supersede(
    conn: &mut PgConnection,
    actor: &Actor,
    old: &Rejudgement,
    new: &Rejudgement,
) -> Result<(), AppError> {
    let at = new.asked.at;
    let cancelled = Cancelled {
        said: Said {
            at,
            by: actor.name.clone(),
            reason: format!("{} was asked for in its place", new.id),
        },
        request_id: actor.request_id.clone(),
        after: None,
        taken_back: 0,
        ended_at: Some(at),
    };
    let (from, to) = (old.state, RejudgementState::Cancelled);
    if !rejudgement_steps::record_cancelled(conn, old.id, from, to, &cancelled).await? {
        return Err(changed());
    }
    let (was, after) = (
        json!({ "state": from }),
        json!({ "state": to, "superseded_by": new.id }),
    );
    let action = "rejudgement.supersede";
    audit(
        conn,
        actor,
        action,
        old.id,
        Some(was),
        after,
        &cancelled.said,
    )
    .await
}
