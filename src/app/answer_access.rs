//! Answers an access request: gives access, refuses it, or takes the request back.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::admission::may_change;
use super::ask_access::{may_be_of, missing};
use super::code::Code;
use super::decision_words::{Said as Words, Why};
use super::principals::normalised_principals;
use super::{AppContext, AppError, PgConnection, change_principals, consumer_gate, text};
use crate::domain::access_request::{
    AccessNoticeKind, AccessRequest, AccessRequestState, AccessVerb, Answer, Given, NoAccess,
};
use crate::domain::actor::Actor;
use crate::domain::approval::{Approval, NoYes, Yes, earliest, yes};
use crate::domain::consumer::{ConsumerAccount, KnownBy, Proof, Said};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{AccessRequestId, ApprovalId, ConsumerAccountId, EndpointServiceId};
use crate::domain::judgement::Wake;
use crate::domain::principal::root_of;
use crate::domain::review::Verb;
use crate::store::access_request_parts as parts;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{
    access_reach, access_requests, consumer_accounts, consumers, endpoint_services, judge_wakes,
    parties, review_rules, service_changes,
};

/// Gives access to all services of a request, or to none: each names the account's principal from the commit on, and AWS follows. Where one of the services
/// asks for two persons, the first yes is an approval and gives nothing yet.
#[tracing::instrument(skip_all, fields(access_request.id = %id))]
pub async fn approve(
    ctx: &AppContext,
    actor: &Actor,
    id: AccessRequestId,
    said: &Words,
) -> Result<AccessRequest, AppError> {
    let why = Why::checked(said, Verb::Accept, ctx.clock.now())?;
    let mut tx = ctx.begin().await?;
    let request = lock(&mut tx, id).await?;
    // The time of the locks: what came before is older.
    let at = ctx.clock.now();
    refuse_unless_open(&request, AccessVerb::Approve, at)?;
    let (services, is_member) = refuse_unless_givable(&mut tx, &request, at).await?;
    let mut required = 1;
    for service in &services {
        let rules = review_rules::of_service(&mut tx, service.id).await?;
        required = required.max(rules.approvals_required);
    }
    let comes_to = yes(required, &request.approvals, actor).map_err(|no| refused_yes(&no))?;
    if comes_to != Yes::Decides {
        record_yes(&mut tx, actor, &request, &why, at).await?;
    }
    if comes_to != Yes::Waits {
        let expires_at = earliest(&request.approvals, why.expires_at)
            .into_iter()
            .chain(request.expires_at)
            .min();
        give(&mut tx, actor, &request, services, &why.reason, at).await?;
        if !is_member {
            join_consumer(&mut tx, actor, &request, &why.reason, at).await?;
        }
        let word = Word {
            verb: AccessVerb::Approve,
            why: &why,
            expires_at,
        };
        record(&mut tx, actor, &request, word, at).await?;
    }
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Refuses a request. The consumer is told why in `message`; the reason is for the record.
#[tracing::instrument(skip_all, fields(access_request.id = %id))]
pub async fn reject(
    ctx: &AppContext,
    actor: &Actor,
    id: AccessRequestId,
    said: &Words,
) -> Result<AccessRequest, AppError> {
    let why = Why::checked(said, Verb::Reject, ctx.clock.now())?;
    close(ctx, actor, id, AccessVerb::Reject, &why).await
}

/// Takes a request back that nobody has answered.
#[tracing::instrument(skip_all, fields(access_request.id = %id))]
pub async fn withdraw(
    ctx: &AppContext,
    actor: &Actor,
    id: AccessRequestId,
    reason: &str,
) -> Result<AccessRequest, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    close(ctx, actor, id, AccessVerb::Withdraw, &Why::because(reason)).await
}

