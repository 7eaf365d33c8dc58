//! The kill switch: blocks an account, a consumer or a service, and takes that back.
//!
//! Here only the word is given: a denial, so that nothing is accepted any more, and the block, which [`super::block_step`] carries out part by part.

use serde_json::json;

use super::code::Code;
use super::deny::{self, NewDenial};
use super::{AppContext, AppError, change_consumer, text};
use crate::domain::actor::Actor;
use crate::domain::block::{Block, BlockState, Blocked, Extent};
use crate::domain::consumer::Said;
use crate::domain::denial::Denied;
use crate::domain::ids::BlockId;
use crate::store::audit::{self, Entry, Subject};
use crate::store::block_work::{self, Door, LiveCount};
use crate::store::{
    PgConnection, blocks, consumers, denials, endpoint_services, parties, service_changes,
};

/// What a block would do.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Connections that would be cut off.
    pub connections: Vec<LiveCount>,
    /// Services that let somebody in.
    pub doors: Vec<Door>,
}

impl Preview {
    /// The same in two numbers.
    pub fn extent(&self) -> Extent {
        let wanted: usize = self.doors.iter().map(|door| door.wanted.len()).sum();
        Extent {
            connections: self.connections.iter().map(|row| row.count).sum(),
            principals: i64::try_from(wanted).unwrap_or(i64::MAX),
        }
    }
}

/// Says what a block would do, now.
pub async fn preview(ctx: &AppContext, subject: &Blocked) -> Result<Preview, AppError> {
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    refuse_missing(conn, subject).await?;
    look(conn, subject).await
}

async fn look(conn: &mut PgConnection, subject: &Blocked) -> Result<Preview, AppError> {
    let reach = blocks::reach(conn, subject).await?;
    let mut doors = block_work::doors(conn, &reach).await?;
    // For people by name; whoever locks the services keeps to their ids.
    doors.sort_by(|a, b| (&a.service_name, a.service).cmp(&(&b.service_name, b.service)));
    Ok(Preview {
        connections: block_work::live(conn, &reach).await?,
        doors,
    })
}

async fn refuse_missing(conn: &mut PgConnection, subject: &Blocked) -> Result<(), AppError> {
    match subject {
        Blocked::Account(_) => {}
        Blocked::Consumer(id) => {
            let found = consumers::by_id(conn, *id).await?;
            found.ok_or_else(|| change_consumer::missing(*id))?;
        }
        Blocked::Service(id) => {
            let found = endpoint_services::by_id(conn, *id).await?;
            let detail = || format!("there is no service {id}");
            found.ok_or_else(|| AppError::new(Code::ServiceNotFound, detail()))?;
        }
    }
    Ok(())
}

/// Blocks: from the commit on nothing of it is accepted, and a worker begins to cut off what lives. `confirmed` is what the caller was shown; where
/// it is something else by now, nothing is done.
#[tracing::instrument(skip_all)]
pub async fn block(
    ctx: &AppContext,
    actor: &Actor,
    subject: Blocked,
    confirmed: Extent,
    reason: &str,
) -> Result<Block, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let (denied, service) = match &subject {
        Blocked::Account(account) => (Denied::Account(account.clone()), None),
        Blocked::Consumer(consumer) => (Denied::Consumer(*consumer), None),
        Blocked::Service(service) => (Denied::Everybody, Some(*service)),
    };
    let new = NewDenial {
        subject: denied,
        service,
        expires_at: None,
        reason: reason.clone(),
    };
    let mut tx = ctx.begin().await?;
    // Locks the subject: what is counted below is what nobody accepts any more.
    let denial = deny::record(&mut tx, ctx, actor, new).await?;
    if let Some(standing) = blocks::of_subject(&mut tx, &subject).await? {
        let detail = format!("{} blocked it as {}", standing.said.by, standing.id);
        return Err(AppError::new(Code::AlreadyBlocked, detail));
    }
    let extent = look(&mut tx, &subject).await?.extent();
    if extent != confirmed {
        let detail = format!(
            "it is {} connections and {} principals now; look at the preview again and confirm these",
            extent.connections, extent.principals
        );
        return Err(AppError::new(Code::PreviewChanged, detail).field("confirm"));
    }
    let block = Block {
        id: BlockId::new(denial.said.at),
        subject,
        denial: denial.id,
        state: BlockState::Cutting,
        said: denial.said,
        request_id: actor.request_id.clone(),
        confirmed,
        cut: 0,
        cut_at: None,
        lifted: None,
        restored_at: None,
    };
    blocks::insert(&mut tx, &block).await?;
    let (account, consumer, service) = match &block.subject {
        Blocked::Account(account) => (Some(account), None, None),
        Blocked::Consumer(consumer) => (None, Some(consumer), None),
        Blocked::Service(service) => (None, None, Some(service)),
    };
    let entry = Entry {
        at: block.said.at,
        actor,
        action: "block.add",
        subject: Subject::Block(block.id),
        before: None,
        after: Some(json!({
            "subject": block.subject.kind(), "account_id": account, "consumer_id": consumer, "service_id": service,
            "denial_id": block.denial, "connections": confirmed.connections, "principals": confirmed.principals,
        })),
        reason: Some(&reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(block)
}

/// Takes a block back: its denial is lifted, and the principals that it took away come back. What was rejected stays rejected, because AWS has no
/// way back.
#[tracing::instrument(skip_all)]
pub async fn unblock(
    ctx: &AppContext,
    actor: &Actor,
    subject: &Blocked,
    reason: &str,
) -> Result<Block, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    match subject {
        Blocked::Account(account) => parties::lock_account(&mut tx, account).await?,
        Blocked::Consumer(consumer) => consumers::lock(&mut tx, *consumer).await?,
        Blocked::Service(service) => service_changes::lock(&mut tx, *service).await?,
    }
    refuse_missing(&mut tx, subject).await?;
    let before = blocks::of_subject(&mut tx, subject)
        .await?
        .ok_or_else(|| AppError::new(Code::NotBlocked, "nothing blocks it"))?;
    let lifted = Said {
        at: ctx.clock.now(),
        by: actor.name.clone(),
        reason: reason.clone(),
    };
    if !blocks::record_lifted(&mut tx, before.id, &lifted).await? {
        return Err(AppError::internal("the block changed under its own lock"));
    }
    let denial = denials::locked(&mut tx, before.denial)
        .await?
        .ok_or_else(|| AppError::internal("a block names a denial that is not there"))?;
    deny::record_lift(&mut tx, ctx, actor, denial, reason.clone()).await?;
    let entry = Entry {
        at: lifted.at,
        actor,
        action: "block.lift",
        subject: Subject::Block(before.id),
        before: Some(json!({ "state": before.state, "cut": before.cut })),
        after: Some(json!({ "state": BlockState::Restoring })),
        reason: Some(&reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = blocks::by_id(&mut tx, before.id)
        .await?
        .ok_or_else(|| missing(before.id))?;
    ctx.commit(tx).await?;
    Ok(after)
}

pub(super) fn missing(id: BlockId) -> AppError {
    AppError::new(Code::BlockNotFound, format!("there is no block {id}"))
}
