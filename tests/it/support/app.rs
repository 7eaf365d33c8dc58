//! The product, running, with a clock that only moves when told and a worker that only works when told.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use portcullis::api::auth::{AuthMetrics, DevelopmentIssuer, KeyClient, TrustedIssuer, Verifier};
use portcullis::api::limits::{HttpSettings, RateSettings, Ticks};
use portcullis::api::{self, ApiState, Edge, NotReady, Readiness};
use portcullis::app::auth_settings::IssuerSettings;
use portcullis::app::idempotency::Units;
use portcullis::app::policy_settings::PolicySettings;
use portcullis::app::policy_shelf::PolicyShelf;
use portcullis::app::review_settings::ReviewSettings;
use portcullis::app::{AppContext, Nudge};
use portcullis::domain::clock::{Clock, SystemClock, TestClock};
use portcullis::sns::Hook;
use portcullis::store::partitions;
use portcullis::worker::metrics::WorkerMetrics;
use portcullis::worker::public_dns::{NoAnswer, PublicDns};
use portcullis::worker::{
    PassError, Place, Shared, Worker, WorkerSettings, observe, sync_connections, sync_services,
};
use privatelink_sim::{Behavior, SimClock, SimConfig, Simulator};
use prometheus_client::registry::Registry;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::sns;

/// What a test may want different.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) behavior: Behavior,
    pub(crate) page_size: Option<usize>,
    pub(crate) settings: WorkerSettings,
    /// Who judges what SNS posts; one that trusts nobody unless set.
    pub(crate) hook: Option<Arc<Hook>>,
    /// Whose tokens are accepted besides the development issuer's.
    pub(crate) issuers: Vec<IssuerSettings>,
    /// The API's limits; without rates unless set, because a test asks as fast as it can.
    pub(crate) http: HttpSettings,
    /// What rates are measured by.
    pub(crate) ticks: Ticks,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            behavior: Behavior::instant(),
            page_size: None,
            // Leases are measured by the real clock, and nothing renews them while a test stands still.
            settings: WorkerSettings {
                lease_ttl: Duration::from_hours(1),
                ..WorkerSettings::default()
            },
            hook: None,
            issuers: Vec::new(),
            http: HttpSettings {
                rate: RateSettings::off(),
                ..HttpSettings::default()
            },
            ticks: Ticks::default(),
        }
    }
}

/// The running product. When a test ends well, every planned fault must have happened or been cleared.
pub(crate) struct TestApp {
    pub(crate) address: String,
    pub(crate) client: reqwest::Client,
    pub(crate) issuer: DevelopmentIssuer,
    pub(crate) clock: TestClock,
    pub(crate) worker: Worker,
    pub(crate) shared: Shared,
    /// How often each pass of a worker is made in a row.
    pub(crate) times: usize,
    sim: Simulator,
    silent: Arc<AtomicBool>,
}

/// What connections of a worker of its own call themselves.
const OWN_CONNECTIONS: &str = "a worker of its own";

/// More rounds than any story here needs.
const MOST_ROUNDS: usize = 300;

impl TestApp {
    /// Starts it, in the runtime that it is called in.
    pub(crate) fn start(pool: PgPool) -> Self {
        Self::start_with(pool, Setup::default())
    }

    pub(crate) fn start_with(pool: PgPool, setup: Setup) -> Self {
        // Near the real time, so that the partitions that the migrations made are the right ones.
        let start = SystemClock.now().trunc_subsecs(3);
        let clock = TestClock::at(start);
        let sim = world(1, setup.behavior, setup.page_size, start);
        let keys = tempfile::tempdir().expect("a directory");
        let issuer = DevelopmentIssuer::open(&keys.path().join("key.pem")).expect("an issuer");
        let silent = Arc::new(AtomicBool::new(false));
        let shared = Shared {
            pool,
            clock: Arc::new(clock.clone()),
            settings: Arc::new(setup.settings),
            metrics: WorkerMetrics::default(),
            nudge: Nudge::new(),
            dns: Arc::new(SimulatedDns {
                sim: sim.clone(),
                silent: silent.clone(),
            }),
            reviews: ReviewSettings::default().defaults(),
            answers_kept: setup.http.answers_kept(),
            shelf: PolicyShelf::default(),
            policies: PolicySettings::default().rules(),
            sealing_key: None,
        };
        let worker = Worker::new(shared.clone(), Arc::new(sim.clone()));
        let hook = setup.hook.unwrap_or_else(|| Arc::new(sns::deaf_hook()));
        let address = serve(
            &shared,
            verifier(&issuer, &setup.issuers),
            hook,
            &setup.http,
            &setup.ticks,
        );
        Self {
            address,
            client: reqwest::Client::new(),
            issuer,
            clock,
            worker,
            shared,
            times: 1,
            sim,
            silent,
        }
    }

