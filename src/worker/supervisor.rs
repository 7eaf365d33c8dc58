//! Leases AccountRegions for this replica and runs their loops.
//!
//! Replicas share the AccountRegions fairly ([`crate::domain::share`]). One that holds more than its share while another finds none free gives
//! some back: no new call is started there, what is under way ends and is written down, and then the lease is free. The same happens where
//! an AccountRegion is disabled, and to all of them when the process is told to stop.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use privatelink::Gateways;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::budget::Budget;
use super::identity::Verdict;
use super::metered::{Meter, Metered};
use super::metered_messaging::MeteredMessaging;
use super::term::LeaseTerm;
use super::{PassError, Place, Shared, identity, loops, runner, stalls};
use crate::domain::account_region::Lease;
use crate::domain::backoff;
use crate::domain::batch_size::BatchSize;
use crate::domain::ids::{AccountRegionId, uuid_at};
use crate::domain::share::{Census, Move};
use crate::store::leases::Held;
use crate::store::{PgPool, PooledConnection, StoreError, leases, replicas};

/// The rest after the first failure to get into an AccountRegion; each further one is twice as long, up to a minute.
const FIRST_REST: Duration = Duration::from_secs(5);
/// For how many passes in a row a surplus has to be wanted before it is given back, so that nobody moves for a moment's sake.
const WANTED_FOR: u32 = 2;
/// How often what is stalled is counted.
const COUNT_STALLS_EVERY: Duration = Duration::from_secs(15);

/// One replica's worker.
pub struct Worker {
    shared: Shared,
    gateways: Arc<dyn Gateways>,
    holder: Uuid,
    running: Mutex<HashMap<AccountRegionId, Running>>,
    /// AccountRegions that this replica could not get into, at which version, and until when it leaves them to others.
    shunned: Mutex<HashMap<AccountRegionId, (i64, Instant)>>,
    /// What was learned of AWS's limits, for as long as this replica lives.
    budgets: std::sync::Mutex<HashMap<AccountRegionId, Arc<Budget>>>,
    leaving: Leaving,
    /// Replicas that lived when it last looked, this one included.
    alive: AtomicUsize,
    /// For how many passes others have wanted what this replica has too many of.
    wanted_for: AtomicU32,
}

/// AccountRegions that are on their way out, and the tasks that see to it.
#[derive(Default)]
struct Leaving {
    ids: Arc<std::sync::Mutex<HashSet<AccountRegionId>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Leaving {
    fn ids(&self) -> HashSet<AccountRegionId> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.clone()
    }
}

/// A leased AccountRegion with its loops.
struct Running {
    place: Arc<Place>,
    version: i64,
    since: Instant,
    stop: CancellationToken,
    loops: JoinSet<Verdict>,
}

impl Running {
    /// Ends the loops, wherever they are.
    async fn end(mut self) {
        self.stop.cancel();
        while self.loops.join_next().await.is_some() {}
    }
}

/// What a replica holds after renewing and claiming.
struct Holding {
    /// When the request was sent: a term counts from there.
    asked_at: Instant,
    held: Vec<Held>,
    /// What was on its way out then: the lease may be given back since, although it is among those held.
    leaving: HashSet<AccountRegionId>,
    /// How many of them others wait for.
    give: usize,
}

impl Worker {
    /// A worker that holds nothing yet.
    pub fn new(shared: Shared, gateways: Arc<dyn Gateways>) -> Self {
        let holder = uuid_at(shared.clock.now());
        Self {
            shared,
            gateways,
            holder,
            running: Mutex::new(HashMap::new()),
            shunned: Mutex::new(HashMap::new()),
            budgets: std::sync::Mutex::new(HashMap::new()),
            leaving: Leaving::default(),
            alive: AtomicUsize::new(1),
            wanted_for: AtomicU32::new(0),
        }
    }

    /// The replica's id, new with every start.
    pub fn replica(&self) -> Uuid {
        self.holder
    }

