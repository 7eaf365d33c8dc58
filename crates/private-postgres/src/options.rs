//! What a caller says about the cluster it wants.

use std::path::PathBuf;

/// How much the cluster cares about surviving a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Committed data survives a power cut: PostgreSQL's own defaults.
    Durable,
    /// For tests: `fsync`, `synchronous_commit` and `full_page_writes` are off and the log is minimal. Data survives an orderly
    /// stop, which is every end of the owner; a killed server may lose its last fraction of a second, a machine everything.
    Disposable,
}

/// The cluster a caller wants: where, for what, how big.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory that owns everything of the cluster: its data, its socket, its log. Created if missing. The launcher may
    /// open it for passing through, and destroys all of it when asked to, so nothing else should be kept there.
    pub data_dir: PathBuf,
    /// Whether committed data must survive a crash of the machine.
    pub durability: Durability,
    /// The server's `max_connections`.
    pub max_connections: u32,
    /// Where `postgres` and `initdb` are. `None` searches the machine and, where there are none, fetches them.
    pub bin_dir: Option<PathBuf>,
    /// Told, in one sentence each, about steps that can take seconds (a download, the creation of the cluster).
    pub progress: fn(&str),
}

impl Options {
    /// A durable cluster in `data_dir` with 100 connections, the machine's own programs and no progress messages.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durability: Durability::Durable,
            max_connections: 100,
            bin_dir: None,
            progress: |_| {},
        }
    }

    /// The same cluster, for tests.
    #[must_use]
    pub fn disposable(mut self) -> Self {
        self.durability = Durability::Disposable;
        self
    }
}
