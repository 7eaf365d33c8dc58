//! Attaches accounts to an agreement, each with how it was proven, and detaches them: from a renewal that has not begun as well, because that was made with the accounts of
//! its time.

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::{Value, json};

use super::agreement_checks::{Span, over, proofs, refuse_overlap, refuse_second_trial};
use super::agreement_standing::{Known, know, note, stand};
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::listing_parts::stamp;
use super::make_agreement::MOST_ACCOUNTS;
use super::pending_renewals::{lock_line, pending_behind};
use super::read_agreements::missing;
use super::{AppContext, AppError, PgConnection, text};
use crate::domain::actor::Actor;
use crate::domain::agreement::{Account, AccountProof, Agreement};
use crate::domain::consumer::{Proof, Said};
use crate::domain::decision::AgreementState;
use crate::domain::ids::{AgreementAccountId, AgreementId};
use crate::domain::judgement::Wake;
use crate::store::{agreement_accounts, agreements, judge_wakes, parties};

/// An account that shall connect by an agreement.
#[derive(Debug)]
pub struct NewAttached {
    /// The account.
    pub account: AccountId,
    /// Whether the caller vouches for it. Otherwise it is as proven as its membership of the buyer's consumer.
    pub proof: Option<Proof>,
    /// Why.
    pub reason: String,
}

/// Attaches an account. One that is attached without a proof is attached anew once there is one.
#[tracing::instrument(skip_all, fields(agreement.id = %id, account = %new.account))]
pub async fn attach_account(
    ctx: &AppContext,
    actor: &Actor,
    id: AgreementId,
    new: NewAttached,
) -> Result<Account, AppError> {
    let reason = text::checked("reason", &new.reason, LONGEST_REASON)?;
    if new.proof == Some(Proof::StsPresigned) {
        let detail = "only the account itself can give this proof; use operator_vouched, or leave it out for what its membership says";
        return Err(AppError::new(Code::InvalidRequest, detail).field("proof"));
    }
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let seen = agreements::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    let both = [new.account.clone(), seen.buyer.clone()]
        .into_iter()
        .collect();
    let locked = parties::lock_many(&mut tx, &both).await?;
    let line = lock_line(&mut tx, &seen).await?;
    let row = line.iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| missing(id))?;
    let known = know(&mut tx, &line).await?;
    refuse_over(&known.now(row, at)?)?;
    let (buyer, other): (Vec<_>, Vec<_>) = locked
        .into_iter()
        .partition(|it| *it.account() == row.buyer);
    let [buyer] = buyer.as_slice() else {
        return Err(AppError::internal("the buyer was not locked"));
    };
    let by_membership = proofs(&mut tx, buyer, &other, |_| "account_id".to_owned()).await?;
    let proof = match (by_membership.first(), new.proof) {
        // The buyer itself.
        (None, _) => AccountProof::Buyer,
        (Some((_, AccountProof::None)), Some(proof)) => proof.into(),
        (Some((_, proof)), _) => *proof,
    };
    let attaching = Attaching {
        known: &known,
        actor,
        account: new.account,
        proof,
        reason,
        at,
    };
    let account = match attaching.to(&mut tx, row, None).await? {
        Ok(account) => account,
        Err(proof) => {
            let detail = format!(
                "account {} is attached with the proof {proof}",
                attaching.account
            );
            return Err(AppError::new(Code::AccountAttached, detail).field("account_id"));
        }
    };
    let mut changed = vec![row.clone()];
    // Otherwise it would lose its access when the renewal begins.
    for next in pending_behind(id, &line, &known, at)? {
        if attaching.to(&mut tx, next, Some(id)).await?.is_ok() {
            changed.push(next.clone());
        }
    }
    stand(&mut tx, actor, &changed, at).await?;
    ctx.commit(tx).await?;
    Ok(account)
}

/// An account that is being attached, as proven as it is.
struct Attaching<'a> {
    known: &'a Known,
    actor: &'a Actor,
    account: AccountId,
    proof: AccountProof,
    reason: String,
    at: DateTime<Utc>,
}

impl Attaching<'_> {
    /// Attaches it to an agreement, or attaches it anew where it was without a proof; `with` the one that it is attached to for. Answers the inner error where it is
    /// attached already.
    async fn to(
        &self,
        conn: &mut PgConnection,
        row: &Agreement,
        with: Option<AgreementId>,
    ) -> Result<Result<Account, AccountProof>, AppError> {
        let Self { known, account, .. } = self;
        let attached = agreement_accounts::of_many(conn, &[row.id]).await?;
        match attached.iter().find(|it| it.account == *account) {
            None if attached.len() > MOST_ACCOUNTS => {
                let whose =
                    with.map_or_else(String::new, |_| format!(", and {} has as many", row.id));
                let detail = format!(
                    "an agreement has at most {MOST_ACCOUNTS} accounts besides the buyer's{whose}"
                );
                return Err(AppError::new(Code::InvalidRequest, detail).field("account_id"));
            }
            None => refuse_taken(conn, known, row, account).await?,
            Some(it) if it.proof == AccountProof::None && self.proof != AccountProof::None => {
                // Without a proof it was in nobody's way, so it may have bought or tried for itself since.
                refuse_taken(conn, known, row, account).await?;
                let replaced = Said {
                    at: self.at,
                    by: self.actor.name.clone(),
                    reason: "it is proven now".to_owned(),
                };
                agreement_accounts::detach(conn, row.id, account, &replaced).await?;
            }
            Some(it) => return Ok(Err(it.proof)),
        }
        let attached = Account {
            id: AgreementAccountId::new(self.at),
            agreement: row.id,
            account: account.clone(),
            proof: self.proof,
            attached: stamp(self.actor, self.at),
            reason: Some(self.reason.clone()),
            detached: None,
        };
        if !agreement_accounts::attach(conn, &attached).await? {
            return Err(AppError::internal(
                "an account was attached under its own lock",
            ));
        }
        let after = said(account, self.proof, with);
        let (change, reason) = ((None, Some(after)), Some(self.reason.as_str()));
        let action = "agreement.attach_account";
        note(conn, self.actor, row.id, action, change, reason, self.at).await?;
        Ok(Ok(attached))
    }
}

