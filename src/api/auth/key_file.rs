//! Signing keys, of the development issuer and of the audit trail: an Ed25519 key as PKCS#8 in a PEM file that only its owner
//! may read.
//!
//! Two processes that start together must end up with one key. So the file is written under another
//! name, complete and with its final mode, and then linked into place: linking fails if somebody was
//! faster, and nobody ever reads half a key.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("the signing key file {path} cannot be used")]
    File {
        /// Where it is, or should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file can be read by more than its owner, so others may have the key.
    #[error("the signing key file {path} is open to others; remove it or restrict it to its owner")]
    Exposed {
        /// Where it is.
        path: PathBuf,
    },
    /// The file does not hold one Ed25519 key as PKCS#8 in PEM.
    #[error("the signing key file {path} does not hold an Ed25519 key")]
    NotAKey {
        /// Where it is.
        path: PathBuf,
    },
    /// The system gave no randomness for a new key.
    #[error("no signing key could be generated")]
    Generate,
}

/// A signing key in the forms its users need.
pub struct SigningKey {
    /// The private key, PKCS#8 in DER.
    pub pkcs8: Vec<u8>,
    /// The public key, 32 bytes.
    pub public: Vec<u8>,
}

/// Reads the key at `path`, making it first if there is none.
pub fn open(path: &Path) -> Result<SigningKey, KeyFileError> {
    match read(path) {
        Err(KeyFileError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)?;
            read(path)
        }
        other => other,
    }
}

fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    let failed = |source| KeyFileError::File {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    if is_exposed(&file).map_err(failed)? {
        return Err(KeyFileError::Exposed {
            path: path.to_owned(),
        });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    parse(&text).ok_or_else(|| KeyFileError::NotAKey {
        path: path.to_owned(),
    })
}

fn parse(text: &str) -> Option<SigningKey> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let base64: String = body.split_ascii_whitespace().collect();
    let pkcs8 = STANDARD.decode(base64).ok()?;
    let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).ok()?;
    let public = pair.public_key().as_ref().to_vec();
    Some(SigningKey { pkcs8, public })
}

fn create(path: &Path) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::File {
        path: path.to_owned(),
        source,
    };
    let pair = Ed25519KeyPair::generate().map_err(|_| KeyFileError::Generate)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyFileError::Generate)?;
    let draft = draft_beside(path);
    let linked = write_private(&draft, &pem(pkcs8.as_ref()))
        .and_then(|()| std::fs::hard_link(&draft, path))
        .or_else(|error| match error.kind() {
            // Another process was faster; its key is the key.
            io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error),
        });
    let removed = match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    linked.and(removed).map_err(failed)
}

fn draft_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    path.with_file_name(name)
}

fn pem(der: &[u8]) -> String {
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn is_exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;

    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of the variant for Unix"
)]
fn is_exposed(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_made_once_and_then_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        let made = open(&path).expect("made");
        let read = open(&path).expect("read");
        assert_eq!(made.public, read.public);
        assert_eq!(
            std::fs::read_dir(dir.path()).expect("listing").count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn openers_that_race_get_the_same_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        let barrier = std::sync::Barrier::new(8);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        open(&path).expect("a key").public
                    })
                })
                .collect();
            racers
                .into_iter()
                .map(|racer| racer.join().expect("joined"))
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private_and_an_exposed_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        open(&path).expect("made");
        let mode = std::fs::metadata(&path)
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(open(&path), Err(KeyFileError::Exposed { .. })));
    }

    #[test]
    fn anything_but_a_key_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        for text in [
            "",
            "a key",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            std::fs::remove_file(&path).ok();
            write_private(&path, text).expect("written");
            assert!(
                matches!(open(&path), Err(KeyFileError::NotAKey { .. })),
                "{text:?}"
            );
        }
    }
}