async fn close(
    ctx: &AppContext,
    actor: &Actor,
    id: AccessRequestId,
    verb: AccessVerb,
    why: &Why,
) -> Result<AccessRequest, AppError> {
    let mut tx = ctx.begin().await?;
    let request = access_requests::locked(&mut tx, id).await?;
    let request = request.ok_or_else(|| missing(id))?;
    let at = ctx.clock.now();
    refuse_unless_open(&request, verb, at)?;
    parts::close(&mut tx, id).await?;
    let word = Word {
        verb,
        why,
        expires_at: request.expires_at,
    };
    record(&mut tx, actor, &request, word, at).await?;
    let after = read(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// The account, its consumer, the services and then the request, all locked: nobody denies, drains or answers meanwhile.
async fn lock(conn: &mut PgConnection, id: AccessRequestId) -> Result<AccessRequest, AppError> {
    let seen = read(conn, id).await?;
    let party = parties::lock(conn, &seen.account).await?;
    if let (None, Some(named)) = (party.consumer(), seen.consumer) {
        consumers::lock(conn, named).await?;
    }
    // What a request asks for never changes, so this is what is read below.
    let services: BTreeSet<EndpointServiceId> =
        seen.services.iter().map(|row| row.service).collect();
    for service in services {
        service_changes::lock(conn, service).await?;
    }
    let request = access_requests::locked(conn, id).await?;
    request.ok_or_else(|| missing(id))
}

pub(super) async fn read(
    conn: &mut PgConnection,
    id: AccessRequestId,
) -> Result<AccessRequest, AppError> {
    let found = access_requests::by_id(conn, id).await?;
    found.ok_or_else(|| missing(id))
}

pub(super) fn refuse_unless_open(
    request: &AccessRequest,
    verb: AccessVerb,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let over = request.expires_at.is_some_and(|end| end <= at);
    let state = match request.state {
        // The worker has not come to it yet.
        AccessRequestState::Pending if over => AccessRequestState::Expired,
        state => state,
    };
    state.after(verb).map(|_| ()).map_err(refused)
}

/// Refuses what is denied, on its way out, or somebody else's. Answers the services, and whether the account is known to be the consumer's already.
async fn refuse_unless_givable(
    conn: &mut PgConnection,
    request: &AccessRequest,
    at: DateTime<Utc>,
) -> Result<(Vec<RegisteredService>, bool), AppError> {
    let mut is_member = true;
    if let Some(consumer) = request.consumer {
        is_member = may_be_of(conn, &request.account, consumer).await?;
    }
    let owner = match request.consumer {
        Some(named) => Some(named),
        None => consumer_accounts::of_account(conn, &request.account)
            .await?
            .map(|standing| standing.consumer),
    };
    let mut services = Vec::with_capacity(request.services.len());
    for row in &request.services {
        let service = endpoint_services::by_id(conn, row.service).await?;
        let service =
            service.ok_or_else(|| AppError::internal("a request names a service that is gone"))?;
        may_change(&service)?;
        consumer_gate::refuse_denied_on(conn, &request.account, owner, service.id, at).await?;
        services.push(service);
    }
    Ok((services, is_member))
}

async fn record_yes(
    conn: &mut PgConnection,
    actor: &Actor,
    request: &AccessRequest,
    why: &Why,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let approval = Approval {
        id: ApprovalId::new(at),
        approver: actor.name.clone(),
        reason: why.reason.clone(),
        message: why.message.clone(),
        ticket_url: why.ticket_url.clone(),
        expires_at: why.expires_at,
        at,
    };
    parts::insert_approval(conn, request.id, &approval).await?;
    let entry = Entry {
        at,
        actor,
        action: "access_request.say_yes",
        subject: Subject::AccessRequest(request.id),
        before: None,
        after: Some(json!({ "approval_id": approval.id, "expires_at": approval.expires_at })),
        reason: Some(&why.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

/// Has each service name the account, by the same steps as a change of the service. One that names it already keeps its version.
async fn give(
    conn: &mut PgConnection,
    actor: &Actor,
    request: &AccessRequest,
    services: Vec<RegisteredService>,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let standing = access_reach::standing(conn, &request.account).await?;
    let reason = format!("access request {} was approved: {reason}", request.id);
    for before in services {
        let principal = root_of(&request.account, &before.region);
        let given = if before.allowed_principals.contains(&principal) {
            let brought = standing
                .iter()
                .any(|row| row.service == before.id && row.principal == principal && row.added);
            Given {
                version: before.version,
                added: brought,
                principal,
            }
        } else {
            let mut wanted = before.allowed_principals.clone();
            wanted.push(principal.clone());
            let wanted = normalised_principals(&wanted)?;
            let opens = before.open_to_everybody;
            if !change_principals::record(conn, actor, &before, wanted, opens, &reason, at).await? {
                return Err(AppError::internal("the service changed under its own lock"));
            }
            Given {
                version: before.version + 1,
                added: true,
                principal,
            }
        };
        parts::record_given(conn, request.id, before.id, &given).await?;
    }
    Ok(())
}

/// Has the account known as the consumer's that the request names.
async fn join_consumer(
    conn: &mut PgConnection,
    actor: &Actor,
    request: &AccessRequest,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let Some(consumer) = request.consumer else {
        return Ok(());
    };
    let row = ConsumerAccount {
        id: ConsumerAccountId::new(at),
        consumer,
        account: request.account.clone(),
        known_by: KnownBy::AccessRequest,
        proof: Proof::None,
        proven_at: None,
        added: Said {
            at,
            by: actor.name.clone(),
            reason: reason.to_owned(),
        },
        removed: None,
    };
    consumer_accounts::insert(conn, &row).await?;
    let entry = Entry {
        at,
        actor,
        action: "consumer.add_account",
        subject: Subject::Consumer(consumer),
        before: None,
        after: Some(json!({
            "account_id": row.account, "known_by": row.known_by, "proof": row.proof, "access_request_id": request.id,
        })),
        reason: Some(reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

/// An answer, and until when access is given.
struct Word<'a> {
    verb: AccessVerb,
    why: &'a Why,
    expires_at: Option<DateTime<Utc>>,
}

/// Writes the answer, what the consumer is told of it, and the audit entry, and has requests of the account judged again.
async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    request: &AccessRequest,
    Word {
        verb,
        why,
        expires_at,
    }: Word<'_>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let to = request.state.after(verb).map_err(refused)?;
    let answer = Answer {
        said: Said {
            at,
            by: actor.name.clone(),
            reason: why.reason.clone(),
        },
        message: why.message.clone(),
        ticket_url: why.ticket_url.clone(),
    };
    if !access_requests::record_answer(conn, request.id, to, &answer, expires_at).await? {
        return Err(AppError::internal("the request changed under its own lock"));
    }
    let told: Value = json!({ "message": why.message, "expires_at": expires_at });
    let (action, notice) = match to {
        AccessRequestState::Approved => {
            ("access_request.approve", Some(AccessNoticeKind::Approved))
        }
        AccessRequestState::Rejected => ("access_request.reject", Some(AccessNoticeKind::Rejected)),
        // Whoever withdrew knows.
        _ => ("access_request.withdraw", None),
    };
    if let Some(kind) = notice {
        access_requests::notify(conn, request.id, kind, &told, at).await?;
    }
    if to == AccessRequestState::Approved {
        wake(conn, request, at).await?;
    }
    let entry = Entry {
        at,
        actor,
        action,
        subject: Subject::AccessRequest(request.id),
        before: Some(json!({ "state": request.state })),
        after: Some(
            json!({ "state": to, "message": why.message, "ticket_url": why.ticket_url, "expires_at": expires_at }),
        ),
        reason: Some(&why.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

/// Has requests of the account, and of the consumer that is named, judged again.
pub(super) async fn wake(
    conn: &mut PgConnection,
    request: &AccessRequest,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    judge_wakes::wake(conn, &Wake::Account(request.account.clone()), at).await?;
    if let Some(consumer) = request.consumer {
        judge_wakes::wake(conn, &Wake::Consumer(consumer), at).await?;
    }
    Ok(())
}

pub(super) fn refused(why: NoAccess) -> AppError {
    let code = match why {
        NoAccess::Answered(_) => Code::AccessRequestAnswered,
        NoAccess::NotApproved(_) | NoAccess::NotRevoked(_) => Code::AccessRequestNotApproved,
    };
    AppError::new(code, why.to_string())
}

fn refused_yes(why: &NoYes) -> AppError {
    let code = match why {
        NoYes::SamePerson(_) => Code::ApprovalBySamePerson,
        NoYes::NotAPerson => Code::ApprovalsRequired,
    };
    AppError::new(code, why.to_string())
}
