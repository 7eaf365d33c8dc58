//! `ctl stalls`.

use clap::Subcommand;

use super::filters::{Filters, list};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("KIND", "kind"),
    ("ID", "id"),
    ("NAME", "name"),
    ("SINCE", "stalled_at"),
    ("CODE", "code"),
    ("MESSAGE", "message"),
    ("OWNER", "owner"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, the oldest first
    List {
        /// Only of this kind: connection, service
        #[arg(long)]
        kind: Option<String>,
        /// Only with this code
        #[arg(long)]
        code: Option<String>,
        /// Only those that somebody takes care of, or nobody
        #[arg(long)]
        owned: Option<bool>,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let Command::List { kind, code, owned } = command;
    let filters = Filters::default()
        .with("kind", kind)
        .with("code", code)
        .with("owned", owned);
    list(session, &["v1", "stalls"], filters, COLUMNS).await
}
