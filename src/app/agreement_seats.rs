//! Which agreement pays for which connection: those that nobody pays for find one, those whose agreement was replaced go over to the next, and those that are gone
//! make room.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::agreement_doors::Doors;
use super::agreement_moves::moves;
use super::agreement_standing::Known;
use super::agreement_unpaid::unpaid;
use super::bind_connection::{bind_many, unbind};
use super::gather_facts::gather;
use super::settle_agreements::grouped;
use super::{AppError, PgConnection};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Agreement, Seat, Unbound, surplus};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::store::agreement_bindings::NewBinding;
use crate::store::{agreement_work, connections};

/// What is connected by each agreement.
#[derive(Debug, Default)]
pub(super) struct Seats {
    by_agreement: HashMap<AgreementId, Vec<Seat>>,
    /// Connections that are gone.
    pub(super) gone: HashSet<ConnectionId>,
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
    let mut seats = read(conn, doors, of, &listed).await?;
    let mut moves = moves(conn, known, of, &seats, at).await?;
    let (mut gone, mut left, mut freed) = (Vec::new(), HashMap::new(), Vec::new());
    for one in of {
        let own = seats.get(&one.id).map_or(&[][..], Vec::as_slice);
        let over = matches!(one.state, AgreementState::Grace | AgreementState::Ended);
        let beyond = beyond(known, one, own)?;
        for seat in own {
            if seat.gone {
                gone.push(seat.connection);
                freed.push(one.id);
                moves.remove(&seat.connection);
            } else if (over || !seat.let_in || beyond.contains(&seat.connection))
                && seat.live
                && !moves.contains_key(&seat.connection)
            {
                left.insert(seat.connection, one.id);
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
    if touched.is_empty() {
        return Ok(Seats {
            by_agreement: seats,
            more: unpaid.more,
            ..Seats::default()
        });
    }
    connections::lock_many(conn, &touched).await?;
    unbind(conn, actor, &gone, Unbound::Gone, at).await?;
    let binds = moves
        .into_iter()
        .map(|(connection, (agreement, since))| NewBinding {
            agreement,
            connection,
            since,
        });
    bind_many(conn, actor, &binds.collect::<Vec<_>>(), at).await?;
    let mut binds = Vec::new();
    let mut found = gather(conn, &unpaid.ids, at).await?;
    let mut busy = false;
    for id in unpaid.ids {
        // What is cut otherwise goes to another one only if that has room for it.
        let payer = match left.get(&id) {
            Some(than) => found.other_payer(id, *than),
            None => found.payer(id),
        };
        let Some(payer) = payer else { continue };
        if may_pay.contains(&payer) {
            found.seated(id, payer);
            binds.push(NewBinding {
                agreement: payer,
                connection: id,
                since: at,
            });
        } else {
            busy = true;
        }
    }
    bind_many(conn, actor, &binds, at).await?;
    // Whoever pays for more now is looked at as well.
    let others: Vec<AgreementId> = payers.difference(&ids).copied().collect();
    agreement_work::wake(conn, &others).await?;
    seats = read(conn, doors, of, &listed).await?;
    Ok(Seats {
        by_agreement: seats,
        gone: gone.into_iter().collect(),
        freed,
        more: unpaid.more || busy,
    })
}

/// What is connected by these agreements, and who of that is let in.
async fn read(
    conn: &mut PgConnection,
    doors: &Doors,
    of: &[Agreement],
    listed: &[AgreementId],
) -> Result<HashMap<AgreementId, Vec<Seat>>, AppError> {
    let mut seats = grouped(agreement_work::seats(conn, listed).await?);
    for one in of {
        let all = || doors.accounts.get(&one.id).into_iter().flatten();
        for seat in seats.get_mut(&one.id).into_iter().flatten() {
            // Whoever goes over to the agreement that took its place is among the moves.
            seat.let_in =
                one.succeeded_at.is_none() && all().any(|row| row.account.as_str() == seat.account);
        }
    }
    Ok(seats)
}

/// What of the seats of one in force goes beyond what it grants.
fn beyond(
    known: &Known,
    one: &Agreement,
    seats: &[Seat],
) -> Result<HashSet<ConnectionId>, AppError> {
    match one.state {
        AgreementState::Active | AgreementState::Review => {
            Ok(surplus(seats, known.granted(one)?).into_iter().collect())
        }
        _ => Ok(HashSet::new()),
    }
}
