//! Lets the accounts of an agreement in again: grants whose principal is missing are ended, and the worker gives them anew.

use serde_json::json;

use super::agreement_standing::note;
use super::code::Code;
use super::decide_connection::LONGEST_REASON;
use super::report_usage::missing;
use super::{AppContext, AppError, text};
use crate::domain::actor::Actor;
use crate::domain::ids::AgreementId;
use crate::store::{PgConnection, access_work, agreement_grants, agreements, findings};

/// Has the worker give the grants of an agreement again. Answers how many were missing.
#[tracing::instrument(skip_all, fields(agreement.id = %id))]
pub async fn grant_again(
    ctx: &AppContext,
    actor: &Actor,
    id: AgreementId,
    reason: &str,
) -> Result<u64, AppError> {
    let reason = text::checked("reason", reason, LONGEST_REASON)?;
    let now = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let mut found = agreements::locked(&mut tx, &[id]).await?;
    let agreement = found.pop().ok_or_else(|| missing(id))?;
    if !agreement.lets_in() {
        let detail = format!("it is {}", agreement.state);
        return Err(AppError::new(Code::AgreementNotInForce, detail));
    }
    if let Some(closed) = findings::closed(&mut tx, &[id]).await?.get(&id) {
        let detail = format!(
            "the listing {} is limited, and the buyer {} is not on its allow-list, so nothing is given by the agreement; put the buyer back on it first",
            closed.listing, closed.buyer
        );
        return Err(AppError::new(Code::BuyerNotAllowed, detail));
    }
    refuse_taken_away(&mut tx, id).await?;
    let ended = findings::end_missing_grants(&mut tx, id, now).await?;
    agreements::look_at(&mut tx, &[id], now).await?;
    let after = Some(json!({ "missing_grants": ended }));
    let change = (None, after);
    note(
        &mut tx,
        actor,
        id,
        "agreement.grant_again",
        change,
        Some(&reason),
        now,
    )
    .await?;
    ctx.commit(tx).await?;
    Ok(ended)
}

/// Refuses while a removal takes away what it would give: cancelled, that gives it back.
async fn refuse_taken_away(conn: &mut PgConnection, id: AgreementId) -> Result<(), AppError> {
    let grants = agreement_grants::of_many(conn, &[id]).await?;
    let pairs: Vec<_> = grants
        .into_iter()
        .map(|grant| (grant.account, grant.service))
        .collect();
    let kept_out = access_work::keeping_out(conn, &pairs).await?;
    let Some(((account, service), removal)) = kept_out.into_iter().min() else {
        return Ok(());
    };
    let detail = format!(
        "{removal} takes the access of {account} to {service} away: cancel it, or name the account among the principals of the service once it is done"
    );
    Err(AppError::new(Code::AccessEnding, detail))
}
