//! Whether a connection may be accepted: the deny list, access that is being taken away, and the quotas.
//!
//! Every way to accept goes through [`admit`], because [`super::decide_connection::record`] writes no accept without it. What it is asked with, an
//! [`Asking`], can only be had by taking the locks that keep the answer true until the decision is committed.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use privatelink::AccountId;
use serde_json::{Value, json};

use super::AppError;
use super::code::Code;
use crate::domain::connection::Connection;
use crate::domain::denial::{Denial, Denied};
use crate::domain::ids::{AgreementId, ConnectionId, ConsumerId, EndpointServiceId};
use crate::domain::quota::Excess;
use crate::store::parties::{self, Party};
use crate::store::quotas::{self, Counted};
use crate::store::{PgConnection, access_work, connections, consumers, denials};

/// Leave to ask whether a connection may be accepted: whom it belongs to, locked.
#[derive(Debug)]
pub(super) struct Asking {
    party: Party,
    /// Whether it is meant also beyond a quota.
    over_quota: bool,
    /// The agreement that would pay, where it grants no more.
    full: Option<Full>,
}

/// An agreement that grants no more, with the figures that one more would go beyond.
#[derive(Debug, Clone)]
pub(super) struct Full {
    pub(super) agreement: AgreementId,
    pub(super) exceeded: Vec<Excess>,
}

impl Asking {
    /// The same, with what is known of the agreement that would pay. The caller has locked it.
    pub(super) fn paid_by(self, full: Option<Full>) -> Self {
        Self { full, ..self }
    }
}

/// Takes the locks, before [`super::admission::Gate`] locks the service and before the connection itself is locked: that is the order everywhere.
/// `None` when there is no such connection.
pub(super) async fn lock(
    conn: &mut PgConnection,
    id: ConnectionId,
    over_quota: bool,
) -> Result<Option<Asking>, AppError> {
    let Some(owner) = connections::owner(conn, id).await? else {
        return Ok(None);
    };
    let party = parties::lock(conn, &owner).await?;
    Ok(Some(Asking {
        party,
        over_quota,
        full: None,
    }))
}

/// The same for several connections, each with the leave for its own accept: all accounts first, then all consumers.
pub(super) async fn lock_many(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
    over_quota: bool,
) -> Result<HashMap<ConnectionId, Asking>, AppError> {
    let owners = connections::owners(conn, ids).await?;
    let accounts: BTreeSet<AccountId> = owners.iter().map(|(_, owner)| owner.clone()).collect();
    let parties = parties::lock_many(conn, &accounts).await?;
    let leave = |(id, owner): (ConnectionId, AccountId)| {
        let party = parties.iter().find(|party| *party.account() == owner)?;
        let asking = Asking {
            party: party.clone(),
            over_quota,
            full: None,
        };
        Some((id, asking))
    };
    Ok(owners.into_iter().filter_map(leave).collect())
}

/// What speaks for an accept, as it is recorded with the decision.
#[derive(Debug)]
pub(super) struct Admission {
    /// Whose the account is.
    pub(super) consumer: Value,
    /// How much is used and allowed.
    pub(super) quota: Value,
    /// The figures that the accept goes beyond; `None` when it goes beyond none.
    pub(super) over_quota: Option<Value>,
}

