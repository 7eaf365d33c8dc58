//! Why a private cluster could not be had. Every sentence is meant for the person at the terminal.

use std::io;
use std::path::PathBuf;

/// Why a private cluster could not be started, asked or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are no usable server programs and none could be fetched.
    #[error(
        "no PostgreSQL {oldest} or newer was found ({tried}); install it (Debian, Ubuntu: apt-get install postgresql; macOS: \
         brew install postgresql@17) or set PG_BIN_DIR to the directory that has postgres and initdb"
    )]
    NoServer {
        /// The oldest major version that would have done.
        oldest: u32,
        /// What was tried, as a clause.
        tried: String,
    },
    /// The directory that the caller or `PG_BIN_DIR` named has no usable server programs.
    #[error("{path} has no PostgreSQL {oldest} or newer that can be run: {why}")]
    UnusableBinDir {
        /// The directory that was named.
        path: PathBuf,
        /// The oldest major version that would have done.
        oldest: u32,
        /// What was wrong with it.
        why: String,
    },
    /// The cluster was made by a major version that this machine does not have.
    #[error(
        "the cluster in {path} was made by PostgreSQL {major}, which is not installed; install it or remove {path}"
    )]
    OtherMajor {
        /// Where the cluster is.
        path: PathBuf,
        /// The major version that made it.
        major: u32,
    },
    /// Another process holds the data directory.
    #[error(
        "the cluster in {path} is in use by process {pid}; stop it or choose another data directory"
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The holder's process id, or a question mark.
        pid: String,
    },
    /// A server of an earlier run is still there and does not stop.
    #[error("process {pid} is a PostgreSQL of {path} that does not stop; end it by hand")]
    StillRunning {
        /// The data directory.
        path: PathBuf,
        /// The old server's process id.
        pid: u32,
    },
    /// We are root and there is no other account to run the server as.
    #[error(
        "PostgreSQL does not run as root, and there is neither an account postgres nor nobody to run it as"
    )]
    NoAccount,
    /// A program of the server failed.
    #[error("{program} failed ({status}): {output}")]
    Program {
        /// The program's name.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        output: String,
    },
    /// The server stopped or stayed silent while starting.
    #[error("PostgreSQL did not start ({why}): {log}")]
    DidNotStart {
        /// How we know.
        why: String,
        /// The last lines of its log.
        log: String,
    },
    /// The server refused a statement.
    #[error("PostgreSQL refused: {message} (SQLSTATE {code})")]
    Refused {
        /// Its message.
        message: String,
        /// The five-character error code.
        code: String,
    },
    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// What was being done, to which path.
        what: String,
        /// The operating system's words.
        #[source]
        source: io::Error,
    },
}

/// Says what was being done when the operating system refused.
pub(crate) trait During<T> {
    /// Wraps the error with a clause such as `create /var/lib/x`.
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> During<T> for Result<T, io::Error> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            what: format!("could not {}: {source}", what()),
            source,
        })
    }
}
