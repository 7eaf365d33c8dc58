//! Agreements that take the place of others, as far as principals go over to them.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::agreement_doors::is_in_plan;
use super::agreement_standing::{Known, know};
use super::settle_agreements::grouped;
use super::{AppError, PgConnection};
use crate::domain::agreement::{Account, Agreement};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{AgreementId, EndpointServiceId};
use crate::store::agreement_grants::{self, Grant};
use crate::store::{agreement_accounts, agreements};

/// Agreements that took the place of others, and whom they let in.
#[derive(Debug, Default)]
pub(super) struct Heirs {
    /// Of each agreement the one that takes its place, if that is in force.
    of: HashMap<AgreementId, AgreementId>,
    accounts: HashMap<AgreementId, Vec<Account>>,
    /// Which services the plan of each of them has.
    services: HashMap<AgreementId, HashSet<EndpointServiceId>>,
    grants: HashMap<AgreementId, Vec<Grant>>,
}

impl Heirs {
    /// Reads what there is about those that take the place of these.
    pub(super) async fn of(
        conn: &mut PgConnection,
        known: &Known,
        of: &[Agreement],
        sold: &[RegisteredService],
        at: DateTime<Utc>,
    ) -> Result<Self, AppError> {
        let pairs = of
            .iter()
            .filter_map(|one| Some((one.id, known.successor(one.id)?.0)));
        let mut heirs = Self {
            of: pairs.collect(),
            ..Self::default()
        };
        let ids: BTreeSet<AgreementId> = heirs.of.values().copied().collect();
        let ids: Vec<AgreementId> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(heirs);
        }
        let found = agreements::by_ids(conn, &ids).await?;
        let known = know(conn, &found).await?;
        let mut in_force = HashSet::new();
        for one in &found {
            if known.now(one, at)?.lets_in() {
                in_force.insert(one.id);
            }
            let plan = known.plan(one)?;
            let inside = sold.iter().filter(|service| is_in_plan(plan, service));
            let inside = inside.map(|service| service.id).collect();
            heirs.services.insert(one.id, inside);
        }
        heirs.of.retain(|_, heir| in_force.contains(heir));
        let attached = agreement_accounts::of_many(conn, &ids).await?;
        let attached = attached.into_iter().filter(|row| row.proof.lets_in());
        heirs.accounts = grouped(attached.map(|row| (row.agreement, row)));
        let grants = agreement_grants::of_many(conn, &ids).await?;
        heirs.grants = grouped(grants.into_iter().map(|grant| (grant.agreement, grant)));
        Ok(heirs)
    }

    /// What the one that takes an agreement's place lets in as well and has not got yet: it may come later in the pass, or not be allowed to add anybody now.
    pub(super) fn awaited<'a>(
        &'a self,
        of: AgreementId,
        has: &'a [Grant],
    ) -> impl Iterator<Item = &'a Grant> {
        let heir = self.of.get(&of);
        let accounts = heir.and_then(|heir| self.accounts.get(heir));
        let there = heir.and_then(|heir| self.grants.get(heir));
        let services = heir.and_then(|heir| self.services.get(heir));
        has.iter().filter(move |grant| {
            let mut lets_in = accounts.into_iter().flatten();
            let mut got = there.into_iter().flatten();
            lets_in.any(|row| row.account == grant.account)
                && services.is_some_and(|inside| inside.contains(&grant.service))
                && !got.any(|own| own.service == grant.service && own.account == grant.account)
        })
    }
}
