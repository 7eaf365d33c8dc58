//! Runs the server under a small shell that stops it when we are gone.
//!
//! The shell reads from a pipe whose other end only we hold. Closing it is the one way to stop the server: we do it on purpose
//! in [`Guard::stop`], and the kernel does it for us when we crash or are killed. The shell then asks for a fast shutdown
//! (`SIGINT`) and after ten seconds for an immediate one (`SIGQUIT`). It runs in its own process group, so the terminal's
//! Ctrl-C reaches us and not the server.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::Duration;

use crate::account::Account;
use crate::error::{During, Error};
use crate::pause::wait_until;

/// Longer than the shell's own patience before `SIGQUIT`.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The log is opened here and not by us, so that root never writes where the server's account could have put a link.
/// The pipe is moved to descriptor 3 and kept from the server, which must not hold it. `kill 0` at the end sweeps away the
/// waiting half (and a `sleep` of its), when the server ended by itself or was quick.
const SCRIPT: &str = r#"
exec 3<&0 </dev/null >"$1" 2>&1
shift
"$@" 3<&- &
server=$!
(
  read -r _ <&3
  kill -INT "$server"
  left=10
  while [ "$left" -gt 0 ]; do sleep 1; left=$((left - 1)); done
  kill -QUIT "$server"
) &
exec 3<&-
wait "$server"
status=$?
trap '' TERM
kill -TERM 0
exit "$status"
"#;

/// A server that runs, and the pipe that keeps it running.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts `program` with `args` as `account`; what it writes goes to `log`.
    pub(crate) fn start(
        account: Account,
        program: &Path,
        args: &[String],
        log: &Path,
    ) -> Result<Self, Error> {
        let mut shell = account
            .command("/bin/sh")
            .args(["-c", SCRIPT, "postgres-guard"])
            .arg(log)
            .arg(program)
            .args(args)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .during(|| "start /bin/sh".to_owned())?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// How the server ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().ok().flatten()
    }

    /// Stops the server and waits until it is gone; says whether it is.
    pub(crate) fn stop(&mut self) -> bool {
        drop(self.pipe.take());
        wait_until(STOP_LIMIT, || self.ended().is_some())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop();
    }
}
