//! Measures the simulator from outside: one client process with several connections against a server process of its own.
//!
//! `cargo xtask sim-load` builds it in release and runs it; by hand:
//! `cargo build --release -p privatelink-sim --examples && target/release/examples/load [--seconds N] [--connections N] [--json]`.
//! Every answer is checked while it is measured: a wrong one fails the run.

mod client;
mod measure;
mod report;
mod stages;

use std::time::Duration;

use client::Server;
use report::Report;

/// What every part returns; the error is a sentence.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the command line says.
#[derive(Debug, Clone)]
struct Options {
    /// How long each stage of many calls lasts at most.
    time: Duration,
    /// How many connections the client keeps open.
    connections: usize,
    json: bool,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            time: Duration::from_secs(5),
            connections: 8,
            json: false,
        };
        while let Some(word) = words.next() {
            let mut number = || -> Result<u16> {
                let value = words.next().unwrap_or_default();
                Ok(value
                    .parse()
                    .map_err(|_| format!("{word} takes a number"))?)
            };
            match word.as_str() {
                "--seconds" => options.time = Duration::from_secs(number()?.max(1).into()),
                "--connections" => options.connections = number()?.max(1).into(),
                "--json" => options.json = true,
                other => return Err(format!("what is {other}?").into()),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> Result {
    let options = Options::read(std::env::args().skip(1))?;
    let mut report = Report::new(&options);
    let server = Server::start().await?;
    stages::large_world(&server, &options, &mut report).await?;
    server.stop().await?;
    // A world of its own, so that what the snapshot takes is not counted above.
    let server = Server::start().await?;
    stages::snapshot(&server, &mut report).await?;
    server.stop().await?;
    report.print(options.json);
    Ok(())
}
