//! The facts that decisions are made from, gathered for many connections with few statements.
//!
//! They are true at the moment of the reads. Whoever decides by them holds the locks that keep them true: `consumer_gate` for the account
//! and its consumer, `admission` for the service, then the connections.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region};

use super::AppError;
use super::commerce::Commerce;
use super::consumer_gate::Full;
use crate::domain::consumer::Proof;
use crate::domain::decision::{
    AccountFacts, ConnectionFacts, ConsumerFacts, Counts, FACTS_VERSION, Facts, Quota,
    ServiceFacts, Standing,
};
use crate::domain::denial::{Denial, Denied};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{
    AccessRemovalId, AgreementId, ConnectionId, ConsumerId, EndpointServiceId,
};
use crate::domain::quota::{Excess, Limits, QuotaFigure, Used};
use crate::domain::review::ReviewState;
use crate::store::facts::{self, LiveCursor, Membership, Subject};
use crate::store::{
    PgConnection, access_requests, access_work, denials, endpoint_services, quotas, review_rules,
};

/// Whose use is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Consumer(ConsumerId),
    Account(AccountId),
}

/// Connections by service and Region.
type Uses = BTreeMap<(EndpointServiceId, String), i64>;

/// What is known of some connections, to make the facts of each from.
#[derive(Debug, Default)]
pub struct Gathered {
    subjects: HashMap<ConnectionId, Subject>,
    services: HashMap<EndpointServiceId, RegisteredService>,
    two_persons: HashSet<EndpointServiceId>,
    members: HashMap<AccountId, Membership>,
    denials: Vec<Denial>,
    limits: (
        HashMap<ConsumerId, Limits>,
        HashMap<EndpointServiceId, Limits>,
    ),
    uses: HashMap<Who, Uses>,
    approved: HashSet<(AccountId, EndpointServiceId)>,
    ending: HashMap<(AccountId, EndpointServiceId), AccessRemovalId>,
    commerce: Commerce,
}

/// Gathers what is known of these connections. One that does not exist is left out.
pub async fn gather(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
    at: DateTime<Utc>,
) -> Result<Gathered, AppError> {
    let mut gathered = Gathered::default();
    let subjects = facts::subjects(conn, ids).await?;
    gathered.fill(conn, subjects, at).await?;
    Ok(gathered)
}

/// Reads the facts of all live connections page by page, with memory for one page. Services and what belongs to the accounts of the last page are kept.
#[derive(Debug, Default)]
pub struct LivePages {
    scope: Option<EndpointServiceId>,
    accounts: Option<Vec<String>>,
    after: Option<LiveCursor>,
    known: Gathered,
}

impl LivePages {
    /// All live connections of a service, or all there are.
    pub fn of(scope: Option<EndpointServiceId>) -> Self {
        Self {
            scope,
            ..Self::default()
        }
    }

    /// The same, after a place.
    pub fn after(scope: Option<EndpointServiceId>, place: Option<LiveCursor>) -> Self {
        Self {
            scope,
            after: place,
            ..Self::default()
        }
    }

    /// The same, of these accounts alone where some are named.
    #[must_use]
    pub fn of_accounts(self, accounts: Option<Vec<String>>) -> Self {
        Self { accounts, ..self }
    }

    /// The place behind the last page.
    pub fn place(&self) -> Option<&LiveCursor> {
        self.after.as_ref()
    }

    /// The next page; `None` at the end.
    pub async fn next(
        &mut self,
        conn: &mut PgConnection,
        limit: i64,
        at: DateTime<Utc>,
    ) -> Result<Option<Vec<(ConnectionId, Facts)>>, AppError> {
        let (accounts, after) = (self.accounts.as_deref(), self.after.as_ref());
        let subjects = facts::live_after(conn, self.scope, accounts, after, limit).await?;
        let Some(last) = subjects.last() else {
            return Ok(None);
        };
        self.after = Some((last.owner.clone(), last.service, last.endpoint.clone()));
        let order: Vec<ConnectionId> = subjects.iter().map(|subject| subject.id).collect();
        self.known.fill(conn, subjects, at).await?;
        Ok(Some(self.known.cases(&order, at)))
    }
}

