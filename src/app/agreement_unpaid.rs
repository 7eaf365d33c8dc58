//! Connections for which somebody would pay who does not: those that nobody pays for, and those that are cut otherwise.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::agreement_doors::Doors;
use super::gather_facts::gather;
use super::{AppError, PgConnection};
use crate::domain::agreement::Agreement;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::store::agreement_work;

/// The most connections that are looked at together to find somebody who pays for them.
const MOST_UNPAID: i64 = 200;
/// How many times so many are looked at in one transaction as long as none of them finds anybody. They must not hide those that come after them.
const MOST_PAGES: usize = 10;

/// Connections that nobody pays for and for which somebody would.
#[derive(Debug, Default)]
pub(super) struct Unpaid {
    /// Them.
    pub(super) ids: Vec<ConnectionId>,
    /// Who would.
    pub(super) payers: HashSet<AgreementId>,
    /// Whether there may be more of them.
    pub(super) more: bool,
}

impl Unpaid {
    /// Adds those of some that are cut otherwise, each with the agreement that lets go of it, for which another agreement of their account has room.
    pub(super) async fn add_left(
        &mut self,
        conn: &mut PgConnection,
        left: &HashMap<ConnectionId, AgreementId>,
        at: DateTime<Utc>,
    ) -> Result<(), AppError> {
        if left.is_empty() {
            return Ok(());
        }
        let ids: Vec<ConnectionId> = left.keys().copied().collect();
        let found = gather(conn, &ids, at).await?;
        for (id, than) in left {
            if let Some(payer) = found.other_payer(*id, *than) {
                self.payers.insert(payer);
                self.ids.push(*id);
            }
        }
        Ok(())
    }
}

/// Live connections of their accounts that nobody pays for and for which somebody would. They are not locked yet.
pub(super) async fn unpaid(
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
