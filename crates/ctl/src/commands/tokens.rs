//! `ctl tokens`: tokens of programs. A secret is shown once, on standard output alone.

use clap::Subcommand;
use serde_json::{Value, json};

use super::filters::{Filters, list, show};
use crate::client::Answer;
use crate::confirm;
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("STATE", "state"),
    ("ROLES", "roles"),
    ("SCOPES", "scopes"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
    ("MADE BY", "made_by"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, newest first
    List {
        /// Only those that stand so: active, expired, revoked
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one, without its secret
    Show {
        /// Its id (`stk_…`)
        id: String,
    },
    /// Make one. The answer has its secret, once
    Create {
        /// What it is for
        name: String,
        /// What it is trusted with; may be given more than once
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// What it is narrowed to: read, audit, decide, manage; may be given more than once
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// When it ends by itself, as in 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: String,
    },
    /// Give one another secret. The answer has it, once
    Rotate {
        /// The token's id
        id: String,
        /// For how many seconds the secret before goes on; with 0 it ends at once
        #[arg(long, value_name = "SECONDS")]
        grace_seconds: u32,
    },
    /// End one, at once and for ever
    Revoke {
        /// The token's id
        id: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let place = ["v1", "service-tokens"];
    match command {
        Command::List { state } => {
            let filters = Filters::default().with("state", state);
            list(session, &place, filters, COLUMNS).await
        }
        Command::Show { id } => show(session, &["v1", "service-tokens", &id]).await,
        Command::Create {
            name,
            roles,
            scopes,
            expires_at,
        } => {
            let mut body = json!({ "name": name, "roles": roles, "expires_at": expires_at });
            if !scopes.is_empty() {
                body["scopes"] = scopes.into();
            }
            let answer = session.client.post(&place, Some(&body)).await?;
            shown_once(session, &answer)
        }
        Command::Rotate { id, grace_seconds } => {
            if grace_seconds == 0 {
                confirm::ask(session, &format!("The secret of {id} will end now."))?;
            }
            let body = json!({ "grace_seconds": grace_seconds });
            let path = ["v1", "service-tokens", &id, "rotate"];
            let answer = session.client.post(&path, Some(&body)).await?;
            shown_once(session, &answer)
        }
        Command::Revoke { id, reason } => {
            confirm::ask(session, &format!("{id} will be revoked."))?;
            let body = json!({ "reason": reason });
            let path = ["v1", "service-tokens", &id, "revoke"];
            let answer = session.client.post(&path, Some(&body)).await?;
            session.output.record(&answer)
        }
    }
}

/// Shows a token with its secret. A repeated request is answered without: the secret went with the answer that was lost.
fn shown_once(session: &Session, answer: &Answer) -> Result<(), Failure> {
    session.output.record(answer)?;
    let said = answer.json()?;
    if matches!(said["secret"], Value::String(_)) {
        return Ok(());
    }
    let id = said["token"]["id"].as_str().unwrap_or("it");
    Err(Failure::NotAll(format!(
        "the answer with the secret was lost: rotate {id}"
    )))
}
