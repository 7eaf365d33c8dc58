//! Asks for access before there is an endpoint, by a person of the provider who speaks for the consumer. A consumer asks by itself in [`super::own::ask_access`].

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::json;

use super::admission::may_change;
use super::code::Code;
use super::decision_words::{LONGEST_MESSAGE, in_the_future};
use super::{AppContext, AppError, PgConnection, change_consumer, consumer_details, text};
use crate::domain::access_request::{AccessRequest, AccessRequestState, Asked, AskedState};
use crate::domain::actor::Actor;
use crate::domain::consumer::{ConsumerState, Contact};
use crate::domain::ids::{AccessRequestId, ConsumerId, EndpointServiceId};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{access_requests, consumer_accounts, consumers, endpoint_services, parties};

/// The most services that one request asks for.
pub const MOST_SERVICES: usize = 20;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct NewAccessRequest {
    /// The account that wants to connect.
    pub account: AccountId,
    /// Whose the account shall be known to be.
    pub consumer: Option<ConsumerId>,
    /// The services.
    pub services: Vec<EndpointServiceId>,
    /// Whom to talk to.
    pub contact: Contact,
    /// What whoever asks wants to say.
    pub message: Option<String>,
    /// Until when; without it, access has no end.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Records a request. One of the account that waits for the same service is not made twice.
#[tracing::instrument(skip_all, fields(account = %new.account))]
pub async fn ask_access(
    ctx: &AppContext,
    actor: &Actor,
    new: NewAccessRequest,
) -> Result<AccessRequest, AppError> {
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
    let mut tx = ctx.begin().await?;
    parties::lock_account(&mut tx, &new.account).await?;
    if let Some(consumer) = new.consumer {
        may_be_of(&mut tx, &new.account, consumer).await?;
    }
    for service in &services {
        let detail = || format!("there is no service {service}");
        let found = endpoint_services::by_id(&mut tx, *service).await?;
        may_change(&found.ok_or_else(|| AppError::new(Code::ServiceNotFound, detail()))?)?;
    }
    let request = AccessRequest {
        id: AccessRequestId::new(at),
        account: new.account,
        consumer: new.consumer,
        contact,
        message,
        expires_at,
        state: AccessRequestState::Pending,
        made_at: at,
        made_by: actor.name.clone(),
        answer: None,
        ended: None,
        services: services.into_iter().map(asked).collect(),
        approvals: Vec::new(),
    };
    refuse_twice(&mut tx, &request).await?;
    access_requests::insert(&mut tx, &request).await?;
    let ids: Vec<EndpointServiceId> = request.services.iter().map(|row| row.service).collect();
    let entry = Entry {
        at,
        actor,
        action: "access_request.make",
        subject: Subject::AccessRequest(request.id),
        before: None,
        after: Some(json!({
            "account_id": request.account, "consumer_id": request.consumer, "service_ids": ids, "contact": request.contact,
            "message": request.message, "expires_at": request.expires_at,
        })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(request)
}

/// The words of a request, checked.
pub(super) struct Words {
    /// The services, once each.
    pub(super) services: BTreeSet<EndpointServiceId>,
    /// Whom to talk to.
    pub(super) contact: Contact,
    /// What whoever asks wants to say.
    pub(super) message: Option<String>,
    /// Until when.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// Checks what a request says, whoever makes it.
pub(super) fn words(
    services: &[EndpointServiceId],
    contact: &Contact,
    message: Option<&str>,
    expires_at: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Result<Words, AppError> {
    let services: BTreeSet<EndpointServiceId> = services.iter().copied().collect();
    check_count(services.len())?;
    Ok(Words {
        services,
        contact: consumer_details::contact("contact", contact)?,
        message: message
            .map(|message| text::checked("message", message, LONGEST_MESSAGE))
            .transpose()?,
        expires_at: expires_at
            .map(|end| in_the_future("expires_at", end, at))
            .transpose()?,
    })
}

fn asked(service: EndpointServiceId) -> Asked {
    Asked {
        service,
        state: AskedState::Waiting,
        given: None,
    }
}

/// Refuses where the account, which the caller holds, cannot become, or be, one of this consumer's. Answers whether it is one already.
pub(super) async fn may_be_of(
    conn: &mut PgConnection,
    account: &AccountId,
    consumer: ConsumerId,
) -> Result<bool, AppError> {
    let found = consumers::by_id(conn, consumer).await?;
    let found = found.ok_or_else(|| change_consumer::missing(consumer))?;
    if found.state == ConsumerState::Closed {
        let detail = "a closed consumer takes no accounts; make it active first";
        return Err(AppError::new(Code::ConsumerClosed, detail));
    }
    match consumer_accounts::of_account(conn, account).await? {
        None => Ok(false),
        Some(standing) if standing.consumer == consumer => Ok(true),
        Some(standing) => {
            let detail = format!("account {account} belongs to {}", standing.consumer);
            Err(AppError::new(Code::AccountTaken, detail).field("account_id"))
        }
    }
}

async fn refuse_twice(conn: &mut PgConnection, new: &AccessRequest) -> Result<(), AppError> {
    for row in &new.services {
        let filter = access_requests::Filter {
            account: Some(&new.account),
            service: Some(row.service),
            state: Some(AccessRequestState::Pending),
            ..access_requests::Filter::default()
        };
        if let Some(waiting) = access_requests::page(conn, &filter, None, 1).await?.pop() {
            let detail = format!(
                "account {} waits for an answer about {} already, in {}",
                new.account, row.service, waiting.id
            );
            return Err(AppError::new(Code::AccessRequestExists, detail).field("service_ids"));
        }
    }
    Ok(())
}

pub(super) fn missing(id: AccessRequestId) -> AppError {
    let detail = format!("there is no access request {id}");
    AppError::new(Code::AccessRequestNotFound, detail)
}

/// Refuses none, and more than a request may name.
pub fn check_count(services: usize) -> Result<(), AppError> {
    if (1..=MOST_SERVICES).contains(&services) {
        return Ok(());
    }
    let detail = format!("give 1 to {MOST_SERVICES} services, not {services}");
    Err(AppError::new(Code::InvalidRequest, detail).field("service_ids"))
}
