//! Takes in what the provider's own software reports of use: each event once, into the row of its hour while that is open, else as a part of its own.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::AccountId;

use super::agreement_standing::{Known, know};
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::usage_tariffs::tariffs;
use super::{AppContext, AppError, PgConnection, text};
use crate::domain::actor::Actor;
use crate::domain::agreement::Agreement;
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementId, ConnectionId, UsageHourId};
use crate::domain::usage::{Billing, Quantity, UsageHour, hour_of};
use crate::store::usage_hours::{Reported, Tariff};
use crate::store::usage_reports::Report;
use crate::store::{
    agreement_accounts, agreements, connections, usage_facts, usage_hours, usage_list,
    usage_reports,
};

/// How far the reporter's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// How old what is reported may be.
pub(super) const MOST_LATE: TimeDelta = TimeDelta::days(92);
/// Why a row that was reported late is there, where nobody said.
const LATE: &str = "reported after the hour was sealed";

/// What is reported.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// The reporter's own id of it, once for each agreement.
    pub event_id: String,
    /// Whose use it is.
    pub agreement: AgreementId,
    /// Of which dimension.
    pub dimension: String,
    /// When it was used.
    pub at: DateTime<Utc>,
    /// How much.
    pub quantity: Quantity,
    /// Over which connection.
    pub connection: Option<ConnectionId>,
    /// By which account.
    pub account: Option<AccountId>,
    /// Of a correction: why.
    pub reason: Option<String>,
}

/// What a report came to: the row of its hour, and whether the event was new.
#[derive(Debug)]
pub struct Taken {
    /// The row.
    pub row: UsageHour,
    /// Whether the event was reported before.
    pub repeated: bool,
}

/// Takes a report in. The same event again changes nothing and is answered alike.
#[tracing::instrument(skip_all, fields(agreement.id = %new.agreement))]
pub async fn report_usage(
    ctx: &AppContext,
    actor: &Actor,
    new: NewReport,
) -> Result<Taken, AppError> {
    let now = ctx.clock.now();
    let new = checked(new, now)?;
    let mut tx = ctx.begin().await?;
    // Reports of an agreement are taken one by one.
    let mut found = agreements::locked(&mut tx, &[new.agreement]).await?;
    let agreement = found.pop().ok_or_else(|| missing(new.agreement))?;
    let mut report = Report {
        agreement: agreement.id,
        event_id: new.event_id.clone(),
        row: UsageHourId::new(now),
        dimension: new.dimension.clone(),
        at: new.at,
        connection: new.connection,
        account: new.account.as_ref().map(ToString::to_string),
        quantity: new.quantity,
        reason: new.reason.clone(),
    };
    if let Some(before) = usage_reports::by_event(&mut tx, agreement.id, &new.event_id).await? {
        if !before.says_the_same(&report) {
            let detail = "another report with this event_id was taken in before";
            return Err(AppError::new(Code::UsageEventReused, detail).field("event_id"));
        }
        let row = usage_list::by_id(&mut tx, before.row, hour_of(before.at)).await?;
        ctx.commit(tx).await?;
        return Ok(Taken {
            row,
            repeated: true,
        });
    }
    let known = know(&mut tx, std::slice::from_ref(&agreement)).await?;
    let tariff = tariff(&mut tx, &known, &agreement, &new.dimension).await?;
    allocated(&mut tx, &agreement, &new).await?;
    let of = Reported {
        agreement: agreement.id,
        tariff: &tariff,
        connection: new.connection,
        account: new.account.as_ref(),
        hour: hour_of(new.at),
        billing: billing(&known, &agreement, new.at)?,
        quantity: new.quantity,
    };
    report.row = record(&mut tx, &of, new.reason.as_deref(), now).await?;
    usage_reports::insert(&mut tx, &report, now, &actor.name).await?;
    let row = usage_list::by_id(&mut tx, report.row, of.hour).await?;
    ctx.commit(tx).await?;
    Ok(Taken {
        row,
        repeated: false,
    })
}

pub(super) fn missing(id: AgreementId) -> AppError {
    AppError::new(
        Code::AgreementNotFound,
        format!("there is no agreement {id}"),
    )
}

fn refuse(field: &str, detail: impl Into<String>) -> AppError {
    AppError::new(Code::InvalidRequest, detail.into()).field(field)
}

