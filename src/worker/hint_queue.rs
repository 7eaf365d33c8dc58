//! The hints loop: waits at the queue, stores what comes, and only then deletes it.
//!
//! A crash in between leaves messages that SQS gives out again, and the second time they are known. Nothing in a message can keep it in
//! the queue: whatever it says can be stored.

use std::time::{Duration, Instant};

use privatelink::QueueMessage;

use super::metrics::HintLabels;
use super::{PassError, Place};
use crate::domain::envelope;
use crate::domain::hint::{HintSource, Named};
use crate::store::{StoreError, hint_setups, hints};

/// The least that a pass takes which found nothing: an AWS that answers a long poll at once must not be asked a thousand times a second.
const LEAST: Duration = Duration::from_secs(1);

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Whether there is a queue.
    pub has_queue: bool,
    /// Messages that came.
    pub received: usize,
    /// Of them, those that were not known.
    pub new: usize,
    /// Messages that SQS would not delete. They come again.
    pub left: usize,
}

/// Waits up to `wait` for messages, and stores and deletes those that come.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place, wait: Duration) -> Result<Report, PassError> {
    let account_region = place.lease.account_region;
    let url = place
        .read(async |conn| hint_setups::queue_url(conn, account_region).await)
        .await?;
    let Some(url) = url else {
        return Ok(Report::default());
    };
    let messages = match place.messaging.receive(&url, wait).await {
        Ok(messages) => messages,
        Err(error) if error.is_not_found() => {
            tracing::warn!(queue = url, "the queue is gone; it is made anew");
            let mut tx = place.begin().await?;
            hint_setups::record_queue_lost(&mut tx, account_region, &url, place.now()).await?;
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(Report::default());
        }
        Err(error) => return Err(error.into()),
    };
    let mut report = Report {
        has_queue: true,
        received: messages.len(),
        ..Report::default()
    };
    if messages.is_empty() {
        return Ok(report);
    }
    report.new = store(place, &messages).await?;
    // Followed at once: from here on the hints are safe, whatever becomes of the messages.
    place.hints.heard.wake();
    let handles: Vec<String> = messages.into_iter().map(|m| m.receipt_handle).collect();
    let left = place.messaging.delete_messages(&url, &handles).await?;
    for failure in &left {
        tracing::warn!(
            aws.code = failure.code,
            "a message was not deleted and comes again"
        );
    }
    report.left = left.len();
    Ok(report)
}

/// Stores messages in one transaction; answers how many were new.
async fn store(place: &Place, messages: &[QueueMessage]) -> Result<usize, PassError> {
    let account_region = place.lease.account_region;
    let (mut new, mut duplicates, mut unreadable) = (0, 0, 0);
    let mut tx = place.begin().await?;
    for message in messages {
        let heard = envelope::heard(&message.id, &message.body);
        let named = Named::in_text(&heard.text);
        if named == Named::default() {
            unreadable += 1;
            tracing::info!(message.id = heard.message_id, "a message names nothing");
            // One of these makes us list everything; a thousand would say no more.
            if hints::one_says_nothing(&mut tx, account_region).await? {
                continue;
            }
        }
        let hint = hints::NewHint {
            source: HintSource::Sqs,
            message_id: &heard.message_id,
            named: &named,
            at: place.now(),
        };
        if hints::insert(&mut tx, account_region, &hint).await? {
            new += 1;
        } else {
            duplicates += 1;
        }
    }
    hint_setups::record_message(&mut tx, account_region, place.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    count(place, "received", messages.len());
    count(place, "duplicate", duplicates);
    count(place, "unreadable", unreadable);
    Ok(new)
}

fn count(place: &Place, kind: &'static str, n: usize) {
    let counted = place
        .shared
        .metrics
        .hints
        .get_or_create(&HintLabels { kind });
    counted.inc_by(n as u64);
}

/// How long to rest after a pass that began at `began`: not at all while messages come.
pub fn rest(report: Report, began: Instant, poll_interval: Duration) -> Duration {
    if !report.has_queue {
        poll_interval
    } else if report.received == 0 {
        LEAST.saturating_sub(began.elapsed())
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_too_soon_with_nothing_is_waited_for() {
        let poll = Duration::from_secs(7);
        let nothing = Report {
            has_queue: true,
            ..Report::default()
        };
        let some = Report {
            received: 1,
            ..nothing
        };
        assert!(rest(nothing, Instant::now(), poll) > Duration::from_millis(900));
        assert_eq!(rest(some, Instant::now(), poll), Duration::ZERO);
        assert_eq!(rest(Report::default(), Instant::now(), poll), poll);
    }
}
