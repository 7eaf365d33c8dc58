//! Requests that may be sent twice. The first one is done, and what it is answered is kept in the same transaction; whoever sends it again gets that answer.

use std::time::Duration;

use super::code::Code;
use super::{AppContext, AppError};
use crate::domain::idempotency::{KeptAnswer, Named};
use crate::store::idempotent_requests;
pub use crate::store::unit_of_work::{Unit, Units, apart, wait_for_parts, watched};

/// How long a request waits for another with the same key.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon it looks again at first; each time it waits twice as long, up to the longest.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(320);

/// What to do with a request.
#[derive(Debug)]
pub enum Begun {
    /// It is new: do it within this unit. Dropped, it leaves nothing of what was done.
    New(Unit),
    /// It was done, and this was the answer.
    Known(KeptAnswer),
}

/// Begins a request, or finds the answer that it got before. While another one with its key is being done, it waits for that.
#[tracing::instrument(skip_all)]
pub async fn begin(ctx: &AppContext, named: &Named) -> Result<Begun, AppError> {
    let waited = tokio::time::Instant::now();
    let mut wait = FIRST_LOOK;
    loop {
        let unit = Unit::begin(&ctx.pool, &ctx.units).await?;
        let mut conn = unit.own().await?;
        if idempotent_requests::take(&mut conn, named).await? {
            let since = ctx.clock.now() - ctx.answers_kept;
            let kept = idempotent_requests::kept(&mut conn, named, since).await?;
            drop(conn);
            return match kept {
                None => Ok(Begun::New(unit)),
                Some(kept) if kept.hash == named.hash => Ok(Begun::Known(kept.answer)),
                Some(_) => {
                    let detail =
                        "this key was sent with another request; choose a new one for each";
                    Err(AppError::new(Code::IdempotencyKeyReused, detail))
                }
            };
        }
        // Without a connection in hand: whoever does it may need one.
        drop(conn);
        drop(unit);
        if waited.elapsed() >= PATIENCE {
            let detail = "another request with this key is still being done";
            return Err(AppError::new(Code::IdempotencyInProgress, detail));
        }
        tokio::time::sleep(wait).await;
        wait = LONGEST_WAIT.min(wait * 2);
    }
}

/// Ends a request of which nothing is to stand. What cannot be taken back now is by the end of its connection.
pub async fn give_up(unit: Unit) {
    if let Err(error) = unit.give_up().await {
        tracing::debug!(%error, "a transaction was left to the end of its connection");
    }
}

/// Keeps the answer of a request, and with it all that was done stands.
#[tracing::instrument(skip_all)]
pub async fn keep(
    ctx: &AppContext,
    named: &Named,
    unit: Unit,
    answer: &KeptAnswer,
) -> Result<(), AppError> {
    let mut conn = unit.own().await?;
    idempotent_requests::keep(&mut conn, named, answer, ctx.clock.now()).await?;
    drop(conn);
    unit.commit().await?;
    ctx.nudge.wake();
    Ok(())
}
