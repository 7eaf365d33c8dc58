//! `ctl services`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::files;
use super::filters::{Filters, list, show};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;
use crate::{confirm, ids};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("ACCOUNT", "account_id"),
    ("REGION", "region"),
    ("AWS ID", "aws_service_id"),
    ("STATE", "observed.state"),
    ("READY", "ready"),
    ("SYNC", "sync.state"),
    ("LIFECYCLE", "lifecycle.state"),
];

const CHECKS: &[Column] = &[
    ("CHECK", "check"),
    ("STATUS", "status"),
    ("EVIDENCE", "evidence"),
    ("FIX", "fix"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them
    List {
        /// Only those of this AccountRegion
        #[arg(long)]
        account_region: Option<String>,
        /// Only the one that AWS knows by this id
        #[arg(long)]
        aws_service_id: Option<String>,
        /// Only those whose sync stands so
        #[arg(long)]
        sync_state: Option<String>,
        /// Only those that are there in their life
        #[arg(long)]
        lifecycle: Option<String>,
    },
    /// Show one
    Show {
        /// Its id, ours (`svc_…`) or AWS's (`vpce-svc-…`)
        id: String,
    },
    /// Register one as a JSON file says; `-` reads standard input
    Register {
        /// The body of `POST /v1/services`
        file: PathBuf,
    },
    /// Every check, and the most likely reason why it does not work
    Doctor {
        /// Its id, ours or AWS's
        id: String,
    },
    /// Have the worker look at it now
    Check {
        /// Its id, ours or AWS's
        id: String,
    },
    /// Have the worker try again what stalled
    RetrySync {
        /// Its id, ours or AWS's
        id: String,
    },
    /// Freeze it, give its consumers notice, and reject them then
    Drain(End),
    /// Drain it and have AWS delete it
    Delete(End),
    /// Take a drain back. Who was rejected stays rejected
    CancelDrain {
        /// Its id, ours or AWS's
        id: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct End {
    /// Its id, ours or AWS's
    id: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// How long the notice is, in seconds
    #[arg(long, value_name = "SECONDS")]
    reject_after_seconds: Option<u64>,
    /// The listing that sells it, where one does: it is known that the listing loses it
    #[arg(long, value_name = "LISTING")]
    confirm_sold_by: Option<String>,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List {
            account_region,
            aws_service_id,
            sync_state,
            lifecycle,
        } => {
            let filters = Filters::default()
                .with("account_region_id", account_region)
                .with("aws_service_id", aws_service_id)
                .with("sync_state", sync_state)
                .with("lifecycle", lifecycle);
            list(session, &["v1", "services"], filters, COLUMNS).await
        }
        Command::Show { id } => {
            let id = ids::service(&session.client, &id).await?;
            show(session, &["v1", "services", &id]).await
        }
        Command::Register { file } => {
            let body = files::json(&file)?;
            let answer = session
                .client
                .post(&["v1", "services"], Some(&body))
                .await?;
            session.output.record(&answer)
        }
        Command::Doctor { id } => {
            let id = ids::service(&session.client, &id).await?;
            let answer = session
                .client
                .get(&["v1", "services", &id, "doctor"], &[])
                .await?;
            session.output.results(&answer, "checks", CHECKS)
        }
        Command::Check { id } => plain(session, &id, "check").await,
        Command::RetrySync { id } => plain(session, &id, "retry-sync").await,
        Command::Drain(end) => self::end(session, end, "drain").await,
        Command::Delete(end) => self::end(session, end, "delete").await,
        Command::CancelDrain { id, reason } => {
            let service = read(session, &id).await?;
            let body = json!({ "version": service["version"], "reason": reason });
            verb(session, &service, "cancel-drain", Some(&body)).await
        }
    }
}

/// A verb that takes nothing.
async fn plain(session: &Session, id: &str, name: &str) -> Result<(), Failure> {
    let id = ids::service(&session.client, id).await?;
    let answer = session
        .client
        .post(&["v1", "services", &id, name], None)
        .await?;
    session.output.record(&answer)
}

async fn end(session: &Session, end: End, name: &str) -> Result<(), Failure> {
    let service = read(session, &end.id).await?;
    let called = service["name"].as_str().unwrap_or_default();
    confirm::ask(session, &format!("{name} the service {called:?}."))?;
    let mut body = json!({ "version": service["version"], "reason": end.reason });
    if let Some(seconds) = end.reject_after_seconds {
        body["reject_after_seconds"] = seconds.into();
    }
    if let Some(listing) = end.confirm_sold_by {
        body["confirm_sold_by"] = listing.into();
    }
    if name == "delete" {
        body["confirm_delete"] = true.into();
    }
    verb(session, &service, name, Some(&body)).await
}

async fn read(session: &Session, id: &str) -> Result<Value, Failure> {
    let id = ids::service(&session.client, id).await?;
    session
        .client
        .get(&["v1", "services", &id], &[])
        .await?
        .json()
}

async fn verb(
    session: &Session,
    service: &Value,
    name: &str,
    body: Option<&Value>,
) -> Result<(), Failure> {
    let id = service["id"].as_str().unwrap_or_default();
    let answer = session
        .client
        .post(&["v1", "services", id, name], body)
        .await?;
    session.output.record(&answer)
}
