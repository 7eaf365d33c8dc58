//! `cargo xtask chaos`: the run itself is the program of `crates/chaos`.

use std::process::Command;

use crate::{Result, place, step};

/// Builds the program as it is shipped and the run, and lets it run.
pub(crate) fn run(seed: u64, minutes: f64) -> Result {
    let mut build = place::cargo();
    build
        .args(["build", "--locked", "--package", "portcullis"])
        .env("SQLX_OFFLINE", "true");
    step::run(&mut build)?;
    let mut build = place::cargo();
    build.args(["build", "--locked", "--package", "chaos"]);
    step::run(&mut build)?;
    let debug = place::target()?.join("debug");
    let mut chaos = Command::new(debug.join("chaos"));
    chaos
        .args(["--seed", &seed.to_string()])
        .args(["--minutes", &minutes.to_string()])
        .arg("--program")
        .arg(debug.join("portcullis"));
    step::run(&mut chaos)
}
