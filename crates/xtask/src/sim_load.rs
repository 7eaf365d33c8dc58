//! `cargo xtask sim-load`: how fast the simulator is, measured by its example `load` against its example `serve`.

use std::process::Command;

use crate::{Result, place, step};

/// Builds both examples in release and runs the measurement, each of whose stages lasts so many seconds at most.
pub(crate) fn run(seconds: u16, json: bool) -> Result {
    let mut build = place::cargo();
    build.args([
        "build",
        "--locked",
        "--release",
        "--package",
        "privatelink-sim",
        "--examples",
    ]);
    step::run(&mut build)?;
    let mut load = Command::new(place::target()?.join("release/examples/load"));
    load.args(["--seconds", &seconds.to_string()]);
    if json {
        load.arg("--json");
    }
    step::run(&mut load)
}
