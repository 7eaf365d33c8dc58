//! A planned revocation of a re-judgement that is due: the connection is judged once more. Whoever has cured what it was rejected for keeps the access,
//! because AWS has no way back.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::desk::{self, Note};
use super::gather_facts::gather;
use super::give_access_for::shown;
use super::rejudge_step::judge;
use super::tell_consumer::tell_consumer;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::decision::Outcome;
use crate::domain::ids::{ConnectionId, RejudgementId};
use crate::domain::lifecycle::{Notice, NoticeKind};
use crate::domain::review_desk::{Planner, ReviewStep};
use crate::store::{PgConnection, planned_revocations, rejudged};

/// Takes the plan back where gates and policies do not reject the connection any more. The caller has locked the connection and shares its service and the
/// re-judgement. Answers whether it did.
pub(super) async fn spare(
    conn: &mut PgConnection,
    ctx: &AppContext,
    id: ConnectionId,
    rejudgement: RejudgementId,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    let known = gather(conn, &[id], at).await?;
    let decisions = judge(conn, ctx, known.cases(&[id], at)).await?;
    let rejected = |(_, decision): &(_, crate::domain::decision::Decision)| {
        decision.outcome == Outcome::Reject
    };
    if decisions.iter().all(rejected) {
        return Ok(false);
    }
    let own = Planner::Rejudgement(rejudgement);
    let Some(planned) = planned_revocations::take_back(conn, id, own).await? else {
        return Ok(false);
    };
    rejudged::record_spared(conn, rejudgement, id).await?;
    let timer = Actor::timer();
    let note = Note {
        actor: &timer,
        id,
        step: ReviewStep::RevocationCancelled,
        reason: Some("it is not rejected any more"),
        before: Some(shown(&planned)),
        details: None,
        at,
    };
    desk::note(conn, note).await?;
    let notice = Notice {
        kind: NoticeKind::AccessEndingCancelled,
        since: at,
        content: json!({ "rejudgement_id": rejudgement, "ends_at": planned.at }),
    };
    tell_consumer(conn, &timer, id, &notice, at).await?;
    Ok(true)
}
