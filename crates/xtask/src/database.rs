//! A private PostgreSQL for the tools, and the migrations applied to it.
//!
//! The migrations are applied here and not by the program itself, because building the program needs checked query data, and
//! making that data needs a migrated database. What is recorded is what sqlx records, so the program finds its migrations done.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use private_postgres::{Cluster, Options};

use crate::{Result, place};

/// The prefix of scratch directories; the rest of the name is the id of the process that uses it, and a number.
const SCRATCH: &str = "portcullis-xtask-";

/// How many this process has started: the tests' cluster runs while `.sqlx` is checked with another.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A cluster that is gone, files and all, when this is dropped.
pub(crate) struct Scratch {
    cluster: Option<Cluster>,
}

impl Scratch {
    /// Starts an empty cluster with one database, `portcullis`.
    pub(crate) fn start() -> Result<Self> {
        sweep();
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("{SCRATCH}{}-{number}", std::process::id()));
        let mut options = Options::new(dir).disposable();
        // Every test has a pool of its own.
        options.max_connections = 200;
        options.progress = |sentence| eprintln!("    {sentence}");
        let cluster = Cluster::start(&options)?;
        cluster.create_database("portcullis")?;
        Ok(Self {
            cluster: Some(cluster),
        })
    }

    /// The running cluster.
    pub(crate) fn cluster(&self) -> Result<&Cluster> {
        self.cluster
            .as_ref()
            .ok_or_else(|| "the scratch cluster has been stopped".into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.cluster.take().map(Cluster::destroy) {
            eprintln!("xtask: the scratch database was not removed: {error}");
        }
    }
}

/// Removes what runs left that were interrupted. Only Linux tells easily which of them are over.
fn sweep() {
    if !Path::new("/proc/self").exists() {
        return;
    }
    let Ok(entries) = fs::read_dir(env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            name.strip_prefix(SCRATCH)?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Whoever else sweeps at the same time does the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// One file of `migrations/`.
struct Migration {
    version: i64,
    description: String,
    sql: String,
}

/// Applies the migrations that `database` does not have yet; says how many. Refuses when one that it has was edited since.
pub(crate) fn migrate(cluster: &Cluster, database: &str) -> Result<usize> {
    cluster.execute(
        database,
        "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
             version BIGINT PRIMARY KEY,
             description TEXT NOT NULL,
             installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
             success BOOLEAN NOT NULL,
             checksum BYTEA NOT NULL,
             execution_time BIGINT NOT NULL
         )",
    )?;
    let mut applied = 0;
    for migration in migrations(&place::root().join("migrations"))? {
        let Migration {
            version,
            description,
            sql,
        } = migration;
        let checksum = format!("sha384(decode('{}', 'hex'))", hex(sql.as_bytes()));
        let known =
            format!("SELECT checksum = {checksum} FROM _sqlx_migrations WHERE version = {version}");
        match cluster
            .execute(database, &known)?
            .first()
            .map(Vec::as_slice)
        {
            Some([Some(same)]) if same == "t" => continue,
            Some(_) => {
                return Err(format!(
                    "migration {version} ({description}) was edited after it was applied: put it back and add a new one, or \
                     remove {} to start afresh",
                    cluster.home().display()
                )
                .into());
            }
            None => {}
        }
        let record = format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES ({version}, '{}', TRUE, {checksum}, -1)",
            description.replace('\'', "''")
        );
        // One message is one transaction: the migration and its record commit together.
        cluster
            .execute(database, &format!("{sql}\n;{record}"))
            .map_err(|error| format!("migration {version} ({description}): {error}"))?;
        applied += 1;
    }
    Ok(applied)
}

/// The migrations in order of their version: `<version>_<description>.sql`.
fn migrations(dir: &Path) -> Result<Vec<Migration>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    for entry in entries {
        let path: PathBuf = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some((version, description)) = name
            .strip_suffix(".sql")
            .and_then(|name| name.split_once('_'))
        else {
            continue;
        };
        found.push(Migration {
            version: version
                .parse()
                .map_err(|_| format!("{name} does not start with a version"))?,
            description: description.replace('_', " "),
            sql: fs::read_to_string(&path)?,
        });
    }
    found.sort_by_key(|migration| migration.version);
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_applied_once_and_recorded_as_sqlx_does() {
        let scratch = Scratch::start().unwrap();
        let cluster = scratch.cluster().unwrap();
        let all = migrations(&place::root().join("migrations")).unwrap();

        assert_eq!(migrate(cluster, "portcullis").unwrap(), all.len());
        assert_eq!(migrate(cluster, "portcullis").unwrap(), 0);

        let rows = cluster
            .execute(
                "portcullis",
                "SELECT octet_length(checksum) FROM _sqlx_migrations",
            )
            .unwrap();
        assert_eq!(rows.len(), all.len());
        assert!(rows.iter().all(|row| row[0].as_deref() == Some("48")));
    }
}
