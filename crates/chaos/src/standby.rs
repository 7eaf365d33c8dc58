//! A second PostgreSQL that follows the first until it takes over: what is committed is on both, so nothing that was acknowledged may
//! be lost with either.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use private_postgres::{Cluster, Options};

use crate::Result;

/// How long a copy may take to catch up with its original.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(20);

/// Whether this installation of PostgreSQL can copy a running server.
pub(crate) fn can_be(primary: &Cluster) -> bool {
    copier(primary).exists()
}

fn copier(primary: &Cluster) -> PathBuf {
    primary.bin_dir().join("pg_basebackup")
}

/// A copy of a running server, in `dir`, which is made. From then on the first commits nothing that the second does not have.
pub(crate) async fn follow(primary: &Cluster, dir: &Path) -> Result<Cluster> {
    let standby = tokio::task::block_in_place(|| copied(primary, dir))?;
    // Each by itself: it cannot be part of a transaction.
    for sql in [
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
        "SELECT pg_reload_conf()",
    ] {
        primary.execute("postgres", sql)?;
    }
    let until = Instant::now() + FOLLOWS_WITHIN;
    let follows = "SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')";
    while primary.execute("postgres", follows)?.is_empty() {
        if Instant::now() > until {
            return Err("the second PostgreSQL does not follow".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(standby)
}

fn copied(primary: &Cluster, dir: &Path) -> Result<Cluster> {
    let inside = dir.join("cluster");
    fs::create_dir_all(&inside)?;
    // The server's account is the one that copies; the launcher closes the directory again.
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o777))?;
    let socket = primary.socket();
    let sockets = socket.parent().ok_or("a socket without a directory")?;
    let copy = format!(
        "'{}' -D '{}' -h '{}' -U postgres -X stream -c fast -R --no-sync",
        copier(primary).display(),
        inside.join("pgdata").display(),
        sockets.display()
    );
    let copy = copy.replace('\'', "''");
    primary.execute("postgres", &format!("COPY (SELECT 1) TO PROGRAM '{copy}'"))?;
    Ok(Cluster::start(&Options::new(dir))?)
}

/// Makes a server that follows a first one of its own.
pub(crate) fn promote(standby: &Cluster) -> Result {
    let done = standby.execute("postgres", "SELECT pg_promote(true, 30)")?;
    match done.first().and_then(|row| row.first()) {
        Some(Some(word)) if word == "t" => Ok(()),
        other => Err(format!("it was not promoted: {other:?}").into()),
    }
}
