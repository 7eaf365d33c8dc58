//! Takes access away: a principal of a service, an account of a consumer, or what an access request gave.
//!
//! Here only the word is given: in one transaction the principals are taken out of what is desired, the membership is closed, and requests do not stand any
//! more. [`super::end_access_step`] then plans the end of each connection, part by part. From the commit on nothing of it is accepted
//! (`consumer_gate`), so nothing slips in between.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use super::access_plan::{self, Plan, Preview};
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::{
    AppContext, AppError, PgConnection, ask_access, change_principals, consumer_accounts,
    drain_service, held_principals, principals, text,
};
use crate::domain::access_removal::{AccessRemoval, Cause, RemovalState};
use crate::domain::access_request::{AccessNoticeKind, AccessRequestState, AccessVerb};
use crate::domain::actor::Actor;
use crate::domain::block::Extent;
use crate::domain::consumer::Said;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{AccessRemovalId, AccessRequestId, EndpointServiceId};
use crate::domain::judgement::Wake;
use crate::store::access_removals::Concerned;
use crate::store::agreement_grants::Held;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{
    access_removals, access_request_parts as parts, access_requests, access_work, judge_wakes,
    parties, service_changes,
};

/// The longest grace.
pub const LONGEST_GRACE: TimeDelta = TimeDelta::days(90);

/// Says what taking access away would do, now.
pub async fn preview(ctx: &AppContext, cause: Cause) -> Result<Preview, AppError> {
    let cause = normalised(cause)?;
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    access_plan::look(conn, &cause).await
}

/// How access is to end.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What is taken away.
    pub cause: Cause,
    /// What the caller was shown; where it is something else by now, nothing is done.
    pub confirmed: Extent,
    /// How long connections keep access.
    pub grace: TimeDelta,
    /// Whether it is meant also where agreements in force stand on principals that go.
    pub confirm_principals_of_agreements: bool,
    /// Why.
    pub reason: String,
}

/// Takes access away. Principals go at once; connections have the grace.
#[tracing::instrument(skip_all)]
pub async fn end_access(
    ctx: &AppContext,
    actor: &Actor,
    ending: Ending,
) -> Result<AccessRemoval, AppError> {
    let reason = text::checked("reason", &ending.reason, LONGEST_REASON)?;
    let cause = normalised(ending.cause)?;
    if ending.grace < TimeDelta::zero() || ending.grace > LONGEST_GRACE {
        let detail = format!("a grace has at most {} days", LONGEST_GRACE.num_days());
        return Err(AppError::new(Code::InvalidRequest, detail).field("grace_seconds"));
    }
    let mut tx = ctx.begin().await?;
    let (plan, extent) = locked(&mut tx, &cause).await?;
    if extent != ending.confirmed {
        let detail = format!(
            "it is {} connections and {} principals now; look at the preview again and confirm these",
            extent.connections, extent.principals
        );
        return Err(AppError::new(Code::PreviewChanged, detail).field("confirm"));
    }
    let confirmed = ending.confirm_principals_of_agreements;
    let held = held_principals::confirm(&mut tx, &plan.all_that_go(), confirmed).await?;
    let given = Given {
        cause,
        extent,
        grace: ending.grace,
        reason,
        held,
    };
    let removal = begin(&mut tx, ctx, actor, &plan, given, AccessVerb::Revoke).await?;
    ctx.commit(tx).await?;
    Ok(removal)
}

