//! `ctl reviews`: the queue.

use clap::Subcommand;

use super::filters::{Filters, list, show};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("CONNECTION", "connection_id"),
    ("SERVICE", "service_name"),
    ("ENDPOINT", "endpoint_id"),
    ("ACCOUNT", "owner_account_id"),
    ("DUE", "due_at"),
    ("OVERDUE", "overdue"),
    ("CLAIMED BY", "claim.by"),
    ("HELD FOR", "hold.code"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what waits, the earliest deadline first
    List {
        /// Only of this service (`svc_…`)
        #[arg(long)]
        service: Option<String>,
        /// Only of this AWS account
        #[arg(long)]
        account: Option<String>,
        /// Only what this person works on
        #[arg(long)]
        claimed_by: Option<String>,
        /// Only what somebody works on, or nobody
        #[arg(long)]
        claimed: Option<bool>,
        /// Only what is overdue, or is not
        #[arg(long)]
        overdue: Option<bool>,
        /// Only what is held, or is not
        #[arg(long)]
        held: Option<bool>,
    },
    /// The queue in figures
    Summary,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List {
            service,
            account,
            claimed_by,
            claimed,
            overdue,
            held,
        } => {
            let filters = Filters::default()
                .with("service_id", service)
                .with("owner_account_id", account)
                .with("claimed_by", claimed_by)
                .with("claimed", claimed)
                .with("overdue", overdue)
                .with("held", held);
            list(session, &["v1", "reviews"], filters, COLUMNS).await
        }
        Command::Summary => show(session, &["v1", "reviews", "summary"]).await,
    }
}
