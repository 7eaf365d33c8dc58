//! `portcullis ctl` without the rest of the program, for the tests.

use std::process::ExitCode;

use clap::Parser;

/// Work with the API of Portcullis
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    ctl: ctl::CtlArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    ctl::run(Cli::parse().ctl).await
}