    /// Works until told to stop; then ends the loops and gives the leases back.
    pub async fn run(&self, stop: CancellationToken) {
        tracing::info!(replica = %self.holder.simple(), "working");
        let mut everywhere = loops::everywhere(&self.shared, &stop);
        let mut counted_at: Option<Instant> = None;
        loop {
            let pass = async {
                self.lease_pass().await?;
                self.count_stalls(&mut counted_at).await
            };
            tokio::select! {
                () = stop.cancelled() => break,
                result = pass => {
                    if let Err(error) = result {
                        tracing::warn!(error = %runner::chain(&error), "could not renew leases");
                        self.drop_expired().await;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.shared.settings.lease_interval) => {}
            }
        }
        while let Some(ended) = everywhere.join_next().await {
            if let Err(error) = ended {
                tracing::error!(error = %runner::chain(&error), "a loop of no AccountRegion has died");
            }
        }
        self.shut_down().await;
    }

    /// Renews what is held, takes up what is free, and starts and stops loops accordingly.
    async fn lease_pass(&self) -> Result<(), PassError> {
        let mut holding = self.lease().await?;
        let mut running = self.running.lock().await;
        self.take_down(&mut running, &mut holding).await?;
        self.set_up(&mut running, &holding).await?;
        self.give_back(&mut running, holding.give).await;
        self.show_leases(&running);
        Ok(())
    }

    /// A place whose loops ended by themselves (a lost lease, a panic) is taken down whole and set up anew; so is one that is entered another way
    /// now. One whose credentials do not fit is left to other replicas for a while, and a disabled one for good.
    async fn take_down(
        &self,
        running: &mut HashMap<AccountRegionId, Running>,
        holding: &mut Holding,
    ) -> Result<(), PassError> {
        let mut ended: Vec<(AccountRegionId, Option<Verdict>)> = Vec::new();
        let mut disabled: Vec<AccountRegionId> = Vec::new();
        for (id, known) in running.iter_mut() {
            let held = holding
                .held
                .iter()
                .find(|held| held.lease == known.place.lease);
            let verdict = known.loops.try_join_next();
            match held {
                Some(held) if !held.enabled => disabled.push(*id),
                Some(_) if verdict.is_none() => {}
                _ => ended.push((*id, verdict.and_then(Result::ok))),
            }
        }
        for (id, verdict) in ended {
            if let Some(old) = running.remove(&id) {
                let (lease, version) = (old.place.lease.clone(), old.version);
                old.end().await;
                if verdict == Some(Verdict::Unfit) {
                    self.leave(&lease, version).await?;
                    holding.held.retain(|held| held.lease.account_region != id);
                }
            }
        }
        for id in disabled {
            if let Some(old) = running.remove(&id) {
                tracing::info!(account_region.id = %id, "an AccountRegion was disabled");
                self.retire(old).await;
            }
        }
        Ok(())
    }

    /// Starts the loops of what is held and does not run yet.
    async fn set_up(
        &self,
        running: &mut HashMap<AccountRegionId, Running>,
        holding: &Holding,
    ) -> Result<(), PassError> {
        let mut leaving = self.leaving.ids();
        leaving.extend(holding.leaving.iter().copied());
        for held in &holding.held {
            let id = held.lease.account_region;
            if let Some(known) = running.get(&id) {
                known.place.term.renewed(holding.asked_at);
                continue;
            }
            if leaving.contains(&id) {
                continue;
            }
            if !held.enabled {
                // Disabled between the claim and now: nothing was begun.
                let mut conn = self.acquire().await?;
                leases::give_back(&mut conn, &held.lease).await?;
                continue;
            }
            let budget = self.budget(id);
            match self
                .place(held.lease.clone(), holding.asked_at, budget)
                .await
            {
                Ok(place) => {
                    let place = Arc::new(place);
                    let started = start(place, held.version);
                    running.insert(id, started);
                }
                Err(error) => {
                    tracing::warn!(account_region.id = %id, error = %runner::chain(&error), "cannot reach AWS");
                    self.leave(&held.lease, held.version).await?;
                }
            }
        }
        Ok(())
    }

    /// Gives back so many of those that were taken up last.
    async fn give_back(&self, running: &mut HashMap<AccountRegionId, Running>, count: usize) {
        let mut newest: Vec<(Instant, AccountRegionId)> =
            running.iter().map(|(id, r)| (r.since, *id)).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        for (_, id) in newest.into_iter().take(count) {
            if let Some(old) = running.remove(&id) {
                tracing::info!(account_region.id = %id, "giving an AccountRegion to a replica that has fewer");
                self.retire(old).await;
            }
        }
    }

    /// Lets what is under way end, and then gives the lease back. In a task of its own: a slow call keeps nobody else.
    async fn retire(&self, old: Running) {
        let id = old.place.lease.account_region;
        old.place.term.leave();
        {
            let mut ids = self
                .leaving
                .ids
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            ids.insert(id);
        }
        let (pool, ids) = (self.shared.pool.clone(), self.leaving.ids.clone());
        let mut tasks = self.leaving.tasks.lock().await;
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let lease = old.place.lease.clone();
            old.place.term.quiet().await;
            old.end().await;
            if let Err(error) = give_one_back(&pool, &lease).await {
                tracing::warn!(error = %runner::chain(&error), "could not give a lease back; it runs out by itself");
            }
            let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.remove(&id);
        });
    }

    /// Gives a lease back because nobody got in, so that a replica with better credentials can take it. Nobody tries again at once, and this
    /// replica lets others go first.
    async fn leave(&self, lease: &Lease, version: i64) -> Result<(), PassError> {
        self.gateways.forget(&lease.place).await;
        let mut conn = self.acquire().await?;
        let failures = leases::entry_failures(&mut conn, lease.account_region).await?;
        let wait = backoff::delay(FIRST_REST, failures.saturating_add(1), rand::random());
        leases::give_back_unentered(&mut conn, lease, wait).await?;
        if self.alive.load(Ordering::Relaxed) > 1 {
            let until = Instant::now() + wait * 2;
            let mut shunned = self.shunned.lock().await;
            shunned.insert(lease.account_region, (version, until));
        }
        tracing::warn!(account_region.id = %lease.account_region, again_in = ?wait, "could not get into an AccountRegion");
        Ok(())
    }

    /// Every lease that this replica holds after renewing and claiming, and how many it should give back.
    async fn lease(&self) -> Result<Holding, PassError> {
        let settings = &self.shared.settings;
        let ttl = settings.lease_ttl;
        let mut conn = self.acquire().await?;
        let leaving = self.leaving.ids();
        let asked_at = Instant::now();
        let mut held = leases::renew(&mut conn, self.holder, ttl).await?;
        replicas::announce(&mut conn, self.holder, ttl).await?;
        let shunned: Vec<(AccountRegionId, i64)> = {
            let mut shunned = self.shunned.lock().await;
            shunned.retain(|_, (_, until)| *until > asked_at);
            shunned
                .iter()
                .map(|(id, (version, _))| (*id, *version))
                .collect()
        };
        let kept = held
            .iter()
            .filter(|held| held.enabled && !leaving.contains(&held.lease.account_region))
            .count();
        let around = replicas::around(&mut conn, self.holder, &shunned).await?;
        self.alive.store(around.replicas, Ordering::Relaxed);
        let next = Census {
            servable: around.servable,
            replicas: around.replicas,
            held: kept,
            free: around.free,
            takeable: around.takeable,
            wanted: around.wanted,
            most: settings.max_account_regions,
        }
        .next();
        if next.take > 0 {
            let limit = i64::try_from(next.take).unwrap_or(i64::MAX);
            held.extend(leases::claim(&mut conn, self.holder, ttl, limit, &shunned).await?);
        }
        replicas::want(&mut conn, self.holder, next.wants).await?;
        Ok(Holding {
            asked_at,
            held,
            leaving,
            give: self.lasting_surplus(next),
        })
    }

    /// What is to be given back, once it has been wanted for long enough.
    fn lasting_surplus(&self, next: Move) -> usize {
        if next.give == 0 {
            self.wanted_for.store(0, Ordering::Relaxed);
            return 0;
        }
        let before = self.wanted_for.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) < WANTED_FOR {
            return 0;
        }
        self.wanted_for.store(0, Ordering::Relaxed);
        next.give
    }

    async fn place(
        &self,
        lease: Lease,
        asked_at: Instant,
        budget: Arc<Budget>,
    ) -> Result<Place, PassError> {
        let gateway = self.gateways.gateway(&lease.place).await?;
        let term = LeaseTerm::new(self.shared.settings.lease_ttl, asked_at);
        let term = Arc::new(term.extended_in(self.shared.pool.clone(), lease.clone()));
        let meter = Meter {
            budget: budget.clone(),
            term: term.clone(),
            metrics: self.shared.metrics.clone(),
        };
        let gateway = Metered::new(gateway, meter.clone());
        let messaging = self.gateways.messaging(&lease.place).await?;
        let messaging = MeteredMessaging::new(messaging, meter);
        Ok(Place::new(
            lease,
            (Arc::new(gateway), Arc::new(messaging)),
            budget,
            self.shared.clone(),
            term,
        ))
    }

    /// What this replica knows of an AccountRegion's limits, also from an earlier lease.
    fn budget(&self, id: AccountRegionId) -> Arc<Budget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = budgets
            .entry(id)
            .or_insert_with(|| Arc::new(self.fresh_budget()));
        known.clone()
    }

    fn fresh_budget(&self) -> Budget {
        let settings = &self.shared.settings;
        Budget::with_batches(BatchSize::new(settings.batch_size, settings.largest_batch))
    }

    /// Leases what is this replica's to take and answers the places, without starting loops: for tests that step the passes.
    pub async fn lease_once(&self) -> Result<Vec<Place>, PassError> {
        let holding = self.lease().await?;
        let mut places = Vec::new();
        for held in holding.held.into_iter().filter(|held| held.enabled) {
            let budget = Arc::new(self.fresh_budget());
            places.push(self.place(held.lease, holding.asked_at, budget).await?);
        }
        Ok(places)
    }

    /// Stops the loops whose lease has run out while the database was out of reach.
    async fn drop_expired(&self) {
        let mut running = self.running.lock().await;
        let expired: Vec<AccountRegionId> = running
            .iter()
            .filter(|(_, r)| !r.place.term.lasts())
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            if let Some(old) = running.remove(&id) {
                old.stop.cancel();
            }
        }
        self.show_leases(&running);
    }

    fn show_leases(&self, running: &HashMap<AccountRegionId, Running>) {
        let count = i64::try_from(running.len()).unwrap_or(i64::MAX);
        self.shared.metrics.leases.set(count);
    }

    /// Counts what is stalled in the AccountRegions that this replica serves. A count that fails is no reason to drop leases.
    async fn count_stalls(&self, last: &mut Option<Instant>) -> Result<(), PassError> {
        if last.is_none_or(|at| at.elapsed() >= COUNT_STALLS_EVERY) {
            let served: Vec<AccountRegionId> = self.running.lock().await.keys().copied().collect();
            if let Err(error) = stalls::count(&self.shared, &served).await {
                tracing::warn!(error = %runner::chain(&error), "could not count what is stalled");
            }
            *last = Some(Instant::now());
        }
        Ok(())
    }

    async fn acquire(&self) -> Result<PooledConnection, PassError> {
        Ok(self.shared.pool.acquire().await.map_err(StoreError::from)?)
    }

    /// Gives everything back, each AccountRegion as soon as what is under way there has ended.
    async fn shut_down(&self) {
        let running: Vec<Running> = {
            let mut running = self.running.lock().await;
            running.drain().map(|(_, r)| r).collect()
        };
        // Nobody waits for this replica's share any more.
        let gone = async {
            let mut conn = self.shared.pool.acquire().await?;
            replicas::leave(&mut conn, self.holder).await
        };
        if let Err(error) = gone.await {
            tracing::warn!(error = %runner::chain(&error), "could not take the replica's announcement back");
        }
        for old in running {
            self.retire(old).await;
        }
        {
            let mut tasks = self.leaving.tasks.lock().await;
            while tasks.join_next().await.is_some() {}
        }
        let released = async {
            let mut conn = self.shared.pool.acquire().await?;
            leases::release(&mut conn, self.holder).await
        };
        if let Err(error) = released.await {
            tracing::warn!(error = %runner::chain(&error), "could not give the leases back; they run out by themselves");
        }
    }
}

