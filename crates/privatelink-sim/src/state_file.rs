//! The file that keeps the world between runs, held by one process at a time.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::clock::ClockState;
use crate::simulator::{SimError, Snapshot};
use crate::world::World;

/// A state file and the lock on it, which ends with the process or the simulator.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// None on file systems that have no locks.
    _lock: Option<File>,
}

/// A [`Snapshot`] that is only to be written.
#[derive(Serialize)]
pub(crate) struct Kept<'a> {
    pub(crate) clock: ClockState,
    pub(crate) requests: u64,
    pub(crate) world: &'a World,
}

impl StateFile {
    /// Takes the file for this process. The lock is on a file beside it, since the file itself is replaced with every change.
    pub(crate) fn open(path: PathBuf) -> Result<Self, SimError> {
        let lock = match lock(&beside(&path, ".lock")) {
            Ok(lock) => lock,
            Err(TryLockError::WouldBlock) => return Err(SimError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(SimError::StateFile { path, source }),
        };
        Ok(Self { path, _lock: lock })
    }

    /// What is in it; `None` when there is no file yet.
    pub(crate) fn load(&self) -> Result<Option<Snapshot>, SimError> {
        match std::fs::read(&self.path) {
            Ok(text) => {
                let saved: Snapshot = serde_json::from_slice(&text)?;
                saved.clock.check()?;
                Ok(Some(saved))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.error(source)),
        }
    }

    /// Writes it beside itself and moves it into place: a reader sees the old or the new, never half.
    pub(crate) fn save(&self, kept: &Kept<'_>) -> Result<(), SimError> {
        let text = serde_json::to_vec(kept)?;
        let new = beside(&self.path, ".tmp");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &self.path))
            .map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> SimError {
        let path = self.path.clone();
        SimError::StateFile { path, source }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn lock(path: &Path) -> Result<Option<File>, TryLockError> {
    let file = File::create(path).map_err(TryLockError::Error)?;
    match file.try_lock() {
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
            tracing::warn!(path = %path.display(), "the file system has no locks: see to it that one process uses the state file");
            Ok(None)
        }
        taken => taken.map(|()| Some(file)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{SimConfig, SimError, Simulator};

    fn at(path: std::path::PathBuf) -> Result<Simulator, SimError> {
        Simulator::new(SimConfig {
            state_file: Some(path),
            ..SimConfig::default()
        })
    }

    #[test]
    fn a_state_file_that_cannot_be_written_fails_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let error = at(directory.path().join("none").join("world.json")).unwrap_err();
        assert!(matches!(error, SimError::StateFile { .. }), "{error}");
        // A directory can be locked beside and not be replaced by a file.
        let path = directory.path().join("world.json");
        std::fs::create_dir(&path).unwrap();
        let error = at(path.clone()).unwrap_err();
        assert!(matches!(error, SimError::StateFile { .. }), "{error}");
        std::fs::remove_dir(&path).unwrap();
        let simulator = at(path.clone()).unwrap();
        assert!(path.exists(), "written before anything changes");
        drop(simulator);
    }

    #[test]
    fn a_state_file_in_use_is_refused_until_it_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("world.json");
        let first = at(path.clone()).unwrap();
        let clone = first.clone();
        drop(first);
        let error = at(path.clone()).unwrap_err();
        assert!(matches!(error, SimError::InUse { .. }), "{error}");
        drop(clone);
        at(path).unwrap();
    }

    #[test]
    fn a_state_file_whose_clock_is_beyond_the_calendar_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("world.json");
        drop(at(path.clone()).unwrap());
        let mut saved: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        saved["clock"]["stopped_at"] = "9999-12-31T00:00:00Z".into();
        std::fs::write(&path, saved.to_string()).unwrap();
        let error = at(path).unwrap_err();
        assert!(matches!(error, SimError::Clock(_)), "{error}");
    }
}
