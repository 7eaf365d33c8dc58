//! What runs: PostgreSQL, the simulator, two replicas; and what was done to them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use history_checker::{Circumstances, Jump};
use private_postgres::{Cluster, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::chance::Chance;
use crate::line::{End, Line, State};
use crate::process::{Process, send};
use crate::rest::Rest;
use crate::sim::Sim;
use crate::standby;
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
/// How many files and sockets a replica may have open.
const FILES: usize = 256;
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
    /// Where its files are, within the run's directory.
    database_dir: String,
    /// Each replica's lines to the database and to AWS.
    lines: Vec<(Line, Line)>,
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
        let database_dir = "database".to_owned();
        let cluster = start_cluster(dir.path().join(&database_dir)).await?;
        cluster.create_database("portcullis")?;
        let database_url = cluster.url("portcullis");
        let socket = cluster.socket();
        let key_file = dir.path().join("issuer.pem").display().to_string();

        let tally = Tally::new(&dir.path().join("chaos.log"))?;
        let log = dir.path().join("simulator.log");
        let seed_text = arguments.seed.to_string();
        let listen = ["sim", "--listen", "127.0.0.1:0", "--seed", &seed_text];
        let mut simulator = Process::start(&program, &listen, &[], log)?;
        let sim = Sim::new(simulator.says("\"sim\":\"").await?)?;
        // Deleted endpoints leave the listings soon, so that absence has to be proven.
        sim.behave(json!({ "endpoint_linger_ms": 4_000 })).await?;

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
        let mut lines = Vec::new();
        for _ in 0..REPLICAS {
            let to_database = Line::to(End::Socket(socket.clone())).await?;
            lines.push((to_database, Line::to(End::Port(sim.address()?)).await?));
        }
        let mut scene = Self {
            dir: Some(dir),
            replicas_program: arguments.replicas.clone().unwrap_or(program),
            cluster: Some(cluster),
            database_dir,
            lines,
            key_file,
            _simulator: simulator,
            sim,
            rest: Rest::new(token)?,
            replicas: (0..REPLICAS).map(|_| None).collect(),
            starts: 0,
            services: Vec::new(),
            ledger: Ledger::default(),
            tally,
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
        let (to_database, to_aws) = self.lines.get(replica).ok_or("a replica without lines")?;
        let database = format!(
            "postgres://postgres@{}/portcullis?sslmode=disable",
            to_database.near()
        );
        let text = |value: &str| value.to_owned();
        let environment = [
            ("DATABASE_URL", database),
            ("PORTCULLIS__HTTP__LISTEN", text("127.0.0.1:0")),
            ("PORTCULLIS__AUTH__DEVELOPMENT_ISSUER", text("true")),
            (
                "PORTCULLIS__AUTH__DEVELOPMENT_KEY_FILE",
                self.key_file.clone(),
            ),
            (
                "PORTCULLIS__AWS__ENDPOINT_URL",
                format!("http://{}", to_aws.near()),
            ),
            ("PORTCULLIS__HTTP__RATE__CALLER_READS", text("off")),
            ("PORTCULLIS__HTTP__RATE__CALLER_WRITES", text("off")),
            ("PORTCULLIS__HTTP__DRAIN_DELAY", text("0s")),
            ("PORTCULLIS__WORKER__LISTING_INTERVAL", text("1s")),
            ("PORTCULLIS__WORKER__SERVICE_INTERVAL", text("3s")),
            (
                "PORTCULLIS__WORKER__LEASE_TTL",
                format!("{}s", LEASE.as_secs()),
            ),
            ("PORTCULLIS__WORKER__LEASE_INTERVAL", text("1s")),
        ];
        let mut process = Process::start_with(
            Some(FILES),
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

    /// What becomes of a replica's lines, first the one to the database, then the one to AWS.
    pub(crate) fn lines(&self, replica: usize, to_database: State, to_aws: State) {
        self.ledger.lose();
        if let Some((database, aws)) = self.lines.get(replica) {
            database.set(to_database);
            aws.set(to_aws);
        }
    }

    /// Whatever a replica has under way may be lost, and so may what the other has.
    fn all_lose(&self) {
        for _ in 0..REPLICAS {
            self.ledger.lose();
        }
    }

    /// Takes every file descriptor that a replica has left, for a while.
    pub(crate) async fn crowd(&self, replica: usize, lasts: Duration) -> Result {
        let Some(Some((_, url))) = self.replicas.get(replica) else {
            return Ok(());
        };
        self.ledger.lose();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let mut crowd = Vec::new();
        for _ in 0..2 * FILES {
            // Past its limit nobody is let in any more; the kernel's own queue is full then, too.
            let connecting = TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_millis(50), connecting).await {
                Ok(Ok(stream)) => crowd.push(stream),
                _ => break,
            }
        }
        tokio::time::sleep(lasts).await;
        Ok(())
    }

    /// SQL that disturbs the replicas. It may take a while.
    pub(crate) fn disturb(&self, sql: &str) -> Result {
        self.all_lose();
        let cluster = self.cluster.as_ref().ok_or("PostgreSQL does not run")?;
        tokio::task::block_in_place(|| cluster.execute("portcullis", sql))?;
        self.all_lose();
        Ok(())
    }

    /// PostgreSQL ends by a signal, `KILL` or the orderly `INT`, and is started anew after a while.
    pub(crate) async fn restart_postgres(&mut self, signal: &str, down: Duration) -> Result {
        let cluster = self.cluster.take().ok_or("PostgreSQL does not run")?;
        let pid = cluster.pid().ok_or("PostgreSQL has no process")?;
        self.all_lose();
        send(signal, pid).await?;
        tokio::time::sleep(down).await;
        // Its end is slow only where something is left to end.
        tokio::task::spawn_blocking(move || drop(cluster)).await?;
        let dir = self.dir.as_ref().ok_or("the directory is gone")?;
        self.cluster = Some(start_cluster(dir.path().join(&self.database_dir)).await?);
        Ok(())
    }

    /// Another PostgreSQL takes over with everything that was committed, and the first is killed. When that one `returns`, a replica
    /// still finds it for so long, while the other works with the new one.
    pub(crate) async fn fail_over(&mut self, returns: Option<(usize, Duration)>) -> Result {
        let old = self.cluster.take().ok_or("PostgreSQL does not run")?;
        if !standby::can_be(&old) {
            self.cluster = Some(old);
            self.tally.add("not possible here: PostgreSQL fails over");
            return Ok(());
        }
        self.all_lose();
        self.starts += 1;
        let new_dir = format!("database-{}", self.starts);
        let dir = self.dir.as_ref().ok_or("the directory is gone")?.path();
        let new = standby::follow(&old, &dir.join(&new_dir)).await?;
        // Both serve for a moment.
        tokio::time::sleep(Duration::from_secs(1)).await;
        send("KILL", old.pid().ok_or("PostgreSQL has no process")?).await?;
        tokio::task::block_in_place(|| {
            drop(old);
            standby::promote(&new)
        })?;
        let (socket, old_dir) = (new.socket(), dir.join(&self.database_dir));
        self.cluster = Some(new);
        self.database_dir = new_dir;
        self.all_lose();
        let left_behind = match returns {
            None => None,
            Some((replica, lasts)) => Some((replica, lasts, start_cluster(old_dir).await?)),
        };
        for (replica, (to_database, _)) in self.lines.iter().enumerate() {
            let end = match &left_behind {
                Some((behind, _, old)) if *behind == replica => old.socket(),
                _ => socket.clone(),
            };
            to_database.lead_to(End::Socket(end));
        }
        if let Some((replica, lasts, old)) = left_behind {
            tokio::time::sleep(lasts).await;
            self.all_lose();
            if let Some((to_database, _)) = self.lines.get(replica) {
                to_database.lead_to(End::Socket(socket));
            }
            tokio::task::spawn_blocking(move || drop(old)).await?;
        }
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

    /// From now on nothing can be written by the sessions there are, until PostgreSQL has recovered from that or a while has passed.
    pub(crate) async fn deny_writes(&self, lasts: Duration) -> Result {
        self.all_lose();
        let sessions = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let sessions = self.text(sessions)?;
        let mut could = true;
        for limit in ["1", "unlimited"] {
            for pid in sessions.split(' ') {
                // One that has ended meanwhile has no limits any more.
                let limit = format!("--fsize={limit}");
                let set = Command::new("prlimit")
                    .args(["--pid", pid, &limit])
                    .output();
                could &= set.await.is_ok();
            }
            if limit == "1" {
                tokio::time::sleep(lasts).await;
            }
        }
        self.all_lose();
        if !could {
            self.tally
                .add("not possible here: PostgreSQL cannot write its log");
        }
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