impl Gathered {
    /// Takes these subjects in place of those it had, and reads what it does not know of them yet.
    async fn fill(
        &mut self,
        conn: &mut PgConnection,
        subjects: Vec<Subject>,
        at: DateTime<Utc>,
    ) -> Result<(), AppError> {
        let accounts: BTreeSet<AccountId> = subjects.iter().map(|s| s.owner.clone()).collect();
        let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
        let services: Vec<EndpointServiceId> = distinct(subjects.iter().map(|s| s.service));
        for id in &services {
            if !self.services.contains_key(id)
                && let Some(service) = endpoint_services::by_id(conn, *id).await?
            {
                self.services.insert(*id, service);
                if review_rules::of_service(conn, *id)
                    .await?
                    .approvals_required
                    > 1
                {
                    self.two_persons.insert(*id);
                }
            }
        }
        let members = facts::memberships(conn, &accounts).await?;
        self.members = members
            .into_iter()
            .map(|member| (member.account.clone(), member))
            .collect();
        let consumers: Vec<ConsumerId> = distinct(self.members.values().map(|m| m.consumer));
        self.denials = denials::concerning_many(conn, &accounts, &consumers, &services).await?;
        self.limits = quotas::limits_of_many(conn, &consumers, &services).await?;
        let asked: HashSet<(AccountId, EndpointServiceId)> = subjects
            .iter()
            .map(|s| (s.owner.clone(), s.service))
            .collect();
        let asked: Vec<_> = asked.into_iter().collect();
        self.approved = access_requests::approved(conn, &asked, at).await?;
        self.ending = access_work::keeping_out(conn, &asked).await?;
        self.count(conn, &subjects).await?;
        self.commerce.fill(conn, &subjects, at).await?;
        self.subjects = subjects.into_iter().map(|s| (s.id, s)).collect();
        Ok(())
    }

    /// Counts what the owners use, those that are not counted yet.
    async fn count(
        &mut self,
        conn: &mut PgConnection,
        subjects: &[Subject],
    ) -> Result<(), AppError> {
        let whose: HashSet<Who> = subjects.iter().map(|s| self.who(&s.owner)).collect();
        self.uses.retain(|who, _| whose.contains(who));
        let (mut consumers, mut accounts) = (Vec::new(), Vec::new());
        for who in whose {
            if self.uses.contains_key(&who) {
                continue;
            }
            match &who {
                Who::Consumer(consumer) => consumers.push(*consumer),
                Who::Account(account) => accounts.push(account.to_string()),
            }
            self.uses.insert(who, Uses::new());
        }
        if consumers.is_empty() && accounts.is_empty() {
            return Ok(());
        }
        for row in facts::in_use(conn, &consumers, &accounts).await? {
            let account = row.account.as_deref().map(str::parse::<AccountId>);
            let who = match (row.consumer, account) {
                (Some(consumer), _) => Who::Consumer(consumer),
                (None, Some(Ok(account))) => Who::Account(account),
                (None, _) => return Err(AppError::internal("a use of nobody was counted")),
            };
            let uses = self.uses.entry(who).or_default();
            uses.insert((row.service, row.region), row.connections);
        }
        Ok(())
    }

    fn who(&self, account: &AccountId) -> Who {
        let member = self.members.get(account);
        member.map_or_else(
            || Who::Account(account.clone()),
            |member| Who::Consumer(member.consumer),
        )
    }

    /// The services of all of them.
    pub fn services(&self) -> Vec<EndpointServiceId> {
        distinct(self.subjects.values().map(|subject| subject.service))
    }

    /// Whether it still waits for a decision in AWS.
    pub fn is_waiting(&self, id: ConnectionId) -> bool {
        self.subjects
            .get(&id)
            .is_some_and(|subject| subject.waiting)
    }

    /// Whether it was accepted and lives in AWS.
    pub fn is_live(&self, id: ConnectionId) -> bool {
        self.subjects
            .get(&id)
            .is_some_and(|subject| subject.review == ReviewState::Accepted && subject.counted)
    }

    /// The service of a connection.
    pub fn service_of(&self, id: ConnectionId) -> Option<EndpointServiceId> {
        self.subjects.get(&id).map(|subject| subject.service)
    }