/// Refuses to accept a connection that is denied, whose access is being taken away, or that is one too many and not meant to be.
pub(super) async fn admit(
    conn: &mut PgConnection,
    asking: &Asking,
    connection: &Connection,
    at: DateTime<Utc>,
) -> Result<Admission, AppError> {
    let party = &asking.party;
    if *party.account() != connection.owner {
        return Err(AppError::internal("another account was locked"));
    }
    refuse_denied(conn, party, connection, at).await?;
    refuse_ending(conn, connection).await?;
    let (service, id) = (connection.service_id, connection.id);
    let Counted {
        limits,
        used,
        region,
    } = quotas::count_locked(conn, party, service, id).await?;
    let after = used.clone().map(|used| used.with_one_more(&region));
    let exceeded = after.map_or_else(Vec::new, |after| limits.exceeded(&after));
    let mut beyond: Vec<Value> = exceeded.iter().map(|one| json!(one)).collect();
    if !exceeded.is_empty() && !asking.over_quota {
        let detail = format!(
            "{} would have {}; raise the quota, or accept with over_quota",
            named(party),
            figures(&exceeded)
        );
        return Err(AppError::new(Code::QuotaExceeded, detail));
    }
    if let Some(full) = &asking.full {
        if !asking.over_quota {
            let detail = format!(
                "the agreement {} would have {}; amend its quotas, or accept with over_quota",
                full.agreement,
                figures(&full.exceeded)
            );
            return Err(AppError::new(Code::QuotaExceeded, detail));
        }
        beyond.extend(full.exceeded.iter().map(|one| {
            json!({ "figure": one.figure, "limit": one.limit, "used": one.used, "agreement_id": full.agreement })
        }));
    }
    Ok(Admission {
        consumer: json!(party.consumer()),
        quota: json!({ "limits": limits, "used": used, "region": region }),
        over_quota: (!beyond.is_empty()).then(|| json!(beyond)),
    })
}

/// Refuses to have AWS told of an accept that is denied by now.
pub(super) async fn refuse_telling(
    conn: &mut PgConnection,
    asking: &Asking,
    connection: &Connection,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    refuse_denied(conn, &asking.party, connection, at).await
}

async fn refuse_denied(
    conn: &mut PgConnection,
    party: &Party,
    connection: &Connection,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let consumer = party.consumer().map(|consumer| consumer.id);
    refuse_denied_on(conn, &connection.owner, consumer, connection.service_id, at).await
}

/// Refuses an account, with the consumer that it belongs to or is about to, that is denied on a service. The caller holds both, and the service.
pub(super) async fn refuse_denied_on(
    conn: &mut PgConnection,
    account: &AccountId,
    consumer: Option<ConsumerId>,
    service: EndpointServiceId,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let all = denials::concerning(conn, account, consumer, service).await?;
    let standing = |denial: &&Denial| denial.denies(account, consumer, service, at);
    let Some(denial) = all.iter().find(standing) else {
        return Ok(());
    };
    let whom = match &denial.subject {
        Denied::Account(account) => format!("account {account} is denied"),
        Denied::Consumer(id) => {
            let found = consumers::by_id(conn, *id).await?;
            let name = found.map(|consumer| consumer.name).unwrap_or_default();
            format!("consumer {name} ({id}) is denied")
        }
        Denied::Everybody => "everybody is denied".to_owned(),
    };
    Err(denied(&whom, denial))
}

/// Refuses an account whose access to the service is being taken away.
async fn refuse_ending(conn: &mut PgConnection, connection: &Connection) -> Result<(), AppError> {
    let (account, service) = (&connection.owner, connection.service_id);
    let pair = (account.clone(), service);
    let keeping_out = access_work::keeping_out(conn, std::slice::from_ref(&pair)).await?;
    match keeping_out.get(&pair) {
        None => Ok(()),
        Some(removal) => {
            let detail = format!(
                "the access of account {account} to this service is being taken away as {removal}"
            );
            Err(AppError::new(Code::AccessEnding, detail))
        }
    }
}

fn denied(whom: &str, denial: &Denial) -> AppError {
    let place = match denial.service {
        Some(_) => "on this service",
        None => "everywhere",
    };
    let since = denial.said.at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let detail = format!(
        "{whom} {place} since {since}, by {} as {}: {}",
        denial.said.by, denial.id, denial.said.reason
    );
    AppError::new(Code::AccountDenied, detail)
}

fn figures(exceeded: &[Excess]) -> String {
    let one = |it: &Excess| format!("{} {} of {}", it.used, it.figure, it.limit);
    let all: Vec<String> = exceeded.iter().map(one).collect();
    all.join(", ")
}

fn named(party: &Party) -> String {
    match party.consumer() {
        Some(consumer) => format!("consumer {} ({})", consumer.name, consumer.id),
        None => format!("account {}", party.account()),
    }
}
