//! The cluster as its owner sees it: start it, ask for a URL, drop it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::{Account, last_lines};
use crate::binaries::{self, Binaries};
use crate::create::{self, ROLE};
use crate::error::{During, Error};
use crate::guard::Guard;
use crate::heal;
use crate::lock::Lock;
use crate::options::{Durability, Options};
use crate::pause::wait_until;
use crate::place::Place;
use crate::wire::{Rows, Session};

/// How long a start may take: a cluster that crashed replays its log first.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How often a start is tried again when the server gives up while orphans of its predecessor let go of shared memory.
const RETRIES_AFTER_CRASH: u32 = 20;

/// The code of "database already exists".
const DUPLICATE_DATABASE: &str = "42P04";

/// A running private cluster. Dropping it stops the server and waits until it has stopped; the data stays.
#[derive(Debug)]
pub struct Cluster {
    // Declared in the order of dropping: the server first, the right to the directory last.
    guard: Guard,
    place: Place,
    binaries: Binaries,
    data_dir: PathBuf,
    _lock: Lock,
}

impl Cluster {
    /// Starts the cluster in `options.data_dir`, creating it if needed, and returns when it accepts connections. Blocks for
    /// about 0.1 s when the cluster exists and for about 1 s when it must be made, more when the server's programs must be
    /// fetched; an async caller uses a thread for it.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let account = Account::for_server()?;
        let data_dir = made(&options.data_dir)?;
        let lock = Lock::take(&data_dir)?;
        let place = Place::prepare(&data_dir, account)?;
        let binaries = programs(options, &place, account)?;
        let pgdata = place.pgdata();
        let crashed = heal::heal(&pgdata, account)?;
        if !pgdata.exists() {
            (options.progress)("creating the database cluster (once)");
            create::create(&pgdata, &binaries, account, options.durability)?;
        }
        let mut tries_left = if crashed { RETRIES_AFTER_CRASH } else { 0 };
        let guard = loop {
            match launch(options, &place, &binaries, account) {
                Err(Error::DidNotStart { log, .. })
                    if tries_left > 0 && log.contains("shared memory") =>
                {
                    tries_left -= 1;
                    wait_until(Duration::from_millis(100), || false);
                }
                result => break result?,
            }
        };
        Ok(Self {
            guard,
            place,
            binaries,
            data_dir,
            _lock: lock,
        })
    }

    /// The URL of one of the cluster's databases, for sqlx, `psql` and everything else that uses libpq:
    /// `postgres://postgres@localhost/name?host=/socket/directory`. It holds no secret.
    pub fn url(&self, database: &str) -> String {
        let directory = self.place.socket_dir.as_os_str().as_encoded_bytes();
        format!(
            "postgres://{ROLE}@localhost/{}?host={}",
            percent_encoded(database.as_bytes(), b"-._~"),
            percent_encoded(directory, b"-._~/"),
        )
    }

    /// The server's socket, for whoever puts something between a client and the server.
    pub fn socket(&self) -> PathBuf {
        self.place.socket()
    }

    /// Creates a database if it is missing; says whether it was.
    pub fn create_database(&self, name: &str) -> Result<bool, Error> {
        let quoted = name.replace('"', "\"\"");
        match self.execute("postgres", &format!("CREATE DATABASE \"{quoted}\"")) {
            Ok(_) => Ok(true),
            Err(Error::Refused { code, .. }) if code == DUPLICATE_DATABASE => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Runs SQL, one statement or a whole script, in one of the databases; returns all rows as text. For set-up and tools: an
    /// application uses a driver.
    pub fn execute(&self, database: &str, sql: &str) -> Result<Rows, Error> {
        Session::open(&self.place.socket(), database)?.query(sql)
    }

    /// The process id of the server, while it runs.
    pub fn pid(&self) -> Option<u32> {
        heal::recorded_pid(&self.place.pgdata().join("postmaster.pid"))
    }

    /// The major version of the server.
    pub fn major_version(&self) -> u32 {
        self.binaries.major
    }

    /// The directory of the server's programs. Fetched ones have only `postgres`, `initdb` and `pg_ctl`.
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.dir
    }

    /// The server's messages since its last start.
    pub fn log_file(&self) -> PathBuf {
        self.place.log()
    }

    /// Where the cluster's files really are: the data directory, or for root another place when the server's account cannot
    /// enter it.
    pub fn home(&self) -> &Path {
        &self.place.home
    }

    /// Whether the server has ended without being asked to.
    pub fn has_ended(&mut self) -> bool {
        self.guard.ended().is_some()
    }

    /// Stops the server and removes everything of the cluster, the data directory included.
    pub fn destroy(mut self) -> Result<(), Error> {
        self.guard.stop();
        self.place.remove(&self.data_dir)
    }
}

