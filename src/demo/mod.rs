//! `portcullis demo`: everything on this machine, by itself.
//!
//! A private PostgreSQL, the simulator, the API and the worker in one process, the worker speaking to the simulator over HTTP through the
//! real AWS SDK. All of it lives in the data directory, the simulated AWS included, so a demo that is killed goes on where it stood.

mod aws_wire;
mod public_dns;
mod rest;
mod tour;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use clap::Args;
use private_postgres::{Cluster, Options};
use privatelink::Gateways;
use privatelink_sim::{Behavior, SimClock, SimConfig, Simulator};

use crate::api::auth::{DevelopmentIssuer, Role as TokenRole};
use crate::api::limits::RateSettings;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::startup::{self, Role};
use crate::store::{self, PoolLimits, account_regions, leases, replicas};
use public_dns::SimulatedDns;

/// What the demo can be told.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the API listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the simulator listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4600")]
    sim_listen: SocketAddr,
    /// Where everything is kept
    #[arg(long, default_value = ".portcullis")]
    data_dir: PathBuf,
    /// What is played against it
    #[arg(long, value_enum, default_value = "tour")]
    scenario: Scenario,
    /// Let every client ask as often as it likes, for tools that send thousands of requests
    #[arg(long)]
    no_rate_limits: bool,
    /// What is logged, in the syntax of `RUST_LOG`
    #[arg(long, default_value = "warn,portcullis::worker::metered=error")]
    pub(crate) log: String,
}

/// What is played against the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// A day in the life: two services, five consumers, every outcome.
    Tour,
    /// Nothing.
    None,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long the admin token is good.
const TOKEN_TTL: Duration = Duration::from_hours(30 * 24);

/// Runs until a signal comes.
pub async fn run(args: DemoArgs) -> Result<(), Failure> {
    std::fs::create_dir_all(&args.data_dir).map_err(|error| {
        format!(
            "cannot make the data directory {}: {error}; choose another with --data-dir",
            args.data_dir.display()
        )
    })?;
    // Bind first: a port that is taken must not cost a cluster start.
    let sim_listener = bind(args.sim_listen, "--sim-listen")?;
    let sim_url = format!("http://{}", sim_listener.local_addr()?);
    drop(bind(args.listen, "--listen")?);

    let mut cluster = start_cluster(args.data_dir.join("postgres")).await?;
    let database_url = cluster.url("portcullis");
    let result = tokio::select! {
        result = run_on(&args, sim_listener, &sim_url, &database_url) => result,
        () = ended(&mut cluster) => Err(format!(
            "the private PostgreSQL ended by itself; its log is {}. Start the demo again: it goes on where it stood",
            cluster.log_file().display()
        )
        .into()),
    };
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    result
}

