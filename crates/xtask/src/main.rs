//! The project's own tools: `cargo xtask <verb>`. Nothing here is part of the product.
//!
//! Each verb is one file. They share [`step`] (run a command, time it, say how to run it again), [`place`] (where things are),
//! [`database`] (a private PostgreSQL with the migrations applied) and [`python`] (a private Python environment).

mod bench;
mod chaos;
mod compose;
mod conformance;
mod database;
mod db;
mod openapi;
mod place;
mod python;
mod scripts;
mod sim_load;
mod sqlx;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a verb returns; the error is one sentence for the person at the terminal.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own tools.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything: formatting, lints, all tests, documentation, generated files.
    Test {
        /// Leave out what needs the AWS SDK: minutes instead of a quarter of an hour when nothing is built yet.
        #[arg(long)]
        fast: bool,
    },
    /// Writes the checked query data in `.sqlx` anew, against a scratch database with all migrations.
    Sqlx {
        /// Compare with what is there instead, and fail on a difference.
        #[arg(long)]
        check: bool,
    },
    /// Writes `openapi/openapi.json` anew.
    Openapi,
    /// Runs a development database until Ctrl-C, with all migrations, and prints its `DATABASE_URL`.
    Db,
    /// Checks `docker-compose.yml` against the Compose specification's schema.
    Compose,
    /// Runs the conformance scripts in `tests/conformance` with Python and boto3 against the built program.
    Conformance {
        /// Run only the scripts whose name contains this.
        filter: Option<String>,
    },
    /// Tries the API by its own `OpenAPI` document, as each role, until there were enough requests.
    FuzzApi {
        /// How many, in the whole.
        #[arg(long, default_value_t = 20_000)]
        requests: u32,
        /// Chooses what is sent.
        #[arg(long, default_value_t = 1)]
        seed: u32,
    },
    /// Measures the program in release beside the least that AWS's limits allow.
    Bench {
        /// Run only the measurements whose name contains this.
        filter: Option<String>,
    },
    /// Kills, stops, delays and lies to two replicas of the built program, and checks that nothing was lost.
    Chaos {
        /// Chooses who does what and what goes wrong.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How long the trouble lasts.
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
    },
    /// Measures the simulator from outside and prints one table.
    SimLoad {
        /// How long each stage of many calls lasts at most.
        #[arg(long, default_value_t = 5)]
        seconds: u16,
        /// Print JSON instead.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Test { fast } => test::run(fast),
        Verb::Sqlx { check } => sqlx::run(check),
        Verb::Openapi => openapi::run(),
        Verb::Db => db::run(),
        Verb::Compose => compose::run(),
        Verb::Conformance { filter } => conformance::run(filter.as_deref()),
        Verb::FuzzApi { requests, seed } => conformance::fuzz(requests, seed),
        Verb::Bench { filter } => bench::run(filter.as_deref()),
        Verb::Chaos { seed, minutes } => chaos::run(seed, minutes),
        Verb::SimLoad { seconds, json } => sim_load::run(seconds, json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error}");
            ExitCode::FAILURE
        }
    }
}
