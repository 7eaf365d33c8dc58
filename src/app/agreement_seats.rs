//! Which agreement pays for which connection: those that nobody pays for find one, those whose agreement was replaced go over to the next, and those that are gone
//! make room.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    /// Connections for which another agreement pays now.
    pub(super) moved: HashSet<ConnectionId>,
    /// Agreements by which something was connected that is gone.
    pub(super) freed: Vec<AgreementId>,
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
    let ids: HashSet<AgreementId> = of.iter().map(|one| one.id).collect();
    let listed: Vec<AgreementId> = ids.iter().copied().collect();
    let mut seats = grouped(agreement_work::seats(conn, &listed).await?);
    let mut moves = moves(conn, known, of, &seats).await?;
    moves.extend(returns(conn, of, &seats, at).await?);
    moves.extend(claimed(conn, of, &seats, at).await?);
    let is_let_in = |one: &Agreement, seat: &Seat| {
        let mut all = doors.accounts.get(&one.id).into_iter().flatten();
        // Whoever goes over to the agreement that took its place is among the moves.
        one.succeeded_at.is_none() && all.any(|row| row.account.as_str() == seat.account)
    };
    let (mut gone, mut left, mut freed) = (Vec::new(), HashSet::new(), Vec::new());
    for one in of {
        let over = matches!(one.state, AgreementState::Grace | AgreementState::Ended);
        for seat in seats.get(&one.id).into_iter().flatten() {
            if !seat.live {
                gone.push(seat.connection);
                freed.push(one.id);
                moves.remove(&seat.connection);
            } else if (over || !is_let_in(one, seat)) && !moves.contains_key(&seat.connection) {
                left.insert(seat.connection);
            }
        }
    }
    let mut unpaid = unpaid(conn, doors, of, at).await?;
    unpaid.add_left(conn, &left, at).await?;
    let mut payers: HashSet<AgreementId> = unpaid.payers.difference(&ids).copied().collect();
    let free: Vec<AgreementId> = payers.iter().copied().collect();
    let mut may_pay = agreement_work::lock_free(conn, &free).await?;
    payers.extend(moves.values().map(|(to, _)| *to));
    may_pay.extend(&ids);
    let all = gone.iter().chain(&unpaid.ids).chain(moves.keys());
    let touched: Vec<ConnectionId> = all.copied().collect();
    let mark = |seats: &mut HashMap<AgreementId, Vec<Seat>>| {
        for one in of {
            for seat in seats.get_mut(&one.id).into_iter().flatten() {
                seat.let_in = is_let_in(one, seat);
            }
        }
    };
    if touched.is_empty() {
        mark(&mut seats);
        return Ok(Seats {
            by_agreement: seats,
            more: unpaid.more,
            ..Seats::default()
        });
    }
    connections::lock_many(conn, &touched).await?;
    unbind(conn, actor, &gone, Unbound::Gone, at).await?;
    let mut elsewhere: HashSet<ConnectionId> = moves.keys().copied().collect();
    for (connection, (successor, since)) in moves {
        bind(conn, actor, successor, connection, since, at).await?;
    }
    let mut found = gather(conn, &unpaid.ids, at).await?;
    let mut busy = false;
    for id in unpaid.ids {
        // What is cut otherwise goes to another one only if that has room for it.
        let payer = found
            .payer(id)
            .filter(|_| !left.contains(&id) || found.has_room(id));
        let Some(payer) = payer else { continue };
        if may_pay.contains(&payer) {
            bind(conn, actor, payer, id, at, at).await?;
            found.seated(id);
            elsewhere.insert(id);
        } else {
            busy = true;
        }
    }
    // Whoever pays for more now is looked at as well.
    let others: Vec<AgreementId> = payers.difference(&ids).copied().collect();
    agreement_work::wake(conn, &others).await?;
    seats = grouped(agreement_work::seats(conn, &listed).await?);
    mark(&mut seats);
    Ok(Seats {
        by_agreement: seats,
        moved: elsewhere,
        freed,
        more: unpaid.more || busy,
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
        let goes_over = |seat: &Seat| {
            let mut rows = attached.iter().filter(|row| row.agreement == successor);
            rows.find(|row| row.proof.lets_in() && row.account.as_str() == seat.account)
        };
        for seat in seats.get(&id).into_iter().flatten() {
            if let Some(row) = goes_over(seat) {
                // Nobody pays for what was connected before the account was let in.
                let since = since.max(row.attached.at);
                all.insert(seat.connection, (successor, since));
            }
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
    let mut pairs = Vec::new();
    for one in rolled_back.filter(|one| seats.contains_key(&one.id)) {
        let before = agreements::line_before(conn, one.id).await?;
        pairs.extend(before.last().map(|before| (one.id, *before)));
    }
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
    /// Who would.
    payers: HashSet<AgreementId>,
    /// Whether there may be more of them.
    more: bool,
}

impl Unpaid {
    /// Those of some that are cut otherwise and for which another agreement of their account has room.
    async fn add_left(
        &mut self,
        conn: &mut PgConnection,
        left: &HashSet<ConnectionId>,
        at: DateTime<Utc>,
    ) -> Result<(), AppError> {
        if left.is_empty() {
            return Ok(());
        }
        let ids: Vec<ConnectionId> = left.iter().copied().collect();
        let found = gather(conn, &ids, at).await?;
        for id in ids {
            if let Some(payer) = found.payer(id).filter(|_| found.has_room(id)) {
                self.payers.insert(payer);
                self.ids.push(id);
            }
        }
        Ok(())
    }
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
        let paid = page.iter().filter_map(|id| Some((*id, found.payer(*id)?)));
        let (ids, payers): (Vec<ConnectionId>, HashSet<AgreementId>) = paid.unzip();
        if !ids.is_empty() || !full {
            return Ok(Unpaid {
                more: full,
                ids,
                payers,
            });
        }
    }
    Ok(Unpaid::default())
}
