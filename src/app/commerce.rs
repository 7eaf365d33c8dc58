//! What is sold and what was bought, as far as decisions about connections depend on it: the listing that sells the service, the agreements of the account, and what is
//! left of each.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::agreement_standing::know;
use super::{AppError, PgConnection};
use crate::domain::agreement::{Asks, Candidate, InUse, choose, choose_other};
use crate::domain::decision::{self, Acceptance, AgreementState, Licences};
use crate::domain::ids::{AgreementId, ConnectionId, EndpointServiceId, ListingId};
use crate::domain::listing::{Listing, Plan, Revision};
use crate::store::facts::Subject;
use crate::store::{
    agreement_accounts, agreement_bindings, agreement_work, agreements, listing_services,
};

/// What is known of what is sold and was bought.
#[derive(Debug, Default)]
pub struct Commerce {
    /// What sells each service; `None` where nothing does.
    sellers: HashMap<EndpointServiceId, Option<ListingId>>,
    listings: HashMap<ListingId, (Listing, Revision)>,
    candidates: HashMap<AgreementId, Candidate>,
    of_accounts: HashMap<(AccountId, ListingId), Vec<AgreementId>>,
    bound: HashMap<ConnectionId, AgreementId>,
    claimed: HashMap<ConnectionId, AgreementId>,
}

/// What a listing brings to the facts about a connection.
#[derive(Debug, Default)]
pub struct Sold {
    /// What the service is sold by.
    pub listing: Option<decision::Listing>,
    /// What the plan asks and grants.
    pub plan: Option<decision::Plan>,
    /// What the consumer agreed to.
    pub agreement: Option<decision::Agreement>,
    /// Licences, where several could pay.
    pub licences: Option<Licences>,
    /// The agreement's limits, with what would be used.
    pub quotas: Vec<decision::Quota>,
    /// Which agreement would pay.
    pub payer: Option<AgreementId>,
    /// The agreement that the limits are of, where it is in force.
    pub in_force: Option<AgreementId>,
}

impl Commerce {
    /// Reads what is not known yet about these connections. What sells is kept; what was bought is read anew.
    pub async fn fill(
        &mut self,
        conn: &mut PgConnection,
        subjects: &[Subject],
        at: DateTime<Utc>,
    ) -> Result<(), AppError> {
        self.find_sellers(conn, subjects).await?;
        self.candidates.clear();
        self.of_accounts.clear();
        self.bound.clear();
        self.claimed.clear();
        let sold = |subject: &&Subject| self.seller(subject.service).is_some();
        let sold: Vec<&Subject> = subjects.iter().filter(sold).collect();
        if sold.is_empty() {
            return Ok(());
        }
        let accounts: BTreeSet<String> = sold.iter().map(|s| s.owner.to_string()).collect();
        let accounts: Vec<String> = accounts.into_iter().collect();
        let listings: Vec<ListingId> = self.listings.keys().copied().collect();
        let found = agreements::of_accounts(conn, &listings, &accounts).await?;
        if found.is_empty() {
            return Ok(());
        }
        let listing_of: HashMap<AgreementId, ListingId> =
            found.iter().map(|one| (one.id, one.listing)).collect();
        for row in agreement_accounts::by_accounts(conn, &accounts).await? {
            // Nobody has said that an account without any proof belongs to whoever bought.
            if let Some(listing) = listing_of.get(&row.agreement)
                && row.proof.lets_in()
            {
                let of = self.of_accounts.entry((row.account, *listing)).or_default();
                of.push(row.agreement);
            }
        }
        let known = know(conn, &found).await?;
        let ids: Vec<AgreementId> = found.iter().map(|one| one.id).collect();
        for one in &found {
            let candidate = Candidate {
                agreement: known.now(one, at)?,
                plan: known.plan(one)?.clone(),
                quotas: known.quotas(one)?,
                in_use: InUse::default(),
            };
            self.candidates.insert(one.id, candidate);
        }
        for (id, seat) in agreement_work::seats(conn, &ids).await? {
            if let Some(candidate) = self.candidates.get_mut(&id)
                && seat.live
            {
                candidate.in_use.add(seat.service, &seat.region);
            }
        }
        self.count_heirs(conn).await?;
        let connections: Vec<ConnectionId> = sold.iter().map(|subject| subject.id).collect();
        let bound = agreement_bindings::of_connections(conn, &connections).await?;
        self.bound = bound
            .into_iter()
            .map(|(id, row)| (id, row.agreement))
            .collect();
        self.claimed = agreement_bindings::claims(conn, &connections).await?;
        Ok(())
    }

