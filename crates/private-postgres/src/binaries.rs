//! Finds the server's programs on this machine.
//!
//! A place counts only when it has both `postgres` and `initdb`, when `postgres --version` runs *as the server's account* (root
//! may see what that account may not), and when the version is new enough.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::OLDEST_MAJOR;
use crate::account::{Account, run};
use crate::error::Error;
use crate::obtain;

/// A directory with usable server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// The major version, such as 17.
    pub(crate) major: u32,
}

impl Binaries {
    /// The path of one of the programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Looks at one directory.
    pub(crate) fn at(dir: &Path, account: Account) -> Result<Self, String> {
        if !dir.join("initdb").is_file() {
            return Err("it has no initdb".to_owned());
        }
        let words = run(account.command(dir.join("postgres")).arg("--version"))
            .map_err(|error| error.to_string())?;
        let major = major(&words).ok_or_else(|| format!("its version is unclear: {words}"))?;
        if major < OLDEST_MAJOR {
            return Err(format!("its version is {major}"));
        }
        Ok(Self {
            dir: dir.to_owned(),
            major,
        })
    }
}

/// Finds programs for a cluster; `wanted` is the major version of a cluster that exists already.
///
/// A directory that was named (`named`, else `PG_BIN_DIR`) is taken or refused, never passed over in silence.
pub(crate) fn find(
    named: Option<&Path>,
    wanted: Option<u32>,
    account: Account,
    progress: fn(&str),
) -> Result<Option<Binaries>, Error> {
    let from_environment = env::var_os("PG_BIN_DIR").filter(|value| !value.is_empty());
    if let Some(dir) = named
        .map(Path::to_owned)
        .or(from_environment.map(PathBuf::from))
    {
        let found = Binaries::at(&dir, account).map_err(|why| Error::UnusableBinDir {
            path: dir,
            oldest: OLDEST_MAJOR,
            why,
        })?;
        return Ok(Some(found).filter(|found| fits(found, wanted)));
    }
    let mut seen = false;
    for dir in places() {
        if let Ok(found) = Binaries::at(&dir, account) {
            seen = true;
            if fits(&found, wanted) {
                return Ok(Some(found));
            }
        }
    }
    if seen {
        return Ok(None);
    }
    obtain::obtain(account, progress).map(|found| Some(found).filter(|found| fits(found, wanted)))
}

fn fits(found: &Binaries, wanted: Option<u32>) -> bool {
    wanted.is_none_or(|major| major == found.major)
}

/// Every directory worth a look, best first.
fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    let path = env::var_os("PATH").unwrap_or_default();
    for dir in env::split_paths(&path) {
        // A link in PATH (Homebrew, Debian alternatives, a hand-made one) has no siblings: its target has.
        if let Ok(real) = dir.join("postgres").canonicalize()
            && let Some(real) = real.parent()
        {
            places.push(real.to_owned());
        }
    }
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        places.extend(
            versions(Path::new(parent), prefix)
                .into_iter()
                .map(|dir| dir.join(below)),
        );
    }
    if let Ok(output) = run(Command::new("pg_config").arg("--bindir")) {
        places.push(PathBuf::from(output.trim()));
    }
    places
}

/// The directories of `parent` whose names start with `prefix`, newest version first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?;
            let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
            Some((digits.parse().unwrap_or(0), entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian …)`, `… 18beta1`, `… 17.0`.
fn major(words: &str) -> Option<u32> {
    let rest = words.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_form() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 17.0"), Some(17));
        assert_eq!(major("postgres: command not found"), None);
    }

    #[test]
    fn the_newest_version_is_looked_at_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "9.6",
            "postgresql@9",
            "postgresql@14",
            "postgresql@17",
            "other@99",
        ] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let names: Vec<_> = versions(dir.path(), "postgresql")
            .into_iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["postgresql@17", "postgresql@14", "postgresql@9"]);
    }

    #[test]
    fn a_directory_without_initdb_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let account = Account::for_server().unwrap();
        assert_eq!(
            Binaries::at(dir.path(), account).unwrap_err(),
            "it has no initdb"
        );
    }
}
