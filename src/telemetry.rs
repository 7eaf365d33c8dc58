//! Logging: everything goes to standard error, so that standard output stays for results that
//! programs read.

use std::io::{self, IsTerminal as _};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: one line of text per event, in colour on a terminal.
    #[default]
    Pretty,
    /// For programs: one JSON object per line, fields at the top level.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read; it is a list such as `info,portcullis=debug`.
    #[error("the log filter {filter:?} cannot be read")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something in this process has set up logging already.
    #[error("logging is set up already")]
    AlreadySet(#[from] TryInitError),
}

/// Sets up logging for the whole process; call it once, before anything else logs.
///
/// `filter` is in the syntax of `RUST_LOG`: a level, or levels by module.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse(filter)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Pretty => builder.finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| TelemetryError::Filter {
            filter: filter.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_by_module_are_read_and_nonsense_is_refused() {
        assert!(parse("warn,portcullis=debug").is_ok());
        assert!(matches!(
            parse("portcullis=loud"),
            Err(TelemetryError::Filter { .. })
        ));
    }

    #[test]
    fn formats_have_the_names_that_the_configuration_uses() {
        let read = |text: &str| serde_json::from_str::<LogFormat>(text).expect("a format");
        assert_eq!(
            (read("\"pretty\""), read("\"json\"")),
            (LogFormat::Pretty, LogFormat::Json)
        );
    }
}
