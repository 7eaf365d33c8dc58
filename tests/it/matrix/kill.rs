//! A worker that is killed: its future is dropped, at a step that was chosen beforehand.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use privatelink_sim::{Effect, Fault, Simulator, When};

use crate::support::PROVIDER;

/// When the worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// It lives.
    Never,
    /// On the way to AWS: after so many calls, and the next one is not made.
    Before(u32),
    /// On the way back: after so many calls the next one is done, and nobody hears the answer.
    After(u32),
    /// The so-manieth time that it waits for anything: mostly for the database, in the middle of a statement or of a commit.
    Waiting(u32),
}

/// What became of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lived {
    /// It was killed.
    pub(super) killed: bool,
    /// How often it waited.
    pub(super) waits: u32,
}

/// Lets the worker work until it is done or dead. It needs no part in the worker or in the port: at the chosen call AWS takes for
/// ever, and whoever waits for that is dropped.
pub(super) async fn work(sim: &Simulator, kill: Kill, worker: impl Future<Output = ()>) -> Lived {
    let trap = match kill {
        Kill::Before(calls) => Some(trap(sim, calls, When::Before)),
        Kill::After(calls) => Some(trap(sim, calls, When::After)),
        Kill::Never | Kill::Waiting(_) => None,
    };
    let mut waits = 0;
    let killed = {
        let mut worker = pin!(worker);
        poll_fn(|context| {
            if worker.as_mut().poll(context).is_ready() {
                return Poll::Ready(false);
            }
            waits += 1;
            let fell = trap.is_some_and(|id| sim.faults().list().iter().all(|f| f.id != id));
            if fell || kill == Kill::Waiting(waits) {
                return Poll::Ready(true);
            }
            Poll::Pending
        })
        .await
        // Here the worker is dropped.
    };
    if let Some(id) = trap {
        sim.faults().remove(id);
    }
    Lived { killed, waits }
}

fn trap(sim: &Simulator, calls: u32, when: When) -> u64 {
    let endless = Effect::Slow {
        delay_ms: Effect::MAX_SLOW_MS,
        when,
    };
    let fault = Fault {
        skip: calls,
        ..Fault::once("*", endless)
    };
    sim.faults()
        .plan(fault.for_account(PROVIDER.parse().unwrap()))
}
