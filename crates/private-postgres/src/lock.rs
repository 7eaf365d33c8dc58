//! One starter at a time: a locked file, held for as long as the cluster runs. The kernel lets go of it when the holder dies.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::error::{During, Error};
use crate::pause::wait_until;

/// How long a starter waits for a predecessor that is on its way out.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right to use a data directory.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the directory, waiting a little for a holder that is stopping.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .during(|| format!("open {}", path.display()))?;
        if !wait_until(PATIENCE, || file.try_lock().is_ok()) {
            let pid = fs::read_to_string(&path).unwrap_or_default();
            let pid = if pid.trim().is_empty() {
                "?"
            } else {
                pid.trim()
            }
            .to_owned();
            return Err(Error::InUse {
                path: data_dir.to_owned(),
                pid,
            });
        }
        // The content is only for the message above.
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .during(|| format!("write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}
