//! A consumer asks for access by itself, for one of its accounts.
//!
//! The account is checked and the request is written as the consumer's database role, behind the wall. What lies beyond it is done as the provider's: the
//! account's lock, a look whether each service takes requests, and the audit entry.

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::json;

use super::{begin, commit};
use crate::app::admission::may_change;
use crate::app::ask_access::{Words, words};
use crate::app::code::Code;
use crate::app::{AppContext, AppError};
use crate::domain::access_request::{AccessRequestState, AskedState};
use crate::domain::actor::Actor;
use crate::domain::consumer::Contact;
use crate::domain::ids::{AccessRequestId, EndpointServiceId};
use crate::domain::member::{Member, name_within};
use crate::domain::own::{OwnAccessRequest, OwnAsked};
use crate::store::audit::{self, Entry, Subject};
use crate::store::tenant::{TenantTx, access_requests as store, consumer};
use crate::store::{access_requests, endpoint_services, parties};

/// What a consumer asks for.
#[derive(Debug, Clone)]
pub struct NewOwnRequest {
    /// The account that wants to connect.
    pub account: AccountId,
    /// The services.
    pub services: Vec<EndpointServiceId>,
    /// Whom to talk to.
    pub contact: Contact,
    /// What whoever asks wants to say.
    pub message: Option<String>,
    /// Until when; without it, access has no end.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Records a request. A service that takes none is refused in the words for one that does not exist: whether it does is not this consumer's to know.
#[tracing::instrument(skip_all, fields(account = %new.account))]
pub async fn ask_access(
    ctx: &AppContext,
    member: &Member,
    actor: &Actor,
    new: NewOwnRequest,
) -> Result<OwnAccessRequest, AppError> {
    let at = ctx.clock.now();
    let Words {
        services,
        contact,
        message,
        expires_at,
    } = words(
        &new.services,
        &new.contact,
        new.message.as_deref(),
        new.expires_at,
        at,
    )?;
    let account = new.account;
    let mut tx = begin(ctx, member).await?;
    // Once before, so that nobody locks an account of somebody else; once behind the lock, where it stays true.
    refuse_foreign(&mut tx, &account).await?;
    parties::lock_account(tx.provider().await?, &account).await?;
    refuse_foreign(&mut tx, &account).await?;
    for service in &services {
        refuse_service(&mut tx, &account, *service).await?;
    }
    let asked = services.into_iter().map(|service| OwnAsked {
        service,
        state: AskedState::Waiting,
    });
    let request = OwnAccessRequest {
        id: AccessRequestId::new(at),
        account,
        state: AccessRequestState::Pending,
        services: asked.collect(),
        contact,
        message,
        expires_at,
        made_at: at,
        made_by: name_within(member.organisation(), &actor.name).map(str::to_owned),
        answered: None,
        ended_at: None,
    };
    store::insert(&mut tx, &request, &actor.name).await?;
    record(&mut tx, actor, &request).await?;
    commit(ctx, tx).await?;
    Ok(request)
}

/// Names none of them: whether AWS's id of one is known here, and by which of ours, is not this consumer's to know.
fn no_such_service() -> AppError {
    let detail = "there is no such service, or it takes no requests";
    AppError::new(Code::ServiceNotFound, detail).field("service_ids")
}

async fn refuse_foreign(tx: &mut TenantTx, account: &AccountId) -> Result<(), AppError> {
    if consumer::has_account(tx, account).await? {
        return Ok(());
    }
    let detail = format!("account {account} is none of your accounts");
    Err(AppError::new(Code::ConsumerAccountNotFound, detail).field("account_id"))
}

/// Refuses a service that takes no requests, and one that the account waits for already. Whose request that is, and its id, is not said: the account may have
/// been somebody else's when it was made.
async fn refuse_service(
    tx: &mut TenantTx,
    account: &AccountId,
    service: EndpointServiceId,
) -> Result<(), AppError> {
    let conn = tx.provider().await?;
    let found = endpoint_services::by_id(conn, service).await?;
    found
        .filter(|found| may_change(found).is_ok())
        .ok_or_else(no_such_service)?;
    let filter = access_requests::Filter {
        account: Some(account),
        service: Some(service),
        state: Some(AccessRequestState::Pending),
        ..access_requests::Filter::default()
    };
    let waiting = access_requests::page(conn, &filter, None, 1).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let detail = format!("account {account} waits for an answer about {service} already");
    Err(AppError::new(Code::AccessRequestExists, detail).field("service_ids"))
}

async fn record(
    tx: &mut TenantTx,
    actor: &Actor,
    request: &OwnAccessRequest,
) -> Result<(), AppError> {
    let organisation = tx.organisation();
    let ids: Vec<EndpointServiceId> = request.services.iter().map(|row| row.service).collect();
    let entry = Entry {
        at: request.made_at,
        actor,
        action: "access_request.make",
        subject: Subject::AccessRequest(request.id),
        before: None,
        after: Some(json!({
            "account_id": request.account, "consumer_id": organisation, "service_ids": ids, "contact": request.contact,
            "message": request.message, "expires_at": request.expires_at,
        })),
        reason: None,
        decision: None,
    };
    audit::record(tx.provider().await?, entry).await?;
    Ok(())
}
