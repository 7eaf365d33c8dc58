//! Which agreement pays for which connection: those that nobody pays for find one, those whose agreement was replaced go over to the next, and those that are gone
//! make room.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::agreement_doors::Doors;
use super::agreement_standing::{Known, know};
use super::bind_connection::{bind, unbind};
use super::gather_facts::gather;
use super::settle_agreements::grouped;
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, Seat, Unbound};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::store::{
    agreement_accounts, agreement_bindings, agreement_work, agreements, connections,
};

/// The most connections that are looked at together to find somebody who pays for them.
const MOST_UNPAID: i64 = 200;
/// How many times so many are looked at in one transaction as long as none of them finds anybody. They must not hide those that come after them.
const MOST_PAGES: usize = 10;

/// What is connected by each agreement.
#[derive(Debug, Default)]
pub(super) struct Seats {
    by_agreement: HashMap<AgreementId, Vec<Seat>>,
    /// Whether there may be more that nobody pays for.
    pub(super) more: bool,
}

impl Seats {
    /// What is connected by one, the oldest first.
    pub(super) fn of(&self, agreement: AgreementId) -> &[Seat] {
        self.by_agreement.get(&agreement).map_or(&[], Vec::as_slice)
    }
}

/// Puts right who pays, and answers what is connected by these agreements of one listing. The caller has locked them.
pub(super) async fn seat(
    conn: &mut PgConnection,
    actor: &Actor,
    doors: &Doors,
    known: &Known,
    of: &[Agreement],
    at: DateTime<Utc>,
) -> Result<Seats, AppError> {
    let ids: Vec<AgreementId> = of.iter().map(|one| one.id).collect();
    let seats = grouped(agreement_work::seats(conn, &ids).await?);
    let mut moves = moves(conn, known, of, &seats).await?;
    moves.extend(returns(conn, of, &seats, at).await?);
    moves.extend(claimed(conn, of, &seats, at).await?);
    let (mut gone, mut detached) = (Vec::new(), Vec::new());
    for one in of {
        let accounts = doors.accounts.get(&one.id);
        let is_attached = |account: &str| {
            let mut all = accounts.into_iter().flatten();
            all.any(|row| row.account.as_str() == account)
        };
        for seat in seats.get(&one.id).into_iter().flatten() {
            if !seat.live {
                gone.push(seat.connection);
                moves.remove(&seat.connection);
            } else if one.lets_in()
                && !is_attached(&seat.account)
                && !moves.contains_key(&seat.connection)
            {
                // One that has ended cuts what it paid for, whoever was detached from it since.
                detached.push(seat.connection);
            }
        }
    }
    let unpaid = unpaid(conn, doors, of, at).await?;
    let all = [&gone, &detached, &unpaid.ids]
        .into_iter()
        .flatten()
        .copied();
    let touched: Vec<ConnectionId> = all.chain(moves.keys().copied()).collect();
    if touched.is_empty() {
        return Ok(Seats {
            by_agreement: seats,
            more: false,
        });
    }
    connections::lock_many(conn, &touched).await?;
    unbind(conn, actor, &gone, Unbound::Gone, at).await?;
    unbind(conn, actor, &detached, Unbound::Ended, at).await?;
    for (connection, (successor, since)) in moves {
        bind(conn, actor, successor, connection, since).await?;
    }
    let mut found = gather(conn, &unpaid.ids, at).await?;
    for id in unpaid.ids {
        if let Some(payer) = found.payer(id) {
            bind(conn, actor, payer, id, at).await?;
            found.seated(id);
        }
    }
    Ok(Seats {
        by_agreement: grouped(agreement_work::seats(conn, &ids).await?),
        more: unpaid.more,
    })
}

/// Connections that go over to the agreement that took the place of theirs, and from when on.
async fn moves(
    conn: &mut PgConnection,
    known: &Known,
    of: &[Agreement],
    seats: &HashMap<AgreementId, Vec<Seat>>,
) -> Result<BTreeMap<ConnectionId, (AgreementId, DateTime<Utc>)>, AppError> {
    let succeeded = of.iter().filter_map(|one| {
        let since = one.succeeded_at?;
        let (successor, _) = known.successor(one.id)?;
        Some((one.id, successor, since))
    });
    let succeeded: Vec<_> = succeeded.collect();
    let successors: Vec<AgreementId> = succeeded.iter().map(|(_, id, _)| *id).collect();
    let attached = agreement_accounts::of_many(conn, &successors).await?;
    let mut all = BTreeMap::new();
    for (id, successor, since) in succeeded {
        let goes_over = |seat: &&Seat| {
            let mut rows = attached.iter().filter(|row| row.agreement == successor);
            rows.any(|row| row.proof.lets_in() && row.account.as_str() == seat.account)
        };
        let own = seats.get(&id).into_iter().flatten();
        for seat in own.filter(goes_over) {
            all.insert(seat.connection, (successor, since));
        }
    }
    Ok(all)
}

