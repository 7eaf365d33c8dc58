//! `ctl account-regions`.

use clap::Subcommand;
use serde_json::json;

use super::filters::{Filters, list, show};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("ACCOUNT", "account_id"),
    ("REGION", "region"),
    ("NAME", "name"),
    ("ENABLED", "enabled"),
    ("LISTED AT", "listing.at"),
    ("ERROR", "error.code"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them
    List,
    /// Show one
    Show {
        /// Its id (`acr_…`)
        id: String,
    },
    /// Register one
    Register {
        /// The AWS account
        account_id: String,
        /// The Region
        region: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// The role to work with
        #[arg(long)]
        role_arn: Option<String>,
        /// The role's external id
        #[arg(long, requires = "role_arn")]
        external_id: Option<String>,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let place = ["v1", "account-regions"];
    match command {
        Command::List => list(session, &place, Filters::default(), COLUMNS).await,
        Command::Show { id } => show(session, &["v1", "account-regions", &id]).await,
        Command::Register {
            account_id,
            region,
            name,
            role_arn,
            external_id,
        } => {
            let mut body = json!({ "account_id": account_id, "region": region });
            for (member, value) in [
                ("name", name),
                ("role_arn", role_arn),
                ("external_id", external_id),
            ] {
                if let Some(value) = value {
                    body[member] = value.into();
                }
            }
            let answer = session.client.post(&place, Some(&body)).await?;
            session.output.record(&answer)
        }
    }
}
