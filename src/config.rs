//! Configuration: defaults, then a file, then the environment. Unknown keys are errors, and all problems are told together.
//!
//! A key `a.b` is the environment variable `PORTCULLIS__A__B`. `DATABASE_URL` is taken where `database.url` is not set. What is secret can be in a
//! file of its own (`database.url_file`), and is shown neither by `Debug` nor by an error.

mod secrets;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::api::limits::HttpSettings;
use crate::app::auth_settings::AuthSettings;
use crate::app::policy_settings::PolicySettings;
use crate::app::review_settings::ReviewSettings;
use crate::sns::HookSettings;
use crate::store::PoolLimits;
use crate::telemetry::LogFormat;
use crate::worker::WorkerSettings;

/// Everything that can be set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The API's listener.
    pub http: HttpSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// Who may call the API.
    pub auth: AuthSettings,
    /// How AWS is reached.
    pub aws: AwsEndpoint,
    /// The worker.
    pub worker: WorkerSettings,
    /// What others post to us.
    pub hooks: HookSettings,
    /// Logging.
    pub log: LogSettings,
    /// Public DNS.
    pub dns: DnsSettings,
    /// How long reviews may take.
    pub reviews: ReviewSettings,
    /// What guards the activation of policies.
    pub policies: PolicySettings,
    /// The audit trail.
    pub audit: AuditSettings,
}

/// The audit trail.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// The Ed25519 key that signs its seals, PKCS#8 in PEM; made if missing. Where it is not set, seals are not signed.
    pub signing_key_file: Option<PathBuf>,
}

/// Public DNS, where the records that prove private DNS names are looked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsSettings {
    /// Which servers to ask; those of the system when there are none.
    pub servers: Vec<IpAddr>,
    /// How long a server may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
        }
    }
}

/// The database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// `postgres://…`, PostgreSQL 15 or newer.
    pub url: Option<SecretString>,
    /// A file that holds it instead.
    pub url_file: Option<PathBuf>,
    /// The most connections that this process opens for its work.
    pub max_connections: u32,
    /// How long somebody waits for one of them.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// How long a statement may run.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock.
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
    /// How long a transaction may stand without a statement.
    #[serde(with = "humantime_serde")]
    pub idle_in_transaction_timeout: Duration,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        let limits = PoolLimits::default();
        Self {
            url: None,
            url_file: None,
            max_connections: limits.max_connections,
            acquire_timeout: limits.acquire_timeout,
            statement_timeout: limits.statement_timeout,
            lock_timeout: limits.lock_timeout,
            idle_in_transaction_timeout: limits.idle_in_transaction_timeout,
        }
    }
}

impl DatabaseSettings {
    /// The same for the pool.
    pub fn pool_limits(&self) -> PoolLimits {
        PoolLimits {
            max_connections: self.max_connections,
            acquire_timeout: self.acquire_timeout,
            statement_timeout: self.statement_timeout,
            lock_timeout: self.lock_timeout,
            idle_in_transaction_timeout: self.idle_in_transaction_timeout,
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.max_connections < 2 {
            problems.push("database.max_connections must be at least 2".to_owned());
        }
        for (key, value) in [
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            (
                "idle_in_transaction_timeout",
                self.idle_in_transaction_timeout,
            ),
        ] {
            if !(Duration::from_millis(100)..=Duration::from_hours(1)).contains(&value) {
                problems.push(format!("database.{key} must be 100 ms to 1 h"));
            }
        }
        problems
    }
}

/// How AWS is reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsEndpoint {
    /// One URL for every service and Region, for the simulator; absent for AWS itself.
    pub endpoint_url: Option<String>,
}

/// Logging.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `pretty` or `json`.
    pub format: LogFormat,
    /// In the syntax of `RUST_LOG`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            filter:
                "info,sqlx=warn,aws_config=warn,actix_server=warn,actix_http::h1::dispatcher=off"
                    .to_owned(),
        }
    }
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or variable cannot be read, or has a key or value that is not known.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(String),
    /// The values make no sense; each problem names its key.
    #[error("the configuration is not valid:\n  {}", .0.join("\n  "))]
    Invalid(Vec<String>),
}

impl Settings {
    /// Reads the file, if one is given, and the environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where configuration comes from"
    )]
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some(file) = file {
            secrets::check_syntax(file).map_err(ConfigError::Unreadable)?;
            builder = builder.add_source(config::File::from(file));
        }
        let read = builder.add_source(environment()).build();
        let read = read.and_then(config::Config::try_deserialize);
        let mut settings: Self = read.map_err(|error| {
            ConfigError::Unreadable(secrets::without_credentials(&error.to_string()))
        })?;
        let mut problems = settings.problems();
        let database = &mut settings.database;
        match (&database.url, &database.url_file) {
            (Some(_), Some(_)) => {
                problems
                    .push("database.url and database.url_file are both set: set one".to_owned());
            }
            (None, Some(file)) => match secrets::read("database.url_file", file) {
                Ok(url) => database.url = Some(url),
                Err(problem) => problems.push(problem),
            },
            (None, None) => database.url = std::env::var("DATABASE_URL").ok().map(Into::into),
            (Some(_), None) => {}
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    /// The database's URL, or what to set.
    pub fn database_url(&self) -> Result<&str, ConfigError> {
        self.database.url.as_ref().map(ExposeSecret::expose_secret).ok_or_else(|| {
            ConfigError::Invalid(vec![
                "database.url is not set: set DATABASE_URL, PORTCULLIS__DATABASE__URL or database.url_file, or run `portcullis demo`, which \
                 brings its own"
                    .to_owned(),
            ])
        })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.worker.problems();
        problems.extend(self.http.problems());
        problems.extend(self.database.problems());
        problems.extend(self.auth.problems());
        if let Some(url) = &self.aws.endpoint_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            problems.push("aws.endpoint_url must be an http:// or https:// URL".to_owned());
        }
        problems.extend(self.reviews.problems());
        problems.extend(self.policies.problems());
        problems.extend(self.hooks.sns.problems(self.aws.endpoint_url.is_some()));
        if self.dns.timeout < Duration::from_millis(10)
            || self.dns.timeout > Duration::from_secs(30)
        {
            problems.push("dns.timeout must be 10 ms to 30 s".to_owned());
        }
        problems
    }
}

/// The environment as a source.
fn environment() -> config::Environment {
    config::Environment::with_prefix("PORTCULLIS")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        // Only what is named here is taken for a list: other values may contain commas.
        .list_separator(",")
        .with_list_parse_key("hooks.sns.topics")
        .with_list_parse_key("dns.servers")
}

#[cfg(test)]
mod tests;
