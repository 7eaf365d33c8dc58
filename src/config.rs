//! Configuration: defaults, then a file, then the environment. Unknown keys are errors, and all problems are told together.
//!
//! A key `a.b` is the environment variable `PORTCULLIS__A__B`. `DATABASE_URL` is taken where `database.url` is not set.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::app::auth_settings::AuthSettings;
use crate::app::policy_settings::PolicySettings;
use crate::app::review_settings::ReviewSettings;
use crate::sns::HookSettings;
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

/// The API's listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many threads serve requests.
    pub workers: usize,
    /// Where a process that only works (`--role worker`) shows `/healthz`, `/readyz` and `/metrics`; nowhere unless set. A process that
    /// serves the API shows them there.
    pub operational_listen: Option<SocketAddr>,
    /// How many event streams there may be at once.
    pub max_event_streams: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 2,
            operational_listen: None,
            max_event_streams: 2_048,
        }
    }
}

/// The database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// `postgres://…`, PostgreSQL 15 or newer.
    pub url: Option<SecretString>,
    /// The most connections that this process opens.
    pub max_connections: u32,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: None,
            max_connections: 16,
        }
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
            filter: "info,sqlx=warn,aws_config=warn,actix_server=warn".to_owned(),
        }
    }
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or variable cannot be read, or has a key or value that is not known.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(#[from] config::ConfigError),
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
            builder = builder.add_source(config::File::from(file));
        }
        let mut settings: Self = builder
            .add_source(environment())
            .build()?
            .try_deserialize()?;
        if settings.database.url.is_none() {
            settings.database.url = std::env::var("DATABASE_URL").ok().map(Into::into);
        }
        let problems = settings.problems();
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
                "database.url is not set: set DATABASE_URL or PORTCULLIS__DATABASE__URL, or run `portcullis demo`, which \
                 brings its own"
                    .to_owned(),
            ])
        })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.worker.problems();
        if self.http.workers == 0 {
            problems.push("http.workers must be at least 1".to_owned());
        }
        if self.database.max_connections < 2 {
            problems.push("database.max_connections must be at least 2".to_owned());
        }
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
mod tests {
    use super::*;

    fn from_toml(text: &str) -> Result<Settings, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("portcullis.toml");
        std::fs::write(&file, text).unwrap();
        Settings::load(Some(&file))
    }

    #[test]
    fn the_defaults_are_valid() {
        assert!(Settings::default().problems().is_empty());
    }

    /// `config/default.toml` is the reference that people copy from.
    #[test]
    fn the_reference_file_says_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.toml");
        let said: Settings = config::Config::builder()
            .add_source(config::File::from(file.as_path()))
            .build()
            .and_then(config::Config::try_deserialize)
            .unwrap();
        assert_eq!(format!("{said:?}"), format!("{:?}", Settings::default()));
    }

    /// A key that is missing from the file would not show in the comparison of values.
    #[test]
    fn the_reference_file_names_every_key() {
        let text = include_str!("../config/default.toml");
        let settings = format!("{:#?}", Settings::default());
        // The derived `Debug` prints each field on a line of its own: `name: value`.
        let keys = settings.lines().filter_map(|line| {
            let (key, value) = line.trim().split_once(": ")?;
            (!value.ends_with('{')).then_some(key)
        });
        for key in keys {
            let named = text.lines().any(|line| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{key} = "))
            });
            assert!(named, "config/default.toml does not name {key}");
        }
    }

    #[test]
    fn a_file_overrides_defaults() {
        let settings =
            from_toml("[worker]\nlisting_interval = \"30s\"\n[http]\nworkers = 4\n").unwrap();
        assert_eq!(settings.worker.listing_interval, Duration::from_secs(30));
        assert_eq!(settings.http.workers, 4);
        assert_eq!(settings.worker.batch_size, 100);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = from_toml("[worker]\nlisting_intervall = \"30s\"\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("listing_intervall"), "{error}");
    }

    #[test]
    fn sns_is_resolved_to_a_simulator_only_where_aws_is() {
        let hook = "[hooks.sns]\nresolve_to = \"http://127.0.0.1:4600\"\n";
        let error = from_toml(hook).unwrap_err().to_string();
        assert!(error.contains("hooks.sns.resolve_to"), "{error}");
        let both = format!("[aws]\nendpoint_url = \"http://127.0.0.1:4600\"\n{hook}");
        assert!(from_toml(&both).is_ok());
    }

    #[test]
    fn topics_in_the_environment_are_separated_by_commas() {
        let variables = [(
            "PORTCULLIS__HOOKS__SNS__TOPICS".to_owned(),
            "arn:aws:sns:eu-west-1:111122223333:a,arn:aws:sns:eu-west-1:111122223333:b".to_owned(),
        )];
        let settings: Settings = config::Config::builder()
            .add_source(environment().source(Some(variables.into())))
            .build()
            .and_then(config::Config::try_deserialize)
            .unwrap();
        assert_eq!(settings.hooks.sns.topics.len(), 2);
        assert!(settings.problems().is_empty());
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let error = from_toml("[worker]\nbatch_size = 0\nmax_attempts = 0\n[http]\nworkers = 0\n")
            .unwrap_err();
        let ConfigError::Invalid(problems) = error else {
            panic!("{error}")
        };
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn the_database_url_is_not_printed() {
        let mut settings = Settings::default();
        settings.database.url = Some("postgres://me:tell-nobody@db/x".to_owned().into());
        assert!(!format!("{settings:?}").contains("tell-nobody"));
    }
}
