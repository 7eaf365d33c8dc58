//! Principals follow agreements: they are added in every Region of the plan, and removed with the last agreement that stands on them.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::json;

use super::admission::may_change;
use super::agreement_standing::{Known, know, note};
use super::change_principals::record;
use super::settle_agreements::grouped;
use super::{AppError, PgConnection, drain_service};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Account, Agreement};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{AgreementId, ConsumerId, EndpointServiceId, ListingId};
use crate::domain::listing::{Listing, ListingState, Plan};
use crate::domain::principal::root_of;
use crate::store::agreement_grants::{self, Grant};
use crate::store::{
    access_work, agreement_accounts, agreements, denials, endpoint_services, facts,
    listing_services, listings,
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

/// Agreements that took the place of others, and whom they let in.
#[derive(Debug, Default)]
struct Heirs {
    /// Of each agreement the one that takes its place, if that is in force.
    of: HashMap<AgreementId, AgreementId>,
    accounts: HashMap<AgreementId, Vec<Account>>,
    grants: HashMap<AgreementId, Vec<Grant>>,
}

impl Heirs {
    async fn of(
        conn: &mut PgConnection,
        known: &Known,
        of: &[Agreement],
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
    fn awaited<'a>(&'a self, of: AgreementId, has: &'a [Grant]) -> impl Iterator<Item = &'a Grant> {
        let heir = self.of.get(&of);
        let accounts = heir.and_then(|heir| self.accounts.get(heir));
        let there = heir.and_then(|heir| self.grants.get(heir));
        has.iter().filter(move |grant| {
            let mut lets_in = accounts.into_iter().flatten();
            let mut got = there.into_iter().flatten();
            lets_in.any(|row| row.account == grant.account)
                && !got.any(|own| own.service == grant.service && own.account == grant.account)
        })
    }
}

/// Principals to add and to take away.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    add: Vec<Grant>,
    end: Vec<Grant>,
}

impl Doors {
    /// Reads what there is about these agreements of one listing.
    pub(super) async fn of(
        conn: &mut PgConnection,
        listing: ListingId,
        of: &[Agreement],
        at: DateTime<Utc>,
    ) -> Result<Self, AppError> {
        let known = know(conn, of).await?;
        let ids: Vec<AgreementId> = of.iter().map(|one| one.id).collect();
        let listing = listings::by_id(conn, listing).await?;
        let listing = listing.ok_or_else(|| AppError::internal("an agreement of no listing"))?;
        let sold = listing_services::sold_by(conn, listing.id).await?;
        let sold = endpoint_services::by_ids(conn, &sold).await?;
        let attached = agreement_accounts::of_many(conn, &ids).await?;
        let attached = attached.into_iter().filter(|row| row.proof.lets_in());
        let accounts = grouped(attached.map(|row| (row.agreement, row)));
        let heirs = Heirs::of(conn, &known, of, at).await?;
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
fn is_in_plan(plan: &Plan, service: &RegisteredService) -> bool {
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

/// What is to be done, and the agreements of which something cannot be done now: an account is kept out, or a service is not locked.
pub(super) fn wishes(
    doors: &Doors,
    locked: &BTreeSet<EndpointServiceId>,
) -> (Wishes, HashSet<AgreementId>) {
    let mut wishes = Wishes::default();
    let mut unmet = HashSet::new();
    for room in &doors.rooms {
        for (service, account, principal) in room.missing() {
            let barred = doors.barred.contains(&(account.clone(), service));
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

/// Adds principals and takes others away, one change for each service. Answers the agreements for which a service cannot be changed now.
pub(super) async fn give_and_take(
    conn: &mut PgConnection,
    actor: &Actor,
    Wishes { add, end }: Wishes,
    at: DateTime<Utc>,
) -> Result<HashSet<AgreementId>, AppError> {
    let both = || add.iter().chain(&end);
    let services: BTreeSet<EndpointServiceId> = both().map(|grant| grant.service).collect();
    if services.is_empty() {
        return Ok(HashSet::new());
    }
    let accounts: BTreeSet<String> = both().map(|grant| grant.account.to_string()).collect();
    let accounts: Vec<String> = accounts.into_iter().collect();
    let ids: Vec<EndpointServiceId> = services.iter().copied().collect();
    let standing = agreement_grants::of_accounts(conn, &ids, &accounts).await?;
    let requested = agreement_grants::requested(conn, &ids, &accounts).await?;
    let (mut unmet, mut given, mut ended) = (HashSet::new(), Vec::new(), Vec::new());
    for service in services {
        let before = drain_service::read(conn, service).await?;
        let here = |all: &[Grant]| -> Vec<Grant> {
            let all = all.iter().filter(|grant| grant.service == service);
            all.cloned().collect()
        };
        let (adds, ends) = (here(&add), here(&end));
        if may_change(&before).is_err() {
            // While it is drained nobody comes in and nothing of it can be changed. Where it has ended there is nothing left to take away.
            if before.lifecycle.state.is_looked_after().is_ok() {
                unmet.extend(adds.iter().chain(&ends).map(|grant| grant.agreement));
            } else {
                ended.extend(ends);
            }
            continue;
        }
        let standing = here(&standing);
        let is_requested = |principal: &str| requested.contains(&(service, principal.to_owned()));
        let change = change(
            &before.allowed_principals,
            adds,
            &ends,
            &standing,
            is_requested,
        );
        if change.principals != before.allowed_principals {
            let reason = "principals follow agreements";
            let (opens, principals) = (before.open_to_everybody, change.principals);
            if !record(conn, actor, &before, principals, opens, reason, at).await? {
                return Err(AppError::internal("a service changed under its own lock"));
            }
        }
        for grant in &change.given {
            let step = ("agreement.grant", "added", grant.added);
            note_step(conn, actor, grant, step, at).await?;
        }
        for grant in &ends {
            let removed = change.goes.contains(&grant.principal);
            let step = ("agreement.revoke_principal", "removed", removed);
            note_step(conn, actor, grant, step, at).await?;
        }
        given.extend(change.given);
        ended.extend(ends);
    }
    agreement_grants::end(conn, &ended, at).await?;
    agreement_grants::give(conn, &given, at).await?;
    Ok(unmet)
}

async fn note_step(
    conn: &mut PgConnection,
    actor: &Actor,
    grant: &Grant,
    (action, key, value): (&'static str, &str, bool),
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let after = json!({
        "endpoint_service_id": grant.service, "account_id": grant.account, "principal": grant.principal, key: value,
    });
    let change = (None, Some(after));
    note(conn, actor, grant.agreement, action, change, None, at).await
}

/// How the principals of one service change.
struct Change {
    principals: Vec<String>,
    /// What is given, each with whether its principal is there because of agreements alone.
    given: Vec<Grant>,
    /// Principals that go.
    goes: HashSet<String>,
}

/// Finds how the principals of a service change. One goes only if it came because of agreements and nothing else stands on it.
fn change(
    before: &[String],
    mut given: Vec<Grant>,
    ends: &[Grant],
    standing: &[Grant],
    is_requested: impl Fn(&str) -> bool,
) -> Change {
    let mut principals = before.to_vec();
    for grant in &mut given {
        let mut others = standing.iter();
        let by_agreement = others.any(|other| other.principal == grant.principal && other.added);
        let there = before.contains(&grant.principal);
        grant.added = !there || by_agreement;
        if !principals.contains(&grant.principal) {
            principals.push(grant.principal.clone());
        }
    }
    let stays = |grant: &Grant| {
        let same = |other: &Grant| other.principal == grant.principal;
        given.iter().any(same)
            || is_requested(&grant.principal)
            || standing
                .iter()
                .any(|other| same(other) && !ends.contains(other))
    };
    let going = ends.iter().filter(|grant| grant.added && !stays(grant));
    let goes: HashSet<String> = going.map(|grant| grant.principal.clone()).collect();
    principals.retain(|principal| !goes.contains(principal));
    Change {
        principals,
        given,
        goes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "arn:aws:iam::210987654321:root";

    fn grant(agreement: u128, added: bool) -> Grant {
        Grant {
            agreement: uuid::Uuid::from_u128(agreement).into(),
            service: uuid::Uuid::from_u128(1).into(),
            account: "210987654321".parse().unwrap(),
            principal: ROOT.to_owned(),
            added,
        }
    }

    #[test]
    fn what_came_with_an_agreement_goes_with_it() {
        let come = change(&[], vec![grant(1, false)], &[], &[], |_| false);
        assert_eq!(come.principals, [ROOT]);
        assert!(come.given[0].added);
        let own = grant(1, true);
        let gone = change(
            &come.principals,
            Vec::new(),
            std::slice::from_ref(&own),
            std::slice::from_ref(&own),
            |_| false,
        );
        assert_eq!((gone.principals.len(), gone.goes.len()), (0, 1));
    }

    #[test]
    fn what_was_there_before_or_stands_on_more_stays() {
        let there = [ROOT.to_owned()];
        let come = change(&there, vec![grant(1, false)], &[], &[], |_| false);
        assert!(!come.given[0].added, "somebody else had let it in");
        for (standing, requested) in [
            (vec![grant(1, true), grant(2, true)], false),
            (vec![grant(1, true)], true),
        ] {
            let stays = change(&there, Vec::new(), &[grant(1, true)], &standing, |_| {
                requested
            });
            assert_eq!(stays.principals, there);
        }
        let foreign = change(
            &there,
            Vec::new(),
            &[grant(1, false)],
            &[grant(1, false)],
            |_| false,
        );
        assert_eq!(foreign.principals, there);
    }

    #[test]
    fn a_renewal_takes_over_what_its_predecessor_brought() {
        let there = [ROOT.to_owned()];
        let both = change(
            &there,
            vec![grant(2, false)],
            &[grant(1, true)],
            &[grant(1, true)],
            |_| false,
        );
        assert_eq!(both.principals, there);
        assert!(both.given[0].added, "it goes with the last of them");
    }
}