    /// What is connected by agreements whose place others have taken counts for those, before the worker has moved it.
    async fn count_heirs(&mut self, conn: &mut PgConnection) -> Result<(), AppError> {
        let takes_a_place = |one: &&Candidate| {
            one.agreement.state == AgreementState::Active && one.agreement.replaces.is_some()
        };
        let heirs = self.candidates.values().filter(takes_a_place);
        let heirs: Vec<AgreementId> = heirs.map(|one| one.agreement.id).collect();
        if heirs.is_empty() {
            return Ok(());
        }
        let places = agreements::places(conn, &heirs).await?;
        let heirs: HashMap<AgreementId, AgreementId> = places
            .into_iter()
            .map(|(heir, place)| (place, heir))
            .collect();
        let before: Vec<AgreementId> = heirs.keys().copied().collect();
        let seats = agreement_work::seats(conn, &before).await?;
        let mut seats = seats.into_iter().filter(|(_, seat)| seat.live).peekable();
        if seats.peek().is_none() {
            return Ok(());
        }
        let after: Vec<AgreementId> = heirs.values().copied().collect();
        let attached = agreement_accounts::of_many(conn, &after).await?;
        let attached = attached.into_iter().filter(|row| row.proof.lets_in());
        let attached: HashSet<(AgreementId, String)> = attached
            .map(|row| (row.agreement, row.account.to_string()))
            .collect();
        for (before, seat) in seats {
            if let Some(heir) = heirs.get(&before)
                && attached.contains(&(*heir, seat.account.clone()))
                && let Some(candidate) = self.candidates.get_mut(heir)
            {
                candidate.in_use.add(seat.service, &seat.region);
            }
        }
        Ok(())
    }

    async fn find_sellers(
        &mut self,
        conn: &mut PgConnection,
        subjects: &[Subject],
    ) -> Result<(), AppError> {
        let unknown: HashSet<EndpointServiceId> = subjects
            .iter()
            .map(|subject| subject.service)
            .filter(|service| !self.sellers.contains_key(service))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<EndpointServiceId> = unknown.into_iter().collect();
        let sellers = listing_services::sellers(conn, &unknown).await?;
        for service in unknown {
            let Some(listing) = sellers.get(&service).copied() else {
                self.sellers.insert(service, None);
                continue;
            };
            if !self.listings.contains_key(&listing)
                && let Some(found) = listing_services::listing_of(conn, service).await?
            {
                self.listings.insert(listing, found);
            }
            let known = self.listings.contains_key(&listing);
            self.sellers.insert(service, known.then_some(listing));
        }
        Ok(())
    }

    fn seller(&self, service: EndpointServiceId) -> Option<ListingId> {
        self.sellers.get(&service).copied().flatten()
    }

