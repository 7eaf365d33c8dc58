//! The account that the server's programs run as: ours, or an unprivileged one when we are root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::{During, Error};

/// An account by its numbers. `None` inside means: ours, nothing to switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    /// The account to run the server as.
    pub(crate) fn for_server() -> Result<Self, Error> {
        if id(&["-u"]) != Some(0) {
            return Ok(Self { other: None });
        }
        for name in ["postgres", "nobody"] {
            if let (Some(uid), Some(gid)) = (id(&["-u", name]), id(&["-g", name]))
                && uid != 0
            {
                return Ok(Self {
                    other: Some((uid, gid)),
                });
            }
        }
        Err(Error::NoAccount)
    }

    /// Whether the server runs as somebody else, which is so when we are root.
    pub(crate) fn is_other(self) -> bool {
        self.other.is_some()
    }

    /// A command that will run as this account, with nothing of our environment and no place that the account could not enter.
    pub(crate) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            // macOS starts threads in a postmaster without a locale, and that is fatal to it.
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        if let Some((uid, gid)) = self.other {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes a directory that only this account may enter, and takes over one that exists.
    pub(crate) fn own(self, dir: &Path) -> Result<(), Error> {
        fs::create_dir_all(dir).during(|| format!("create {}", dir.display()))?;
        if let Some((uid, gid)) = self.other {
            chown(dir, Some(uid), Some(gid)).during(|| format!("give away {}", dir.display()))?;
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .during(|| format!("close {} to others", dir.display()))
    }

    /// Whether this account can enter and write `dir`. Asked of the kernel, as the account, because modes, lists and mounts all
    /// have a say.
    pub(crate) fn can_use(self, dir: &Path) -> bool {
        let mut test = self.command("/bin/sh");
        test.args(["-c", r#"cd "$1" && test -w ."#, "sh"]).arg(dir);
        run(&mut test).is_ok()
    }
}

/// Runs a command to its end; its standard output, or an error that carries its last words.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().during(|| format!("run {program}"))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let output = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    Err(Error::Program {
        program,
        status: status.to_string(),
        output: last_lines(&output, 8),
    })
}

/// The last `count` lines of a text, on one line.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join(" | ")
}

/// Asks `id` for a number; there is no safe call for it in the standard library.
fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id")
        .args(args)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
