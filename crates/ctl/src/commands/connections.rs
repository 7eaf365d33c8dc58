//! `ctl connections`.

use clap::Subcommand;
use serde_json::json;

use super::filters::{Filters, list, show};
use crate::ids;
use crate::outcome::Failure;
use crate::session::Session;
use crate::table::Column;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("ENDPOINT", "endpoint_id"),
    ("ACCOUNT", "owner_account_id"),
    ("CONSUMER", "consumer.name"),
    ("SUMMARY", "summary"),
    ("REVIEW", "review.state"),
    ("SYNC", "sync.state"),
    ("FIRST SEEN", "first_seen_at"),
];

const CHECKS: &[Column] = &[
    ("CHECK", "check"),
    ("STATUS", "status"),
    ("EVIDENCE", "evidence"),
    ("FIX", "fix"),
];

const JUDGEMENTS: &[Column] = &[
    ("ID", "id"),
    ("AT", "judged_at"),
    ("OUTCOME", "outcome"),
    ("GATE", "gate"),
    ("POLICIES", "policies"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them
    List {
        /// Only those that stand so, in one word
        #[arg(long)]
        summary: Option<String>,
        /// Only those whose review stands so
        #[arg(long)]
        review: Option<String>,
        /// Only those of this service (`svc_…`)
        #[arg(long)]
        service: Option<String>,
        /// Only those of the service that AWS knows by this id (`vpce-svc-…`)
        #[arg(long)]
        aws_service_id: Option<String>,
        /// Only those of this AWS account
        #[arg(long)]
        account: Option<String>,
        /// Only those of this consumer (`cns_…`)
        #[arg(long)]
        consumer: Option<String>,
        /// Only those of this endpoint (`vpce-…`)
        #[arg(long)]
        endpoint: Option<String>,
    },
    /// Show one, with its history
    Show(One),
    /// Why it is decided as it is, and what would have to change
    Explain(One),
    /// Every check, and the most likely reason why it does not work
    Doctor(One),
    /// What gates and policies said of it
    Judgements(One),
    /// Say something about it
    Comment {
        #[command(flatten)]
        one: One,
        /// What
        text: String,
    },
    /// Have the worker try again what stalled
    RetrySync(One),
}

#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// Its id, ours (`con_…`) or AWS's of the endpoint (`vpce-…`)
    id: String,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List {
            summary,
            review,
            service,
            aws_service_id,
            account,
            consumer,
            endpoint,
        } => {
            let filters = Filters::default()
                .with("summary", summary)
                .with("review", review)
                .with("service_id", service)
                .with("aws_service_id", aws_service_id)
                .with("owner_account_id", account)
                .with("consumer_id", consumer)
                .with("endpoint_id", endpoint);
            list(session, &["v1", "connections"], filters, COLUMNS).await
        }
        Command::Show(one) => {
            let id = one.ours(session).await?;
            show(session, &["v1", "connections", &id]).await
        }
        Command::Explain(one) => {
            let id = one.ours(session).await?;
            show(session, &["v1", "connections", &id, "explanation"]).await
        }
        Command::Doctor(one) => {
            let id = one.ours(session).await?;
            let answer = session
                .client
                .get(&["v1", "connections", &id, "doctor"], &[])
                .await?;
            session.output.results(&answer, "checks", CHECKS)
        }
        Command::Judgements(one) => {
            let id = one.ours(session).await?;
            list(
                session,
                &["v1", "connections", &id, "judgements"],
                Filters::default(),
                JUDGEMENTS,
            )
            .await
        }
        Command::Comment { one, text } => {
            let id = one.ours(session).await?;
            let body = json!({ "body": text });
            let answer = session
                .client
                .post(&["v1", "connections", &id, "comments"], Some(&body))
                .await?;
            session.output.record(&answer)
        }
        Command::RetrySync(one) => {
            let id = one.ours(session).await?;
            let answer = session
                .client
                .post(&["v1", "connections", &id, "retry-sync"], None)
                .await?;
            session.output.record(&answer)
        }
    }
}

impl One {
    async fn ours(&self, session: &Session) -> Result<String, Failure> {
        ids::connection(&session.client, &self.id).await
    }
}
