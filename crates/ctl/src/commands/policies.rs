//! `ctl policies`: their texts and their life.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::filters::{Filters, list, show};
use super::{files, policy_runs};
use crate::confirm;
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NUMBER", "number"),
    ("STATE", "state"),
    ("SERVICE", "service_id"),
    ("NOTE", "note"),
    ("WRITTEN BY", "written.by"),
    ("WRITTEN", "written.at"),
];

const TEMPLATES: &[Column] = &[("NAME", "name"), ("SUMMARY", "summary")];

const CASES: &[Column] = &[
    ("CASE", "name"),
    ("PASSED", "passed"),
    ("EXPECTED", "expect"),
    ("OUTCOME", "outcome"),
    ("GATE", "gate"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them
    List {
        /// Only those for this service alone (`svc_…`)
        #[arg(long)]
        service: Option<String>,
        /// Only those that stand so
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one
    Show {
        /// Its id (`pol_…`)
        id: String,
    },
    /// Print the text of one
    Text {
        /// Its id
        id: String,
    },
    /// Begin one, from a file or a template
    Create {
        /// The text in Cedar; `-` reads standard input
        #[arg(required_unless_present = "template", conflicts_with = "template")]
        file: Option<PathBuf>,
        /// The name of a ready text: see `templates`
        #[arg(long)]
        template: Option<String>,
        /// The service that it is for (`svc_…`); every service when absent
        #[arg(long)]
        service: Option<String>,
        /// What people say about it
        #[arg(long)]
        note: Option<String>,
    },
    /// Say whether a policy compiles, or a text that is stored nowhere
    Validate {
        /// A policy's id (`pol_…`), or a file
        what: PathBuf,
    },
    /// Try one with cases
    Test {
        /// Its id
        id: String,
        /// A JSON file with cases, in the place of those that it has
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
    },
    /// Try one over what was decided and what is live
    DryRun(policy_runs::DryRun),
    /// Put one in force
    Activate(Force),
    /// Take one out of force
    Deactivate(Force),
    /// Give one up that was never in force
    Discard {
        /// Its id
        id: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// List the ready texts
    Templates,
    /// Print what policies are checked against
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct Force {
    /// Its id
    id: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// The `losing_access` of the dry run, where that is a larger share than the installation allows
    #[arg(long, value_name = "NUMBER")]
    confirm_losing_access: Option<u64>,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let place = ["v1", "policies"];
    match command {
        Command::List { service, state } => {
            let filters = Filters::default()
                .with("service_id", service)
                .with("state", state);
            list(session, &place, filters, COLUMNS).await
        }
        Command::Show { id } => show(session, &["v1", "policies", &id]).await,
        Command::Text { id } => {
            let answer = session.client.get(&["v1", "policies", &id], &[]).await?;
            session
                .output
                .text(&answer, answer.json()?["text"].as_str().unwrap_or_default())
        }
        Command::Create {
            file,
            template,
            service,
            note,
        } => {
            let text = file.map(|file| files::text(&file)).transpose()?;
            let mut body = json!({});
            for (member, value) in [
                ("text", text),
                ("template", template),
                ("service_id", service),
                ("note", note),
            ] {
                if let Some(value) = value {
                    body[member] = value.into();
                }
            }
            let answer = session.client.post(&place, Some(&body)).await?;
            session.output.record(&answer)
        }
        Command::Validate { what } => validate(session, &what).await,
        Command::Test { id, cases } => test(session, &id, cases).await,
        Command::DryRun(run) => policy_runs::dry_run(session, run).await,
        Command::Activate(given) => force(session, given, "activate").await,
        Command::Deactivate(given) => force(session, given, "deactivate").await,
        Command::Discard { id, reason } => {
            confirm::ask(session, &format!("Discard the policy {id}."))?;
            let body = json!({ "reason": reason });
            let answer = session
                .client
                .post(&["v1", "policies", &id, "discard"], Some(&body))
                .await?;
            session.output.record(&answer)
        }
        Command::Templates => {
            let answer = session.client.get(&["v1", "policy-templates"], &[]).await?;
            session.output.results(&answer, "items", TEMPLATES)
        }
        Command::Schema => {
            let answer = session.client.get(&["v1", "policy-schema"], &[]).await?;
            session.output.text(
                &answer,
                answer.json()?["schema"].as_str().unwrap_or_default(),
            )
        }
    }
}

async fn validate(session: &Session, what: &std::path::Path) -> Result<(), Failure> {
    let id = what.to_str().filter(|text| text.starts_with("pol_"));
    let answer = if let Some(id) = id {
        let place = ["v1", "policies", id, "validate"];
        session.client.post(&place, None).await?
    } else {
        let body = json!({ "text": files::text(what)? });
        let place = ["v1", "policies", "validate"];
        session.client.post(&place, Some(&body)).await?
    };
    let said = answer.json()?;
    session.output.record(&answer)?;
    good(&said["valid"], "the text does not compile")
}

async fn test(session: &Session, id: &str, cases: Option<PathBuf>) -> Result<(), Failure> {
    let mut body = json!({});
    if let Some(file) = cases {
        let mut given = files::json(&file)?;
        // A list, or the body of the request with the list in it.
        body["cases"] = if given.is_array() {
            given
        } else {
            given["cases"].take()
        };
    }
    let answer = session
        .client
        .post(&["v1", "policies", id, "test"], Some(&body))
        .await?;
    let said = answer.json()?;
    session.output.results(&answer, "results", CASES)?;
    good(&said["passed"], "not every case came out as expected")
}

/// Activates or deactivates the version that is there now.
async fn force(session: &Session, given: Force, verb: &str) -> Result<(), Failure> {
    let policy = session
        .client
        .get(&["v1", "policies", &given.id], &[])
        .await?
        .json()?;
    confirm::ask(
        session,
        &format!("{verb} policy {} ({}).", policy["number"], given.id),
    )?;
    let mut body = json!({ "version": policy["version"], "reason": given.reason });
    if let Some(number) = given.confirm_losing_access {
        body["confirm_losing_access"] = number.into();
    }
    let answer = session
        .client
        .post(&["v1", "policies", &given.id, verb], Some(&body))
        .await?;
    session.output.record(&answer)
}

/// The API answered, and this member of the answer says whether it is good news.
fn good(member: &Value, otherwise: &str) -> Result<(), Failure> {
    if member == true {
        Ok(())
    } else {
        Err(Failure::NotAll(otherwise.to_owned()))
    }
}
