//! What shells and `man` want to know of the command line, written from the command line itself.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Cli, Failure};

/// What the program is called.
const NAME: &str = "portcullis";

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where to; made if missing
    directory: PathBuf,
}

/// Prints a script that the shell reads.
pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    // To memory first: whoever reads our output may have enough before the end, and the generator would panic.
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), NAME, &mut script);
    match io::stdout().lock().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Writes `portcullis.1`, `portcullis-ctl.1` and so on.
pub(super) fn manual(args: &ManArgs) -> Result<ExitCode, Failure> {
    let named = |error: io::Error| format!("{}: {error}", args.directory.display());
    std::fs::create_dir_all(&args.directory).map_err(named)?;
    clap_mangen::generate_to(Cli::command(), &args.directory).map_err(named)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::PowerShell,
            Shell::Elvish,
        ] {
            let mut script = Vec::new();
            generate(shell, &mut Cli::command(), NAME, &mut script);
            let script = String::from_utf8(script).expect("text");
            assert!(
                script.contains("bulk-decisions") || script.contains("withdraw-approval"),
                "{shell}"
            );
        }
    }

    #[test]
    fn each_command_has_a_page() {
        let directory = tempfile::tempdir().expect("a directory");
        let args = ManArgs {
            directory: directory.path().join("man"),
        };
        manual(&args).expect("pages");
        for page in [
            "portcullis.1",
            "portcullis-serve.1",
            "portcullis-ctl-decide-accept.1",
        ] {
            assert!(args.directory.join(page).exists(), "{page}");
        }
    }
}