    /// Counts a connection as used from here on: it was accepted in the transaction that gathered.
    pub fn accepted(&mut self, id: ConnectionId) {
        if let Some(subject) = self.subjects.get(&id) {
            self.commerce.accepted(subject, region_of(subject).as_str());
        }
        self.count_one(id, true);
    }

    /// Counts a connection for which an agreement pays from here on.
    pub fn seated(&mut self, id: ConnectionId, payer: AgreementId) {
        if let Some(subject) = self.subjects.get(&id) {
            let region = region_of(subject).as_str();
            self.commerce.seated(subject, region, payer);
        }
    }

    /// Another agreement than the one that lets go of a connection, in force and with room for it.
    pub(super) fn other_payer(&self, id: ConnectionId, than: AgreementId) -> Option<AgreementId> {
        let subject = self.subjects.get(&id)?;
        self.commerce
            .other(subject, region_of(subject).as_str(), than)
    }

    /// The agreement that would pay for a connection.
    pub fn payer(&self, id: ConnectionId) -> Option<AgreementId> {
        let subject = self.subjects.get(&id)?;
        let live = subject.review == ReviewState::Accepted;
        self.commerce
            .of(subject, region_of(subject).as_str(), live)
            .payer
    }

    /// The agreement in force that would pay for one more, where that grants no more.
    pub(super) fn full(&self, id: ConnectionId) -> Option<Full> {
        let subject = self.subjects.get(&id)?;
        let live = subject.review == ReviewState::Accepted;
        let sold = self.commerce.of(subject, region_of(subject).as_str(), live);
        let agreement = sold.in_force?;
        let exceeded = sold.quotas.iter().filter(|it| it.would_be > it.limit);
        let exceeded = exceeded.map(|it| Excess {
            figure: it.figure,
            limit: it.limit,
            used: it.would_be,
        });
        let exceeded: Vec<Excess> = exceeded.collect();
        (!exceeded.is_empty()).then_some(Full {
            agreement,
            exceeded,
        })
    }

    /// Counts it no more: it was rejected or revoked there.
    pub fn ended(&mut self, id: ConnectionId) {
        self.count_one(id, false);
    }

