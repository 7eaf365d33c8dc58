//! Reading the feed of events.

use super::code::Code;
use super::{AppContext, AppError};
use crate::domain::event::{Bounds, Event};
use crate::store::events;
pub use crate::store::events::Filter;

/// Where the feed begins and ends.
pub async fn bounds(ctx: &AppContext) -> Result<Bounds, AppError> {
    Ok(events::bounds(&mut *ctx.acquire().await?).await?)
}

/// Events after a position, up to another, and at most so many.
pub async fn between(
    ctx: &AppContext,
    after: i64,
    up_to: i64,
    limit: i64,
) -> Result<Vec<Event>, AppError> {
    let conn = &mut *ctx.acquire().await?;
    Ok(events::after(conn, &Filter::default(), after, up_to, limit).await?)
}

/// How far one page looks for events that its filter lets through.
const FARTHEST: i64 = 20_000;

/// Some events, and the position up to which the feed was read.
#[derive(Debug)]
pub struct Read {
    /// The events, in their order.
    pub events: Vec<Event>,
    /// Where to read on.
    pub position: i64,
    /// Whether the feed goes on behind that already.
    pub has_more: bool,
}

/// Reads on after a position; from the beginning where there is none.
pub async fn page(
    ctx: &AppContext,
    filter: &Filter,
    after: Option<i64>,
    limit: i64,
) -> Result<Read, AppError> {
    let conn = &mut *ctx.acquire().await?;
    let bounds = events::bounds(conn).await?;
    let after = after.unwrap_or(bounds.first - 1);
    refuse_gap(bounds, after)?;
    let up_to = bounds.last.min(after.saturating_add(FARTHEST));
    let events = events::after(conn, filter, after, up_to, limit).await?;
    let full = i64::try_from(events.len()).is_ok_and(|count| count == limit);
    let position = match events.last() {
        Some(last) if full => last.position,
        // Those that the filter kept back are read, too.
        _ => up_to,
    };
    Ok(Read {
        events,
        position,
        has_more: position < bounds.last,
    })
}

/// Refuses to go on where events would be missing.
pub fn refuse_gap(bounds: Bounds, after: i64) -> Result<(), AppError> {
    if bounds.go_on_after(after) {
        return Ok(());
    }
    let Bounds { first, last } = bounds;
    let detail = format!(
        "the feed has the events {first} to {last}, and cannot go on after {after}; read what you follow anew, then go on after {last}"
    );
    Err(AppError::new(Code::EventsGone, detail).field("cursor"))
}
