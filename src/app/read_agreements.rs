//! Lookups and lists of agreements, of what was told of them, and of all that happened to one and will.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::agreement_standing::know;
use super::code::Code;
use super::read::Listed;
use super::{AppContext, AppError, PgConnection};
use crate::domain::agreement::{Account, Agreement, HeardNotice, Standing, Terms};
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::domain::listing::ContractTerm;
use crate::domain::listing::{Offer, Plan, Quotas};
use crate::domain::money::Amount;
use crate::store::agreement_bindings::{Binding, Claim, Used};
use crate::store::agreement_timeline::Happened;
use crate::store::{
    agreement_accounts, agreement_bindings, agreement_notices, agreement_timeline, agreements,
    connections, offers,
};

/// What one of a dimension costs by an agreement.
#[derive(Debug)]
pub struct Price {
    /// The dimension, by its key.
    pub dimension: String,
    /// For which term; none for what is used.
    pub term: Option<ContractTerm>,
    /// What one costs.
    pub price: Amount,
}

/// An agreement with everything about it, as it stands now.
#[derive(Debug)]
pub struct WholeAgreement {
    /// The agreement.
    pub agreement: Agreement,
    /// Its plan, as it was in the revision that it pins.
    pub plan: Plan,
    /// Its terms, as they were told last.
    pub terms: Option<Terms>,
    /// How much it grants: its own figures, then the plan's.
    pub quotas: Quotas,
    /// What it is paid for by: the offer's prices, then the plan's.
    pub prices: Vec<Price>,
    /// All accounts that ever were attached.
    pub accounts: Vec<Account>,
    /// What is used of it.
    pub used: Used,
    /// The one that takes its place, and from when on.
    pub successor: Option<(AgreementId, DateTime<Utc>)>,
    /// Where it stands.
    pub standing: Standing,
}

/// One agreement, as it stands now.
pub async fn agreement(ctx: &AppContext, id: AgreementId) -> Result<WholeAgreement, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let row = by_id(conn, id).await?;
    let now = ctx.clock.now();
    let known = know(conn, std::slice::from_ref(&row)).await?;
    let plan = known.plan(&row)?.clone();
    let offer = match row.offer {
        Some(id) => offers::by_id(conn, id).await?,
        None => None,
    };
    Ok(WholeAgreement {
        agreement: known.now(&row, now)?,
        prices: prices(&plan, offer.as_ref(), row.term),
        terms: known.terms(id).cloned(),
        quotas: known.quotas(&row)?,
        accounts: agreement_accounts::history(conn, id).await?,
        used: agreement_bindings::used(conn, id).await?,
        successor: known.successor(id),
        standing: known.standing(&row, now)?,
        plan,
    })
}

/// The prices of the term that was bought, and of what is used.
fn prices(plan: &Plan, offer: Option<&Offer>, term: Option<ContractTerm>) -> Vec<Price> {
    let cards = plan
        .rate_cards
        .iter()
        .filter(|card| card.term.is_none() || card.term == term);
    let rates = cards.flat_map(|card| card.rates.iter().map(|rate| (card.term, rate)));
    rates
        .map(|(term, rate)| {
            let own = offer.and_then(|offer| offer.price(plan, &rate.dimension, term));
            Price {
                dimension: rate.dimension.clone(),
                term,
                price: own.unwrap_or(rate.price),
            }
        })
        .collect()
}

/// Agreements, newest first, as they stood when they were last looked at.
pub async fn agreements(
    ctx: &AppContext,
    filter: &agreements::Filter<'_>,
    before: Option<AgreementId>,
    limit: i64,
) -> Result<Listed<Agreement, AgreementId>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let rows = agreements::page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// What was told of an agreement, in the order in which it was heard.
pub async fn notices(
    ctx: &AppContext,
    id: AgreementId,
    after: Option<&agreement_notices::After>,
    limit: i64,
) -> Result<Listed<HeardNotice, agreement_notices::After>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let of = by_id(conn, id).await?;
    let rows = agreement_notices::page(conn, of.source, &of.reference, after, limit + 1).await?;
    let place = |row: &HeardNotice| (row.heard.at, row.notice.id.clone());
    Ok(Listed::cut(rows, limit, place))
}

/// A part of the story of an agreement.
#[derive(Debug)]
pub struct Timeline {
    /// What has happened.
    pub happened: Listed<Happened, agreement_timeline::After>,
    /// What comes next if nothing further is told; on the last page.
    pub planned: Vec<(DateTime<Utc>, Happening)>,
}

/// What comes next.
#[derive(Debug)]
pub enum Happening {
    /// It stands elsewhere.
    Stands(Standing),
    /// What is connected beyond its quota is cut.
    CutsOverQuota,
}

impl Happening {
    /// What it is called, as the step will be.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Stands(_) => "agreement.change_state",
            Self::CutsOverQuota => "agreement.plan_cuts",
        }
    }

    /// More about it.
    pub fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Stands(standing) => Some(json!({
                "state": standing.state, "cause": standing.cause, "grace_until": standing.grace_until,
            })),
            Self::CutsOverQuota => None,
        }
    }
}

/// What has happened to an agreement and will, the oldest first.
pub async fn timeline(
    ctx: &AppContext,
    id: AgreementId,
    after: Option<&agreement_timeline::After>,
    limit: i64,
) -> Result<Timeline, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let of = by_id(conn, id).await?;
    let rows = agreement_timeline::page(conn, &of, after, limit + 1).await?;
    let happened = Listed::cut(rows, limit, |row| (row.at, row.key.clone()));
    let mut planned = Vec::new();
    if happened.next.is_none() {
        let known = know(conn, std::slice::from_ref(&of)).await?;
        let turns = known.outlook(&of, ctx.clock.now())?.into_iter();
        planned.extend(turns.map(|(at, standing)| (at, Happening::Stands(standing))));
        planned.extend(
            of.over_quota
                .map(|over| (over.until, Happening::CutsOverQuota)),
        );
        planned.sort_by_key(|(at, _)| *at);
    }
    Ok(Timeline { happened, planned })
}

/// Who pays for a connection, and who was said to.
#[derive(Debug)]
pub struct Paying {
    /// The connection.
    pub connection: ConnectionId,
    /// Who pays.
    pub paid: Option<Binding>,
    /// Who was said to.
    pub claim: Option<Claim>,
}

/// Who pays for a connection.
pub async fn paying(ctx: &AppContext, id: ConnectionId) -> Result<Paying, AppError> {
    let conn = &mut *ctx.acquire().await?;
    if connections::owner(conn, id).await?.is_none() {
        return Err(no_connection(id));
    }
    let paid = agreement_bindings::of_connections(conn, &[id]).await?;
    Ok(Paying {
        connection: id,
        paid: paid.get(&id).copied(),
        claim: agreement_bindings::claim_of(conn, id).await?,
    })
}

async fn by_id(conn: &mut PgConnection, id: AgreementId) -> Result<Agreement, AppError> {
    agreements::by_id(conn, id)
        .await?
        .ok_or_else(|| missing(id))
}

pub(super) fn missing(id: AgreementId) -> AppError {
    AppError::new(
        Code::AgreementNotFound,
        format!("there is no agreement {id}"),
    )
}

pub(super) fn no_connection(id: ConnectionId) -> AppError {
    AppError::new(
        Code::ConnectionNotFound,
        format!("there is no connection {id}"),
    )
}
