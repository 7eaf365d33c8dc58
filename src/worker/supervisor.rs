//! Leases AccountRegions for this replica and runs their loops.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use privatelink::Gateways;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::budget::Budget;
use super::identity::Verdict;
use super::metered::Metered;
use super::term::LeaseTerm;
use super::{PassError, Place, Shared, runner};
use super::{census, identity, inventory, observe, sync_connections, sync_services};
use crate::domain::account_region::Lease;
use crate::domain::ids::{AccountRegionId, uuid_at};
use crate::store::{StoreError, leases, partitions};

/// One replica's worker.
pub struct Worker {
    shared: Shared,
    gateways: Arc<dyn Gateways>,
    holder: Uuid,
    running: Mutex<HashMap<AccountRegionId, Running>>,
    /// AccountRegions that this replica could not get into, and until when it leaves them to others.
    shunned: Mutex<HashMap<AccountRegionId, Instant>>,
}

/// How long this replica leaves an AccountRegion to others after it could not get in.
const SHUNNED_FOR: Duration = Duration::from_secs(30);

/// A leased AccountRegion with its loops.
struct Running {
    place: Arc<Place>,
    stop: CancellationToken,
    loops: JoinSet<Verdict>,
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
        }
    }

    /// Works until told to stop; then ends the loops and gives the leases back.
    pub async fn run(&self, stop: CancellationToken) {
        let mut partitions_at: Option<DateTime<Utc>> = None;
        loop {
            let pass = async {
                self.ensure_partitions(&mut partitions_at).await?;
                self.lease_pass(&stop).await
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
        self.shut_down().await;
    }

    /// Renews what is held, takes up what is free, and starts and stops loops accordingly.
    async fn lease_pass(&self, stop: &CancellationToken) -> Result<(), PassError> {
        let mut places = self.lease().await?;
        let mut running = self.running.lock().await;
        // A place whose loop ended by itself (a lost lease, a panic) is taken down whole and set up anew; one whose credentials do not
        // fit is left to other replicas for a while.
        let mut ended: Vec<(AccountRegionId, Option<Verdict>)> = Vec::new();
        for (id, known) in running.iter_mut() {
            let held = places.iter().any(|(lease, _)| *lease == known.place.lease);
            let verdict = known.loops.try_join_next();
            if !held || verdict.is_some() {
                ended.push((*id, verdict.and_then(Result::ok)));
            }
        }
        for (id, verdict) in ended {
            if let Some(mut old) = running.remove(&id) {
                old.stop.cancel();
                while old.loops.join_next().await.is_some() {}
                if verdict == Some(Verdict::Unfit) {
                    self.leave(&old.place.lease).await?;
                    places.retain(|(lease, _)| lease.account_region != id);
                }
            }
        }
        for (lease, asked_at) in places {
            if let Some(known) = running.get(&lease.account_region) {
                known.place.term.renewed(asked_at);
                continue;
            }
            let id = lease.account_region;
            match self.place(lease.clone(), asked_at).await {
                Ok(place) => {
                    running.insert(id, start(Arc::new(place), stop.child_token()));
                }
                Err(error) => {
                    tracing::warn!(account_region.id = %id, error = %runner::chain(&error), "cannot reach AWS");
                    self.leave(&lease).await?;
                }
            }
        }
        self.shared
            .metrics
            .leases
            .set(i64::try_from(running.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Gives a lease back and stays away for a while, so that a replica with better credentials can take it.
    async fn leave(&self, lease: &Lease) -> Result<(), PassError> {
        let until = Instant::now() + SHUNNED_FOR;
        self.shunned
            .lock()
            .await
            .insert(lease.account_region, until);
        let mut conn = self.shared.pool.acquire().await.map_err(StoreError::from)?;
        leases::give_back(&mut conn, lease).await?;
        tracing::warn!(account_region.id = %lease.account_region, "left an AccountRegion to other replicas");
        Ok(())
    }

    /// Every lease that this replica holds after renewing and claiming, with the time the request was sent.
    async fn lease(&self) -> Result<Vec<(Lease, Instant)>, PassError> {
        let settings = &self.shared.settings;
        let mut conn = self.shared.pool.acquire().await.map_err(StoreError::from)?;
        let asked_at = Instant::now();
        let mut held = leases::renew(&mut conn, self.holder, settings.lease_ttl).await?;
        let free = settings.max_account_regions.saturating_sub(held.len());
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        let shunned: Vec<AccountRegionId> = {
            let mut shunned = self.shunned.lock().await;
            shunned.retain(|_, until| *until > asked_at);
            shunned.keys().copied().collect()
        };
        let ttl = settings.lease_ttl;
        held.extend(leases::claim(&mut conn, self.holder, ttl, free, &shunned).await?);
        Ok(held.into_iter().map(|lease| (lease, asked_at)).collect())
    }

    async fn place(&self, lease: Lease, asked_at: Instant) -> Result<Place, PassError> {
        let gateway = self.gateways.gateway(&lease.place).await?;
        let term = Arc::new(LeaseTerm::new(self.shared.settings.lease_ttl, asked_at));
        let budget = Arc::new(Budget::aws_defaults());
        let metrics = self.shared.metrics.clone();
        let gateway = Metered::new(gateway, budget.clone(), term.clone(), metrics);
        Ok(Place::new(
            lease,
            Arc::new(gateway),
            budget,
            self.shared.clone(),
            term,
        ))
    }

    /// Leases everything that is free and answers the places, without starting loops: for tests that step the passes.
    pub async fn lease_once(&self) -> Result<Vec<Place>, PassError> {
        let mut places = Vec::new();
        for (lease, asked_at) in self.lease().await? {
            places.push(self.place(lease, asked_at).await?);
        }
        Ok(places)
    }

    /// Stops the loops whose lease has run out while the database was out of reach.
    async fn drop_expired(&self) {
        let mut running = self.running.lock().await;
        let expired: Vec<AccountRegionId> = running
            .iter()
            .filter(|(_, r)| !r.place.term.allows_call())
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            if let Some(old) = running.remove(&id) {
                old.stop.cancel();
            }
        }
        self.shared
            .metrics
            .leases
            .set(i64::try_from(running.len()).unwrap_or(i64::MAX));
    }

    async fn ensure_partitions(&self, last: &mut Option<DateTime<Utc>>) -> Result<(), PassError> {
        let now = self.shared.clock.now();
        if last.is_none_or(|at| now - at > chrono::TimeDelta::hours(1)) {
            let mut conn = self.shared.pool.acquire().await.map_err(StoreError::from)?;
            partitions::ensure(&mut conn, now).await?;
            *last = Some(now);
        }
        Ok(())
    }

    async fn shut_down(&self) {
        let mut running = self.running.lock().await;
        for place in running.values() {
            place.stop.cancel();
        }
        for (_, mut place) in running.drain() {
            while place.loops.join_next().await.is_some() {}
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

/// Starts the loops of a place, once its credentials have proven to be the right account's.
fn start(place: Arc<Place>, stop: CancellationToken) -> Running {
    tracing::info!(
        account = %place.lease.place.account,
        region = %place.lease.place.region,
        fence = place.lease.fence,
        "serving an AccountRegion"
    );
    let mut loops = JoinSet::new();
    let (here, token) = (place.clone(), stop.clone());
    loops.spawn(async move {
        match identity::verified(&here, &token).await {
            Verdict::Fit => {}
            other @ (Verdict::Unfit | Verdict::Stopped) => return other,
        }
        let mut inner = JoinSet::new();
        inner.spawn(observing(here.clone(), token.clone()));
        inner.spawn(syncing_connections(here.clone(), token.clone()));
        inner.spawn(syncing_services(here.clone(), token.clone()));
        inner.spawn(taking_inventory(here.clone(), token.clone()));
        inner.spawn(counting(here, token.clone()));
        // One that ends without having been told to takes the others down with it: the next lease pass starts all anew.
        while inner.join_next().await.is_some() {
            if !token.is_cancelled() {
                break;
            }
        }
        Verdict::Stopped
    });
    Running { place, stop, loops }
}

async fn observing(place: Arc<Place>, stop: CancellationToken) {
    let interval = place.shared.settings.listing_interval;
    let pass = || async {
        observe::run_pass(&place)
            .await
            .map(|r| observe::rest(interval, r.listed))
    };
    runner::run("observe", &place.shared, &stop, None, pass).await;
}

async fn syncing_connections(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        sync_connections::run_pass(&place)
            .await
            .map(|r| until(&place, r.next_due))
    };
    let nudge = Some(place.shared.nudge.listen());
    runner::run("sync_connections", &place.shared, &stop, nudge, pass).await;
}

async fn syncing_services(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        sync_services::run_pass(&place)
            .await
            .map(|r| until(&place, r.next_due))
    };
    let nudge = Some(place.shared.nudge.listen());
    runner::run("sync_services", &place.shared, &stop, nudge, pass).await;
}

async fn taking_inventory(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async {
        inventory::run_pass(&place)
            .await
            .map(|r| until(&place, Some(r.next_due)))
    };
    let nudge = Some(place.shared.nudge.listen());
    runner::run("inventory", &place.shared, &stop, nudge, pass).await;
}

async fn counting(place: Arc<Place>, stop: CancellationToken) {
    let pass = || async { census::run_pass(&place).await.map(|()| census::EVERY) };
    runner::run("census", &place.shared, &stop, None, pass).await;
}

/// How long until `due`, but never longer than the poll interval: other processes decide too, and cannot wake this one.
fn until(place: &Place, due: Option<DateTime<Utc>>) -> Duration {
    let poll = place.shared.settings.poll_interval;
    let wait = due.map_or(poll, |at| {
        (at - place.now()).to_std().unwrap_or(Duration::ZERO)
    });
    wait.clamp(Duration::from_millis(5), poll)
}
