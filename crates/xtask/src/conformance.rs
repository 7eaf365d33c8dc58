//! `cargo xtask conformance`: clients that we did not write, against the program as it is shipped.
//!
//! Every `tests/conformance/*.py` is one check and one process. It finds the program in `PORTCULLIS_BIN` and an empty database of its
//! own in `DATABASE_URL`, starts what it needs on free ports, and fails by its exit status. Names that begin with an underscore are
//! what the scripts share. `requirements.txt` beside them pins the packages, `requirements-moto.txt` moto's server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::database::Scratch;
use crate::python::{python_venv, requirements};
use crate::step::{self, Steps};
use crate::{Result, place};

/// The script that compares the simulator with moto, which has an environment of its own.
const MOTO: &str = "moto";

/// Builds the program and runs the scripts whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> Result {
    let dir = place::root().join("tests/conformance");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&dir)
        .map_err(|error| format!("{}: {error}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| name_of_script(path).is_some_and(|name| name.contains(filter.unwrap_or(""))))
        .collect();
    scripts.sort();
    if scripts.is_empty() {
        return Err("tests/conformance has no such script".into());
    }
    let venv = |file: &str| -> Result<PathBuf> {
        let wanted = requirements(&dir.join(file))?;
        python_venv(&wanted.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let python = venv("requirements.txt")?;
    // Large, and nothing but a server to the one script that compares with it.
    let compared = scripts
        .iter()
        .any(|path| name_of_script(path) == Some(MOTO));
    let moto = compared
        .then(|| venv("requirements-moto.txt"))
        .transpose()?;
    let mut build = place::cargo();
    build
        .args(["build", "--locked", "--package", "portcullis"])
        .env("SQLX_OFFLINE", "true");
    step::run(&mut build)?;
    let program = place::target()?.join("debug/portcullis");
    let scratch = Scratch::start()?;
    let cluster = scratch.cluster()?;
    let mut steps = Steps::new();
    for script in scripts {
        let name = name_of_script(&script).unwrap_or_default();
        cluster.create_database(name)?;
        let mut command = Command::new(&python);
        command
            // No compiled copies of what the scripts share, in the middle of the sources.
            .arg("-B")
            .arg(&script)
            .current_dir(place::root())
            .env("DATABASE_URL", cluster.url(name))
            .env("PORTCULLIS_BIN", &program);
        if let Some(moto) = moto.as_ref().filter(|_| name == MOTO) {
            command.env("MOTO_SERVER", moto.with_file_name("moto_server"));
        }
        steps.command(name, &mut command)?;
    }
    steps.summary();
    Ok(())
}

/// A script's name without its ending; nothing for what is not a script to be run.
fn name_of_script(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".py")?;
    (!name.starts_with('_')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_scripts_share_is_not_run() {
        assert_eq!(name_of_script(Path::new("a/aws_cli.py")), Some("aws_cli"));
        assert_eq!(name_of_script(Path::new("a/_world.py")), None);
        assert_eq!(name_of_script(Path::new("a/requirements.txt")), None);
    }
}
