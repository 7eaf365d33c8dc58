//! Calls that wait: a receive that finds nothing is looked at again when something changes, until its time is over.
//!
//! Nothing is held meanwhile, neither a thread nor the world's lock. The time a call may wait is the machine's, so that a
//! stopped clock keeps nobody; what it waits for is due by the simulated clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::AwsError;
use crate::api::Call;
use crate::calls::{Ended, pause};
use crate::effects::When;
use crate::simulator::Simulator;
use crate::world::identity::Identity;
use crate::world::{Caller, World};

/// What one look at the world found.
#[derive(Debug)]
pub(crate) enum Look<T> {
    /// The answer.
    Found(T),
    /// Nothing yet. The answer in case nothing comes, how long the call may wait in all, and when something is due at the
    /// latest by the simulated clock.
    Nothing {
        answer: T,
        patience: Duration,
        due: Option<DateTime<Utc>>,
    },
}

/// One call that waits, while it does.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn count(waiters: &'a AtomicUsize) -> Self {
        waiters.fetch_add(1, Ordering::SeqCst);
        Self(waiters)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Simulator {
    /// How many calls are waiting now, such as receives from empty queues.
    pub fn waiting(&self) -> usize {
        self.waiters().load(Ordering::SeqCst)
    }

    /// Does one call that may wait: one set of faults, one line in the log, as many looks as it takes.
    pub(crate) async fn call_waiting<T>(
        &self,
        call: Call,
        identity: Identity,
        mut look: impl FnMut(&mut World, &Caller) -> Result<Look<T>, AwsError>,
    ) -> Ended<T> {
        let plan = self.faults().befall(&call);
        pause(plan.slow_before).await;
        if let Some((how, When::Before)) = plan.broken {
            return self.lost(call, how);
        }
        let started = Instant::now();
        let (result, done) = loop {
            // Whoever wants to hear of a change must listen before looking.
            let changed = self.changes().notified();
            let moved = self.clock().moved().notified();
            tokio::pin!(changed, moved);
            changed.as_mut().enable();
            moved.as_mut().enable();
            let (result, done) = self.perform(&call, identity.clone(), plan.look(), &mut look);
            let (answer, patience, due) = match result {
                Err(failure) => break (Err(failure), done),
                Ok(Look::Found(answer)) => break (Ok(answer), done),
                Ok(Look::Nothing {
                    answer,
                    patience,
                    due,
                }) => (answer, patience, due),
            };
            let end = started + patience;
            if Instant::now() >= end {
                break (Ok(answer), done);
            }
            let _waits = Waits::count(self.waiters());
            tokio::select! {
                () = changed => {}
                () = moved => {}
                () = sleep_until(self.wake_at(due, end)) => {}
            }
        };
        let result = match result {
            Ok(answer) => plan.afterwards(answer),
            failed => failed,
        };
        let ended = self.ended(call, result, done, plan.broken.map(|(how, _)| how));
        pause(plan.slow_after).await;
        ended
    }

    /// When to look again if nothing changes: at the end, or when something is due and the clock runs towards it.
    pub(crate) fn wake_at(&self, due: Option<DateTime<Utc>>, end: Instant) -> Instant {
        due.and_then(|due| self.clock().wait_until(due))
            .and_then(|wait| Instant::now().checked_add(wait))
            .map_or(end, |at| at.min(end))
    }
}
