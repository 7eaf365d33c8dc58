//! `cargo xtask bench`: what Portcullis takes, beside the least that AWS's limits allow.
//!
//! Every `tests/bench/*.py` is one measurement ([`crate::scripts`]) of the program in release, over HTTP, against the simulator. Each prints its figures beside
//! its anchor's, and fails where it misses its goal.

use std::env;
use std::path::PathBuf;

use crate::python::venv_of;
use crate::scripts::{self, Scripts};
use crate::{Result, place, step};

/// Builds the program and what it is compared with, and runs the measurements whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> Result {
    let root = place::root();
    let dir = root.join("tests/bench");
    let scripts = Scripts::find(&dir, filter)?;
    let python = venv_of(&dir.join("requirements.txt"))?;
    let program = scripts::build_program(true)?;
    let examples = build_examples()?;
    // What the conformance scripts share serves here too.
    let shared = env::join_paths([dir, root.join("tests/conformance")])?;
    scripts.run(&python, |_, command| {
        command
            .env("PYTHONPATH", &shared)
            .env("PORTCULLIS_BIN", &program)
            .env("BARE_LISTING_BIN", examples.join("list"))
            .env("DECIDE_BIN", examples.join("decide"));
    })
}

/// The loop that a sweep is compared with (pages through the SDK, and nothing else), and deciding alone.
fn build_examples() -> Result<PathBuf> {
    let mut build = place::cargo();
    build.args(["build", "--locked", "--release"]);
    // With the program, so that the SDK is not compiled a second time for another choice of features.
    build.args([
        "--package",
        "portcullis",
        "--package",
        "privatelink-aws",
        "--example",
        "list",
        "--example",
        "decide",
    ]);
    step::run(&mut build)?;
    Ok(place::target()?.join("release/examples"))
}
