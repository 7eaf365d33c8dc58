//! What runs: PostgreSQL, the simulator, two replicas; and what was done to them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use history_checker::{Circumstances, Jump};
use private_postgres::{Cluster, Options};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::chance::Chance;
use crate::process::{Process, send};
use crate::rest::Rest;
use crate::sim::Sim;
use crate::tally::Tally;
use crate::{Arguments, Failure, Result};

/// The provider.
pub(crate) const PROVIDER: &str = "111111111111";
/// Where everything is.
pub(crate) const REGION: &str = "eu-west-1";
/// The endpoint that nobody has, by which a console marks its calls.
pub(crate) const MARK: &str = "vpce-0000000000000dead";
/// Services of the provider.
const SERVICES: usize = 3;
const REPLICAS: usize = 2;
/// How long a lease lasts. It must be longer than the longest call.
pub(crate) const LEASE: Duration = Duration::from_secs(9);

/// What people and trouble tell the end of the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    inner: Arc<Mutex<Noted>>,
}

#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Decisions that a client was told of.
    pub(crate) acknowledged: Vec<String>,
    /// Endpoints that consumers made.
    pub(crate) endpoints: Vec<Endpoint>,
    /// When a replica lost what it had in hand.
    pub(crate) losses: Vec<DateTime<Utc>>,
    pub(crate) jumps: Vec<Jump>,
    pub(crate) retries: usize,
}

impl Ledger {
    /// A replica loses what it has in hand, now.
    fn lose(&self) {
        let now = DateTime::from(SystemTime::now());
        self.note().losses.push(now);
    }

    pub(crate) fn note(&self) -> MutexGuard<'_, Noted> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An endpoint that a consumer made.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) owner: String,
    /// The service, by AWS's id.
    pub(crate) service: String,
}

/// A service that consumers can ask for.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) aws_id: String,
    pub(crate) name: String,
}

pub(crate) struct Scene {
    dir: Option<TempDir>,
    replicas_program: PathBuf,
    cluster: Option<Cluster>,
    database_url: String,
    key_file: String,
    _simulator: Process,
    pub(crate) sim: Sim,
    pub(crate) rest: Rest,
    replicas: Vec<Option<(Process, String)>>,
    starts: usize,
    pub(crate) services: Vec<Service>,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
}

impl Scene {
    /// Starts everything, and registers the services.
    pub(crate) async fn set_up(arguments: &Arguments) -> Result<Self> {
        let program = arguments.program.clone();
        // As root, the database runs as another account, which has to pass through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        let dir = tempfile::Builder::new()
            .prefix("chaos-")
            .permissions(open)
            .tempdir()?;
        let cluster = start_cluster(dir.path().join("database")).await?;
        cluster.create_database("portcullis")?;
        let database_url = cluster.url("portcullis");
        let key_file = dir.path().join("issuer.pem").display().to_string();

        let log = dir.path().join("simulator.log");
        let seed_text = arguments.seed.to_string();
        let listen = ["sim", "--listen", "127.0.0.1:0", "--seed", &seed_text];
        let mut simulator = Process::start(&program, &listen, &[], log)?;
        let sim = Sim::new(simulator.says("\"sim\":\"").await?)?;
        // Deleted endpoints leave the listings soon, so that absence has to be proven.
        let behavior = json!({ "endpoint_linger_ms": 4_000 });
        sim.control(Method::PUT, "/behavior", Some(behavior))
            .await?;

        run(&program, &["migrate"], &[("DATABASE_URL", &database_url)]).await?;
        let token = [
            "token",
            "--role",
            "admin",
            "--subject",
            "chaos",
            "--key-file",
            &key_file,
        ];
        let token = run(&program, &token, &[]).await?;
        let mut scene = Self {
            dir: Some(dir),
            replicas_program: arguments.replicas.clone().unwrap_or(program),
            cluster: Some(cluster),
            database_url,
            key_file,
            _simulator: simulator,
            sim,
            rest: Rest::new(token)?,
            replicas: (0..REPLICAS).map(|_| None).collect(),
            starts: 0,
            services: Vec::new(),
            ledger: Ledger::default(),
            tally: Tally::default(),
        };
        for replica in 0..REPLICAS {
            scene.start_replica(replica).await?;
        }
        scene.register().await?;
        Ok(scene)
    }

