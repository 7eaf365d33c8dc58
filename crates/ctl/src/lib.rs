//! `portcullis ctl`: working with the REST API from a terminal.
//!
//! It is a client like any other: whatever it does, a script can do over HTTP. Each group of verbs is one file in `commands`. They share
//! the `client` (who repeats what is safe to repeat), the `output` (tables, JSON, JSON Lines), the reading of pages and of ids, and one list of exit codes:
//! [`EXIT_CODES`].

mod client;
mod commands;
mod confirm;
mod ids;
mod options;
mod outcome;
mod output;
mod pages;
mod problem;
mod retry;
mod safe;
mod session;
mod table;

use std::process::ExitCode;

use clap::Args;

pub use outcome::EXIT_CODES;

/// Everything after `portcullis ctl`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CtlArgs {
    #[command(flatten)]
    options: options::Options,
    #[command(subcommand)]
    command: commands::Command,
}

/// Runs a command. What went wrong was told on standard error; the exit code says which kind of thing it was: [`EXIT_CODES`].
pub async fn run(args: CtlArgs) -> ExitCode {
    let done = async {
        let session = session::Session::open(&args.options)?;
        commands::run(&session, args.command).await
    };
    match done.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.exit_code())
        }
    }
}
