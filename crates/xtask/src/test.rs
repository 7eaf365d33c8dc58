//! `cargo xtask test`: everything that must hold, cheapest first, the AWS SDK last.

use std::env;
use std::process::Command;

use crate::database::Scratch;
use crate::step::Steps;
use crate::{Result, place, sqlx};

/// The packages that neither contain nor can contain the AWS SDK.
const OTHER_CRATES: &[&str] = &[
    "--workspace",
    "--exclude",
    "privatelink-aws",
    "--exclude",
    "portcullis",
];

/// The root package without the AWS SDK.
const ROOT: &[&str] = &["--package", "portcullis", "--no-default-features"];

/// What is left: the adapter, and the root package as it is shipped.
const SDK: &[&str] = &["--package", "privatelink-aws", "--package", "portcullis"];

/// Runs it all; `fast` leaves out the AWS SDK.
pub(crate) fn run(fast: bool) -> Result {
    let mut steps = Steps::new();
    steps.command(
        "formatting",
        place::cargo().args(["fmt", "--all", "--", "--check"]),
    )?;
    steps.command("lints: crates", &mut lint(OTHER_CRATES))?;
    steps.command("lints: portcullis without the SDK", &mut lint(ROOT))?;

    let database = Database::given_or_private()?;
    steps.command("tests: crates", &mut database.test(OTHER_CRATES))?;
    steps.command(
        "tests: portcullis without the SDK",
        &mut database.test(ROOT),
    )?;
    steps.command(
        "documentation tests: crates",
        &mut database.test_docs(OTHER_CRATES),
    )?;
    steps.command(
        "documentation tests: portcullis",
        &mut database.test_docs(ROOT),
    )?;
    steps.command("documentation: crates", &mut document(OTHER_CRATES))?;
    steps.command("documentation: portcullis", &mut document(ROOT))?;
    steps.command(
        "openapi.json is what the program serves",
        offline(
            place::cargo()
                .args(["run", "--quiet", "--locked"])
                .args(ROOT),
        )
        .args(["--", "openapi", "--check"]),
    )?;
    steps.step(
        ".sqlx is what the statements and the migrations say",
        || sqlx::run(true),
    )?;

    if !fast {
        steps.command("lints: with the SDK", &mut lint(SDK))?;
        steps.command("tests: with the SDK", &mut database.test(SDK))?;
        steps.command(
            "documentation tests: with the SDK",
            &mut database.test_docs(SDK),
        )?;
        steps.command("documentation: with the SDK", &mut document(SDK))?;
    }
    steps.summary();
    Ok(())
}

/// The checked query data is committed: no build needs a database, whatever `DATABASE_URL` says.
fn offline(command: &mut Command) -> &mut Command {
    command.env("SQLX_OFFLINE", "true")
}

fn lint(packages: &[&str]) -> Command {
    let mut cargo = place::cargo();
    offline(
        cargo
            .args(["clippy", "--locked", "--all-targets"])
            .args(packages),
    )
    .args(["--", "-D", "warnings"]);
    cargo
}

fn document(packages: &[&str]) -> Command {
    let mut cargo = place::cargo();
    offline(cargo.args(["doc", "--locked", "--no-deps"]).args(packages))
        .env("RUSTDOCFLAGS", "-D warnings");
    cargo
}

/// Where tests find PostgreSQL: the database that the caller gave, else a private cluster for this run.
struct Database {
    url: String,
    nextest: bool,
    // Held for its end: dropping it stops and removes the cluster.
    _scratch: Option<Scratch>,
}

impl Database {
    fn given_or_private() -> Result<Self> {
        let given = env::var_os("DATABASE_URL").filter(|url| !url.is_empty());
        let (url, scratch) = if let Some(url) = given {
            (
                url.into_string()
                    .map_err(|_| "DATABASE_URL is not valid text")?,
                None,
            )
        } else {
            let scratch = Scratch::start()?;
            (scratch.cluster()?.url("portcullis"), Some(scratch))
        };
        let nextest = place::cargo().args(["nextest", "--version"]).output();
        let nextest = nextest.is_ok_and(|output| output.status.success());
        if !nextest {
            eprintln!("    cargo-nextest is not installed: using cargo test");
        }
        Ok(Self {
            url,
            nextest,
            _scratch: scratch,
        })
    }

    fn test(&self, packages: &[&str]) -> Command {
        let mut cargo = place::cargo();
        if self.nextest {
            cargo.args(["nextest", "run", "--locked", "--no-tests=pass"]);
        } else {
            cargo.args(["test", "--locked", "--all-targets"]);
        }
        offline(cargo.args(packages)).env("DATABASE_URL", &self.url);
        cargo
    }

    fn test_docs(&self, packages: &[&str]) -> Command {
        let mut cargo = place::cargo();
        offline(cargo.args(["test", "--locked", "--doc"]).args(packages))
            .env("DATABASE_URL", &self.url);
        cargo
    }
}
