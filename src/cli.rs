//! The command line.

mod audit;
mod reference;

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::api::auth::{DevelopmentIssuer, Role as TokenRole};
use crate::config::Settings;
use crate::demo::{self, DemoArgs};
use crate::domain::actor::SEPARATOR;
use crate::domain::clock::{Clock as _, SystemClock};
use crate::domain::ids::ConsumerId;
use crate::startup::{self, Role};
use crate::{api, store, telemetry};

/// The provider's side of AWS PrivateLink.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, work for AccountRegions, or both
    Serve(ServeArgs),
    /// Bring the database's schema up to date
    Migrate(ConfigArgs),
    /// Everything at once on this machine: a private PostgreSQL, the simulator, API and worker, and a tour
    Demo(DemoArgs),
    /// The PrivateLink simulator alone
    Sim(SimArgs),
    /// Print the `OpenAPI` document
    Openapi(OpenapiArgs),
    /// Issue a development token
    Token(TokenArgs),
    /// Verify, export and pin the audit trail
    Audit(audit::AuditArgs),
    /// Work with the API from a terminal
    Ctl(ctl::CtlArgs),
    /// Print completions for a shell
    Completions(reference::CompletionsArgs),
    /// Write a manual page for each command
    Man(reference::ManArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// A TOML file; the environment (`PORTCULLIS__SECTION__KEY`) overrides it
    #[arg(long, env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// What this process does
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
struct SimArgs {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4600")]
    listen: SocketAddr,
    /// Same seed and same calls, same ids
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Keep the simulated world in this file, so that it outlives the process
    #[arg(long)]
    state_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct OpenapiArgs {
    /// Compare with openapi/openapi.json and fail when they differ
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Args)]
struct TokenArgs {
    /// What the bearer is trusted with
    #[arg(long, default_value = "viewer")]
    role: TokenRole,
    /// The consumer that the bearer speaks for (`cns_…`): with the role consumer, and with no other
    #[arg(long, required_if_eq("role", "consumer"))]
    consumer: Option<ConsumerId>,
    /// Whom the token names
    #[arg(long, default_value = "developer", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    subject: String,
    /// How long it is good, in seconds
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    ttl: u64,
    /// The development issuer's key; made if missing
    #[arg(long, default_value = ".portcullis/development-issuer.pem")]
    key_file: PathBuf,
}

type Failure = Box<dyn Error + Send + Sync>;

/// Runs a command.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Serve(args) => serve(&args).await,
        Command::Migrate(args) => migrate(args.config.as_deref()).await,
        Command::Demo(args) => {
            telemetry::init(telemetry::LogFormat::Pretty, &args.log)?;
            demo::run(args).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Sim(args) => sim(args).await,
        Command::Openapi(args) => openapi(args.check),
        Command::Token(args) => token(&args),
        Command::Audit(args) => audit::run(args).await,
        Command::Ctl(args) => Ok(ctl::run(args).await),
        Command::Completions(args) => reference::completions(&args),
        Command::Man(args) => reference::manual(&args),
    }
}

async fn serve(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let settings = Settings::load(args.config.config.as_deref())?;
    telemetry::init(settings.log.format, &settings.log.filter)?;
    #[cfg(not(feature = "aws"))]
    if args.role != Role::Api {
        return Err("this build has no AWS SDK; build it with the default features".into());
    }
    #[cfg(feature = "aws")]
    let gateways = || startup::aws(&settings);
    #[cfg(not(feature = "aws"))]
    let gateways =
        || -> std::sync::Arc<dyn privatelink::Gateways> { unreachable!("refused above") };
    allow_many_connections();
    let mut running = startup::start(
        &settings,
        args.role,
        Arc::new(SystemClock),
        gateways,
        || startup::public_dns(&settings),
    )?;
    if let Some(address) = running.api {
        let what = if args.role == Role::Worker {
            "operational routes"
        } else {
            "the API"
        };
        let encrypted = settings.http.tls.is_on() && args.role != Role::Worker;
        let scheme = if encrypted { "https" } else { "http" };
        tracing::info!("serving {what} on {scheme}://{address}");
    }
    let ended = tokio::select! {
        signalled = startup::signal() => { signalled?; None }
        error = running.ended() => Some(error),
    };
    match ended {
        None => {
            tracing::info!("stopping");
            running.stop().await;
            Ok(ExitCode::SUCCESS)
        }
        Some(error) => Err(error.into()),
    }
}

/// Takes as many file descriptors as the system lets us: shells and service managers often allow 1,024, for programs that we are not.
fn allow_many_connections() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => tracing::debug!(files, "file descriptors"),
        Err(error) => tracing::warn!(%error, "the limit on file descriptors is left as it is"),
    }
}

async fn migrate(config: Option<&Path>) -> Result<ExitCode, Failure> {
    let settings = Settings::load(config)?;
    telemetry::init(settings.log.format, &settings.log.filter)?;
    store::migrate(settings.database_url()?).await?;
    tracing::info!("the database is up to date");
    Ok(ExitCode::SUCCESS)
}

async fn sim(args: SimArgs) -> Result<ExitCode, Failure> {
    // The server calls an answer that a planned fault cuts short an error of its own.
    telemetry::init(
        telemetry::LogFormat::Pretty,
        "info,actix_http::h1::dispatcher=off",
    )?;
    let listener = TcpListener::bind(args.listen)?;
    let address = listener.local_addr()?;
    let simulator = privatelink_sim::Simulator::new(privatelink_sim::SimConfig {
        seed: args.seed,
        state_file: args.state_file,
        ..privatelink_sim::SimConfig::default()
    })?;
    let (server, handle) = simulator.serve(listener)?;
    let task = tokio::spawn(server);
    println!(
        "{}",
        serde_json::json!({ "ready": true, "sim": format!("http://{address}") })
    );
    startup::signal().await?;
    handle.stop(true).await;
    task.await??;
    Ok(ExitCode::SUCCESS)
}

fn openapi(check: bool) -> Result<ExitCode, Failure> {
    let document = format!("{}\n", api::openapi::document().to_pretty_json()?);
    if !check {
        print!("{document}");
        return Ok(ExitCode::SUCCESS);
    }
    let file = Path::new("openapi/openapi.json");
    let committed = std::fs::read_to_string(file).map_err(|error| {
        format!(
            "cannot read {}: {error}; run it in the root of the repository",
            file.display()
        )
    })?;
    if committed == document {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "{} is out of date: run `cargo xtask openapi`",
        file.display()
    );
    Ok(ExitCode::FAILURE)
}

fn token(args: &TokenArgs) -> Result<ExitCode, Failure> {
    if let Some(directory) = args.key_file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    if args.subject.contains(SEPARATOR) {
        return Err(format!(
            "a development subject has no {SEPARATOR:?}: names with one are other issuers'"
        )
        .into());
    }
    let issuer = DevelopmentIssuer::open(&args.key_file)?;
    let (ttl, now) = (Duration::from_secs(args.ttl), SystemClock.now());
    let token = match (args.role, args.consumer) {
        (TokenRole::Consumer, Some(consumer)) => {
            issuer.issue_for(consumer, &args.subject, ttl, now)?
        }
        (role, None) => issuer.issue(&args.subject, &[role], ttl, now)?,
        (role, Some(_)) => {
            return Err(format!("--consumer does not go with the role {role}").into());
        }
    };
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}
