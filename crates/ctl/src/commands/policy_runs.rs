//! `ctl policies dry-run`, which waits for the worker.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Answer;
use crate::outcome::Failure;
use crate::session::Session;

/// The pause between two looks at a run, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

#[derive(Debug, clap::Args)]
pub(crate) struct DryRun {
    /// The policy's id
    id: String,
    /// How many of the last decisions are judged again, beside everything that is live
    #[arg(long, default_value_t = 1000)]
    decisions: u32,
    /// Do not wait for the result
    #[arg(long)]
    no_wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait_seconds: u64,
}

/// Asks for a run and waits for its end. Fails where it failed, or is not over in time.
pub(super) async fn dry_run(session: &Session, asked: DryRun) -> Result<(), Failure> {
    let body = json!({ "decisions": asked.decisions });
    let answer = session
        .client
        .post(&["v1", "policies", &asked.id, "dry-runs"], Some(&body))
        .await?;
    let run = answer.json()?["id"].as_str().map(str::to_owned);
    let run = run.ok_or_else(|| Failure::Garbled("a dry run without an id".to_owned()))?;
    if asked.no_wait {
        return session.output.record(&answer);
    }
    let (mut pause, longest) = PAUSE;
    let end = Instant::now() + Duration::from_secs(asked.wait_seconds);
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
        let answer = session
            .client
            .get(&["v1", "policies", &asked.id, "dry-runs", &run], &[])
            .await?;
        let said = answer.json()?;
        match said["state"].as_str() {
            Some("done") => return show(session, &answer),
            Some("failed") => {
                show(session, &answer)?;
                let why = said["failure"].as_str().unwrap_or("no reason was given");
                return Err(Failure::NotAll(format!("the dry run failed: {why}")));
            }
            _ if Instant::now() > end => {
                return Err(Failure::Unreachable(format!(
                    "the dry run {run} is not over after {} s",
                    asked.wait_seconds
                )));
            }
            _ => {}
        }
    }
}

/// The figures. The samples are for those who read JSON.
fn show(session: &Session, answer: &Answer) -> Result<(), Failure> {
    if !session.output.is_table() {
        return session.output.record(answer);
    }
    let mut said = answer.json()?;
    if let Some(result) = said["result"].as_object_mut() {
        result.remove("samples");
    }
    let kept: Value = [
        "id",
        "policy_id",
        "state",
        "failure",
        "without_it",
        "result",
    ]
    .into_iter()
    .filter(|member| !said[*member].is_null())
    .map(|member| (member.to_owned(), said[member].clone()))
    .collect::<serde_json::Map<_, _>>()
    .into();
    session.output.record(&Answer {
        text: kept.to_string(),
    })
}
