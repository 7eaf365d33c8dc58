//! Where the parts of a cluster are.
//!
//! Normally all of them are in the data directory. Two things can force a part elsewhere: the server's account may not be able
//! to enter the data directory (root's home is closed to everybody else), and a socket's path may be at most 103 bytes long.

use std::env;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::{During, Error};

/// The file in the data directory that says where a cluster is that could not be there.
const POINTER: &str = "location";

/// The socket's own name within its directory.
const SOCKET: &str = ".s.PGSQL.5432";

/// The longest socket path: macOS has room for 104 bytes with the final NUL, Linux for 108.
const LONGEST_SOCKET: usize = 103;

/// The directories and files of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The server's account owns it; the files below are in it.
    pub(crate) home: PathBuf,
    /// Where the server listens.
    pub(crate) socket_dir: PathBuf,
}

impl Place {
    /// Decides where a cluster is, and makes the directories. The caller holds the lock of `data_dir`.
    pub(crate) fn prepare(data_dir: &Path, account: Account) -> Result<Self, Error> {
        let home = home(data_dir, account)?;
        let inside = home.join("socket");
        let socket_dir = if inside.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET {
            account.own(&inside)?;
            inside
        } else {
            short_socket_dir(&home, account)?
        };
        Ok(Self { home, socket_dir })
    }

    /// The cluster's files.
    pub(crate) fn pgdata(&self) -> PathBuf {
        self.home.join("pgdata")
    }

    /// The server's messages since its last start.
    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("postgres.log")
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket_dir.join(SOCKET)
    }

    /// Removes everything of the cluster, the data directory included.
    pub(crate) fn remove(&self, data_dir: &Path) -> Result<(), Error> {
        for dir in [&self.socket_dir, &self.home, &data_dir.to_owned()] {
            if dir.exists() {
                fs::remove_dir_all(dir).during(|| format!("remove {}", dir.display()))?;
            }
        }
        Ok(())
    }
}

fn home(data_dir: &Path, account: Account) -> Result<PathBuf, Error> {
    let inside = data_dir.join("cluster");
    if !account.is_other() {
        account.own(&inside)?;
        return Ok(inside);
    }
    let pointer = data_dir.join(POINTER);
    if let Ok(path) = fs::read_to_string(&pointer) {
        let home = PathBuf::from(path.trim_end_matches('\n'));
        account.own(&home)?;
        return Ok(home);
    }
    // The data directory stays root's, so that what is read and written in it can be trusted; the server's account needs
    // only to pass through.
    fs::set_permissions(data_dir, fs::Permissions::from_mode(0o711))
        .during(|| format!("open {} to the server's account", data_dir.display()))?;
    account.own(&inside)?;
    if account.can_use(&inside) {
        return Ok(inside);
    }
    fs::remove_dir(&inside).during(|| format!("remove {}", inside.display()))?;
    let home = elsewhere(data_dir, account)?;
    fs::write(&pointer, format!("{}\n", home.display()))
        .during(|| format!("write {}", pointer.display()))?;
    Ok(home)
}

/// A fresh directory for a cluster that cannot be in its data directory. Only root comes here, and only root can write in
/// /var/lib: nobody can have prepared the directory for us.
fn elsewhere(data_dir: &Path, account: Account) -> Result<PathBuf, Error> {
    let home = Path::new("/var/lib/private-postgres").join(short_name(data_dir));
    if home.exists() {
        // The pointer to it is gone: somebody removed the data directory to start afresh, and so must we.
        fs::remove_dir_all(&home).during(|| format!("remove {}", home.display()))?;
    }
    account.own(&home)?;
    if account.can_use(&home) {
        return Ok(home);
    }
    Err(Error::Io {
        what: format!(
            "neither {} nor {} can be entered by the account that PostgreSQL runs as",
            data_dir.display(),
            home.display()
        ),
        source: std::io::ErrorKind::PermissionDenied.into(),
    })
}

/// A directory with a short name in the system's temporary directory, which everybody can write: one that is there already
/// is taken only when it is a real directory of the server's account or ours.
fn short_socket_dir(home: &Path, account: Account) -> Result<PathBuf, Error> {
    let dir = env::temp_dir().join(format!("pg-{}", short_name(home)));
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found =
                fs::symlink_metadata(&dir).during(|| format!("look at {}", dir.display()))?;
            let owner = fs::metadata(home)
                .during(|| format!("look at {}", home.display()))?
                .uid();
            if !found.is_dir() || found.uid() != owner {
                return Err(Error::Io {
                    what: format!("{} belongs to somebody else", dir.display()),
                    source: error,
                });
            }
        }
        made => made.during(|| format!("create {}", dir.display()))?,
    }
    account.own(&dir)?;
    Ok(dir)
}

/// Twelve hexadecimal digits that stand for a path (FNV-1a, which no release of Rust can change).
fn short_name(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{:012x}", hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_depends_on_the_whole_path() {
        let name = short_name(Path::new("/srv/portcullis/data"));
        assert_eq!(name.len(), 12);
        assert_eq!(name, short_name(Path::new("/srv/portcullis/data")));
        assert_ne!(name, short_name(Path::new("/srv/portcullis/datb")));
    }
}
