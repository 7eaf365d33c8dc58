//! Where things are.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::Result;

/// The root of the repository: two directories above this package.
///
/// Asked of cargo at run time. Two checkouts that share a build directory can share this very program, and it must work on the
/// checkout that it was called from, not on the one that it was compiled in.
pub(crate) fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR");
    let package = package.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.ancestors().nth(2).unwrap_or(&package).to_owned()
}

/// Where what can be fetched or built again is kept between runs.
pub(crate) fn cache() -> PathBuf {
    let caches = env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    let caches = caches.or_else(|| Some(env::home_dir()?.join(".cache")));
    caches.unwrap_or_else(env::temp_dir).join("portcullis")
}

/// The cargo that runs us, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let target = metadata["target_directory"].as_str();
    Ok(target
        .ok_or("cargo metadata names no target directory")?
        .into())
}
