//! Adds AWS accounts to a consumer and takes them away again.

use privatelink::AccountId;
use serde_json::json;

use super::ask_again::ask_again;
use super::change_consumer::missing;
use super::code::Code;
use super::{AppContext, AppError, PgConnection, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::{ConsumerAccount, ConsumerState, KnownBy, Proof, Said};
use crate::domain::ids::{ConsumerAccountId, ConsumerId, RejudgementId};
use crate::domain::judgement::Wake;
use crate::domain::rejudgement::Scope;
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::{consumer_accounts, consumers, denials, parties};

/// An account to be added by a person.
#[derive(Debug)]
pub struct NewAccount {
    /// The account.
    pub account: AccountId,
    /// How it is proven. A person can vouch for it and nothing else; the other proof is the account's own.
    pub proof: Proof,
    /// Why.
    pub reason: String,
}

/// Adds an account to a consumer. One that belongs to a consumer already has to be removed there first.
#[tracing::instrument(skip_all, fields(consumer.id = %id, account = %new.account))]
pub async fn add_account(
    ctx: &AppContext,
    actor: &Actor,
    id: ConsumerId,
    new: NewAccount,
) -> Result<ConsumerAccount, AppError> {
    let reason = text::checked(
        "reason",
        &new.reason,
        super::decide_connection::LONGEST_REASON,
    )?;
    if new.proof == Proof::StsPresigned {
        let detail = "only the account itself can give this proof; use none or operator_vouched";
        return Err(AppError::new(Code::InvalidRequest, detail).field("proof"));
    }
    let mut tx = ctx.begin().await?;
    parties::lock_account(&mut tx, &new.account).await?;
    if let Some(standing) = consumer_accounts::of_account(&mut tx, &new.account).await? {
        let detail = if standing.consumer == id {
            format!("account {} belongs to this consumer already", new.account)
        } else {
            format!(
                "account {} belongs to {}; remove it there first",
                new.account, standing.consumer
            )
        };
        return Err(AppError::new(Code::AccountTaken, detail).field("account_id"));
    }
    consumers::lock(&mut tx, id).await?;
    let consumer = consumers::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    if consumer.state == ConsumerState::Closed {
        let detail = "a closed consumer takes no accounts; make it active first";
        return Err(AppError::new(Code::ConsumerClosed, detail));
    }
    let at = ctx.clock.now();
    let seen = consumer_accounts::was_seen(&mut tx, &new.account).await?;
    let row = ConsumerAccount {
        id: ConsumerAccountId::new(at),
        consumer: id,
        account: new.account,
        known_by: if seen {
            KnownBy::Observed
        } else {
            KnownBy::Operator
        },
        proof: new.proof,
        proven_at: (new.proof != Proof::None).then_some(at),
        added: Said {
            at,
            by: actor.name.clone(),
            reason,
        },
        removed: None,
    };
    consumer_accounts::insert(&mut tx, &row).await?;
    let entry = Entry {
        at,
        actor,
        action: "consumer.add_account",
        subject: Subject::Consumer(id),
        before: None,
        after: Some(json!({
            "account_id": row.account, "known_by": row.known_by, "proof": row.proof,
        })),
        reason: Some(&row.added.reason),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    judge_wakes::wake(&mut tx, &Wake::Account(row.account.clone()), at).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// An account that was removed from a consumer.
#[derive(Debug)]
pub struct Removed {
    /// The membership that was closed.
    pub membership: ConsumerAccount,
    /// The preview of which of its live connections would lose their access now. Nothing happens until somebody applies it.
    pub rejudgement: RejudgementId,
}

/// Closes the membership of an account. Its connections stay as they are, and a preview is asked for that says which would be rejected now;
/// [`super::end_access`] takes them away too.
#[tracing::instrument(skip_all, fields(consumer.id = %id, %account))]
pub async fn remove_account(
    ctx: &AppContext,
    actor: &Actor,
    id: ConsumerId,
    account: &AccountId,
    reason: &str,
) -> Result<Removed, AppError> {
    let reason = text::checked("reason", reason, super::decide_connection::LONGEST_REASON)?;
    let mut tx = ctx.begin().await?;
    parties::lock_account(&mut tx, account).await?;
    consumers::lock(&mut tx, id).await?;
    let why = format!("account {account} was removed from consumer {id}: {reason}");
    let membership = close(&mut tx, ctx, actor, id, account, reason).await?;
    let scope = Scope::Account(account.clone());
    let rejudgement = ask_again(&mut tx, ctx, actor, &scope, &why).await?;
    ctx.commit(tx).await?;
    Ok(Removed {
        membership,
        rejudgement,
    })
}

/// Refuses an account that is not one of this consumer's. Both are held by the caller, or it is for looking only.
pub(super) async fn membership(
    conn: &mut PgConnection,
    id: ConsumerId,
    account: &AccountId,
) -> Result<ConsumerAccount, AppError> {
    consumers::by_id(conn, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let standing = consumer_accounts::of_account(conn, account).await?;
    standing
        .filter(|standing| standing.consumer == id)
        .ok_or_else(|| {
            let detail = format!("account {account} does not belong to this consumer");
            AppError::new(Code::ConsumerAccountNotFound, detail)
        })
}

/// Closes a membership in the caller's transaction, which holds the account and its consumer.
pub(super) async fn close(
    conn: &mut PgConnection,
    ctx: &AppContext,
    actor: &Actor,
    id: ConsumerId,
    account: &AccountId,
    reason: String,
) -> Result<ConsumerAccount, AppError> {
    let at = ctx.clock.now();
    let mut row = membership(conn, id, account).await?;
    if let Some(denial) = denials::standing_of_consumer(conn, id, at).await? {
        let detail = format!(
            "the consumer is denied as {}, and an account that leaves it would not be; lift that first",
            denial.id
        );
        return Err(AppError::new(Code::ConsumerDenied, detail));
    }
    let removed = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    if !consumer_accounts::close(conn, row.id, &removed).await? {
        return Err(AppError::internal(
            "the membership changed under its own lock",
        ));
    }
    let entry = Entry {
        at: removed.at,
        actor,
        action: "consumer.remove_account",
        subject: Subject::Consumer(id),
        before: Some(json!({
            "account_id": row.account, "known_by": row.known_by, "proof": row.proof,
        })),
        after: None,
        reason: Some(&removed.reason),
        decision: None,
    };
    audit::record(conn, entry).await?;
    judge_wakes::wake(conn, &Wake::Account(account.clone()), removed.at).await?;
    row.removed = Some(removed);
    Ok(row)
}