/// Connections that go back to the agreement whose place was to be taken, because the one that should never came to be.
async fn returns(
    conn: &mut PgConnection,
    of: &[Agreement],
    seats: &HashMap<AgreementId, Vec<Seat>>,
    at: DateTime<Utc>,
) -> Result<BTreeMap<ConnectionId, (AgreementId, DateTime<Utc>)>, AppError> {
    let rolled_back = of
        .iter()
        .filter(|one| one.state == AgreementState::Ended && one.cause.is_none());
    let pairs = rolled_back.filter_map(|one| Some((one.id, one.replaces?)));
    let pairs: Vec<_> = pairs.filter(|(id, _)| seats.contains_key(id)).collect();
    let mut all = BTreeMap::new();
    if pairs.is_empty() {
        return Ok(all);
    }
    let before: Vec<AgreementId> = pairs.iter().map(|(_, before)| *before).collect();
    let found = agreements::by_ids(conn, &before).await?;
    let known = know(conn, &found).await?;
    let attached = agreement_accounts::of_many(conn, &before).await?;
    for (id, before) in pairs {
        let Some(row) = found.iter().find(|row| row.id == before) else {
            continue;
        };
        let now = known.now(row, at)?;
        if !now.lets_in() && now.state != AgreementState::Grace {
            continue;
        }
        for seat in seats
            .get(&id)
            .into_iter()
            .flatten()
            .filter(|seat| seat.live)
        {
            let mut rows = attached.iter().filter(|row| row.agreement == before);
            if rows.any(|row| row.account.as_str() == seat.account) {
                all.insert(seat.connection, (before, at));
            }
        }
    }
    let back: Vec<AgreementId> = all.values().map(|(before, _)| *before).collect();
    agreement_work::wake(conn, &back).await?;
    Ok(all)
}

/// Connections for which somebody said that another agreement shall pay, one that is in force.
async fn claimed(
    conn: &mut PgConnection,
    of: &[Agreement],
    seats: &HashMap<AgreementId, Vec<Seat>>,
    at: DateTime<Utc>,
) -> Result<BTreeMap<ConnectionId, (AgreementId, DateTime<Utc>)>, AppError> {
    let live = |id: &AgreementId| seats.get(id).into_iter().flatten().filter(|seat| seat.live);
    let ids: Vec<ConnectionId> = of
        .iter()
        .flat_map(|one| live(&one.id))
        .map(|seat| seat.connection)
        .collect();
    let claims = agreement_bindings::claims(conn, &ids).await?;
    let wanted: BTreeSet<AgreementId> = claims.values().copied().collect();
    let wanted: Vec<AgreementId> = wanted.into_iter().collect();
    let mut all = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(all);
    }
    let found = agreements::by_ids(conn, &wanted).await?;
    let known = know(conn, &found).await?;
    let attached = agreement_accounts::of_many(conn, &wanted).await?;
    let mut in_force = BTreeSet::new();
    for row in &found {
        if known.now(row, at)?.state == AgreementState::Active {
            in_force.insert(row.id);
        }
    }
    for one in of {
        for seat in live(&one.id) {
            let Some(claim) = claims.get(&seat.connection) else {
                continue;
            };
            let mut rows = attached.iter().filter(|row| row.agreement == *claim);
            let may = rows.any(|row| row.proof.lets_in() && row.account.as_str() == seat.account);
            if *claim != one.id && may && in_force.contains(claim) {
                all.insert(seat.connection, (*claim, at));
            }
        }
    }
    Ok(all)
}

/// Connections that nobody pays for and for which somebody would.
#[derive(Debug, Default)]
struct Unpaid {
    ids: Vec<ConnectionId>,
    /// Whether there may be more of them.
    more: bool,
}

/// Live connections of their accounts that nobody pays for and for which somebody would. They are not locked yet.
async fn unpaid(
    conn: &mut PgConnection,
    doors: &Doors,
    of: &[Agreement],
    at: DateTime<Utc>,
) -> Result<Unpaid, AppError> {
    let in_force = of.iter().filter(|one| one.lets_in());
    let accounts = in_force.filter_map(|one| doors.accounts.get(&one.id));
    let accounts: Vec<String> = accounts
        .flatten()
        .map(|row| row.account.to_string())
        .collect();
    let Some(first) = of.first().filter(|_| !accounts.is_empty()) else {
        return Ok(Unpaid::default());
    };
    let mut after = None;
    for _ in 0..MOST_PAGES {
        let page =
            agreement_work::unpaid(conn, first.listing, &accounts, after, MOST_UNPAID).await?;
        let full = i64::try_from(page.len()).is_ok_and(|count| count == MOST_UNPAID);
        after = page.last().copied();
        let found = gather(conn, &page, at).await?;
        let ids: Vec<ConnectionId> = page
            .into_iter()
            .filter(|id| found.payer(*id).is_some())
            .collect();
        if !ids.is_empty() || !full {
            return Ok(Unpaid { more: full, ids });
        }
    }
    Ok(Unpaid::default())
}
