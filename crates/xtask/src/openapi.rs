//! `cargo xtask openapi`: writes `openapi/openapi.json` from the program. `portcullis openapi --check` compares.

use std::fs;

use crate::{Result, place};

/// Asks the program for its document and writes it.
pub(crate) fn run() -> Result {
    let output = place::cargo()
        .args(["run", "--quiet", "--locked", "--package", "portcullis"])
        .args(["--no-default-features", "--", "openapi"])
        .env("SQLX_OFFLINE", "true")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let file = place::root().join("openapi/openapi.json");
    fs::write(&file, output.stdout)?;
    eprintln!("    wrote {}", file.display());
    Ok(())
}
