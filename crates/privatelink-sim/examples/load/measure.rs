//! Many calls at once, timed one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Options, Result, client};

/// One call that is to be made, and how its answer is judged.
pub(crate) struct Work {
    /// Who calls.
    pub(crate) account: String,
    /// The parameters.
    pub(crate) form: String,
    /// Whether the answer is right.
    pub(crate) right: Box<dyn Fn(&str) -> bool + Send>,
}

/// What a stage took.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    pub(crate) calls: usize,
    pub(crate) took: Duration,
    half: Duration,
    nearly_all: Duration,
}

impl Figures {
    fn new(name: &'static str, took: Duration, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let place = times.len().saturating_sub(1) * percent / 100;
            times.get(place).copied().unwrap_or_default()
        };
        Self {
            name,
            calls: times.len(),
            took,
            half: at(50),
            nearly_all: at(99),
        }
    }

    fn rate(&self) -> f64 {
        let calls = u32::try_from(self.calls).unwrap_or(u32::MAX);
        f64::from(calls) / self.took.as_secs_f64()
    }

    /// One line of the table.
    pub(crate) fn line(&self) -> String {
        format!(
            "| {} | {} | {:.2} | {:.0} | {:.2} | {:.2} |",
            self.name,
            self.calls,
            self.took.as_secs_f64(),
            self.rate(),
            self.half.as_secs_f64() * 1e3,
            self.nearly_all.as_secs_f64() * 1e3,
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "calls": self.calls,
            "seconds": self.took.as_secs_f64(),
            "per_second": self.rate(),
            "p50_ms": self.half.as_secs_f64() * 1e3,
            "p99_ms": self.nearly_all.as_secs_f64() * 1e3,
        })
    }
}

/// Makes calls over several connections until the time is over or there is no more work. `work` is asked with rising numbers.
pub(crate) async fn many(
    name: &'static str,
    url: &str,
    options: &Options,
    work: impl Fn(usize) -> Option<Work> + Send + Sync + 'static,
) -> Result<Figures> {
    let (work, next) = (Arc::new(work), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let end = began + options.time;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..options.connections {
        let (work, next, url) = (Arc::clone(&work), Arc::clone(&next), url.to_owned());
        workers.spawn(async move {
            let client = client::client()?;
            let mut times = Vec::new();
            while Instant::now() < end {
                let Some(work) = work(next.fetch_add(1, Ordering::Relaxed)) else {
                    break;
                };
                let sent = Instant::now();
                let answer = client::ec2(&client, &url, &work.account, &work.form).await?;
                times.push(sent.elapsed());
                if !(work.right)(&answer) {
                    return Err(format!("{name}: wrong answer to {}: {answer}", work.form).into());
                }
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(worker) = workers.join_next().await {
        times.extend(worker??);
    }
    Ok(Figures::new(name, began.elapsed(), times))
}

/// One thing that is done once, over several calls: each call's time is pushed by the one who makes it.
pub(crate) fn once(name: &'static str, began: Instant, times: Vec<Duration>) -> Figures {
    Figures::new(name, began.elapsed(), times)
}
