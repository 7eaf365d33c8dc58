//! `cargo xtask conformance`: clients that we did not write, against the program as it is shipped.
//!
//! Every `tests/conformance/*.py` is one check ([`crate::scripts`]). `requirements.txt` beside them pins the packages,
//! `requirements-moto.txt` moto's server.

use crate::python::venv_of;
use crate::scripts::{self, Scripts};
use crate::{Result, place};

/// The script that compares the simulator with moto, which has an environment of its own.
const MOTO: &str = "moto";

/// The script that fuzzes the API.
const FUZZ: &str = "fuzz_api";

/// Builds the program and runs the scripts whose name contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> Result {
    run_with(filter, &[])
}

/// Runs the fuzzing of the API until there were so many requests.
pub(crate) fn fuzz(requests: u32, seed: u32) -> Result {
    let told = [
        ("FUZZ_REQUESTS", requests.to_string()),
        ("FUZZ_SEED", seed.to_string()),
    ];
    run_with(Some(FUZZ), &told)
}

/// The same as [`run`], with more in the environment of the scripts.
fn run_with(filter: Option<&str>, told: &[(&str, String)]) -> Result {
    let dir = place::root().join("tests/conformance");
    let scripts = Scripts::find(&dir, filter)?;
    let python = venv_of(&dir.join("requirements.txt"))?;
    // Large, and nothing but a server to the one script that compares with it.
    let moto = scripts
        .has(MOTO)
        .then(|| venv_of(&dir.join("requirements-moto.txt")))
        .transpose()?;
    let program = scripts::build_program(false)?;
    scripts.run(&python, |name, command| {
        command.env("PORTCULLIS_BIN", &program);
        command.envs(told.iter().map(|(variable, value)| (variable, value)));
        if let Some(moto) = moto.as_ref().filter(|_| name == MOTO) {
            command.env("MOTO_SERVER", moto.with_file_name("moto_server"));
        }
    })
}
