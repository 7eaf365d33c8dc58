//! What every command takes: where the API is, who asks, and how the answer is shown.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::outcome::Failure;

/// The variable that a token is taken from when no file is named.
const TOKEN: &str = "PORTCULLIS_TOKEN";

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// What the API answered
    Json,
    /// One row a line
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the API is
    #[arg(
        long,
        global = true,
        env = "PORTCULLIS_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: String,
    /// A file that has the token. Without it the token is taken from the environment, `PORTCULLIS_TOKEN`; there is no argument for it, since
    /// arguments are seen by everybody on the machine
    #[arg(
        long,
        global = true,
        env = "PORTCULLIS_TOKEN_FILE",
        value_name = "FILE"
    )]
    token_file: Option<PathBuf>,
    /// How the answer is shown
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "table",
        env = "PORTCULLIS_OUTPUT"
    )]
    pub(crate) output: Format,
    /// At most so many rows of a list; more than a page are read page by page
    #[arg(long, global = true, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "page_all")]
    pub(crate) limit: Option<u64>,
    /// All rows of a list, page by page
    #[arg(long, global = true)]
    pub(crate) page_all: bool,
    /// Do not ask before what cannot be undone
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// How long one request may take, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// How often a request is repeated that was not answered, or answered with 429 or 503
    #[arg(long, global = true, value_name = "TIMES", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(crate) retries: u32,
}

impl Options {
    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// The token: from the file, else from the environment; none where there is none. Fails where the named file cannot be read or is empty.
    pub(crate) fn token(&self) -> Result<Option<String>, Failure> {
        let found = match &self.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
                if text.trim().is_empty() {
                    return Err(Failure::Usage(format!("{} is empty", path.display())));
                }
                Some(text)
            }
            None => from_environment(TOKEN),
        };
        Ok(found
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a secret of the person at the terminal, and no setting of the server"
)]
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
