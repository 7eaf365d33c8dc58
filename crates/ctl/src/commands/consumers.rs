//! `ctl consumers`.

use clap::Subcommand;
use serde_json::json;

use super::filters::{Filters, list, show};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("SLUG", "slug"),
    ("STATE", "state"),
    ("SINCE", "created_at"),
];

const ACCOUNTS: &[Column] = &[
    ("ACCOUNT", "account_id"),
    ("KNOWN BY", "known_by"),
    ("PROOF", "proof"),
    ("ADDED BY", "added.by"),
    ("ADDED", "added.at"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them
    List {
        /// Only those whose name has this in it
        #[arg(long)]
        name: Option<String>,
        /// Only those with this label, `name` or `name=value`
        #[arg(long)]
        label: Option<String>,
        /// Only the one that this AWS account belongs to
        #[arg(long)]
        account: Option<String>,
        /// Only those that stand so
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one
    Show {
        /// Its id (`cns_…`)
        id: String,
    },
    /// Add one
    Create {
        /// What it is called
        name: String,
        /// A short name; made from the name when absent
        #[arg(long)]
        slug: Option<String>,
    },
    /// List a consumer's AWS accounts
    Accounts {
        /// The consumer's id
        id: String,
    },
    /// Add an AWS account to a consumer
    AddAccount {
        /// The consumer's id
        id: String,
        /// The account: 12 digits
        account_id: String,
        /// How it is known to be theirs: `none`, `operator_vouched`
        #[arg(long)]
        proof: Option<String>,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let place = ["v1", "consumers"];
    match command {
        Command::List {
            name,
            label,
            account,
            state,
        } => {
            let filters = Filters::default()
                .with("name", name)
                .with("label", label)
                .with("account_id", account)
                .with("state", state);
            list(session, &place, filters, COLUMNS).await
        }
        Command::Show { id } => show(session, &["v1", "consumers", &id]).await,
        Command::Create { name, slug } => {
            let mut body = json!({ "name": name });
            if let Some(slug) = slug {
                body["slug"] = slug.into();
            }
            let answer = session.client.post(&place, Some(&body)).await?;
            session.output.record(&answer)
        }
        Command::Accounts { id } => {
            list(
                session,
                &["v1", "consumers", &id, "accounts"],
                Filters::default(),
                ACCOUNTS,
            )
            .await
        }
        Command::AddAccount {
            id,
            account_id,
            proof,
            reason,
        } => {
            let mut body = json!({ "account_id": account_id, "reason": reason });
            if let Some(proof) = proof {
                body["proof"] = proof.into();
            }
            let answer = session
                .client
                .post(&["v1", "consumers", &id, "accounts"], Some(&body))
                .await?;
            session.output.record(&answer)
        }
    }
}
