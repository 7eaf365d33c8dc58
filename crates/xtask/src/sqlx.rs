//! `cargo xtask sqlx [--check]`: the checked query data in `.sqlx`.
//!
//! `sqlx::query!` describes each statement to a database while the program is compiled, and, when `SQLX_OFFLINE_DIR` is set,
//! writes what it learnt there. So: a scratch database with all migrations, one `cargo check` with that variable, and a
//! directory to compare or to keep. No other tool is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::database::{self, Scratch};
use crate::{Result, place, step};

/// Files of query data by name.
type QueryData = BTreeMap<String, String>;

/// Writes or, with `check`, compares.
pub(crate) fn run(check: bool) -> Result {
    let scratch = Scratch::start()?;
    database::migrate(scratch.cluster()?, "portcullis")?;
    let fresh = generate(&scratch.cluster()?.url("portcullis"))?;
    let kept = place::root().join(".sqlx");
    if check {
        compare(&read(&kept)?, &fresh)
    } else {
        replace(&kept, &fresh)
    }
}

/// Compiles the root package against the database and collects what the macros wrote.
fn generate(database_url: &str) -> Result<QueryData> {
    let out = place::cache().join(format!("sqlx-{}", std::process::id()));
    fs::create_dir_all(&out)?;
    let touched = Touched::targets()?;
    let result = step::run(
        place::cargo()
            .args([
                "check",
                "--quiet",
                "--locked",
                "--package",
                "portcullis",
                "--no-default-features",
                "--all-targets",
            ])
            .env("DATABASE_URL", database_url)
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", &out),
    );
    drop(touched);
    let fresh = result.and_then(|()| read(&out));
    fs::remove_dir_all(&out)?;
    fresh
}

/// Source files that look changed until this is dropped.
///
/// Cargo cannot know that the macros read a database and write files, so it must be made to compile the root package again. The
/// old times are put back, so that nothing else is compiled again because of it.
struct Touched(Vec<(File, SystemTime)>);

impl Touched {
    /// The root file of each target of the root package.
    fn targets() -> Result<Self> {
        let output = place::cargo()
            .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
            .output()?;
        if !output.status.success() {
            return Err(format!(
                "cargo metadata: {}",
                String::from_utf8_lossy(&output.stderr)
            )
            .into());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let sources = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|package| package["name"] == "portcullis")
            .flat_map(|package| package["targets"].as_array().into_iter().flatten())
            .filter_map(|target| target["src_path"].as_str());
        let mut touched = Self(Vec::new());
        for source in sources {
            let file = File::options()
                .append(true)
                .open(source)
                .map_err(|error| format!("{source}: {error}"))?;
            let before = file.metadata()?.modified()?;
            file.set_modified(SystemTime::now())?;
            touched.0.push((file, before));
        }
        Ok(touched)
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        for (file, before) in &self.0 {
            // A file that keeps its new time costs one compilation.
            let _ = file.set_modified(*before);
        }
    }
}

fn read(dir: &Path) -> Result<QueryData> {
    let mut data = QueryData::new();
    if !dir.exists() {
        return Ok(data);
    }
    for entry in fs::read_dir(dir)? {
        let path: PathBuf = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            data.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(data)
}

fn compare(kept: &QueryData, fresh: &QueryData) -> Result {
    let names: BTreeSet<&String> = kept.keys().chain(fresh.keys()).collect();
    let mut different = Vec::new();
    for name in names {
        let (what, data) = match (kept.get(name), fresh.get(name)) {
            (Some(kept), Some(fresh)) if kept == fresh => continue,
            (Some(_), Some(fresh)) => ("changed", fresh),
            (None, Some(fresh)) => ("missing", fresh),
            (Some(kept), None) => ("unused", kept),
            (None, None) => continue,
        };
        different.push(format!("    {what}: {}", statement(data)));
    }
    if different.is_empty() {
        eprintln!("    .sqlx has the data of all {} statements", fresh.len());
        return Ok(());
    }
    Err(format!(
        ".sqlx is out of date; run `cargo xtask sqlx` and commit it:\n{}",
        different.join("\n")
    )
    .into())
}

/// The statement of a file of query data, on one short line.
fn statement(data: &str) -> String {
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let words: Vec<&str> = data["query"]
        .as_str()
        .unwrap_or("?")
        .split_whitespace()
        .collect();
    let line = words.join(" ");
    line.char_indices()
        .nth(100)
        .map_or_else(|| line.clone(), |(end, _)| format!("{} …", &line[..end]))
}

fn replace(dir: &Path, fresh: &QueryData) -> Result {
    let kept = read(dir)?;
    if !fresh.is_empty() {
        fs::create_dir_all(dir)?;
    }
    for name in kept.keys().filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(dir.join(name))?;
    }
    for (name, data) in fresh
        .iter()
        .filter(|(name, data)| kept.get(*name) != Some(data))
    {
        fs::write(dir.join(name), data)?;
    }
    eprintln!(
        "    .sqlx has the data of {} statements, {} before",
        fresh.len(),
        kept.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> QueryData {
        let json = |sql: &str| serde_json::json!({ "query": sql }).to_string();
        pairs
            .iter()
            .map(|(name, sql)| ((*name).to_owned(), json(sql)))
            .collect()
    }

    #[test]
    fn the_same_data_passes() {
        let same = data(&[("query-1.json", "SELECT 1")]);
        compare(&same, &same).unwrap();
    }

    #[test]
    fn every_difference_is_listed_with_its_statement() {
        let kept = data(&[
            ("query-1.json", "SELECT\n  1"),
            ("query-2.json", "SELECT 2"),
        ]);
        let fresh = data(&[
            ("query-2.json", "SELECT 2, 2"),
            ("query-3.json", "SELECT 3"),
        ]);
        let error = compare(&kept, &fresh).unwrap_err().to_string();
        for line in [
            "unused: SELECT 1",
            "changed: SELECT 2, 2",
            "missing: SELECT 3",
        ] {
            assert!(error.contains(line), "{error}");
        }
    }
}
