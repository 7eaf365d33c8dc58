//! `ctl audit`: reading the trail over the API. Verifying it is `portcullis audit`, which needs no API.

use clap::Subcommand;

use super::filters::{Filters, list};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("AT", "at"),
    ("KIND", "actor_kind"),
    ("ACTOR", "actor"),
    ("ACTION", "action"),
    ("SUBJECT", "subject_id"),
    ("REASON", "reason"),
    ("REQUEST", "request_id"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List entries, newest first
    List {
        /// Only about this: an id of ours
        #[arg(long)]
        subject: Option<String>,
        /// Only by this actor
        #[arg(long)]
        actor: Option<String>,
        /// Only of this action
        #[arg(long)]
        action: Option<String>,
        /// Only of this request
        #[arg(long)]
        request_id: Option<String>,
        /// Only from then on, as in 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only before that
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let Command::List {
        subject,
        actor,
        action,
        request_id,
        since,
        until,
    } = command;
    let filters = Filters::default()
        .with("subject_id", subject)
        .with("actor", actor)
        .with("action", action)
        .with("request_id", request_id)
        .with("since", since)
        .with("until", until);
    list(session, &["v1", "audit-entries"], filters, COLUMNS).await
}
