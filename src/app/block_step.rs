//! Carries a block out, one part at a time: each part is a transaction, and what is left shows in the rows themselves. So a crash after any line loses
//! nothing, and the next step, by whomever, goes on.
//!
//! Whoever blocked is the actor of all of it: the decisions and the changes of services are their word.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::admission::Gate;
use super::change_principals;
use super::decide_connection::{self, Outcome};
use super::decision_words::Why;
use super::sold_services::who_forbids_everybody;
use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::block::{Block, BlockState, account_of, cut};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{BlockId, ConnectionId, EndpointServiceId};
use crate::domain::service_plan::EVERYBODY;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{
    PgConnection, block_work, blocks, connections, endpoint_services, service_changes,
};

/// The most connections that one transaction cuts off.
pub const CHUNK: i64 = 50;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A part is done and there may be more.
    More,
    /// There is nothing left to do, or somebody else is at it.
    Rest,
}

/// Does the next part of a block.
#[tracing::instrument(skip_all, fields(block.id = %id))]
pub async fn step(ctx: &AppContext, id: BlockId) -> Result<Progress, AppError> {
    let Some((state, doors)) = next_doors(ctx, id).await? else {
        return Ok(Progress::Rest);
    };
    for service in doors {
        let done = if state.cuts() {
            take_principals(ctx, id, service).await?
        } else {
            restore_principals(ctx, id, service).await?
        };
        // A service that cannot be changed now does not keep the others.
        if done == Progress::More {
            return Ok(done);
        }
    }
    if state.cuts() {
        cut_off(ctx, id).await
    } else {
        finish(ctx, id).await
    }
}

/// Where a block stands, and the services whose principals it has yet to take away or give back. For looking: each is looked at again under its lock.
async fn next_doors(
    ctx: &AppContext,
    id: BlockId,
) -> Result<Option<(BlockState, Vec<EndpointServiceId>)>, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let Some(block) = blocks::by_id(conn, id).await? else {
        return Ok(None);
    };
    let services = match block.state {
        BlockState::Lifted => return Ok(None),
        BlockState::Restoring => {
            let taken = block_work::taken(conn, id).await?;
            taken.iter().map(|row| row.service).collect()
        }
        BlockState::Cutting | BlockState::Standing => {
            let reach = blocks::reach(conn, &block.subject).await?;
            let doors = block_work::doors(conn, &reach).await?;
            let wanted = doors.iter().filter(|door| !door.wanted.is_empty());
            wanted.map(|door| door.service).collect()
        }
    };
    Ok(Some((block.state, services)))
}

/// Whoever blocked, as decisions and audit entries name them.
fn actor(block: &Block) -> Actor {
    Actor::caller(block.said.by.as_str(), block.request_id.clone())
}

/// A service and then the block, both locked; `None` where either is missing or somebody else has the block.
async fn taken_up(
    conn: &mut PgConnection,
    id: BlockId,
    service: EndpointServiceId,
) -> Result<Option<(Block, RegisteredService)>, AppError> {
    service_changes::lock(conn, service).await?;
    let block = blocks::free(conn, id).await?;
    let service = endpoint_services::by_id(conn, service).await?;
    Ok(block.zip(service))
}

/// Takes what the block covers out of what is desired of one service. AWS follows by the ordinary sync.
async fn take_principals(
    ctx: &AppContext,
    id: BlockId,
    service: EndpointServiceId,
) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some((block, before)) = taken_up(&mut tx, id, service).await? else {
        return Ok(Progress::Rest);
    };
    if !block.state.cuts() {
        return Ok(Progress::More);
    }
    let reach = blocks::reach(&mut tx, &block.subject).await?;
    let (out, stay): (Vec<String>, Vec<String>) = before
        .allowed_principals
        .iter()
        .cloned()
        .partition(|principal| reach.covers(service, principal));
    if out.is_empty() {
        return Ok(Progress::Rest);
    }
    let at = ctx.clock.now();
    let was_open = before.open_to_everybody;
    block_work::note_taken(&mut tx, id, service, &out, was_open, at).await?;
    let reason = format!("blocked as {id}: {}", block.said.reason);
    let who = actor(&block);
    if !change_principals::record(&mut tx, &who, &before, stay, false, &reason, at).await? {
        return Ok(Progress::Rest);
    }
    ctx.commit(tx).await?;
    Ok(Progress::More)
}