/// What the timeline says of an account, and with which agreement's it came or went.
fn said(account: &AccountId, proof: AccountProof, with: Option<AgreementId>) -> Value {
    match with {
        None => json!({ "account_id": account, "proof": proof }),
        Some(with) => json!({ "account_id": account, "proof": proof, "with": with }),
    }
}

/// Refuses an account that has an agreement of the listing at the same time, or has tried the plan.
async fn refuse_taken(
    conn: &mut PgConnection,
    known: &Known,
    row: &Agreement,
    account: &AccountId,
) -> Result<(), AppError> {
    let Some(terms) = known.terms(row.id) else {
        return Ok(());
    };
    let account = std::slice::from_ref(account);
    if terms.trial {
        refuse_second_trial(conn, row.plan, account, Some(row.id)).await?;
    }
    let next = agreements::heirs(conn, &[row.id]).await?.into_iter();
    let but: Vec<AgreementId> = next
        .map(|it| it.id)
        .chain(row.replaces)
        .chain([row.id])
        .collect();
    let span = Span {
        listing: row.listing,
        plan: known.plan(row)?,
        accounts: account,
        starts_at: terms.starts_at,
        ends_at: known.record(row.id)?.ends_first(),
        but: &but,
        blame: &|_| "account_id".to_owned(),
    };
    refuse_overlap(conn, &span).await
}

/// Detaches an account: it may not connect by the agreement any more.
#[tracing::instrument(skip_all, fields(agreement.id = %id, account = %account))]
pub async fn detach_account(
    ctx: &AppContext,
    actor: &Actor,
    id: AgreementId,
    account: &AccountId,
    reason: &str,
) -> Result<Account, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    parties::lock(&mut tx, account).await?;
    let seen = agreements::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    if seen.buyer == *account {
        let detail = format!("account {account} bought it; end the agreement instead");
        return Err(AppError::new(Code::BuyerStays, detail).field("account_id"));
    }
    let line = lock_line(&mut tx, &seen).await?;
    let row = line.iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| missing(id))?;
    let known = know(&mut tx, &line).await?;
    let word = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    let found = detach(&mut tx, actor, row, account, &word, None).await?;
    let mut found = found.ok_or_else(|| {
        let detail = format!("account {account} is not attached to the agreement");
        AppError::new(Code::AgreementAccountNotFound, detail)
    })?;
    let mut changed = vec![row.clone()];
    // Otherwise it would be back when the renewal begins.
    for next in pending_behind(id, &line, &known, at)? {
        let gone = detach(&mut tx, actor, next, account, &word, Some(id)).await?;
        changed.extend(gone.map(|_| next.clone()));
    }
    judge_wakes::wake(&mut tx, &Wake::Account(account.clone()), at).await?;
    stand(&mut tx, actor, &changed, at).await?;
    ctx.commit(tx).await?;
    found.detached = Some(word);
    Ok(found)
}

/// Detaches an account from one agreement; `with` the one that it is detached from for. Answers it as it was; `None` where it is not attached.
async fn detach(
    conn: &mut PgConnection,
    actor: &Actor,
    row: &Agreement,
    account: &AccountId,
    word: &Said,
    with: Option<AgreementId>,
) -> Result<Option<Account>, AppError> {
    let attached = agreement_accounts::of_many(conn, &[row.id]).await?;
    let found = attached.into_iter().find(|it| it.account == *account);
    let Some(found) = found else {
        return Ok(None);
    };
    agreement_accounts::detach(conn, row.id, account, word).await?;
    let change = (Some(said(account, found.proof, with)), None);
    let action = "agreement.detach_account";
    let reason = Some(word.reason.as_str());
    note(conn, actor, row.id, action, change, reason, word.at).await?;
    Ok(Some(found))
}

fn refuse_over(now: &Agreement) -> Result<(), AppError> {
    match now.state {
        AgreementState::Pending | AgreementState::Active | AgreementState::Review => Ok(()),
        AgreementState::Superseded if now.succeeded_at.is_none() => Ok(()),
        AgreementState::Superseded | AgreementState::Grace | AgreementState::Ended => {
            Err(over(now))
        }
    }
}