    /// Whether no DNS server answers from now on.
    pub(crate) fn silence_dns(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Begins with an empty AWS and without AccountRegions, in the same process and database: for stories of which there are hundreds.
    /// What was there before is put aside, under another account and disabled.
    pub(crate) async fn begin_anew(&mut self, seed: u64, behavior: Behavior) {
        sqlx::query(
            "UPDATE account_regions
                SET state = 'disabled', lease_holder = NULL, lease_until = NULL,
                    account_id = (SELECT lpad(count(*)::text, 12, '0') FROM account_regions WHERE state = 'disabled')
              WHERE state = 'enabled'",
        )
        .execute(self.db())
        .await
        .unwrap();
        self.make_partitions().await;
        self.sim = world(seed, behavior, None, self.clock.now());
        self.shared.dns = Arc::new(SimulatedDns {
            sim: self.sim.clone(),
            silent: self.silent.clone(),
        });
        self.worker = self.another_worker();
    }

    /// Goes on with another database and the same AWS: API and worker.
    pub(crate) async fn move_to(&mut self, pool: PgPool) {
        self.shared.pool = pool;
        self.make_partitions().await;
        self.worker = self.another_worker();
        self.address = serve(
            &self.shared,
            verifier(&self.issuer, &[]),
            Arc::new(sns::deaf_hook()),
            &Setup::default().http,
            &Ticks::default(),
        );
    }

    /// The simulated AWS.
    pub(crate) fn sim(&self) -> &Simulator {
        &self.sim
    }

    /// The database. For looking, and for what no request can bring about.
    pub(crate) fn db(&self) -> &PgPool {
        &self.shared.pool
    }

    /// Moves the product's and AWS's time together: by whole milliseconds, so that no rounding ever parts the two.
    pub(crate) fn advance(&self, by: Duration) {
        let millis = by.as_nanos().div_ceil(1_000_000);
        let by = Duration::from_millis(u64::try_from(millis).unwrap());
        self.clock.advance(TimeDelta::from_std(by).unwrap());
        self.sim.clock().advance(by);
    }

    /// Another replica's worker.
    pub(crate) fn another_worker(&self) -> Worker {
        Worker::new(self.shared.clone(), Arc::new(self.sim.clone()))
    }

    /// Another replica's worker with connections of its own to the database, as a process has: they end with it.
    pub(crate) fn worker_of_its_own(&self) -> (Worker, PgPool) {
        let options = PgPoolOptions::new().max_connections(4);
        let connect = (*self.db().connect_options()).clone();
        let pool = options.connect_lazy_with(connect.application_name(OWN_CONNECTIONS));
        let shared = Shared {
            pool: pool.clone(),
            ..self.shared.clone()
        };
        (Worker::new(shared, Arc::new(self.sim.clone())), pool)
    }

    /// Waits until the database has ended what a worker of its own had sent to it: a dead process' last statement may still be done.
    pub(crate) async fn forgotten_by_the_database(&self) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";
        for _ in 0..2_000 {
            let left: i64 = sqlx::query_scalar(sql)
                .bind(OWN_CONNECTIONS)
                .fetch_one(self.db())
                .await
                .unwrap();
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the database still works for the dead");
    }

    /// The place that the worker holds, in a test with one AccountRegion.
    pub(crate) async fn place(&self) -> Place {
        let mut places = self.places().await;
        assert_eq!(places.len(), 1, "one AccountRegion");
        places.remove(0)
    }

    /// All of them.
    pub(crate) async fn places(&self) -> Vec<Place> {
        self.worker.lease_once().await.expect("leases")
    }

    /// Steps the worker until nothing is due at the present time.
    pub(crate) async fn run_worker(&self) {
        run(&self.worker, self.times).await;
    }

    /// Steps the worker, and moves time to whatever is due next, until nothing is owed to AWS any more.
    pub(crate) async fn run_until_rest(&self) {
        self.run_until_rest_of(&self.worker).await;
    }

    pub(crate) async fn run_until_rest_of(&self, worker: &Worker) {
        for _ in 0..MOST_ROUNDS {
            run(worker, self.times).await;
            let Some(next) = self.next_owed().await else {
                return;
            };
            let wait = (next - self.clock.now()).max(TimeDelta::milliseconds(500));
            self.advance(wait.to_std().unwrap());
        }
        panic!("the worker does not come to rest: {:?}", self.owed().await);
    }

    /// What is owed to AWS, for whoever asks why it does not get less.
    async fn owed(&self) -> Vec<serde_json::Value> {
        sqlx::query_scalar(
            "SELECT to_jsonb(c) - 'tags' FROM connections AS c WHERE sync_state IN ('due', 'confirming')
             UNION ALL SELECT to_jsonb(s) - 'facts' - 'observed' FROM endpoint_services AS s WHERE sync_state = 'due' AND waiting IS NULL",
        )
        .fetch_all(self.db())
        .await
        .expect("rows")
    }

    async fn next_owed(&self) -> Option<DateTime<Utc>> {
        sqlx::query_scalar(
            "SELECT min(due) FROM (
                 SELECT sync_due_at AS due FROM connections WHERE sync_state IN ('due', 'confirming')
                 -- What waits for endpoints to go is owed by nobody.
                 UNION ALL SELECT sync_due_at FROM endpoint_services WHERE sync_state = 'due' AND waiting IS NULL) AS owed",
        )
        .fetch_one(self.db())
        .await
        .expect("a row")
    }

