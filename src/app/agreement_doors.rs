//! Who should be let in by agreements of a listing, to which services, and what is there.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::agreement_heirs::Heirs;
use super::agreement_standing::Known;
use super::settle_agreements::grouped;
use super::{AppError, PgConnection};
use crate::domain::agreement::{Account, Agreement};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{AgreementId, ConsumerId, EndpointServiceId, ListingId};
use crate::domain::listing::{Listing, ListingState, Plan};
use crate::domain::principal::root_of;
use crate::store::agreement_grants::{self, Grant};
use crate::store::{
    access_work, agreement_accounts, denials, endpoint_services, facts, listing_services, listings,
};

/// What a listing sells, and who is let in to it by which agreement.
#[derive(Debug)]
pub(super) struct Doors {
    /// The services that it sells.
    pub(super) sold: Vec<RegisteredService>,
    /// The accounts of each agreement that are let in while it is in force.
    pub(super) accounts: HashMap<AgreementId, Vec<Account>>,
    rooms: Vec<Room>,
    /// Accounts that are not let in to a service now, whatever they bought.
    barred: HashSet<(AccountId, EndpointServiceId)>,
}

/// What one agreement should have and has.
#[derive(Debug)]
struct Room {
    agreement: AgreementId,
    /// What it keeps, if it has it.
    keeps: Vec<(EndpointServiceId, AccountId, String)>,
    /// Whether the listing lets it have more.
    may_add: bool,
    /// Whether it keeps something only until the one that took its place has it.
    waits: bool,
    /// What it has.
    has: Vec<Grant>,
}

/// Principals to add and to take away.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) add: Vec<Grant>,
    pub(super) end: Vec<Grant>,
}

impl Doors {
    /// Reads what there is about these agreements of one listing.
    pub(super) async fn of(
        conn: &mut PgConnection,
        listing: ListingId,
        known: &Known,
        of: &[Agreement],
        at: DateTime<Utc>,
    ) -> Result<Self, AppError> {
        let ids: Vec<AgreementId> = of.iter().map(|one| one.id).collect();
        let listing = listings::by_id(conn, listing).await?;
        let listing = listing.ok_or_else(|| AppError::internal("an agreement of no listing"))?;
        let sold = listing_services::sold_by(conn, listing.id).await?;
        let sold = endpoint_services::by_ids(conn, &sold).await?;
        let attached = agreement_accounts::of_many(conn, &ids).await?;
        let attached = attached.into_iter().filter(|row| row.proof.lets_in());
        let accounts = grouped(attached.map(|row| (row.agreement, row)));
        let heirs = Heirs::of(conn, known, of, &sold, at).await?;
        let grants = agreement_grants::of_many(conn, &ids).await?;
        let mut grants = grouped(grants.into_iter().map(|grant| (grant.agreement, grant)));
        let mut rooms = Vec::new();
        for one in of {
            let now = known.now(one, at)?;
            let plan = known.plan(one)?;
            let own = accounts.get(&one.id).into_iter().flatten();
            let lets_in = now.lets_in() && listing.state != ListingState::Retired;
            let pairs = own.filter(|_| lets_in).flat_map(|row| {
                let inside = sold.iter().filter(|service| is_in_plan(plan, service));
                inside.map(|service| {
                    let principal = root_of(&row.account, &service.region);
                    (service.id, row.account.clone(), principal)
                })
            });
            let has = grants.remove(&one.id).unwrap_or_default();
            let awaited = heirs.awaited(one.id, &has);
            let awaited = awaited.filter(|_| now.succeeded_at.is_some());
            let awaited: Vec<_> = awaited
                .map(|grant| {
                    (
                        grant.service,
                        grant.account.clone(),
                        grant.principal.clone(),
                    )
                })
                .collect();
            let waits = !awaited.is_empty();
            rooms.push(Room {
                agreement: one.id,
                keeps: pairs.chain(awaited).collect(),
                may_add: lets_in && may_add(&listing, one),
                waits,
                has,
            });
        }
        let mut doors = Self {
            sold,
            accounts,
            rooms,
            barred: HashSet::new(),
        };
        doors.barred = doors.find_barred(conn, at).await?;
        Ok(doors)
    }

