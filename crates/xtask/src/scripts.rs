//! Python scripts that use the built program: each is one check and one process, with an empty database of its own in `DATABASE_URL`.
//! It starts what it needs on free ports, and fails by its exit status. Names that begin with an underscore are what scripts share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::database::Scratch;
use crate::step::{self, Steps};
use crate::{Result, place};

/// The scripts of a directory.
pub(crate) struct Scripts(Vec<PathBuf>);

impl Scripts {
    /// Those whose name contains `filter`, in the order of their names.
    pub(crate) fn find(dir: &Path, filter: Option<&str>) -> Result<Self> {
        let mut scripts: Vec<PathBuf> = fs::read_dir(dir)
            .map_err(|error| format!("{}: {error}", dir.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                name_of_script(path).is_some_and(|name| name.contains(filter.unwrap_or("")))
            })
            .collect();
        scripts.sort();
        if scripts.is_empty() {
            return Err(format!("{} has no such script", dir.display()).into());
        }
        Ok(Self(scripts))
    }

    /// Whether the one of this name is among them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|path| name_of_script(path) == Some(name))
    }

    /// Runs one after the other, each as `prepare` made its command.
    pub(crate) fn run(&self, python: &Path, prepare: impl Fn(&str, &mut Command)) -> Result {
        let scratch = Scratch::start()?;
        let cluster = scratch.cluster()?;
        let mut steps = Steps::new();
        for script in &self.0 {
            let name = name_of_script(script).unwrap_or_default();
            cluster.create_database(name)?;
            let mut command = Command::new(python);
            command
                // No compiled copies of what the scripts share, in the middle of the sources.
                .arg("-B")
                .arg(script)
                .current_dir(place::root())
                .env("DATABASE_URL", cluster.url(name));
            prepare(name, &mut command);
            steps.command(name, &mut command)?;
        }
        steps.summary();
        Ok(())
    }
}

/// Builds the program as it is shipped, in release or for debugging; where it is.
pub(crate) fn build_program(release: bool) -> Result<PathBuf> {
    let mut build = place::cargo();
    build
        .args(["build", "--locked", "--package", "portcullis"])
        .env("SQLX_OFFLINE", "true");
    if release {
        build.arg("--release");
    }
    step::run(&mut build)?;
    let profile = if release { "release" } else { "debug" };
    Ok(place::target()?.join(profile).join("portcullis"))
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
