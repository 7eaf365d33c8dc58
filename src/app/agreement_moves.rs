//! Connections for which another agreement pays from now on without being asked whether it has room: the successor's, those that go back, and those that somebody named one for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::agreement_standing::{Known, know};
use super::{AppError, PgConnection};
use crate::domain::agreement::{Agreement, Seat};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::store::{agreement_accounts, agreement_bindings, agreement_work, agreements};

/// To which agreement each connection goes, and from when on that pays for it.
pub(super) type Moves = BTreeMap<ConnectionId, (AgreementId, DateTime<Utc>)>;

/// Where the seats of these agreements go.
pub(super) async fn moves(
    conn: &mut PgConnection,
    known: &Known,
    of: &[Agreement],
    seats: &HashMap<AgreementId, Vec<Seat>>,
    at: DateTime<Utc>,
) -> Result<Moves, AppError> {
    let mut all = forward(conn, known, of, seats).await?;
    all.extend(back(conn, of, seats, at).await?);
    all.extend(claimed(conn, of, seats, at).await?);
    Ok(all)
}

/// Connections that go over to the agreement that took the place of theirs, and from when on.
async fn forward(
    conn: &mut PgConnection,
    known: &Known,
    of: &[Agreement],
    seats: &HashMap<AgreementId, Vec<Seat>>,
) -> Result<Moves, AppError> {
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
async fn back(
    conn: &mut PgConnection,
    of: &[Agreement],
    seats: &HashMap<AgreementId, Vec<Seat>>,
    at: DateTime<Utc>,
) -> Result<Moves, AppError> {
    let rolled_back = of
        .iter()
        .filter(|one| one.state == AgreementState::Ended && one.cause.is_none());
    let mut all = BTreeMap::new();
    let gone = rolled_back.filter(|one| seats.contains_key(&one.id));
    let gone: Vec<AgreementId> = gone.map(|one| one.id).collect();
    if gone.is_empty() {
        return Ok(all);
    }
    let pairs = agreements::places(conn, &gone).await?;
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
    let before: Vec<AgreementId> = all.values().map(|(before, _)| *before).collect();
    agreement_work::wake(conn, &before).await?;
    Ok(all)
}

/// Connections for which somebody said that another agreement shall pay, one that is in force.
async fn claimed(
    conn: &mut PgConnection,
    of: &[Agreement],
    seats: &HashMap<AgreementId, Vec<Seat>>,
    at: DateTime<Utc>,
) -> Result<Moves, AppError> {
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