    /// What is sold to a connection, and what its account bought.
    pub fn of(&self, subject: &Subject, region: &str, live: bool) -> Sold {
        let seller = self.seller(subject.service);
        let Some((listing, revision)) = seller.and_then(|id| self.listings.get(&id)) else {
            return Sold::default();
        };
        let candidates = self.candidates(subject, listing.id);
        let chosen = choose(
            &candidates,
            Asks {
                service: subject.service,
                region,
                live,
                said: self.claimed.get(&subject.id).copied(),
                pays: self.bound.get(&subject.id).copied(),
            },
        );
        let buyer = chosen.agreement.map(|one| &one.agreement.buyer);
        let allowed = |account: &AccountId| listing.allow_list.contains(account);
        let plan = match chosen.agreement {
            Some(one) => Some(plan_facts(&one.plan)),
            None => unbought(revision),
        };
        let quotas = chosen
            .agreement
            .map(|one| one.limits(subject.service, region));
        Sold {
            listing: Some(decision::Listing {
                id: listing.id.to_string(),
                state: listing.state,
                acceptance: acceptance(revision, subject.service),
                allow_listed: allowed(&subject.owner) || buyer.is_some_and(allowed),
            }),
            plan,
            agreement: chosen.agreement.map(|one| decision::Agreement {
                id: one.agreement.id.to_string(),
                state: one.agreement.state,
                source: one.agreement.source,
                grace_until: one.agreement.grace_until,
            }),
            licences: chosen.licences,
            quotas: quotas.unwrap_or_default(),
            payer: chosen.payer,
            in_force: chosen
                .agreement
                .filter(|one| one.agreement.state == AgreementState::Active)
                .map(|one| one.agreement.id),
        }
    }

    fn candidates(&self, subject: &Subject, listing: ListingId) -> Vec<&Candidate> {
        let ids = self.of_accounts.get(&(subject.owner.clone(), listing));
        let ids = ids.into_iter().flatten();
        ids.filter_map(|id| self.candidates.get(id)).collect()
    }

    /// Another agreement than the one that lets go of a connection, in force and with room for it.
    pub fn other(&self, subject: &Subject, region: &str, than: AgreementId) -> Option<AgreementId> {
        let seller = self.seller(subject.service)?;
        let candidates = self.candidates(subject, seller);
        let said = self.claimed.get(&subject.id).copied();
        choose_other(
            &candidates,
            Asks {
                service: subject.service,
                region,
                live: true,
                said,
                pays: None,
            },
            than,
        )
    }

    /// Counts a connection for which an agreement pays from now on.
    pub fn seated(&mut self, subject: &Subject, region: &str, payer: AgreementId) {
        self.bound.insert(subject.id, payer);
        if let Some(candidate) = self.candidates.get_mut(&payer) {
            candidate.in_use.add(subject.service, region);
        }
    }

    /// Counts a connection that was accepted just now. Answers the agreement that pays for it.
    pub fn accepted(&mut self, subject: &Subject, region: &str) -> Option<AgreementId> {
        let payer = self.of(subject, region, false).payer;
        if let Some(payer) = payer {
            self.seated(subject, region, payer);
        }
        payer
    }
}

/// Who is let in to a service without a word, as the listing says.
fn acceptance(revision: &Revision, service: EndpointServiceId) -> Option<Acceptance> {
    let services = &revision.content.services;
    let listed = services.iter().find(|listed| listed.service_id == service);
    listed.map(|listed| listed.acceptance)
}

fn plan_facts(plan: &Plan) -> decision::Plan {
    decision::Plan {
        id: plan.id.map(|id| id.to_string()).unwrap_or_default(),
        regions: plan.regions.clone(),
        zones: plan.zones.clone(),
        agreement_required: plan.agreement_required,
        orphan_wait_seconds: plan.orphan_wait_seconds,
        approval: plan.approval,
        registration_required: plan.registration_required,
    }
}

/// The plan that counts for whoever has bought none: one that takes no agreement, or else the one whose buyers are waited for longest.
fn unbought(revision: &Revision) -> Option<decision::Plan> {
    let plans = &revision.content.plans;
    let open = plans.iter().find(|plan| !plan.agreement_required);
    let longest = plans.iter().max_by_key(|plan| plan.orphan_wait_seconds);
    open.or(longest).map(plan_facts)
}
