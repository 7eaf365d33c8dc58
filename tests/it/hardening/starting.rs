//! The program as it is started, in this process: from settings, on a database.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::api::auth::{DevelopmentIssuer, Role as TokenRole};
use portcullis::config::Settings;
use portcullis::domain::clock::{Clock as _, SystemClock};
use portcullis::startup::{self, Role, Running, StartError};
use privatelink::Gateways;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

/// Settings with files in a directory of their own.
pub(crate) struct Start {
    pub(crate) settings: Settings,
    pub(crate) dir: TempDir,
}

impl Start {
    pub(crate) fn on(database: &PgConnectOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.http.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.http.workers = 1;
        settings.http.drain_delay = Duration::ZERO;
        settings.database.url = Some(database.to_url_lossy().to_string().into());
        settings.auth.development_issuer = true;
        settings.auth.development_key_file = Some(dir.path().join("issuer.pem"));
        Self { settings, dir }
    }

    pub(crate) fn api(&self) -> Result<Running, StartError> {
        let gateways = || -> Arc<dyn Gateways> { unreachable!("only the worker has any") };
        startup::start(
            &self.settings,
            Role::Api,
            Arc::new(SystemClock),
            gateways,
            || unreachable!("only the worker asks DNS"),
        )
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
}

/// A token of the issuer whose key is in a file.
pub(crate) fn token(key: &Path, role: TokenRole) -> String {
    let issuer = DevelopmentIssuer::open(key).unwrap();
    let ttl = Duration::from_mins(10);
    issuer
        .issue("canary-subject", &[role], ttl, SystemClock.now())
        .unwrap()
}
