//! Plans of agreements to cut connections, and their end: each is noted with the connection, and its consumer is told.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::agreement_standing::note;
use super::desk::{self, Note};
use super::give_access_for::shown;
use super::tell_consumer::tell_consumer;
use super::{AppContext, AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, Cuts};
use crate::domain::decision::AgreementState;
use crate::domain::ids::ConnectionId;
use crate::domain::lifecycle::{Notice, NoticeKind};
use crate::domain::review_desk::{Planner, ReviewStep, ScheduledRevocation};
use crate::store::{connections, planned_revocations};

/// The most plans that change in one transaction.
const MOST_PLANS: usize = 500;

/// Makes the plans of an agreement what they should be. Answers whether some are left for the next transaction.
pub(super) async fn carry_out_cuts(
    conn: &mut PgConnection,
    ctx: &AppContext,
    agreement: &Agreement,
    wanted: &Cuts,
    there: BTreeMap<ConnectionId, DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    let ended = agreement.state == AgreementState::Ended;
    // What was planned for the end of the grace stays, once that has come.
    let stands = |id: &ConnectionId, when: &DateTime<Utc>| match there.get(id) {
        Some(known) => ended || known == when,
        None => false,
    };
    let new = wanted.plans.iter().filter(|(id, when)| !stands(id, when));
    let mut new: Vec<(ConnectionId, DateTime<Utc>)> = new.map(|(id, at)| (*id, *at)).collect();
    let old = there
        .keys()
        .filter(|id| !ended && !wanted.plans.contains_key(id));
    let mut old: Vec<ConnectionId> = old.copied().collect();
    let more = new.len() + old.len() > MOST_PLANS;
    old.truncate(MOST_PLANS);
    new.truncate(MOST_PLANS - old.len());
    if new.is_empty() && old.is_empty() {
        return Ok(false);
    }
    let touched: Vec<ConnectionId> = new.iter().map(|(id, _)| *id).chain(old.clone()).collect();
    connections::lock_many(conn, &touched).await?;
    let actor = Actor::worker();
    let (mut planned, mut withdrawn) = (0, 0);
    for (id, when) in new {
        planned += usize::from(plan(conn, ctx, &actor, agreement, id, when, at).await?);
    }
    for id in old {
        withdrawn += usize::from(withdraw(conn, &actor, agreement, id, at).await?);
    }
    if planned > 0 {
        let first = wanted.plans.values().min();
        let after = json!({ "connections": planned, "at": first, "because": why(agreement) });
        note(
            conn,
            &actor,
            agreement.id,
            "agreement.plan_cuts",
            (None, Some(after)),
            None,
            at,
        )
        .await?;
    }
    if withdrawn > 0 {
        let after = json!({ "connections": withdrawn });
        let change = (None, Some(after));
        note(
            conn,
            &actor,
            agreement.id,
            "agreement.withdraw_cuts",
            change,
            None,
            at,
        )
        .await?;
    }
    Ok(more)
}

/// Why it cuts, in words.
fn why(agreement: &Agreement) -> String {
    let id = agreement.id;
    match agreement.over_quota {
        Some(over) => format!(
            "agreement {id} grants less than is connected since {}",
            over.since.to_rfc3339_opts(SecondsFormat::Secs, true)
        ),
        None => match agreement.cause {
            Some(cause) => format!("agreement {id} ended: {cause}"),
            None => format!("agreement {id} never came to be"),
        },
    }
}

async fn plan(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    agreement: &Agreement,
    id: ConnectionId,
    when: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    let before = desk::read(conn, ctx, id, at).await?;
    let planned = ScheduledRevocation {
        at: when,
        reason: why(agreement),
        by: actor.name.clone(),
        planner: Planner::Agreement(agreement.id),
    };
    // Somebody may have decided before the lock.
    if !planned_revocations::add(conn, id, &planned).await? {
        return Ok(false);
    }
    let note = Note {
        actor,
        id,
        step: ReviewStep::RevocationScheduled,
        reason: Some(&planned.reason),
        before: before.desk.revocation.as_ref().map(shown),
        details: Some(shown(&planned)),
        at,
    };
    desk::note(conn, note).await?;
    tell(
        conn,
        actor,
        agreement,
        id,
        (NoticeKind::AccessEnding, when),
        at,
    )
    .await?;
    Ok(true)
}

async fn withdraw(
    conn: &mut PgConnection,
    actor: &Actor,
    agreement: &Agreement,
    id: ConnectionId,
    at: DateTime<Utc>,
) -> Result<bool, AppError> {
    let own = Planner::Agreement(agreement.id);
    let Some(planned) = planned_revocations::take_back(conn, id, own).await? else {
        return Ok(false);
    };
    let reason = format!("agreement {} does not cut it any more", agreement.id);
    let note = Note {
        actor,
        id,
        step: ReviewStep::RevocationCancelled,
        reason: Some(&reason),
        before: Some(shown(&planned)),
        details: None,
        at,
    };
    desk::note(conn, note).await?;
    let told = (NoticeKind::AccessEndingCancelled, planned.at);
    tell(conn, actor, agreement, id, told, at).await?;
    Ok(true)
}

async fn tell(
    conn: &mut PgConnection,
    actor: &Actor,
    agreement: &Agreement,
    id: ConnectionId,
    (kind, ends_at): (NoticeKind, DateTime<Utc>),
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let notice = Notice {
        kind,
        since: at,
        content: json!({ "agreement_id": agreement.id, "ends_at": ends_at }),
    };
    tell_consumer(conn, actor, id, &notice, at).await
}
