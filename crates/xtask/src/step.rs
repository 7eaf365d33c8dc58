//! Runs commands one after the other, times them, and stops at the first that fails.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;

/// The steps of one run.
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
    began: Instant,
}

impl Steps {
    /// No steps yet.
    pub(crate) fn new() -> Self {
        Self {
            done: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Runs one command as a step.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> Result {
        self.step(name, || run(command))
    }

    /// Runs anything as a step.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result) -> Result {
        eprintln!("\n==> {name}");
        let began = Instant::now();
        let result = work();
        let took = began.elapsed();
        eprintln!(
            "<== {name}: {} in {}",
            if result.is_ok() { "ok" } else { "FAILED" },
            seconds(took)
        );
        self.done.push((name.to_owned(), took));
        if result.is_err() {
            self.summary();
        }
        result
    }

    /// Says what was done and how long it took.
    pub(crate) fn summary(&self) {
        eprintln!();
        for (name, took) in &self.done {
            eprintln!("{:>9}  {name}", seconds(*took));
        }
        eprintln!("{:>9}  in all", seconds(self.began.elapsed()));
    }
}

/// Runs a command; the error says how to run it again.
pub(crate) fn run(command: &mut Command) -> Result {
    let words = shown(command);
    eprintln!("    {words}");
    let status = command
        .status()
        .map_err(|error| format!("could not run `{words}`: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("failed ({status}); to run it again:\n    {words}").into())
}

/// The command as one would type it, with the variables that it sets.
fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            quoted(&value?.to_string_lossy())
        ))
    });
    let program = std::path::Path::new(command.get_program());
    let program = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy();
    let arguments = command
        .get_args()
        .map(|argument| quoted(&argument.to_string_lossy()));
    variables
        .chain([program.into_owned()])
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .args(["clippy", "--", "-D", "warnings"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            shown(&command),
            "RUSTDOCFLAGS='-D warnings' cargo clippy -- -D warnings"
        );
    }

    #[test]
    fn a_failed_command_says_how_to_run_it_again() {
        let error = run(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("sh -c 'exit 3'"), "{error}");
    }

    #[test]
    fn the_first_failure_ends_the_run() {
        let mut steps = Steps::new();
        assert!(steps.step("fails", || Err("no".into())).is_err());
        assert_eq!(steps.done.len(), 1);
    }
}