/// Makes the data directory and resolves it: the server changes its working directory.
fn made(data_dir: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(data_dir).during(|| format!("create {}", data_dir.display()))?;
    data_dir
        .canonicalize()
        .during(|| format!("resolve {}", data_dir.display()))
}

/// Programs that fit the cluster that exists; a disposable cluster of another version is thrown away instead.
fn programs(options: &Options, place: &Place, account: Account) -> Result<Binaries, Error> {
    let pgdata = place.pgdata();
    let bin_dir = options.bin_dir.as_deref();
    let wanted = create::existing_major(&pgdata);
    if let Some(found) = binaries::find(bin_dir, wanted, account, options.progress)? {
        return Ok(found);
    }
    let other = Error::OtherMajor {
        path: pgdata.clone(),
        major: wanted.unwrap_or_default(),
    };
    if options.durability == Durability::Durable {
        return Err(other);
    }
    heal::heal(&pgdata, account)?;
    fs::remove_dir_all(&pgdata).during(|| format!("remove {}", pgdata.display()))?;
    binaries::find(bin_dir, None, account, options.progress)?.ok_or(other)
}

/// Starts the server and waits until it answers.
fn launch(
    options: &Options,
    place: &Place,
    binaries: &Binaries,
    account: Account,
) -> Result<Guard, Error> {
    let log = place.log();
    let arguments = server_arguments(options, place);
    let mut guard = Guard::start(account, &binaries.program("postgres"), &arguments, &log)?;
    let mut ended = None;
    let ready = wait_until(START_LIMIT, || {
        ended = guard.ended();
        ended.is_some() || Session::open(&place.socket(), "postgres").is_ok()
    });
    let why = match ended {
        Some(status) => status.to_string(),
        None if ready => return Ok(guard),
        None => format!("silent for {} s", START_LIMIT.as_secs()),
    };
    let log = last_lines(&fs::read_to_string(&log).unwrap_or_default(), 6);
    Err(Error::DidNotStart { why, log })
}

fn server_arguments(options: &Options, place: &Place) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut arguments = vec!["-D".to_owned(), text(&place.pgdata())];
    let mut set = |name: &str, value: &str| {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    };
    // No port: nothing to collide with, nobody to keep out.
    set("listen_addresses", "");
    // A path that holds a comma or a quote must be quoted, because the setting is a list.
    set(
        "unix_socket_directories",
        &format!("\"{}\"", text(&place.socket_dir).replace('"', "\"\"")),
    );
    set("unix_socket_permissions", "0700");
    set("max_connections", &options.max_connections.to_string());
    set("timezone", "UTC");
    set("log_timezone", "UTC");
    // Our statements are short: compiling them costs more than running them.
    set("jit", "off");
    if options.durability == Durability::Disposable {
        set("fsync", "off");
        set("synchronous_commit", "off");
        set("full_page_writes", "off");
        set("wal_level", "minimal");
        set("max_wal_senders", "0");
    }
    arguments
}

/// Letters, digits and the bytes in `safe` stay; the rest becomes `%XX`.
fn percent_encoded(bytes: &[u8], safe: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || safe.contains(byte) {
                char::from(*byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_for_a_query_string() {
        assert_eq!(percent_encoded(b"/a b/c+d&e", b"/"), "/a%20b/c%2Bd%26e");
    }
}
