//! Deals with what an earlier run left: a server that still runs or is shutting down, and a stale `postmaster.pid`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::account::{Account, run};
use crate::error::{During, Error};
use crate::pause::wait_until;

/// How long an old server may take to stop by itself: its guard has told it to.
const BY_ITSELF: Duration = Duration::from_secs(2);

/// How long it may take after each signal of ours.
const AFTER_SIGNAL: Duration = Duration::from_secs(10);

/// Makes sure that no server of an earlier run uses `pgdata`. Says whether there was anything to heal.
pub(crate) fn heal(pgdata: &Path, account: Account) -> Result<bool, Error> {
    let pid_file = pgdata.join("postmaster.pid");
    let Some(pid) = recorded_pid(&pid_file) else {
        return Ok(false);
    };
    if !is_server_of(pid, pgdata) {
        if Process(pid).exists() {
            disown(&pid_file, pid, account)?;
        }
        return Ok(true);
    }
    let gone = || !is_server_of(pid, pgdata);
    if wait_until(BY_ITSELF, gone) {
        return Ok(true);
    }
    for signal in ["-INT", "-QUIT"] {
        Process(pid).signal(signal);
        if wait_until(AFTER_SIGNAL, gone) {
            return Ok(true);
        }
    }
    Err(Error::StillRunning {
        path: pgdata.to_owned(),
        pid,
    })
}

/// The process id on the first line of `postmaster.pid`.
pub(crate) fn recorded_pid(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}

/// Gives the stale file the id of a process that is certainly dead.
///
/// After a reboot the recorded id can be that of some innocent process, and PostgreSQL would then refuse to start. The file must
/// not be removed, though: its later lines are how the server notices orphans of its predecessor that still hold shared memory.
fn disown(pid_file: &Path, innocent: u32, account: Account) -> Result<(), Error> {
    let mut child = Command::new("true")
        .spawn()
        .during(|| "run true".to_owned())?;
    let dead = child.id();
    child.wait().during(|| "wait for true".to_owned())?;
    let text = fs::read_to_string(pid_file).during(|| format!("read {}", pid_file.display()))?;
    let text = text.replacen(&innocent.to_string(), &dead.to_string(), 1);
    // Written as the server's account: root must not follow a link that the account may have put there.
    let mut write = account.command("/bin/sh");
    write
        .args(["-c", r#"printf %s "$2" > "$1""#, "sh"])
        .arg(pid_file)
        .arg(text);
    run(&mut write).map(drop)
}

/// Whether process `pid` is a PostgreSQL server that was started for `pgdata`. Never true of somebody else's process that got
/// the same number, because the directory is among the server's arguments.
fn is_server_of(pid: u32, pgdata: &Path) -> bool {
    let arguments = Process(pid).arguments();
    let program = arguments.first().map(PathBuf::from);
    let named = program
        .as_deref()
        .and_then(Path::file_name)
        .is_some_and(|name| name == "postgres");
    named
        && arguments
            .iter()
            .any(|argument| Path::new(argument) == pgdata)
}

/// Another process.
struct Process(u32);

impl Process {
    /// Its arguments; empty when it is gone or a zombie.
    fn arguments(&self) -> Vec<String> {
        if cfg!(target_os = "linux") {
            let bytes = fs::read(format!("/proc/{}/cmdline", self.0)).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            return text.split_terminator('\0').map(str::to_owned).collect();
        }
        // Splitting at spaces loses a path with spaces; such a server is then taken for a stranger and PostgreSQL itself refuses.
        let pid = self.0.to_string();
        run(Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid]))
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    fn exists(&self) -> bool {
        self.signal("-0")
    }

    fn signal(&self, signal: &str) -> bool {
        // `kill` is part of every POSIX shell; the program of that name is missing on some minimal machines.
        Command::new("/bin/sh")
            .args(["-c", r#"kill "$1" "$2""#, "sh", signal, &self.0.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_recorded_id_that_now_belongs_to_a_stranger_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let account = Account::for_server().unwrap();
        account.own(dir.path()).unwrap();
        let file = dir.path().join("postmaster.pid");
        let me = std::process::id();
        fs::write(
            &file,
            format!("{me}\n/somewhere\n1700000000\n5432\n/sockets\n\n  5432001  7\n"),
        )
        .unwrap();

        // As root, the server's account writes a file that we made.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();

        assert!(heal(dir.path(), account).unwrap());

        let text = fs::read_to_string(&file).unwrap();
        assert_ne!(recorded_pid(&file), Some(me));
        assert!(
            text.ends_with("\n/somewhere\n1700000000\n5432\n/sockets\n\n  5432001  7\n"),
            "{text}"
        );
    }

    #[test]
    fn an_untouched_directory_needs_no_healing() {
        let dir = tempfile::tempdir().unwrap();
        let account = Account::for_server().unwrap();
        assert!(!heal(dir.path(), account).unwrap());
    }
}