    async fn register(&mut self) -> Result {
        let mut chance = Chance::new(0, 0);
        let place = json!({ "account_id": PROVIDER, "region": REGION });
        self.rest
            .make(&mut chance, "/v1/account-regions", &place)
            .await?;
        for number in 0..SERVICES {
            let name = format!("ledger-{number}");
            let balancer = self.sim.load_balancer(PROVIDER, &name).await?;
            let body = json!({
                "account_id": PROVIDER, "region": REGION, "name": name,
                "load_balancer_arns": [balancer], "allowed_principals": ["*"],
            });
            let made = self.rest.make(&mut chance, "/v1/services", &body).await?;
            let id = made["id"]
                .as_str()
                .ok_or("a service without an id")?
                .to_owned();
            self.services.push(self.created(&mut chance, id).await?);
        }
        Ok(())
    }

    /// Waits until a service is there for consumers.
    async fn created(&self, chance: &mut Chance, id: String) -> Result<Service> {
        for _ in 0..600 {
            let seen = self.rest.get(chance, &format!("/v1/services/{id}")).await?;
            let text = |key: &str| seen[key].as_str().map(str::to_owned);
            if let (Some(aws_id), Some(name), "idle") = (
                text("aws_service_id"),
                text("service_name"),
                seen["sync"]["state"].as_str().unwrap_or_default(),
            ) {
                return Ok(Service { id, aws_id, name });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("service {id} does not come up").into())
    }

    /// Starts a replica that does not run.
    pub(crate) async fn start_replica(&mut self, replica: usize) -> Result {
        self.starts += 1;
        let log = format!("replica-{replica}-{}.log", self.starts);
        let dir = self.dir.as_ref().ok_or("the directory is gone")?;
        let text = |value: &str| value.to_owned();
        let environment = [
            ("DATABASE_URL", self.database_url.clone()),
            ("PORTCULLIS__HTTP__LISTEN", text("127.0.0.1:0")),
            ("PORTCULLIS__AUTH__DEVELOPMENT_ISSUER", text("true")),
            (
                "PORTCULLIS__AUTH__DEVELOPMENT_KEY_FILE",
                self.key_file.clone(),
            ),
            ("PORTCULLIS__AWS__ENDPOINT_URL", self.sim.url()),
            ("PORTCULLIS__WORKER__LISTING_INTERVAL", text("1s")),
            ("PORTCULLIS__WORKER__SERVICE_INTERVAL", text("3s")),
            (
                "PORTCULLIS__WORKER__LEASE_TTL",
                format!("{}s", LEASE.as_secs()),
            ),
            ("PORTCULLIS__WORKER__LEASE_INTERVAL", text("1s")),
        ];
        let mut process = Process::start(
            &self.replicas_program,
            &["serve"],
            &environment,
            dir.path().join(log),
        )?;
        let url = process.says("serving the API on ").await?;
        if let Some(slot) = self.replicas.get_mut(replica) {
            *slot = Some((process, url));
        }
        self.tell_replicas();
        Ok(())
    }

    /// `kill -9` of a replica.
    pub(crate) async fn kill_replica(&mut self, replica: usize) -> Result {
        let taken = self.replicas.get_mut(replica).and_then(Option::take);
        self.tell_replicas();
        self.ledger.lose();
        match taken {
            Some((process, _)) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Asks a replica to end; it gives its leases back.
    pub(crate) async fn end_replica(&mut self, replica: usize) -> Result {
        let taken = self.replicas.get_mut(replica).and_then(Option::take);
        self.tell_replicas();
        // Its passes are cut off where they are.
        self.ledger.lose();
        match taken {
            Some((process, _)) => process.end().await,
            None => Ok(()),
        }
    }

    /// A signal to a replica.
    pub(crate) async fn signal_replica(&self, replica: usize, signal: &str) -> Result {
        self.ledger.lose();
        match self.replicas.get(replica) {
            Some(Some((process, _))) => process.signal(signal).await,
            _ => Ok(()),
        }
    }

    fn tell_replicas(&self) {
        let running = self.replicas.iter().flatten();
        self.rest
            .use_replicas(running.map(|(_, url)| url.clone()).collect());
    }

    /// Whether every replica that should run does; a program that ends by itself is a fault of its own.
    pub(crate) fn all_run(&mut self) -> bool {
        self.replicas
            .iter_mut()
            .flatten()
            .all(|(process, _)| process.runs())
    }

    /// `kill -9` of PostgreSQL, and a new start after a while.
    pub(crate) async fn restart_postgres(&mut self, down: Duration) -> Result {
        let cluster = self.cluster.take().ok_or("PostgreSQL does not run")?;
        let pid = cluster.pid().ok_or("PostgreSQL has no process")?;
        // Both replicas may lose what they were writing.
        for _ in 0..REPLICAS {
            self.ledger.lose();
        }
        send("KILL", pid).await?;
        tokio::time::sleep(down).await;
        // Its end is slow only where something is left to end.
        tokio::task::spawn_blocking(move || drop(cluster)).await?;
        let dir = self.dir.as_ref().ok_or("the directory is gone")?;
        self.cluster = Some(start_cluster(dir.path().join("database")).await?);
        Ok(())
    }

    /// Moves AWS's clock ahead.
    pub(crate) async fn jump(&self, by: Duration) -> Result {
        let now = self.sim.jump(by).await?;
        let to = now
            .as_str()
            .and_then(|at| at.parse().ok())
            .ok_or("a clock without a time")?;
        let by = TimeDelta::from_std(by)?;
        self.ledger.note().jumps.push(Jump { to, by });
        Ok(())
    }

    /// One text of the database.
    pub(crate) fn text(&self, sql: &str) -> Result<String> {
        let cluster = self.cluster.as_ref().ok_or("PostgreSQL does not run")?;
        let rows = cluster.execute("portcullis", sql)?;
        let text = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .flatten();
        text.ok_or_else(|| "no row".into())
    }

    /// What the checker has to know.
    pub(crate) fn circumstances(&self) -> Circumstances {
        let noted = self.ledger.note();
        Circumstances {
            acknowledged: noted.acknowledged.clone(),
            mark_of_others: Some(MARK.to_owned()),
            losses: noted.losses.clone(),
            stale_reads: true,
            client_retries: true,
            jumps: noted.jumps.clone(),
            // The longest call, and as much again as the simulator delays one that the client gave up.
            longest_call: TimeDelta::seconds(15),
            retries: noted.retries,
            pace_of_owners: Some(REPLICAS + noted.losses.len()),
            ..Circumstances::default()
        }
    }

    /// Leaves the directory with the logs where it is, and says where.
    pub(crate) fn keep_logs(&mut self) {
        if let Some(dir) = self.dir.take() {
            eprintln!("chaos: the logs are in {}", dir.keep().display());
        }
    }
}

async fn start_cluster(dir: PathBuf) -> Result<Cluster> {
    let start = move || Cluster::start(&Options::new(dir));
    Ok(tokio::task::spawn_blocking(start).await??)
}

/// Runs a command of the program to its end; what it printed.
async fn run(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    let done = command.kill_on_drop(true).output().await?;
    if done.status.success() {
        return Ok(String::from_utf8(done.stdout)?.trim().to_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err::<_, Failure>(format!("{arguments:?}: {said}").into())
}

/// A whole number out of a row's text.
pub(crate) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}
