//! What is sold and what was bought, as far as decisions about connections depend on it: the listing that sells the service, the agreements of the account, and what is
//! left of each.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::agreement_standing::know;
use super::{AppError, PgConnection};
use crate::domain::agreement::{Agreement, InUse};
use crate::domain::decision::{
    self, Acceptance, AgreementState, BindRule, Binding, Licence, Licences,
};
use crate::domain::ids::{AgreementId, ConnectionId, EndpointServiceId, ListingId};
use crate::domain::listing::{Listing, Plan, Quotas, Revision};
use crate::domain::quota::QuotaFigure;
use crate::store::facts::Subject;
use crate::store::{
    agreement_accounts, agreement_bindings, agreement_work, agreements, listing_services,
};

/// An agreement by which somebody might connect, as it stands now.
#[derive(Debug)]
struct Candidate {
    agreement: Agreement,
    plan: Plan,
    quotas: Quotas,
    in_use: InUse,
}

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
        let connections: Vec<ConnectionId> = sold.iter().map(|subject| subject.id).collect();
        let bound = agreement_bindings::of_connections(conn, &connections).await?;
        self.bound = bound
            .into_iter()
            .map(|(id, row)| (id, row.agreement))
            .collect();
        self.claimed = agreement_bindings::claims(conn, &connections).await?;
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
        let chosen = self.choose(&candidates, subject, region, live);
        let buyer = chosen.agreement.map(|one| &one.agreement.buyer);
        let allowed = |account: &AccountId| listing.allow_list.contains(account);
        let plan = match chosen.agreement {
            Some(one) => Some(plan_facts(&one.plan)),
            None => unbought(revision),
        };
        let quotas = chosen
            .agreement
            .map(|one| limits(one, subject.service, region));
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

    /// Chooses the agreement that counts for a connection: of those in force the one that pays, or else the one that stands best.
    fn choose<'a>(
        &self,
        candidates: &[&'a Candidate],
        subject: &Subject,
        region: &str,
        live: bool,
    ) -> Chosen<'a> {
        let state = |one: &&&Candidate| one.agreement.state;
        let mut active: Vec<&Candidate> = candidates
            .iter()
            .filter(|one| state(one) == AgreementState::Active)
            .copied()
            .collect();
        active.sort_by_key(|one| (one.agreement.starts_at, one.agreement.id));
        let Some(oldest) = active.first().copied() else {
            let best = candidates
                .iter()
                .copied()
                .min_by_key(|one| (rank(&one.agreement), Reverse(one.agreement.id)));
            // What is connected stays while somebody looks at its agreement.
            let payer = best.filter(|one| one.agreement.state == AgreementState::Review && live);
            return Chosen {
                agreement: best,
                licences: None,
                payer: payer.map(|one| one.agreement.id),
            };
        };
        if active.len() == 1 {
            return Chosen {
                agreement: Some(oldest),
                licences: None,
                payer: Some(oldest.agreement.id),
            };
        }
        let said = self.claimed.get(&subject.id);
        let pays = self.bound.get(&subject.id);
        let in_force = |id: &&AgreementId| active.iter().any(|one| one.agreement.id == **id);
        let claimed = said.filter(in_force).or(pays.filter(in_force));
        let licences: Vec<Licence> = active
            .iter()
            .map(|one| Licence {
                id: one.agreement.id.to_string(),
                since: one.agreement.starts_at.unwrap_or(one.agreement.made.at),
                free: one
                    .in_use
                    .free(one.quotas, subject.service, region)
                    .unwrap_or(u32::MAX),
                claimed: claimed == Some(&one.agreement.id),
            })
            .collect();
        let rule = oldest.plan.bind_rule;
        let licences = Licences {
            active: licences,
            // Whoever has several and no rule has to be asked.
            rule: rule.unwrap_or(BindRule::Ask),
        };
        let payer = match licences.bind(live) {
            Binding::To(id) => active
                .iter()
                .copied()
                .find(|one| one.agreement.id.to_string() == id),
            Binding::Ambiguous | Binding::Full => None,
        };
        Chosen {
            agreement: payer.or(Some(oldest)),
            payer: payer.map(|one| one.agreement.id),
            licences: Some(licences),
        }
    }

    /// Counts a connection that was accepted just now. Answers the agreement that pays for it.
    pub fn accepted(&mut self, subject: &Subject, region: &str) -> Option<AgreementId> {
        let payer = self.of(subject, region, false).payer;
        if let Some(payer) = payer {
            self.bound.insert(subject.id, payer);
            if let Some(candidate) = self.candidates.get_mut(&payer) {
                candidate.in_use.add(subject.service, region);
            }
        }
        payer
    }
}

/// What was chosen for a connection.
#[derive(Debug)]
struct Chosen<'a> {
    agreement: Option<&'a Candidate>,
    licences: Option<Licences>,
    payer: Option<AgreementId>,
}

/// The one to speak of where none is in force: that which is or comes next to it.
fn rank(agreement: &Agreement) -> u8 {
    match agreement.state {
        AgreementState::Active => 0,
        AgreementState::Review => 1,
        AgreementState::Superseded if agreement.succeeded_at.is_none() => 2,
        AgreementState::Pending => 3,
        AgreementState::Grace => 4,
        AgreementState::Superseded => 5,
        AgreementState::Ended => 6,
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

/// The limits of an agreement, with what would be used by one more.
fn limits(one: &Candidate, service: EndpointServiceId, region: &str) -> Vec<decision::Quota> {
    let mut after = one.in_use.clone();
    after.add(service, region);
    let regions = u32::try_from(after.regions.len()).unwrap_or(u32::MAX);
    let figures = [
        (
            QuotaFigure::Connections,
            one.quotas.max_connections,
            after.connections(),
        ),
        (
            QuotaFigure::EndpointsPerService,
            one.quotas.max_endpoints,
            after.on(service),
        ),
        (QuotaFigure::Regions, one.quotas.max_regions, regions),
    ];
    let limited = figures.into_iter().filter_map(|(figure, limit, would_be)| {
        Some(decision::Quota {
            figure,
            would_be: i64::from(would_be),
            limit: i64::from(limit?),
        })
    });
    limited.collect()
}
