//! `ctl drifts`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::filters::{Filters, list, show};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;
use crate::{confirm, ids};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("SUBJECT", "subject"),
    ("DETECTED", "detected_at"),
    ("SETTLED BY", "settlement.by"),
];

const RESULTS: &[Column] = &[
    ("ID", "id"),
    ("ADOPTED", "adopted"),
    ("CODE", "code"),
    ("DETAIL", "detail"),
];

/// The most that one request adopts.
const AT_ONCE: usize = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them
    List {
        /// Only of this kind
        #[arg(long)]
        kind: Option<String>,
        /// Only those that stand so: open, …
        #[arg(long)]
        state: Option<String>,
        /// Only of this service (`svc_…`)
        #[arg(long)]
        service: Option<String>,
        /// Only of this AccountRegion (`acr_…`)
        #[arg(long)]
        account_region: Option<String>,
        /// Only of this connection (`con_…`)
        #[arg(long)]
        connection: Option<String>,
    },
    /// Show one
    Show {
        /// Its id (`drf_…`)
        id: String,
    },
    /// Agree with what AWS shows: one or many
    Adopt {
        /// Ids; `-` reads them from standard input
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        said: Said,
    },
    /// Have AWS follow what was decided here
    Revert {
        /// Its id
        id: String,
        #[command(flatten)]
        said: Said,
    },
    /// Leave it as it is
    Ignore {
        /// Its id
        id: String,
        #[command(flatten)]
        said: Said,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Said {
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// Yes, although every AWS account may connect unasked then
    #[arg(long)]
    confirm_open_to_everybody: bool,
    /// Yes, although agreements in force stand on principals that AWS has not any more
    #[arg(long)]
    confirm_principals_of_agreements: bool,
    /// Yes, although it goes beyond a quota
    #[arg(long)]
    over_quota: bool,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List {
            kind,
            state,
            service,
            account_region,
            connection,
        } => {
            let filters = Filters::default()
                .with("kind", kind)
                .with("state", state)
                .with("service_id", service)
                .with("account_region_id", account_region)
                .with("connection_id", connection);
            list(session, &["v1", "drifts"], filters, COLUMNS).await
        }
        Command::Show { id } => show(session, &["v1", "drifts", &id]).await,
        Command::Adopt { ids, said } => adopt(session, &ids, &said).await,
        Command::Revert { id, said } => {
            confirm::ask(session, &format!("Change AWS for the drift {id}."))?;
            settle(session, &id, "revert", &said).await
        }
        Command::Ignore { id, said } => settle(session, &id, "ignore", &said).await,
    }
}

async fn settle(session: &Session, id: &str, verb: &str, said: &Said) -> Result<(), Failure> {
    let body = json!({
        "reason": said.reason,
        "confirm_open_to_everybody": said.confirm_open_to_everybody,
        "confirm_principals_of_agreements": said.confirm_principals_of_agreements,
        "over_quota": said.over_quota,
    });
    let answer = session
        .client
        .post(&["v1", "drifts", id, verb], Some(&body))
        .await?;
    session.output.record(&answer)
}

async fn adopt(session: &Session, given: &[String], said: &Said) -> Result<(), Failure> {
    let given = ids::collect(given)?;
    let mut results = Vec::new();
    for some in given.chunks(AT_ONCE) {
        let body = json!({
            "ids": some,
            "reason": said.reason,
            "confirm_open_to_everybody": said.confirm_open_to_everybody,
            "confirm_principals_of_agreements": said.confirm_principals_of_agreements,
            "over_quota": said.over_quota,
        });
        let mut answer = session
            .client
            .post(&["v1", "drifts", "adopt"], Some(&body))
            .await?
            .json()?;
        if let serde_json::Value::Array(more) = answer["results"].take() {
            results.extend(more);
        }
    }
    session.output.several(&results, RESULTS)?;
    let adopted = results.iter().filter(|row| row["adopted"] == true).count();
    if adopted == given.len() {
        Ok(())
    } else {
        Err(Failure::NotAll(format!(
            "{adopted} of {} adopted",
            given.len()
        )))
    }
}