/// Ends a request whose time is over: one that waits is closed, access that was given is taken away by the same steps as by a person. Answers whether there
/// was something to do.
#[tracing::instrument(skip_all, fields(access_request.id = %id))]
pub async fn expire(ctx: &AppContext, id: AccessRequestId) -> Result<bool, AppError> {
    let mut tx = ctx.begin().await?;
    let seen = access_requests::by_id(&mut tx, id).await?;
    let seen = seen.ok_or_else(|| ask_access::missing(id))?;
    let timer = Actor::timer();
    if seen.state == AccessRequestState::Approved {
        let cause = Cause::AccessRequest(id);
        let (plan, extent) = match locked(&mut tx, &cause).await {
            // Somebody took it away meanwhile.
            Err(error) if error.code() == Code::AccessRequestNotApproved => return Ok(false),
            other => other?,
        };
        let given = Given {
            cause,
            extent,
            grace: TimeDelta::zero(),
            reason: expired(seen.expires_at),
            // What an agreement stands on as well stays.
            held: Vec::new(),
        };
        begin(&mut tx, ctx, &timer, &plan, given, AccessVerb::Expire).await?;
        ctx.commit(tx).await?;
        return Ok(true);
    }
    let request = access_requests::locked(&mut tx, id).await?;
    let Some(request) = request.filter(|row| row.state == AccessRequestState::Pending) else {
        return Ok(false);
    };
    let at = ctx.clock.now();
    parts::close(&mut tx, id).await?;
    let said = Said {
        at,
        by: timer.name.clone(),
        reason: expired(request.expires_at),
    };
    end_request(&mut tx, &timer, id, AccessVerb::Expire, &said, at).await?;
    ctx.commit(tx).await?;
    Ok(true)
}

fn expired(end: Option<DateTime<Utc>>) -> String {
    let said = |end: DateTime<Utc>| end.to_rfc3339_opts(SecondsFormat::Secs, true);
    let end = end.map(said).unwrap_or_default();
    format!("access was asked for until {end}")
}

/// Brings a principal to the form that it is stored in.
fn normalised(cause: Cause) -> Result<Cause, AppError> {
    match cause {
        Cause::Principal { service, principal } => {
            let principal = principals::normalised("cause.principal", &principal)?;
            Ok(Cause::Principal { service, principal })
        }
        other => Ok(other),
    }
}

/// What goes, with everything that it depends on locked: the account and its consumer, the services, the request.
async fn locked(conn: &mut PgConnection, cause: &Cause) -> Result<(Plan, Extent), AppError> {
    let seen = access_plan::plan(conn, cause).await?;
    if let Some(account) = &seen.account {
        parties::lock(conn, account).await?;
    }
    let services: BTreeSet<EndpointServiceId> = seen.services().into_iter().collect();
    for service in &services {
        service_changes::lock(conn, *service).await?;
    }
    if let Cause::AccessRequest(id) = cause {
        access_requests::locked(conn, *id).await?;
    }
    let plan = access_plan::plan(conn, cause).await?;
    if plan.services().iter().any(|id| !services.contains(id)) {
        let detail = "another service is concerned since; look at the preview again";
        return Err(AppError::new(Code::PreviewChanged, detail).field("confirm"));
    }
    let (_, extent) = access_plan::count(conn, &plan).await?;
    Ok((plan, extent))
}

/// What is taken away, and how.
struct Given {
    cause: Cause,
    extent: Extent,
    grace: TimeDelta,
    reason: String,
    /// Principals that go although agreements in force stand on them.
    held: Vec<Held>,
}

