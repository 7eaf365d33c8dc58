//! `ctl events`: the feed, once or for as long as somebody looks.

use std::time::Duration;

use clap::Subcommand;

use super::filters::{Filters, list_from};
use crate::outcome::Failure;
use crate::pages::{self, Wanted};
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("AT", "at"),
    ("TYPE", "type"),
    ("SUBJECT", "subject_id"),
    ("SERVICE", "service_id"),
    ("FROM", "observed.from"),
    ("TO", "observed.to"),
    ("REQUEST", "request_id"),
];

/// How often is asked for what is new.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List events, the oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Only after this one: its number. From the oldest that is kept unless given
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
    },
    /// Show events as they happen, until it is stopped
    Follow {
        #[command(flatten)]
        which: Which,
        /// From after this one on: its number. From now on unless given
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Only of this type, `connection.accept`, or of all with this noun, `connection`
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only about this: an id of ours
    #[arg(long)]
    subject: Option<String>,
    /// Only about this service and its connections
    #[arg(long)]
    service: Option<String>,
}

impl Which {
    fn filters(&self) -> Filters {
        Filters::default()
            .with("type", self.kind.as_ref())
            .with("subject_id", self.subject.as_ref())
            .with("service_id", self.service.as_ref())
    }
}

const PLACE: [&str; 2] = ["v1", "events"];

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { which, after } => {
            let from = after.map(|id| id.to_string());
            let (filters, wanted) = (which.filters(), session.wanted);
            list_from(session, &PLACE, &filters, wanted, from, COLUMNS).await?;
            Ok(())
        }
        Command::Follow { which, after } => follow(session, &which.filters(), after).await,
    }
}

async fn follow(session: &Session, filters: &Filters, after: Option<u64>) -> Result<(), Failure> {
    let mut cursor = after.map_or_else(|| "latest".to_owned(), |id| id.to_string());
    loop {
        let from = Some(cursor.clone());
        let rows = pages::read(&session.client, &PLACE, &filters.0, Wanted::All, from).await?;
        cursor = rows.next.clone().unwrap_or(cursor);
        session.output.rows(&rows.items, COLUMNS)?;
        tokio::time::sleep(LOOK).await;
    }
}
