//! Attaches accounts to an agreement, each with how it was proven, and detaches them.

use privatelink::AccountId;
use serde_json::json;

use super::agreement_checks::{Span, over, proofs, refuse_overlap, refuse_second_trial};
use super::agreement_standing::{Known, know, note, stand};
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::listing_parts::stamp;
use super::make_agreement::MOST_ACCOUNTS;
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
    let row = agreements::locked(&mut tx, &[id]).await?.into_iter().next();
    let row = row.ok_or_else(|| missing(id))?;
    let known = know(&mut tx, std::slice::from_ref(&row)).await?;
    let now = known.now(&row, at)?;
    refuse_over(&now)?;
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
    let attached = agreement_accounts::of_many(&mut tx, &[id]).await?;
    match attached.iter().find(|it| it.account == new.account) {
        None if attached.len() > MOST_ACCOUNTS => {
            let detail =
                format!("an agreement has at most {MOST_ACCOUNTS} accounts besides the buyer's");
            return Err(AppError::new(Code::InvalidRequest, detail).field("account_id"));
        }
        None => refuse_taken(&mut tx, &known, &row, &new.account).await?,
        Some(it) if it.proof == AccountProof::None && proof != AccountProof::None => {
            // Without a proof it was in nobody's way, so it may have bought or tried for itself since.
            refuse_taken(&mut tx, &known, &row, &new.account).await?;
            let replaced = Said {
                at,
                by: actor.name.clone(),
                reason: "it is proven now".to_owned(),
            };
            agreement_accounts::detach(&mut tx, id, &new.account, &replaced).await?;
        }
        Some(it) => {
            let detail = format!(
                "account {} is attached with the proof {}",
                new.account, it.proof
            );
            return Err(AppError::new(Code::AccountAttached, detail).field("account_id"));
        }
    }
    let account = Account {
        id: AgreementAccountId::new(at),
        agreement: id,
        account: new.account,
        proof,
        attached: stamp(actor, at),
        reason: Some(reason.clone()),
        detached: None,
    };
    if !agreement_accounts::attach(&mut tx, &account).await? {
        return Err(AppError::internal(
            "an account was attached under its own lock",
        ));
    }
    let after = json!({ "account_id": account.account, "proof": account.proof });
    let change = (None, Some(after));
    note(
        &mut tx,
        actor,
        id,
        "agreement.attach_account",
        change,
        Some(&reason),
        at,
    )
    .await?;
    stand(&mut tx, actor, &[row], at).await?;
    ctx.commit(tx).await?;
    Ok(account)
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
    let next = agreements::successors(conn, &[row.id]).await?.into_iter();
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
    let row = agreements::locked(&mut tx, &[id]).await?.into_iter().next();
    let row = row.ok_or_else(|| missing(id))?;
    if row.buyer == *account {
        let detail = format!("account {account} bought it; end the agreement instead");
        return Err(AppError::new(Code::BuyerStays, detail).field("account_id"));
    }
    let attached = agreement_accounts::of_many(&mut tx, &[id]).await?;
    let found = attached.into_iter().find(|it| it.account == *account);
    let mut found = found.ok_or_else(|| {
        let detail = format!("account {account} is not attached to the agreement");
        AppError::new(Code::AgreementAccountNotFound, detail)
    })?;
    let said = Said {
        at,
        by: actor.name.clone(),
        reason,
    };
    agreement_accounts::detach(&mut tx, id, account, &said).await?;
    let before = json!({ "account_id": account, "proof": found.proof });
    let change = (Some(before), None);
    note(
        &mut tx,
        actor,
        id,
        "agreement.detach_account",
        change,
        Some(&said.reason),
        at,
    )
    .await?;
    judge_wakes::wake(&mut tx, &Wake::Account(account.clone()), at).await?;
    stand(&mut tx, actor, &[row], at).await?;
    ctx.commit(tx).await?;
    found.detached = Some(said);
    Ok(found)
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
