//! `ctl operations`: work that goes on for longer than a request.

use std::time::{Duration, Instant};

use clap::Subcommand;

use super::filters::{Filters, list, show};
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("PHASE", "phase"),
    ("DONE", "progress.done"),
    ("OF", "progress.total"),
    ("SINCE", "began_at"),
    ("BY", "began_by"),
    ("ENDED", "ended_at"),
];

/// The pause between two looks, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, newest first
    List {
        /// Only of this kind: `policy_dry_run`, `rejudgement`, `block`, `access_removal`, `service_end`
        #[arg(long)]
        kind: Option<String>,
        /// Only those that are this far: queued, running, waiting, succeeded, failed, cancelled
        #[arg(long)]
        state: Option<String>,
    },
    /// Show how far one is
    Show {
        /// Its id: that of the dry run, the re-judgement, the block, the access removal or the service
        id: String,
    },
    /// Wait until one is over, or waits for a person or a time
    Wait {
        /// Its id
        id: String,
        /// How long, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        wait_seconds: u64,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { kind, state } => {
            let filters = Filters::default().with("kind", kind).with("state", state);
            list(session, &["v1", "operations"], filters, COLUMNS).await
        }
        Command::Show { id } => show(session, &["v1", "operations", &id]).await,
        Command::Wait { id, wait_seconds } => wait(session, &id, wait_seconds).await,
    }
}

/// Looks until it is over. Fails where it failed, was taken back, or is not over in time.
async fn wait(session: &Session, id: &str, seconds: u64) -> Result<(), Failure> {
    let (mut pause, longest) = PAUSE;
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let answer = session.client.get(&["v1", "operations", id], &[]).await?;
        let said = answer.json()?;
        let state = said["state"].as_str().unwrap_or_default();
        if !matches!(state, "queued" | "running") {
            session.output.record(&answer)?;
            return match state {
                "succeeded" => Ok(()),
                "waiting" => Err(Failure::NotAll(format!(
                    "{id} waits for a person or a time"
                ))),
                _ => {
                    let why = said["failure"].as_str().unwrap_or("no reason was given");
                    Err(Failure::NotAll(format!("{id} is {state}: {why}")))
                }
            };
        }
        if Instant::now() > end {
            let told = format!("{id} is not over after {seconds} s");
            return Err(Failure::Unreachable(told));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