/// Gives one service back what the block took, except for what another block still keeps out.
async fn restore_principals(
    ctx: &AppContext,
    id: BlockId,
    service: EndpointServiceId,
) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some((block, before)) = taken_up(&mut tx, id, service).await? else {
        return Ok(Progress::Rest);
    };
    let at = ctx.clock.now();
    let ended = before.lifecycle.state.is_looked_after().is_err();
    let mut principals = before.allowed_principals.clone();
    let mut opens = before.open_to_everybody;
    let mut back = Vec::new();
    for row in block_work::taken(&mut tx, id).await? {
        if row.service != service {
            continue;
        }
        if ended {
            // Nobody comes in there any more, and nothing is asked of it.
            back.push(row.id);
            continue;
        }
        let account = account_of(&row.principal);
        if let Some(other) = block_work::other(&mut tx, id, service, account).await? {
            block_work::hand_over(&mut tx, &row, other, at).await?;
            continue;
        }
        opens |= row.was_open;
        if !principals.contains(&row.principal) {
            principals.push(row.principal);
        }
        back.push(row.id);
    }
    block_work::close(&mut tx, &back, at).await?;
    // It was put up for sale meanwhile, and nothing is sold that everybody may ask for.
    let seller = who_forbids_everybody(&mut tx, &before, &principals).await?;
    if seller.is_some() {
        principals.retain(|principal| principal != EVERYBODY);
        opens = before.open_to_everybody;
    }
    if principals != before.allowed_principals || seller.is_some() {
        let mut who = actor(&block);
        let mut reason = format!("{id} was lifted");
        if let Some(lifted) = &block.lifted {
            who.name.clone_from(&lifted.by);
            who.request_id = None;
            reason = format!("{reason}: {}", lifted.reason);
        }
        if let Some(seller) = seller {
            reason = format!(
                "{reason} (without *: the listing {} sells the service)",
                seller.listing
            );
        }
        let conn = &mut tx;
        if !change_principals::record(conn, &who, &before, principals, opens, &reason, at).await? {
            return Ok(Progress::Rest);
        }
    }
    ctx.commit(tx).await?;
    Ok(Progress::More)
}

/// Cuts the next connections off by ordinary decisions; when there are none, the block stands.
async fn cut_off(ctx: &AppContext, id: BlockId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some(seen) = blocks::by_id(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    let reach = blocks::reach(&mut tx, &seen.subject).await?;
    let next = block_work::next_live(&mut tx, &reach, CHUNK).await?;
    // The services, then the block, then the connections: in the order of all.
    let mut gates: BTreeMap<EndpointServiceId, Gate> = BTreeMap::new();
    for (service, _) in &next {
        if !gates.contains_key(service)
            && let Some(gate) = Gate::of_service(&mut tx, *service).await?
        {
            gates.insert(*service, gate);
        }
    }
    let Some(block) = blocks::free(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    if !block.state.cuts() {
        return Ok(Progress::More);
    }
    let (at, actor) = (ctx.clock.now(), actor(&block));
    if next.is_empty() {
        if blocks::record_cut(&mut tx, id, at).await? {
            let cut = json!({ "cut": block.cut });
            record_end(&mut tx, "block.cut", id, Some(cut), at).await?;
            ctx.commit(tx).await?;
        }
        return Ok(Progress::Rest);
    }
    let ids: Vec<ConnectionId> = next.iter().map(|(_, connection)| *connection).collect();
    block_work::lock(&mut tx, &ids).await?;
    let why = Why::because(format!("blocked as {id}: {}", block.said.reason));
    let mut done = 0;
    for (service, connection) in next {
        let (Some(gate), Some(before)) = (
            gates.get(&service),
            connections::by_id(&mut tx, connection).await?,
        ) else {
            continue;
        };
        // Somebody may have decided, or AWS may have ended it, before the lock.
        let Some(verb) = cut(before.review, &before.observed.state) else {
            continue;
        };
        let to = before
            .review
            .after(verb, &before.observed.state)
            .map_err(AppError::internal)?;
        // A service that has ended meanwhile has nothing left to cut off.
        let Ok(admitted) = gate.admit(verb) else {
            continue;
        };
        let outcome = Outcome {
            admitted,
            to,
            asking: None,
        };
        decide_connection::record(&mut tx, ctx, &actor, &before, outcome, &why, at).await?;
        done += 1;
    }
    blocks::count_cut(&mut tx, id, done).await?;
    ctx.commit(tx).await?;
    Ok(Progress::More)
}

/// The audit entry of an end that a block came to.
async fn record_end(
    conn: &mut PgConnection,
    action: &'static str,
    id: BlockId,
    after: Option<Value>,
    at: DateTime<Utc>,
) -> Result<(), AppError> {
    let entry = Entry {
        at,
        actor: &Actor::worker(),
        action,
        subject: Subject::Block(id),
        before: None,
        after,
        reason: None,
        decision: None,
    };
    audit::record(conn, entry).await?;
    Ok(())
}

/// Everything is back: the block is over.
async fn finish(ctx: &AppContext, id: BlockId) -> Result<Progress, AppError> {
    let mut tx = ctx.begin().await?;
    let Some(block) = blocks::free(&mut tx, id).await? else {
        return Ok(Progress::Rest);
    };
    let at = ctx.clock.now();
    let left = block_work::taken(&mut tx, id).await?;
    if left.is_empty() && blocks::record_restored(&mut tx, block.id, at).await? {
        record_end(&mut tx, "block.restored", id, None, at).await?;
        ctx.commit(tx).await?;
    }
    Ok(Progress::Rest)
}
