//! Lookups and lists of re-judgements.

use super::read::Listed;
use super::rejudge::missing;
use super::{AppContext, AppError};
use crate::domain::ids::{ConnectionId, RejudgementId};
use crate::domain::rejudgement::{Losing, LosingState, Rejudgement};
use crate::store::{PgConnection, rejudged, rejudgements};

/// How many of the connections that lose their access are shown with a re-judgement.
pub const SAMPLES: i64 = 20;

/// One re-judgement, with the first of the connections that it found to lose their access.
pub async fn rejudgement(
    ctx: &AppContext,
    id: RejudgementId,
) -> Result<(Rejudgement, Vec<Losing>), AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let found = rejudgements::by_id(conn, id).await?;
    let found = found.ok_or_else(|| missing(id))?;
    let rejected: Vec<LosingState> = LosingState::ALL
        .iter()
        .copied()
        .filter(|state| *state != LosingState::Held)
        .collect();
    let samples = rejudged::page(conn, id, &rejected, None, SAMPLES).await?;
    Ok((found, samples))
}

/// Re-judgements, newest first.
pub async fn rejudgements(
    ctx: &AppContext,
    filter: &rejudgements::Filter<'_>,
    before: Option<RejudgementId>,
    limit: i64,
) -> Result<Listed<Rejudgement, RejudgementId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let rows = rejudgements::page(conn, filter, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.id))
}

/// The connections that one would not accept, the newest first.
pub async fn losing(
    ctx: &AppContext,
    id: RejudgementId,
    state: Option<LosingState>,
    before: Option<ConnectionId>,
    limit: i64,
) -> Result<Listed<Losing, ConnectionId>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    if rejudgements::by_id(conn, id).await?.is_none() {
        return Err(missing(id));
    }
    let states = state.map_or(LosingState::ALL.to_vec(), |state| vec![state]);
    let rows = rejudged::page(conn, id, &states, before, limit + 1).await?;
    Ok(Listed::cut(rows, limit, |row| row.connection))
}
