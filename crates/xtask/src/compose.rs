//! `cargo xtask compose`: is `docker-compose.yml` what a Compose implementation will accept?
//!
//! Not every machine that builds this has a container engine. The schema of the Compose specification comes with the Python
//! package `check-jsonschema`; what a schema cannot say (a name that is used is also declared) a short script checks.

use std::process::Command;

use crate::python::python_venv;
use crate::step::Steps;
use crate::{Result, place};

/// Carries the schema and the validator; pinned, so that the answer does not change by itself.
const CHECKER: &str = "check-jsonschema==0.39.0";

/// Checks the file.
pub(crate) fn run() -> Result {
    let python = python_venv(&[CHECKER])?;
    let mut steps = Steps::new();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command
            .args(arguments)
            .arg("docker-compose.yml")
            .current_dir(place::root());
        command
    };
    steps.command(
        "docker-compose.yml has the shape that the Compose specification asks for",
        &mut command(&[
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
        ]),
    )?;
    steps.command(
        "every name that docker-compose.yml uses is declared",
        &mut command(&["scripts/compose_names.py"]),
    )?;
    steps.summary();
    Ok(())
}
