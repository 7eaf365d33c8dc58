//! The simulator as a value: the world behind a lock, with its clock, faults, call log and state file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::api::{Api, Call};
use crate::clock::{ClockError, ClockState, SimClock};
use crate::effects::Break;
use crate::events::CallLog;
use crate::faults::{Faults, Plan};
use crate::state_file::{Kept, StateFile};
use crate::world::identity::Identity;
use crate::world::{Caller, World};
use crate::{AwsError, Behavior, wire};

/// How a simulator is made.
#[derive(Debug, Clone, Default)]
pub struct SimConfig {
    /// The same seed and the same calls give the same ids.
    pub seed: u64,
    /// The Regions there are; empty means all that need no opt-in.
    pub regions: Vec<Region>,
    /// Delays and switches. A state file that exists brings its own.
    pub behavior: Behavior,
    /// Never more rows than this on a page; overrides [`Behavior::page_size_limit`].
    pub page_size_limit: Option<usize>,
    /// The clock; a running one unless said otherwise.
    pub clock: SimClock,
    /// Where the world is kept. It is loaded when it exists, and written at the start and after every change, before the change
    /// is answered. One simulator uses it at a time: a file beside it is locked.
    /// Meant for small worlds: the whole of it is written each time.
    pub state_file: Option<PathBuf>,
}

/// Why a simulator could not be made, loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The state file could not be read or written.
    #[error("the state file {path} cannot be used")]
    StateFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another simulator has the state file.
    #[error("the state file {path} is used by another simulator")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A snapshot is not one of this version.
    #[error("the snapshot cannot be read")]
    Snapshot(#[from] serde_json::Error),
    /// The clock of a snapshot stands where no clock can.
    #[error("the clock of the snapshot cannot be used: {0}")]
    Clock(#[from] ClockError),
}

/// Everything there is, at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Where the clock is.
    pub clock: ClockState,
    /// All accounts and Regions.
    pub world: World,
    /// How many AWS requests were answered: their ids go on from here.
    #[serde(default)]
    pub requests: u64,
}

/// A simulated AWS. Clones share one world.
#[derive(Debug, Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    clock: SimClock,
    faults: Faults,
    log: CallLog,
    state_file: Option<StateFile>,
    /// The world's seed, to be read without its lock.
    seed: AtomicU64,
    requests: AtomicU64,
    /// Woken when the world may have changed, for calls that wait.
    changes: Notify,
    /// How many calls wait.
    waiting: AtomicUsize,
}

/// How a call ended when it did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// With an answer.
    Refused(AwsError),
    /// Without one that can be read.
    Broken(Break),
}

impl Simulator {
    /// A new world, or the one in the state file. Fails when that file cannot be written or is in use.
    pub fn new(config: SimConfig) -> Result<Self, SimError> {
        let mut behavior = config.behavior;
        behavior.page_size_limit = config.page_size_limit.or(behavior.page_size_limit);
        let state_file = config.state_file.map(StateFile::open).transpose()?;
        let saved = match &state_file {
            Some(file) => file.load()?,
            None => None,
        };
        let (world, requests) = match saved {
            Some(saved) => {
                config.clock.restore(saved.clock);
                (saved.world, saved.requests)
            }
            None => (World::new(config.seed, config.regions, behavior), 0),
        };
        let seed = world.seed();
        let simulator = Self {
            inner: Arc::new(Inner {
                world: Mutex::new(world),
                clock: config.clock,
                faults: Faults::seeded(seed),
                log: CallLog::default(),
                state_file,
                seed: AtomicU64::new(seed),
                requests: AtomicU64::new(requests),
                changes: Notify::new(),
                waiting: AtomicUsize::new(0),
            }),
        };
        // A file that cannot be written is found out now and not with the first change.
        simulator.save(&simulator.world())?;
        Ok(simulator)
    }

    /// Every simulated action by the name of its service in a credential scope, both in the order of the alphabet.
    pub fn actions(&self) -> BTreeMap<&'static str, Vec<&'static str>> {
        let services = Api::ALL.into_iter();
        services
            .map(|api| (api.scope_name(), wire::actions(api)))
            .collect()
    }

    /// The seed that ids and outcomes come from.
    pub fn seed(&self) -> u64 {
        self.world().seed()
    }

    /// The clock.
    pub fn clock(&self) -> &SimClock {
        &self.inner.clock
    }