async fn begin(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    plan: &Plan,
    given: Given,
    verb: AccessVerb,
) -> Result<AccessRemoval, AppError> {
    let at = ctx.clock.now();
    let mut membership = None;
    if let Cause::Account { consumer, account } = &given.cause {
        let why = given.reason.clone();
        let row = consumer_accounts::close(conn, ctx, actor, *consumer, account, why).await?;
        membership = Some(row.id);
    }
    let removal = AccessRemoval {
        id: AccessRemovalId::new(at),
        account: plan.account.clone(),
        state: if given.grace > TimeDelta::zero() {
            RemovalState::Grace
        } else {
            RemovalState::Ending
        },
        actor: actor.clone(),
        at,
        reason: given.reason,
        ends_at: at + given.grace,
        confirmed: given.extent,
        membership,
        done_at: None,
        cancelled: None,
        cause: given.cause,
    };
    access_removals::insert(conn, &removal).await?;
    for door in &plan.doors {
        let service = door.door.service;
        let row = if door.later.is_empty() {
            let before = drain_service::read(conn, service).await?;
            take(conn, &removal, &before, &door.goes, at).await?
        } else {
            Concerned {
                service,
                principals: door.later.clone(),
                was_open: false,
                version: None,
            }
        };
        access_removals::note_service(conn, removal.id, &row).await?;
    }
    parts::set_standing(conn, &plan.requests, false).await?;
    access_removals::note_requests(conn, removal.id, &plan.requests).await?;
    let said = Said {
        at,
        by: actor.name.clone(),
        reason: removal.reason.clone(),
    };
    for request in parts::without_standing(conn, &plan.requests).await? {
        end_request(conn, actor, request, verb, &said, removal.ends_at).await?;
    }
    let woken = match &removal.account {
        Some(account) => Wake::Account(account.clone()),
        None => Wake::All,
    };
    judge_wakes::wake(conn, &woken, at).await?;
    let mut after = json!({
        "cause": removal.cause.kind(), "account_id": removal.account, "service_ids": plan.services(), "ends_at": removal.ends_at,
        "connections": removal.confirmed.connections, "principals": removal.confirmed.principals,
    });
    if let Some(agreements) = held_principals::on_record(&given.held) {
        after["principals_of_agreements"] = agreements;
    }
    let entry = Entry {
        at,
        actor,
        action: "access_removal.begin",
        subject: Subject::AccessRemoval(removal.id),
        before: None,
        after: Some(after),
        reason: Some(&removal.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(removal)
}

/// Takes principals out of what is desired of a service that the caller has locked, and has them not come back with a block. AWS follows by the ordinary
/// sync.
pub(super) async fn take(
    conn: &mut PgConnection,
    removal: &AccessRemoval,
    before: &RegisteredService,
    goes: &[String],
    at: DateTime<Utc>,
) -> Result<Concerned, AppError> {
    access_work::forget_in_blocks(conn, before.id, goes, at).await?;
    let (gone, stay): (Vec<String>, Vec<String>) = before
        .allowed_principals
        .iter()
        .cloned()
        .partition(|principal| goes.contains(principal));
    let mut row = Concerned {
        service: before.id,
        principals: goes.to_vec(),
        was_open: before.open_to_everybody,
        version: Some(before.version),
    };
    if gone.is_empty() {
        return Ok(row);
    }
    let why = removal.words();
    if !change_principals::record(
        conn,
        &removal.actor,
        before,
        stay,
        before.open_to_everybody,
        &why,
        at,
    )
    .await?
    {
        return Err(AppError::internal("the service changed under its own lock"));
    }
    row.version = Some(before.version + 1);
    Ok(row)
}

/// Ends a request with its notice and audit entry.
async fn end_request(
    conn: &mut PgConnection,
    actor: &Actor,
    id: AccessRequestId,
    verb: AccessVerb,
    said: &Said,
    ends_at: DateTime<Utc>,
) -> Result<(), AppError> {
    let (state, notice, action) = match verb {
        AccessVerb::Expire => (
            AccessRequestState::Expired,
            AccessNoticeKind::Expired,
            "access_request.expire",
        ),
        _ => (
            AccessRequestState::Revoked,
            AccessNoticeKind::Revoked,
            "access_request.revoke",
        ),
    };
    if !access_requests::record_end(conn, id, state, said).await? {
        return Err(AppError::internal("the request changed under its own lock"));
    }
    let told = json!({ "ends_at": ends_at });
    access_requests::notify(conn, id, notice, &told, said.at).await?;
    let entry = Entry {
        at: said.at,
        actor,
        action,
        subject: Subject::AccessRequest(id),
        before: None,
        after: Some(json!({ "state": state, "ends_at": ends_at })),
        reason: Some(&said.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

pub(super) fn missing(id: AccessRemovalId) -> AppError {
    let detail = format!("there is no removal of access {id}");
    AppError::new(Code::AccessRemovalNotFound, detail)
}
