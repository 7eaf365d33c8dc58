//! A private Python environment for checks that are best written against Python packages (boto3, the Compose schema).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, place, step};

/// The mark of an environment whose installation was finished.
const FINISHED: &str = "finished";

/// The Python of an environment that has exactly these requirements (`name==version` each) and what they need. Environments are
/// kept in the cache directory by their requirements, so the second use costs nothing.
pub(crate) fn python_venv(requirements: &[&str]) -> Result<PathBuf> {
    let base = base_python()?;
    let dir = place::cache().join("venv").join(key(&base, requirements));
    let python = dir.join("bin/python");
    fs::create_dir_all(&dir)?;
    // Two runs at once must not install into one environment. Beside it and not in it, because making it empties it.
    let lock = File::create(dir.with_extension("lock"))?;
    lock.lock()?;
    if dir.join(FINISHED).exists() && python.exists() {
        return Ok(python);
    }
    eprintln!(
        "    making a Python environment with {}",
        requirements.join(", ")
    );
    let made = step::run(
        Command::new(base.program)
            .args(["-m", "venv", "--clear"])
            .arg(&dir),
    );
    made.map_err(|error| format!("{error}\n(Debian, Ubuntu: apt-get install python3-venv)"))?;
    step::run(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(requirements),
    )?;
    fs::write(dir.join(FINISHED), requirements.join("\n"))?;
    Ok(python)
}

/// The Python of an environment that has what a `requirements.txt` names.
pub(crate) fn venv_of(file: &Path) -> Result<PathBuf> {
    let wanted = requirements(file)?;
    python_venv(&wanted.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The requirements in a `requirements.txt`, without comments.
fn requirements(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// A Python of this machine.
struct Base {
    program: &'static str,
    version: String,
}

fn base_python() -> Result<Base> {
    for program in ["python3", "python"] {
        let Ok(output) = Command::new(program).arg("--version").output() else {
            continue;
        };
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if version.starts_with("Python 3.") {
            return Ok(Base { program, version });
        }
    }
    Err("no Python 3 was found; install it (Debian, Ubuntu: apt-get install python3-venv)".into())
}

/// A directory name that stands for a Python and a list of requirements (FNV-1a).
fn key(base: &Base, requirements: &[&str]) -> String {
    let text = format!("{}\n{}", base.version, requirements.join("\n"));
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_known_by_its_python_and_its_requirements() {
        let base = |version: &str| Base {
            program: "python3",
            version: version.to_owned(),
        };
        let one = key(&base("Python 3.11.7"), &["boto3==1.40.0"]);
        assert_eq!(one, key(&base("Python 3.11.7"), &["boto3==1.40.0"]));
        assert_ne!(one, key(&base("Python 3.12.0"), &["boto3==1.40.0"]));
        assert_ne!(one, key(&base("Python 3.11.7"), &["boto3==1.40.1"]));
    }
}