/// Waits for the cluster to end, which it should not.
async fn ended(cluster: &mut Cluster) {
    while !cluster.has_ended() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn run_on(
    args: &DemoArgs,
    sim_listener: TcpListener,
    sim_url: &str,
    database_url: &str,
) -> Result<(), Failure> {
    store::migrate(database_url).await.map_err(|error| {
        format!(
            "{error}; {} holds the data of another version: remove it to begin again",
            args.data_dir.display()
        )
    })?;
    let pool = store::pool(
        database_url,
        PoolLimits {
            max_connections: 2,
            ..PoolLimits::default()
        },
    )?;
    // The cluster admits one starter at a time, so whoever held a lease in it is dead.
    let mut conn = pool.acquire().await?;
    leases::release_all(&mut conn).await?;
    replicas::leave_all(&mut conn).await?;
    let has_data = !account_regions::page(&mut conn, None, 1).await?.is_empty();
    drop(conn);
    pool.close().await;

    let state_file = state_file(&args.data_dir, has_data)?;

    let simulator = Simulator::new(SimConfig {
        state_file: Some(state_file),
        // Nobody who watches a demo waits for load balancers.
        behavior: Behavior {
            load_balancer_provisioning_ms: 0,
            target_initial_ms: 0,
            ..Behavior::default()
        },
        ..SimConfig::default()
    })?;
    let (sim_server, sim_handle) = simulator.serve(sim_listener)?;
    let sim_task = tokio::spawn(sim_server);

    let key_file = args.data_dir.join("development-issuer.pem");
    let mut settings = settings(args.listen, database_url, sim_url, &key_file);
    settings.hooks.sns.resolve_to = Some(sim_url.to_owned());
    if args.no_rate_limits {
        settings.http.rate = RateSettings::off();
    }
    settings.hooks.sns.extra_root_file = Some(keep_sns_root(args, sim_url).await?);
    let clock = SimulatedTime::of(&simulator);
    let mut running = startup::start(
        &settings,
        Role::All,
        clock.clone(),
        || gateways(&settings, &simulator),
        || Arc::new(SimulatedDns(simulator.clone())),
    )?;
    let api = running.api.ok_or("the API did not start")?;
    let token = DevelopmentIssuer::open(&key_file)?.issue(
        "demo-admin",
        &[TokenRole::Admin],
        TOKEN_TTL,
        clock.now(),
    )?;
    let api_url = format!("http://{api}");
    println!(
        "{}",
        serde_json::json!({
            "ready": true,
            "api": api_url,
            "sim": sim_url,
            "page": format!("{api_url}/docs/"),
            "admin_token": token,
            "database_url": database_url,
        })
    );
    say(&format!(
        "Portcullis is ready: open {api_url}/docs/ (the token is in the line above)"
    ));

    let scenario = async {
        if args.scenario == Scenario::Tour {
            match tour::play(&api_url, sim_url, &token).await {
                Ok(()) => {
                    say("The tour is over and everything goes on running. Press Ctrl-C to stop.");
                }
                Err(error) => say(&format!(
                    "The tour FAILED: {error}\nEverything goes on running; Ctrl-C stops it."
                )),
            }
        }
        std::future::pending::<()>().await;
    };
    let ended: Result<(), Failure> = tokio::select! {
        signalled = startup::signal() => signalled.map_err(Into::into),
        error = running.ended() => Err(error.into()),
        () = scenario => Ok(()),
    };
    say("Stopping.");
    running.stop().await;
    sim_handle.stop(true).await;
    sim_task.await??;
    ended
}

/// Where the simulated AWS is kept.
fn state_file(data_dir: &Path, has_data: bool) -> Result<PathBuf, Failure> {
    let state_file = data_dir.join("simulator.json");
    if has_data && !state_file.exists() {
        return Err(format!(
            "the database in {dir} knows services of a simulated AWS whose state, simulator.json, is gone; remove {dir} to \
             begin again",
            dir = data_dir.display()
        )
        .into());
    }
    Ok(state_file)
}

/// The simulator's time, as fine as PostgreSQL keeps times. One time for AWS and for us: whoever moves the simulator's clock sees what time does here as well.
struct SimulatedTime(SimClock);

impl SimulatedTime {
    fn of(simulator: &Simulator) -> Arc<dyn Clock> {
        Arc::new(Self(simulator.clock().clone()))
    }
}

impl Clock for SimulatedTime {
    fn now(&self) -> DateTime<Utc> {
        self.0.now().trunc_subsecs(6)
    }
}

/// Keeps the certificate of the authority that vouches for the simulated SNS; it is another with each start.
async fn keep_sns_root(args: &DemoArgs, sim_url: &str) -> Result<PathBuf, Failure> {
    let root = reqwest::get(format!("{sim_url}/_sim/sns/root.pem"))
        .await?
        .error_for_status()?
        .text()
        .await?;
    let file = args.data_dir.join("simulator-sns-root.pem");
    std::fs::write(&file, root)
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    Ok(file)
}

fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        format!("cannot listen on {address}: {error}; choose another address with {flag}, port 0 takes a free one").into()
    })
}

async fn start_cluster(data_dir: PathBuf) -> Result<Cluster, Failure> {
    let options = Options {
        progress: say,
        ..Options::new(data_dir)
    };
    let cluster =
        tokio::task::spawn_blocking(move || -> Result<Cluster, private_postgres::Error> {
            let cluster = Cluster::start(&options)?;
            cluster.create_database("portcullis")?;
            Ok(cluster)
        });
    Ok(cluster.await??)
}

/// Settings for one machine: look at services often, since nothing here is far away or throttled by others.
fn settings(listen: SocketAddr, database_url: &str, sim_url: &str, key_file: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.http.listen = listen;
    // Nobody has to be told first.
    settings.http.drain_delay = Duration::ZERO;
    settings.database.url = Some(database_url.to_owned().into());
    settings.auth.development_issuer = true;
    settings.auth.development_key_file = Some(key_file.to_owned());
    settings.audit.signing_key_file = Some(key_file.with_file_name("audit-seals.pem"));
    settings.aws.endpoint_url = Some(sim_url.to_owned());
    // AWS tells of connections by itself here; this is only the net below.
    settings.worker.listing_interval = Duration::from_secs(10);
    settings.worker.service_interval = Duration::from_secs(15);
    settings.worker.inventory_interval = Duration::from_secs(15);
    settings.worker.lease_interval = Duration::from_millis(500);
    settings.worker.private_dns_poll = Duration::from_secs(2);
    settings.worker.private_dns_settle = Duration::from_secs(1);
    settings
}

#[cfg(feature = "aws")]
fn gateways(settings: &Settings, _simulator: &Simulator) -> Arc<dyn Gateways> {
    startup::aws(settings)
}

/// Without the SDK in the build, the worker reaches the simulator in process.
#[cfg(not(feature = "aws"))]
fn gateways(_settings: &Settings, simulator: &Simulator) -> Arc<dyn Gateways> {
    Arc::new(simulator.clone())
}

/// Tells the person at the terminal. Standard output is for the ready line alone.
fn say(line: &str) {
    eprintln!("{line}");
}
