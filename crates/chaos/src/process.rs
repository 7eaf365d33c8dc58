//! The program's commands as child processes. None outlives the run: each is killed when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::Result;

/// How long a command may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long it may take to end when asked to: calls that are under way are finished.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// A running command.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command of the program with this environment and no other; what it says goes to `log`.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, String)],
        log: PathBuf,
    ) -> Result<Self> {
        Self::start_with(None, program, arguments, environment, log)
    }

    /// The same, allowed to have no more than so many files and sockets open.
    pub(crate) fn start_with(
        files: Option<usize>,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, String)],
        log: PathBuf,
    ) -> Result<Self> {
        let out = File::create(&log)?;
        let mut command = match files {
            None => Command::new(program),
            Some(files) => {
                let mut shell = Command::new("/bin/sh");
                let limited = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
                shell.args(["-c", &limited]).arg(program);
                shell
            }
        };
        let child = command
            .args(arguments)
            // Nothing that could lead to a real AWS account or to another configuration.
            .env_clear()
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, log })
    }

    /// Waits until it has said this word, and answers the rest of that word's line up to a quote or white space.
    pub(crate) async fn says(&mut self, word: &str) -> Result<String> {
        let until = Instant::now() + READY_WITHIN;
        while Instant::now() < until {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            if let Some((_, rest)) = said.split_once(word) {
                let end = rest.find(['"', '\n', ' ', '\u{1b}']);
                if let Some(value) = end.and_then(|end| rest.get(..end)) {
                    return Ok(value.to_owned());
                }
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended ({status}): {said}").into());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        Err(format!("it never said {word:?}: {said}").into())
    }

    /// `kill -9`, and the end of it.
    pub(crate) async fn kill(mut self) -> Result {
        self.child.kill().await?;
        Ok(())
    }

    /// Asks it to end, and waits until it has; one that does not is killed, which is a failure.
    pub(crate) async fn end(mut self) -> Result {
        self.signal("TERM").await?;
        match tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(status) => Err(format!("it ended badly after SIGTERM: {status:?}").into()),
            Err(_) => Err(format!("it did not end within {ENDS_WITHIN:?} of SIGTERM").into()),
        }
    }

    /// Sends a signal by name.
    pub(crate) async fn signal(&self, signal: &str) -> Result {
        let pid = self.child.id().ok_or("it has ended")?;
        send(signal, pid).await
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Sends a signal to one process.
pub(crate) async fn send(signal: &str, pid: u32) -> Result {
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("kill -{signal} {pid}")])
        .status()
        .await?;
    if status.success() {
        return Ok(());
    }
    Err(format!("could not send {signal} to {pid}").into())
}
