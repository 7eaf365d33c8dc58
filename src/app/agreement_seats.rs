//! Which agreement pays for which connection: those that nobody pays for find one, those whose agreement was replaced go over to the next, and those that are gone
//! make room.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::agreement_grants::Doors;
use super::agreement_standing::Known;
use super::bind_connection::{bind, unbind};
use super::gather_facts::gather;
use super::settle_agreements::grouped;
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, Seat, Unbound};
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::store::{agreement_accounts, agreement_work, connections};

/// The most connections that find somebody who pays in one transaction.
const MOST_UNPAID: i64 = 200;

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
            } else if !is_attached(&seat.account) && !moves.contains_key(&seat.connection) {
                detached.push(seat.connection);
            }
        }
    }
    let unpaid = unpaid(conn, doors, of).await?;
    let all = [&gone, &detached, &unpaid].into_iter().flatten().copied();
    let touched: Vec<ConnectionId> = all.chain(moves.keys().copied()).collect();
    let more = i64::try_from(unpaid.len()).is_ok_and(|count| count >= MOST_UNPAID);
    if touched.is_empty() {
        return Ok(Seats {
            by_agreement: seats,
            more,
        });
    }
    connections::lock_many(conn, &touched).await?;
    unbind(conn, actor, &gone, Unbound::Gone, at).await?;
    unbind(conn, actor, &detached, Unbound::Ended, at).await?;
    for (connection, (successor, since)) in moves {
        bind(conn, actor, successor, connection, since).await?;
    }
    let mut found = gather(conn, &unpaid, at).await?;
    let mut bound = false;
    for id in unpaid {
        if let Some(payer) = found.payer(id) {
            bind(conn, actor, payer, id, at).await?;
            found.seated(id);
            bound = true;
        }
    }
    Ok(Seats {
        by_agreement: grouped(agreement_work::seats(conn, &ids).await?),
        // Where none of so many found anybody, the next look would find none either.
        more: more && bound,
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

/// Live connections of their accounts that nobody pays for.
async fn unpaid(
    conn: &mut PgConnection,
    doors: &Doors,
    of: &[Agreement],
) -> Result<Vec<ConnectionId>, AppError> {
    let in_force = of.iter().filter(|one| one.lets_in());
    let accounts = in_force.filter_map(|one| doors.accounts.get(&one.id));
    let accounts: Vec<String> = accounts
        .flatten()
        .map(|row| row.account.to_string())
        .collect();
    let Some(first) = of.first().filter(|_| !accounts.is_empty()) else {
        return Ok(Vec::new());
    };
    Ok(agreement_work::unpaid(conn, first.listing, &accounts, MOST_UNPAID).await?)
}