    /// Makes the partitions for the present month, as a worker does that runs.
    pub(crate) async fn make_partitions(&self) {
        let mut conn = self.db().acquire().await.unwrap();
        partitions::ensure(&mut conn, self.clock.now())
            .await
            .unwrap();
    }

    /// A count, by any query that gives one number.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.db())
            .await
            .expect("a count")
    }
}

/// An AWS in which nothing is yet.
fn world(
    seed: u64,
    behavior: Behavior,
    page_size_limit: Option<usize>,
    now: DateTime<Utc>,
) -> Simulator {
    let regions = ["eu-west-1", "us-east-1"];
    Simulator::new(SimConfig {
        seed,
        regions: regions.map(|r| r.parse().unwrap()).to_vec(),
        behavior,
        page_size_limit,
        clock: SimClock::stopped_at(now),
        state_file: None,
    })
    .expect("a simulator")
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let left = self.sim.faults().list();
        if !std::thread::panicking() {
            assert!(left.is_empty(), "faults that never happened: {left:?}");
        }
    }
}

/// Steps a worker until nothing is due. A call to AWS that fails ends a round, as back-off would.
async fn run(worker: &Worker, times: usize) {
    for _ in 0..MOST_ROUNDS {
        let mut busy = false;
        for place in worker.lease_once().await.expect("leases") {
            busy |= step(&place, times).await;
        }
        if !busy {
            return;
        }
    }
    panic!("there is always something due");
}

/// One pass of each loop, so many times in a row. Answers whether there was anything to do.
async fn step(place: &Place, times: usize) -> bool {
    let mut busy = false;
    for _ in 0..times {
        let services = settled(sync_services::run_pass(place).await);
        busy |= services.is_some_and(|r| r.due > 0);
    }
    for _ in 0..times {
        let listed = settled(observe::run_pass(place).await);
        busy |= listed.is_some_and(|r| r.recorded.new + r.recorded.changed > 0 || r.deleted > 0);
    }
    for _ in 0..times {
        let connections = settled(sync_connections::run_pass(place).await);
        busy |= connections.is_some_and(|r| r.due > 0);
    }
    busy
}

fn settled<T>(pass: Result<T, PassError>) -> Option<T> {
    match pass {
        Ok(report) => Some(report),
        Err(PassError::Gateway(_)) => None,
        Err(other) => panic!("a pass failed for another reason than AWS: {other:?}"),
    }
}

/// Serves the API on a port of its own; the server ends with the test's process.
/// Trusts the development issuer and these.
fn verifier(issuer: &DevelopmentIssuer, issuers: &[IssuerSettings]) -> Verifier {
    let client = KeyClient::new(&[]).expect("a client");
    let metrics = AuthMetrics::default();
    let configured = issuers.iter().map(|settings| {
        TrustedIssuer::configured(settings.clone(), client.clone(), metrics.clone())
    });
    let trusted = configured.chain([issuer.trusted()]).collect::<Vec<_>>();
    Verifier::counting(trusted, metrics)
}

fn serve(
    shared: &Shared,
    verifier: Verifier,
    hook: Arc<Hook>,
    http: &HttpSettings,
    ticks: &Ticks,
) -> String {
    let app = AppContext {
        units: Units::of(&shared.pool),
        pool: shared.pool.clone(),
        clock: shared.clock.clone(),
        nudge: shared.nudge.clone(),
        patience: TimeDelta::from_std(shared.settings.patience).unwrap(),
        evidence_lasts: shared.settings.evidence_lasts(),
        reviews: shared.reviews,
        answers_kept: shared.answers_kept,
        shelf: shared.shelf.clone(),
        policies: shared.policies,
    };
    let mut registry = Registry::default();
    let events = api::v1::events::feed(api::DEFAULT_STREAMS);
    events.register(&mut registry);
    let edge = Edge::limited(
        verifier,
        Arc::new(Always),
        shared.clock.clone(),
        registry,
        http,
        ticks,
    );
    let mut state = ApiState::new(app, edge);
    state.events = events;
    state.workers = 1;
    state.sns = Some(hook);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(api::server(listener, state).expect("a server"));
    format!("http://{address}")
}

struct Always;

#[async_trait]
impl Readiness for Always {
    async fn check(&self) -> Result<(), NotReady> {
        Ok(())
    }
}

/// The simulator's public DNS, which can be cut off.
struct SimulatedDns {
    sim: Simulator,
    silent: Arc<AtomicBool>,
}

#[async_trait]
impl PublicDns for SimulatedDns {
    async fn txt(&self, name: &str) -> Result<Vec<String>, NoAnswer> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(NoAnswer("request timed out".to_owned()));
        }
        Ok(self.sim.txt(name))
    }
}