    /// The values of a TXT record in the simulated public DNS; none when there is none.
    pub fn txt(&self, name: &str) -> Vec<String> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let world = self.world();
        let mut records = world.txt_records();
        let found = records.find(|(record, _)| *record == name);
        found.map_or_else(Vec::new, |(_, values)| values.iter().cloned().collect())
    }

    /// Publishes a TXT record in the simulated public DNS; several values may share a name.
    pub fn publish_txt(&self, name: &str, value: &str) -> Result<(), SimError> {
        let now = self.clock().now();
        self.with_world(|world| world.put_txt(name, value, now))
    }

    /// Takes all values of a TXT record away. Answers whether there were any.
    pub fn withdraw_txt(&self, name: &str) -> Result<bool, SimError> {
        let now = self.clock().now();
        self.with_world(|world| world.remove_txt(name, None, now))
    }

    /// The planned faults.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// The call log.
    pub fn calls(&self) -> &CallLog {
        &self.inner.log
    }

    /// The delays and switches in force.
    pub fn behavior(&self) -> Behavior {
        self.world().behavior.clone()
    }

    /// Changes delays and switches.
    pub fn set_behavior(&self, behavior: Behavior) -> Result<(), SimError> {
        let mut world = self.world();
        world.behavior = behavior;
        self.save(&world)
    }

    /// Looks at the world or changes it without a call: no fault, no log line.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> Result<T, SimError> {
        let mut world = self.world();
        let result = act(&mut world);
        world.publish_notifications(|event| self.inner.faults.befall_notification(event));
        self.inner.changes.notify_waiters();
        self.save(&world)?;
        Ok(result)
    }

    /// A copy of everything.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            world: self.world().clone(),
            clock: self.inner.clock.state(),
            requests: self.inner.requests.load(Ordering::Relaxed),
        }
    }

    /// Replaces everything by a snapshot. Faults and the call log stay.
    pub fn restore(&self, snapshot: Snapshot) -> Result<(), SimError> {
        snapshot.clock.check()?;
        let mut world = self.world();
        *world = snapshot.world;
        self.inner.clock.restore(snapshot.clock);
        self.inner.seed.store(world.seed(), Ordering::Relaxed);
        let requests = snapshot.requests;
        self.inner.requests.store(requests, Ordering::Relaxed);
        self.inner.changes.notify_waiters();
        self.save(&world)
    }

    /// An empty world as at the start, with the same seed or another: the same Regions and switches, no faults, ids from the
    /// first again. The clock and the call log go on.
    pub fn reset(&self, seed: Option<u64>) -> Result<(), SimError> {
        let mut world = self.world();
        *world = world.emptied(seed);
        self.inner.seed.store(world.seed(), Ordering::Relaxed);
        self.inner.faults.start_over(world.seed());
        self.inner.requests.store(0, Ordering::Relaxed);
        self.inner.changes.notify_waiters();
        self.save(&world)
    }

    /// The root identity of an account in a Region, now.
    pub fn caller(&self, account: &AccountId, region: &Region) -> Caller {
        Caller::root(account.clone(), region.clone(), self.inner.clock.now())
    }

    /// Writes a call into the log.
    pub(crate) fn record<T>(&self, call: Call, result: &Result<T, Failure>, done: bool) {
        let outcome = match result {
            Ok(_) => "ok".to_owned(),
            Err(Failure::Refused(error)) => error.code.clone(),
            Err(Failure::Broken(how)) => how.outcome().to_owned(),
        };
        tracing::debug!(
            aws.service = call.api.scope_name(),
            aws.action = %call.action,
            aws.account = %call.account,
            aws.region = %call.region,
            outcome,
            "call to the simulator"
        );
        self.inner
            .log
            .push(self.inner.clock.now(), call, outcome, done);
    }

    /// What wakes the calls that wait.
    pub(crate) fn changes(&self) -> &Notify {
        &self.inner.changes
    }

    pub(crate) fn waiters(&self) -> &AtomicUsize {
        &self.inner.waiting
    }

    /// The work of one call, with what is planned for it.
    pub(crate) fn perform<T>(
        &self,
        call: &Call,
        identity: Identity,
        mut plan: Plan,
        work: impl FnOnce(&mut World, &Caller) -> Result<T, AwsError>,
    ) -> (Result<T, Failure>, bool) {
        if let Some(error) = plan.before.take() {
            return (Err(Failure::Refused(error)), false);
        }
        let mut world = self.world();
        // The time is taken under the lock, so that time never runs backwards from one change to the next.
        let now = self.inner.clock.now();
        if let Err(error) = world.throttle(call, now) {
            return (Err(Failure::Refused(error)), false);
        }
        let lag = i64::try_from(plan.lag_ms)
            .ok()
            .and_then(TimeDelta::try_milliseconds);
        let caller = Caller {
            account: call.account.clone(),
            region: call.region.clone(),
            identity,
            now,
            seen_at: lag
                .and_then(|lag| now.checked_sub_signed(lag))
                .unwrap_or(now),
            forced: std::mem::take(&mut plan.forced),
            used: std::cell::RefCell::default(),
        };
        let result = work(&mut world, &caller);
        self.inner.faults.spend(&caller.used.into_inner());
        let done = result.is_ok();
        if done && !call.is_read() {
            world.publish_notifications(|event| self.inner.faults.befall_notification(event));
            // A receive changes nothing that another one waits for, unless it moves a message to a dead-letter queue.
            if world.dead_letters_moved() || call.action != "ReceiveMessage" {
                self.inner.changes.notify_waiters();
            }
        }
        if done
            && !call.is_read()
            && let Err(error) = self.save(&world)
        {
            tracing::error!(error = %error, "the simulator cannot keep its state");
            let error = AwsError::with_status(500, "InternalError", error.to_string());
            return (Err(Failure::Refused(error)), done);
        }
        let result = match result {
            Ok(answer) => plan.afterwards(answer),
            Err(error) => Err(Failure::Refused(error)),
        };
        (result, done)
    }

    /// The seed, and the number of this request.
    pub(crate) fn next_request(&self) -> (u64, u64) {
        let number = self.inner.requests.fetch_add(1, Ordering::Relaxed);
        (self.inner.seed.load(Ordering::Relaxed), number)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // Operations check before they change, so a panic between two of them leaves a usable world.
        self.inner
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, world: &World) -> Result<(), SimError> {
        let Some(file) = &self.inner.state_file else {
            return Ok(());
        };
        file.save(&Kept {
            clock: self.inner.clock.state(),
            requests: self.inner.requests.load(Ordering::Relaxed),
            world,
        })
    }
}