async fn give_one_back(pool: &PgPool, lease: &Lease) -> Result<(), StoreError> {
    let mut conn = pool.acquire().await?;
    leases::give_back(&mut conn, lease).await
}

/// Starts the loops of a place, once its credentials have proven to be the right account's. When AWS stops taking them, the loops rest until they
/// are proven again.
fn start(place: Arc<Place>, version: i64) -> Running {
    // Not a child of the process's own: on the way out the loops end after the call under way, not in it.
    let stop = CancellationToken::new();
    tracing::info!(
        account = %place.lease.place.account,
        region = %place.lease.place.region,
        fence = place.lease.fence,
        "serving an AccountRegion"
    );
    let mut loops = JoinSet::new();
    let (here, token) = (place.clone(), stop.clone());
    loops.spawn(async move {
        loop {
            match identity::verified(&here, &token).await {
                Verdict::Fit => {}
                other @ (Verdict::Unfit | Verdict::Stopped) => return other,
            }
            let inside = token.child_token();
            let doubted = tokio::select! {
                () = loops::work(&here, &inside) => false,
                () = here.term.doubted() => true,
            };
            inside.cancel();
            if !doubted || token.is_cancelled() {
                return Verdict::Stopped;
            }
            tracing::warn!(account = %here.lease.place.account, region = %here.lease.place.region, "AWS does not take the credentials any more");
        }
    });
    Running {
        place,
        version,
        since: Instant::now(),
        stop,
        loops,
    }
}
