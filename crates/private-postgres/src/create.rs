//! Creates the cluster's files, once.
//!
//! `initdb` works under another name and the result is renamed, so a creation that was cut short is never mistaken for a cluster.

use std::fs;
use std::path::Path;

use crate::account::{Account, run};
use crate::binaries::Binaries;
use crate::error::{During, Error};
use crate::options::Durability;

/// The database role that owns everything: the only one there is.
pub(crate) const ROLE: &str = "postgres";

/// The major version of the cluster in `pgdata`, if there is one.
pub(crate) fn existing_major(pgdata: &Path) -> Option<u32> {
    fs::read_to_string(pgdata.join("PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Makes the cluster's files in `pgdata`, which does not exist.
pub(crate) fn create(
    pgdata: &Path,
    binaries: &Binaries,
    account: Account,
    durability: Durability,
) -> Result<(), Error> {
    let unfinished = pgdata.with_file_name("pgdata.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).during(|| format!("remove {}", unfinished.display()))?;
    }
    let mut initdb = account.command(binaries.program("initdb"));
    initdb.arg("--pgdata").arg(&unfinished).args([
        // Local connections only, through a socket that only the owner can reach: see the crate's introduction.
        "--auth=trust",
        "--encoding=UTF8",
        // The same sorting on every machine.
        "--locale=C",
        "--username",
        ROLE,
    ]);
    if durability == Durability::Disposable {
        initdb.arg("--no-sync");
    }
    run(&mut initdb)?;
    fs::rename(&unfinished, pgdata).during(|| format!("rename {}", unfinished.display()))
}
