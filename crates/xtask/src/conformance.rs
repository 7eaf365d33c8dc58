//! `cargo xtask conformance`: clients that we did not write, against the program as it is shipped.
//!
//! Every `tests/conformance/*.py` is one check and one process. It finds the program in `PORTCULLIS_BIN`, starts what it needs
//! on free ports, and fails by its exit status. `requirements.txt` beside them pins the packages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::python::{python_venv, requirements};
use crate::step::{self, Steps};
use crate::{Result, place};

/// Builds the program and runs the scripts whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> Result {
    let dir = place::root().join("tests/conformance");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&dir)
        .map_err(|error| format!("{}: {error}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .filter(|path| filter.is_none_or(|filter| path.to_string_lossy().contains(filter)))
        .collect();
    scripts.sort();
    if scripts.is_empty() {
        return Err("tests/conformance has no such script".into());
    }
    let wanted = requirements(&dir.join("requirements.txt"))?;
    let python = python_venv(&wanted.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut build = place::cargo();
    build
        .args(["build", "--locked", "--package", "portcullis"])
        .env("SQLX_OFFLINE", "true");
    step::run(&mut build)?;
    let program = program()?;
    let mut steps = Steps::new();
    for script in scripts {
        let name = script
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut command = Command::new(&python);
        command
            .arg(&script)
            .current_dir(place::root())
            .env("PORTCULLIS_BIN", &program);
        steps.command(&name, &mut command)?;
    }
    steps.summary();
    Ok(())
}

/// Where cargo puts the program.
fn program() -> Result<PathBuf> {
    let output = place::cargo()
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let target = metadata["target_directory"]
        .as_str()
        .ok_or("cargo metadata names no target directory")?;
    Ok(PathBuf::from(target).join("debug/portcullis"))
}