    fn count_one(&mut self, id: ConnectionId, counted: bool) {
        let Some(subject) = self.subjects.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut subject.counted, counted) == counted {
            return;
        }
        let (service, region) = (subject.service, region_of(subject).to_string());
        let who = self.members.get(&subject.owner).map_or_else(
            || Who::Account(subject.owner.clone()),
            |m| Who::Consumer(m.consumer),
        );
        let uses = self.uses.entry(who).or_default();
        *uses.entry((service, region)).or_default() += if counted { 1 } else { -1 };
    }

    /// The facts of several, in their order; what is not known is left out.
    pub fn cases(&self, ids: &[ConnectionId], at: DateTime<Utc>) -> Vec<(ConnectionId, Facts)> {
        let ids = ids.iter();
        ids.filter_map(|id| Some((*id, self.facts(*id, at)?)))
            .collect()
    }

    /// The facts of one; `None` when it or its service is not known.
    pub fn facts(&self, id: ConnectionId, at: DateTime<Utc>) -> Option<Facts> {
        let subject = self.subjects.get(&id)?;
        let service = self.services.get(&subject.service)?;
        let member = self.members.get(&subject.owner);
        let consumer = member.map(|member| member.consumer);
        let used = self.used_beside(subject);
        let live = subject.review == ReviewState::Accepted;
        let pair = (subject.owner.clone(), subject.service);
        let waited = (at - subject.first_seen_at).num_seconds();
        let standing: Vec<&Denial> = self
            .denials
            .iter()
            .filter(|denial| denial.denies(&subject.owner, consumer, subject.service, at))
            .collect();
        // Everybody is denied on the service: that is the service's, not the account's.
        let sold = self.commerce.of(subject, region_of(subject).as_str(), live);
        let mut quotas = self.quotas(subject, consumer, &used);
        quotas.extend(sold.quotas);
        let of_account = standing.iter().filter(|d| d.subject != Denied::Everybody);
        Some(Facts {
            version: FACTS_VERSION,
            at,
            connection: ConnectionFacts {
                endpoint_id: subject.endpoint.clone(),
                standing: if live {
                    Standing::Live
                } else {
                    Standing::Requested
                },
                waited_seconds: u64::try_from(waited).unwrap_or_default(),
                region: subject.region.clone(),
                // DescribeVpcEndpointConnections does not tell the endpoint's zones.
                zones: None,
                ip_address_type: subject.ip_address_type.clone(),
            },
            account: AccountFacts {
                id: subject.owner.clone(),
                proven: member.is_some_and(|member| member.proof != Proof::None),
                consumer: member.map(|member| ConsumerFacts {
                    id: member.consumer,
                    name: member.name.clone(),
                    labels: member.labels.clone(),
                }),
                denials: of_account.map(|denial| denial.id).collect(),
                registered: member.is_some(),
            },
            service: ServiceFacts {
                id: service.id,
                name: service.name.clone(),
                account: service.account.clone(),
                region: service.region.clone(),
                other_regions: open_regions(service, subject),
                lifecycle: service.lifecycle.state,
                blocked: standing.iter().any(|d| d.subject == Denied::Everybody),
                two_persons: self.two_persons.contains(&service.id),
                tags: service.tags.clone(),
            },
            quotas,
            counts: Counts {
                connections: narrow(used.connections),
                on_service: narrow(used.endpoints_on_service),
                regions: u32::try_from(used.regions.len()).unwrap_or(u32::MAX),
            },
            approved: self.approved.contains(&pair),
            access_ending: self.ending.get(&pair).copied(),
            listing: sold.listing,
            plan: sold.plan,
            agreement: sold.agreement,
            licences: sold.licences,
        })
    }

    /// What the owner uses besides this connection.
    fn used_beside(&self, subject: &Subject) -> Used {
        let mut used = Used::default();
        let Some(all) = self.uses.get(&self.who(&subject.owner)) else {
            return used;
        };
        let own = (subject.service, region_of(subject).to_string());
        for (key, count) in all {
            let count = count - i64::from(subject.counted && *key == own);
            if count <= 0 {
                continue;
            }
            let (service, region) = key;
            used.connections += count;
            if *service == subject.service {
                used.endpoints_on_service += count;
            }
            used.regions.insert(region.clone());
        }
        used
    }

    fn quotas(&self, subject: &Subject, consumer: Option<ConsumerId>, used: &Used) -> Vec<Quota> {
        let (consumers, services) = &self.limits;
        let own = consumer.and_then(|id| consumers.get(&id)).copied();
        let default = services.get(&subject.service).copied();
        let limits = own.unwrap_or_default().or(default.unwrap_or_default());
        let after = used.clone().with_one_more(region_of(subject).as_str());
        let figures = QuotaFigure::ALL.iter().filter_map(|figure| {
            Some(Quota {
                figure: *figure,
                would_be: after.of(*figure),
                limit: limits.of(*figure)?,
            })
        });
        figures.collect()
    }
}

/// The Region that an endpoint is in: its service's, where AWS names none.
fn region_of(subject: &Subject) -> &Region {
    subject.region.as_ref().unwrap_or(&subject.home)
}

/// Other Regions that the service lets consumers connect from: as desired. Where nothing is desired AWS alone says, and it let the endpoint be made: what was
/// read of the service may be older than that, so the endpoint's own Region is among them.
fn open_regions(service: &RegisteredService, subject: &Subject) -> BTreeSet<Region> {
    let parsed = |regions: &[String]| -> BTreeSet<Region> {
        let regions = regions.iter();
        regions.filter_map(|region| region.parse().ok()).collect()
    };
    if let Some(desired) = &service.supported_regions {
        return parsed(desired);
    }
    let seen = service.observed.as_ref();
    let mut open = seen.map_or_else(BTreeSet::new, |seen| {
        parsed(&seen.service.supported_regions)
    });
    open.extend(
        subject
            .region
            .iter()
            .filter(|own| **own != service.region)
            .cloned(),
    );
    open
}

fn narrow(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(if count < 0 { 0 } else { u32::MAX })
}

fn distinct<T: Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.collect::<HashSet<T>>().into_iter().collect()
}
