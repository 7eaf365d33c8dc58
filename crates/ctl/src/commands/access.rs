//! `ctl access-requests`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::files;
use super::filters::{Filters, list, show};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("ACCOUNT", "account_id"),
    ("CONSUMER", "consumer_id"),
    ("STATE", "state"),
    ("MADE BY", "made_by"),
    ("MADE", "made_at"),
    ("EXPIRES", "expires_at"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them
    List {
        /// Only of this AWS account
        #[arg(long)]
        account: Option<String>,
        /// Only of this consumer (`cns_…`)
        #[arg(long)]
        consumer: Option<String>,
        /// Only for this service (`svc_…`)
        #[arg(long)]
        service: Option<String>,
        /// Only those that stand so
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one
    Show {
        /// Its id (`acq_…`)
        id: String,
    },
    /// Make one as a JSON file says; `-` reads standard input
    Create {
        /// The body of `POST /v1/access-requests`
        file: PathBuf,
    },
    /// Approve one
    Approve {
        #[command(flatten)]
        answer: Reasoned,
        /// Until when access is given, as in 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Reject one
    Reject(Reasoned),
    /// Withdraw one
    Withdraw(Reasoned),
}

#[derive(Debug, Args)]
pub(crate) struct Reasoned {
    /// Its id
    id: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let place = ["v1", "access-requests"];
    match command {
        Command::List {
            account,
            consumer,
            service,
            state,
        } => {
            let filters = Filters::default()
                .with("account_id", account)
                .with("consumer_id", consumer)
                .with("service_id", service)
                .with("state", state);
            list(session, &place, filters, COLUMNS).await
        }
        Command::Show { id } => show(session, &["v1", "access-requests", &id]).await,
        Command::Create { file } => {
            let answer = session
                .client
                .post(&place, Some(&files::json(&file)?))
                .await?;
            session.output.record(&answer)
        }
        Command::Approve { answer, expires_at } => {
            verb(session, answer, "approve", expires_at).await
        }
        Command::Reject(answer) => verb(session, answer, "reject", None).await,
        Command::Withdraw(answer) => verb(session, answer, "withdraw", None).await,
    }
}

async fn verb(
    session: &Session,
    given: Reasoned,
    name: &str,
    expires_at: Option<String>,
) -> Result<(), Failure> {
    let mut body = json!({ "reason": given.reason });
    if let Some(at) = expires_at {
        body["expires_at"] = at.into();
    }
    let answer = session
        .client
        .post(&["v1", "access-requests", &given.id, name], Some(&body))
        .await?;
    session.output.record(&answer)
}