    /// Whom a denial or the removal of their access keeps out.
    async fn find_barred(
        &self,
        conn: &mut PgConnection,
        at: DateTime<Utc>,
    ) -> Result<HashSet<(AccountId, EndpointServiceId)>, AppError> {
        let new = self.rooms.iter().flat_map(Room::missing);
        let pairs: HashSet<(AccountId, EndpointServiceId)> = new
            .map(|(service, account, _)| (account, service))
            .collect();
        if pairs.is_empty() {
            return Ok(HashSet::new());
        }
        let accounts: BTreeSet<String> = pairs.iter().map(|(a, _)| a.to_string()).collect();
        let accounts: Vec<String> = accounts.into_iter().collect();
        let services: Vec<EndpointServiceId> = self.sold.iter().map(|one| one.id).collect();
        let members = facts::memberships(conn, &accounts).await?;
        let consumers: HashMap<AccountId, ConsumerId> = members
            .into_iter()
            .map(|row| (row.account, row.consumer))
            .collect();
        let ids: BTreeSet<ConsumerId> = consumers.values().copied().collect();
        let ids: Vec<ConsumerId> = ids.into_iter().collect();
        let denials = denials::concerning_many(conn, &accounts, &ids, &services).await?;
        let denied = |(account, service): &(AccountId, EndpointServiceId)| {
            let consumer = consumers.get(account).copied();
            let mut all = denials.iter();
            all.any(|denial| denial.denies(account, consumer, *service, at))
        };
        let asked: Vec<(AccountId, EndpointServiceId)> = pairs.iter().cloned().collect();
        let ending = access_work::keeping_out(conn, &asked).await?;
        Ok(pairs
            .into_iter()
            .filter(|pair| ending.contains_key(pair) || denied(pair))
            .collect())
    }

    /// The services whose principals have to change, by id.
    pub(super) fn to_change(&self) -> BTreeSet<EndpointServiceId> {
        let end = self.rooms.iter().flat_map(Room::over);
        let end = end.map(|grant| grant.service);
        let new = self.rooms.iter().flat_map(Room::missing);
        let new =
            new.filter(|(service, account, _)| !self.barred.contains(&(account.clone(), *service)));
        new.map(|(service, ..)| service).chain(end).collect()
    }

    /// What is to be done, and the agreements of which something cannot be done now: an account is kept out, or a service is not locked.
    pub(super) fn wishes(
        &self,
        locked: &BTreeSet<EndpointServiceId>,
    ) -> (Wishes, HashSet<AgreementId>) {
        let mut wishes = Wishes::default();
        let mut unmet = HashSet::new();
        for room in &self.rooms {
            for (service, account, principal) in room.missing() {
                let barred = self.barred.contains(&(account.clone(), service));
                if barred || !locked.contains(&service) {
                    unmet.insert(room.agreement);
                    continue;
                }
                wishes.add.push(Grant {
                    agreement: room.agreement,
                    service,
                    account,
                    principal,
                    added: false,
                });
            }
            if room.waits {
                unmet.insert(room.agreement);
            }
            for grant in room.over() {
                if locked.contains(&grant.service) {
                    wishes.end.push(grant);
                } else {
                    unmet.insert(room.agreement);
                }
            }
        }
        (wishes, unmet)
    }
}

impl Room {
    /// What it should have and has not.
    fn missing(&self) -> Vec<(EndpointServiceId, AccountId, String)> {
        if !self.may_add {
            return Vec::new();
        }
        let has: HashSet<(EndpointServiceId, &AccountId)> =
            self.has.iter().map(|g| (g.service, &g.account)).collect();
        let missing = self
            .keeps
            .iter()
            .filter(|(s, a, _)| !has.contains(&(*s, a)));
        missing.cloned().collect()
    }

    /// What it has and should not have.
    fn over(&self) -> Vec<Grant> {
        let keeps: HashSet<(EndpointServiceId, &AccountId)> =
            self.keeps.iter().map(|(s, a, _)| (*s, a)).collect();
        let over = self
            .has
            .iter()
            .filter(|g| !keeps.contains(&(g.service, &g.account)));
        over.cloned().collect()
    }
}

/// Whether a service can be reached from a Region that the plan has.
pub(super) fn is_in_plan(plan: &Plan, service: &RegisteredService) -> bool {
    let Some(regions) = &plan.regions else {
        return true;
    };
    let seen = service.observed.as_ref();
    let seen = seen.map(|seen| seen.service.supported_regions.as_slice());
    let others = service.supported_regions.as_deref().or(seen);
    regions.contains(&service.region)
        || others
            .unwrap_or_default()
            .iter()
            .any(|other| regions.iter().any(|region| region.as_str() == other))
}

/// Whether the listing lets an agreement's accounts in: the table of listing states and permissions. What is suspended adds nobody and removes nobody.
fn may_add(listing: &Listing, agreement: &Agreement) -> bool {
    match listing.state {
        ListingState::Public | ListingState::Restricted => true,
        ListingState::Limited => listing.allow_list.contains(&agreement.buyer),
        ListingState::Suspended
        | ListingState::Retired
        | ListingState::Draft
        | ListingState::InReview
        | ListingState::ChangesRequested
        | ListingState::Approved => false,
    }
}