fn checked(mut new: NewReport, now: DateTime<Utc>) -> Result<NewReport, AppError> {
    let visible = new.event_id.bytes().all(|b| b.is_ascii_graphic());
    if !(1..=255).contains(&new.event_id.len()) || !visible {
        return Err(refuse(
            "event_id",
            "an event_id has 1 to 255 visible ASCII characters",
        ));
    }
    if new.at > now + AHEAD {
        return Err(refuse("at", "what is yet to come was not used"));
    }
    if new.at < now - MOST_LATE {
        let days = MOST_LATE.num_days();
        return Err(refuse("at", format!("it is more than {days} days ago")));
    }
    if new.connection.is_some() && new.account.is_some() {
        let detail = "name a connection or an account: a connection has its owner";
        return Err(refuse("account_id", detail));
    }
    new.reason = new
        .reason
        .map(|reason| text::checked("reason", &reason, LONGEST_REASON))
        .transpose()?;
    if new.quantity.is_negative() && new.reason.is_none() {
        return Err(refuse("reason", "a correction below zero says why"));
    }
    Ok(new)
}

async fn tariff(
    conn: &mut PgConnection,
    known: &Known,
    agreement: &Agreement,
    key: &str,
) -> Result<Tariff, AppError> {
    let shown: String = key.chars().take(100).collect();
    let plan = known.plan(agreement)?;
    let Some(dimension) = plan.dimension(key) else {
        let detail = format!("the plan has no dimension {shown:?}");
        return Err(refuse("dimension", detail));
    };
    if !dimension.is_reported() {
        let detail = dimension.source.map_or_else(
            || format!("{shown} is bought in advance; no use of it is counted"),
            |source| format!("{shown} is counted here, from {source}"),
        );
        return Err(refuse("dimension", detail));
    }
    let mut found = tariffs(conn, known, agreement, |it| it.key == key).await?;
    found
        .pop()
        .ok_or_else(|| AppError::internal("a dimension has no tariff"))
}

async fn allocated(
    conn: &mut PgConnection,
    agreement: &Agreement,
    new: &NewReport,
) -> Result<(), AppError> {
    if let Some(id) = new.connection {
        if connections::by_id(conn, id).await?.is_none() {
            return Err(AppError::new(
                Code::ConnectionNotFound,
                format!("there is no connection {id}"),
            ));
        }
        if !usage_facts::ever_paid(conn, agreement.id, id).await? {
            let detail = format!("the agreement never paid for {id}");
            return Err(refuse("connection_id", detail));
        }
    }
    if let Some(account) = &new.account {
        let attached = agreement_accounts::history(conn, agreement.id).await?;
        let known = attached.iter().any(|one| one.account == *account);
        if !known && *account != agreement.buyer {
            let detail = format!("{account} was never an account of the agreement");
            return Err(refuse("account_id", detail));
        }
    }
    Ok(())
}

/// Whether what is used at a time can be billed. Before an agreement is in force, and after its grace, nothing is used by it.
fn billing(known: &Known, agreement: &Agreement, at: DateTime<Utc>) -> Result<Billing, AppError> {
    let state = known.standing(agreement, at)?.state;
    if matches!(state, AgreementState::Pending | AgreementState::Ended) {
        let detail = format!("the agreement is {state} at that time");
        return Err(AppError::new(Code::UsageOutsideAgreement, detail).field("at"));
    }
    let until = known.pays_until(agreement.id);
    Ok(if until.is_some_and(|until| until <= at) {
        Billing::UnbillableGrace
    } else {
        Billing::Billable
    })
}

async fn record(
    conn: &mut PgConnection,
    of: &Reported<'_>,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<UsageHourId, AppError> {
    let parts = usage_hours::parts(conn, of).await?;
    if !parts.stays_positive {
        let detail = "the correction takes back more than was reported of the hour";
        return Err(AppError::new(Code::UsageBelowZero, detail).field("quantity"));
    }
    if let Some(open) = parts.open {
        usage_hours::add_to(conn, open, of.hour, of.quantity).await?;
        return Ok(open);
    }
    let id = UsageHourId::new(now);
    let late = (parts.last > 0).then(|| reason.unwrap_or(LATE));
    usage_hours::add_reported(conn, id, of, parts.last + 1, late, now).await?;
    Ok(id)
}
