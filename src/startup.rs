//! The composition root: puts the parts together, starts them, and stops them in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use async_trait::async_trait;
use audit_chain::SealingKey;
use privatelink::Gateways;
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::auth::{
    AuthMetrics, DevelopmentIssuer, KeyClient, TrustedIssuer, Verifier, keep_fresh, open_key_file,
};
use crate::api::limits::Ticks;
use crate::api::tls::{Tls, TlsError, TlsMetrics};
use crate::api::{self, ApiState, Edge, EventFeed, NotReady, Readiness};
use crate::app::idempotency::Units;
use crate::app::policy_shelf::PolicyShelf;
use crate::app::{AppContext, Nudge};
use crate::config::{ConfigError, Settings};
use crate::domain::clock::Clock;
use crate::sns::metrics::HookMetrics;
use crate::sns::{self, Hook, HttpFetch};
use crate::store::{self, PgPool, PoolLimits};
use crate::worker::metrics::WorkerMetrics;
pub use crate::worker::public_dns::{NoAnswer, PublicDns};
use crate::worker::public_dns::{Resolver, Unresolvable};
use crate::worker::{Shared, Worker};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Serves the API.
    Api,
    /// Works for the AccountRegions it can lease.
    Worker,
    /// Both.
    All,
}

/// Why a process could not start, or why it stopped.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("the database cannot be used")]
    Store(#[from] store::StoreError),
    /// The schema.
    #[error("the database cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The listener.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The development issuer's key.
    #[error("the development issuer's key cannot be used")]
    Key(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is trusted when issuers are asked for their keys.
    #[error("auth.extra_root_file cannot be used")]
    Roots(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key that signs the audit trail.
    #[error("audit.signing_key_file cannot be used")]
    SealingKey(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The SNS hook.
    #[error("the SNS hook cannot be set up")]
    Hook(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server ended by itself.
    #[error("the HTTP server ended")]
    Server(#[source] std::io::Error),
    /// A part that should run until it is told to stop has ended.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// A process that runs.
#[derive(Debug)]
pub struct Running {
    /// Where the API, or the operational routes alone, are served, if they are.
    pub api: Option<SocketAddr>,
    stop: CancellationToken,
    server: Option<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
    worker: Option<JoinHandle<()>>,
    events: Option<EventFeed>,
    pools: [PgPool; 2],
    edge: Option<Edge>,
    /// Looks whether the certificate has changed.
    fresh: Option<JoinHandle<()>>,
    /// How long `/readyz` fails before the server stops to listen.
    drain: Duration,
}

/// How long the worker may take to end its calls and give its leases back.
const WORKER_STOP: Duration = Duration::from_secs(10);

/// Starts what the role asks for, in the runtime it is called in. `clock` is where the time comes from, `gateways` is how the worker reaches AWS, `dns` how it reaches
/// public DNS.
pub fn start(
    settings: &Settings,
    role: Role,
    clock: Arc<dyn Clock>,
    gateways: impl FnOnce() -> Arc<dyn Gateways>,
    dns: impl FnOnce() -> Arc<dyn PublicDns>,
) -> Result<Running, StartError> {
    let limits = settings.database.pool_limits();
    let pool = store::pool(settings.database_url()?, limits)?;
    // A connection of its own, so that a process that is busy is not taken for one that is broken.
    let one = PoolLimits {
        max_connections: 1,
        ..limits
    };
    let probe = store::pool(settings.database_url()?, one)?;
    let nudge = Nudge::new();
    let metrics = WorkerMetrics::default();
    let stop = CancellationToken::new();
    let mut running = Running {
        api: None,
        stop: stop.clone(),
        server: None,
        worker: None,
        events: None,
        pools: [pool.clone(), probe.clone()],
        edge: None,
        fresh: None,
        drain: settings.http.drain_delay,
    };

    let shelf = PolicyShelf::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let readiness = Arc::new(Database(probe));
    if matches!(role, Role::Api | Role::All) {
        let patience =
            chrono::TimeDelta::from_std(settings.worker.patience).unwrap_or(chrono::TimeDelta::MAX);
        let app = AppContext {
            units: Units::of(&pool),
            pool: pool.clone(),
            clock: clock.clone(),
            nudge: nudge.clone(),
            patience,
            evidence_lasts: settings.worker.evidence_lasts(),
            reviews: settings.reviews.defaults(),
            answers_kept: settings.http.answers_kept(),
            shelf: shelf.clone(),
            policies: settings.policies.rules(),
        };
        let hook_metrics = HookMetrics::default();
        hook_metrics.register(&mut registry);
        let events = api::v1::events::feed(settings.http.max_event_streams);
        events.register(&mut registry);
        let verifier = Arc::new(verifier(settings)?);
        tokio::spawn(keep_fresh(verifier.clone(), clock.clone(), stop.clone()));
        let tls_metrics = TlsMetrics::default();
        let tls = Tls::open(&settings.http.tls, tls_metrics.clone(), clock.now())?;
        if let Some(tls) = &tls {
            tls_metrics.register(&mut registry);
            let fresh = tls.clone();
            let fresh = fresh.keep_fresh(settings.http.tls.reload_interval, clock.clone());
            running.fresh = Some(tokio::spawn(fresh));
        }
        let ticks = Ticks::default();
        let edge = Edge::limited(
            verifier,
            readiness,
            clock.clone(),
            registry,
            &settings.http,
            &ticks,
        );
        running.edge = Some(edge.clone());
        let mut state = ApiState::new(app, edge);
        state.tls = tls;
        let hook = sns_hook(settings, hook_metrics).map_err(StartError::Hook)?;
        state.sns = Some(Arc::new(hook));
        state.workers = settings.http.workers;
        state.events = events.clone();
        running.events = Some(events);
        state.service_tokens = settings.auth.service_tokens.rules();
        running.serve(settings.http.listen, |listener| {
            api::server(listener, state)
        })?;
    } else if let Some(address) = settings.http.operational_listen {
        let edge = Edge::new(Verifier::new([]), readiness, clock.clone(), registry);
        running.edge = Some(edge.clone());
        running.serve(address, |listener| api::operational_server(listener, edge))?;
    }
    if matches!(role, Role::Worker | Role::All) {
        let shared = Shared {
            pool,
            clock,
            settings: Arc::new(settings.worker.clone()),
            metrics,
            nudge,
            dns: dns(),
            reviews: settings.reviews.defaults(),
            answers_kept: settings.http.answers_kept(),
            shelf,
            policies: settings.policies.rules(),
            sealing_key: sealing_key(settings)?,
        };
        let worker = Worker::new(shared, gateways());
        running.worker = Some(tokio::spawn(async move { worker.run(stop).await }));
    }
    Ok(running)
}

/// What signs the seals of the audit trail; its file is made if missing.
fn sealing_key(settings: &Settings) -> Result<Option<Arc<SealingKey>>, StartError> {
    let Some(path) = &settings.audit.signing_key_file else {
        tracing::warn!("seals of the audit trail are not signed: set audit.signing_key_file");
        return Ok(None);
    };
    let key = open_key_file(path).map_err(|error| StartError::SealingKey(Box::new(error)))?;
    let key = SealingKey::from_pkcs8(&key.pkcs8)
        .map_err(|error| StartError::SealingKey(Box::new(error)))?;
    Ok(Some(Arc::new(key)))
}

/// Who judges what SNS posts: the public authorities are trusted, and those in `hooks.sns.extra_root_file`.
fn sns_hook(
    settings: &Settings,
    metrics: HookMetrics,
) -> Result<Hook, Box<dyn std::error::Error + Send + Sync>> {
    let settings = &settings.hooks.sns;
    let mut roots = sns::trust::Roots::public();
    let mut extra = Vec::new();
    if let Some(path) = &settings.extra_root_file {
        let named = |error: &dyn std::fmt::Display| {
            format!("hooks.sns.extra_root_file {}: {error}", path.display())
        };
        let pem = std::fs::read(path).map_err(|error| named(&error))?;
        let certificates = sns::trust::certificates(&pem).map_err(|error| named(&error))?;
        roots.add(&certificates).map_err(|error| named(&error))?;
        extra = certificates.iter().map(|c| c.to_vec()).collect();
    }
    let instead = settings.resolve_to.as_deref();
    let fetch = HttpFetch::new(settings.fetch_timeout, &extra, instead)?;
    Ok(Hook::new(settings, Arc::new(fetch), roots, metrics))
}

/// Who may call: those whom the configured issuers vouch for, and the development issuer if it is switched on. Nobody at all is a mistake.
fn verifier(settings: &Settings) -> Result<Verifier, StartError> {
    let auth = &settings.auth;
    let mut trusted = Vec::new();
    if let (Some(path), true) = (&auth.development_key_file, auth.development_issuer) {
        let issuer = DevelopmentIssuer::open(path).map_err(|e| StartError::Key(Box::new(e)))?;
        tracing::warn!(
            "tokens of the development issuer are accepted; do not put this on the internet"
        );
        trusted.push(issuer.trusted());
    }
    let metrics = AuthMetrics::default();
    if !auth.issuers.is_empty() {
        let client = key_client(settings).map_err(StartError::Roots)?;
        let configured = auth.issuers.iter().map(|issuer| {
            TrustedIssuer::configured(issuer.clone(), client.clone(), metrics.clone())
        });
        trusted.extend(configured);
    }
    if trusted.is_empty() {
        let what = "no token would be accepted: give auth.issuers, or for development auth.development_issuer and \
                    auth.development_key_file";
        return Err(ConfigError::Invalid(vec![what.to_owned()]).into());
    }
    Ok(Verifier::counting(trusted, metrics))
}

/// What asks issuers for their keys: the public authorities are trusted, and those in `auth.extra_root_file`.
fn key_client(settings: &Settings) -> Result<KeyClient, Box<dyn std::error::Error + Send + Sync>> {
    let mut extra = Vec::new();
    if let Some(path) = &settings.auth.extra_root_file {
        let certificates = sns::trust::certificates(&std::fs::read(path)?)?;
        extra = certificates.iter().map(|c| c.to_vec()).collect();
    }
    Ok(KeyClient::new(&extra)?)
}

impl Running {
    /// Binds first, so that a port of 0 can be asked for, and then serves.
    fn serve(
        &mut self,
        address: SocketAddr,
        server: impl FnOnce(TcpListener) -> std::io::Result<Server>,
    ) -> Result<(), StartError> {
        let listen = |e| StartError::Listen(address, e);
        let listener = TcpListener::bind(address).map_err(listen)?;
        self.api = Some(listener.local_addr().map_err(listen)?);
        let server = server(listener).map_err(listen)?;
        self.server = Some((server.handle(), tokio::spawn(server)));
        Ok(())
    }

    /// Waits for a part to end by itself, which none should.
    pub async fn ended(&mut self) -> StartError {
        let server = async {
            match &mut self.server {
                Some((_, task)) => match task.await {
                    Ok(Err(error)) => StartError::Server(error),
                    Ok(Ok(())) | Err(_) => StartError::Ended("the HTTP server"),
                },
                None => std::future::pending().await,
            }
        };
        let worker = async {
            match &mut self.worker {
                Some(task) => {
                    let _ = task.await;
                    StartError::Ended("the worker")
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = server => error,
            error = worker => error,
        }
    }

    /// Stops in order: `/readyz` fails, and after a while there are no new requests; what was begun is finished; then the database connections
    /// end. The worker, whom no request needs, gives its leases back meanwhile.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some((handle, task)) = self.server {
            if let Some(edge) = &self.edge {
                edge.drain();
                tokio::time::sleep(self.drain).await;
            }
            if let Some(events) = &self.events {
                // A server waits for the answers that it has begun, and a stream does not end by itself.
                events.close();
            }
            handle.stop(true).await;
            let _ = task.await;
        }
        if let Some(fresh) = self.fresh {
            fresh.abort();
        }
        if let Some(task) = self.worker
            && tokio::time::timeout(WORKER_STOP, task).await.is_err()
        {
            tracing::warn!("the worker did not end in time; its leases run out by themselves");
        }
        for pool in &self.pools {
            pool.close().await;
        }
    }
}

/// The database as `/readyz` asks about it.
struct Database(PgPool);

#[async_trait]
impl Readiness for Database {
    async fn check(&self) -> Result<(), NotReady> {
        let answered = async {
            let mut conn = self.0.acquire().await?;
            store::ping(&mut conn).await
        };
        match tokio::time::timeout(Duration::from_secs(2), answered).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(NotReady(format!("{error}"))),
            Err(_) => Err(NotReady("the database did not answer in 2 s".to_owned())),
        }
    }
}

/// How the worker reaches AWS: the SDK, against AWS or against `aws.endpoint_url`.
#[cfg(feature = "aws")]
pub fn aws(settings: &Settings) -> Arc<dyn Gateways> {
    use crate::worker::term::LONGEST_CALL;
    let settings = privatelink_aws::AwsSettings {
        endpoint_url: settings.aws.endpoint_url.clone(),
        connect_timeout: Duration::from_secs(2),
        attempt_timeout: LONGEST_CALL / 2,
        operation_timeout: LONGEST_CALL,
        ..privatelink_aws::AwsSettings::default()
    };
    Arc::new(privatelink_aws::AwsGateways::new(settings))
}

/// How the worker reaches public DNS. Without a resolver it works all the same and says so where a record is looked for.
pub fn public_dns(settings: &Settings) -> Arc<dyn PublicDns> {
    match Resolver::new(&settings.dns.servers, settings.dns.timeout) {
        Ok(resolver) => Arc::new(resolver),
        Err(why) => {
            tracing::warn!(%why, "records of private DNS names cannot be looked for");
            Arc::new(Unresolvable(why))
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
