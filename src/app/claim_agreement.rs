//! Says which agreement shall pay for a connection, where several could.

use serde_json::json;

use super::agreement_standing::{know, note};
use super::code::Code;
use super::listing_parts::stamp;
use super::read_agreements::{Paying, missing, no_connection};
use super::{AppContext, AppError, PgConnection, text};
use crate::domain::actor::Actor;
use crate::domain::agreement::{AccountProof, Agreement};
use crate::domain::connection::Connection;
use crate::domain::ids::{AgreementId, ConnectionId};
use crate::domain::judgement::Wake;
use crate::store::agreement_bindings::{self, Claim};
use crate::store::audit::{self, Entry, Subject};
use crate::store::{
    agreement_accounts, agreements, connections, judge_wakes, listing_services, parties,
};

/// Has an agreement be the one that shall pay for a connection. The worker binds them; who paid before pays until then.
#[tracing::instrument(skip_all, fields(connection.id = %id, agreement.id = %agreement))]
pub async fn claim_agreement(
    ctx: &AppContext,
    actor: &Actor,
    id: ConnectionId,
    agreement: AgreementId,
    reason: Option<&str>,
) -> Result<Paying, AppError> {
    let reason = text::optional_reason(reason)?;
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let owner = connections::owner(&mut tx, id).await?;
    let owner = owner.ok_or_else(|| no_connection(id))?;
    parties::lock(&mut tx, &owner).await?;
    let paid = agreement_bindings::of_connections(&mut tx, &[id]).await?;
    let paid = paid.get(&id).copied();
    let mut ids = vec![agreement];
    ids.extend(
        paid.map(|paid| paid.agreement)
            .filter(|it| *it != agreement),
    );
    let rows = agreements::locked(&mut tx, &ids).await?;
    let row = rows.iter().find(|row| row.id == agreement);
    let row = row.ok_or_else(|| missing(agreement))?;
    let known = know(&mut tx, std::slice::from_ref(row)).await?;
    connections::lock(&mut tx, id).await?;
    let connection = connections::by_id(&mut tx, id).await?;
    let connection = connection.ok_or_else(|| no_connection(id))?;
    refuse(&mut tx, &known.now(row, at)?, &connection).await?;
    let before = agreement_bindings::claim_of(&mut tx, id).await?;
    let said = stamp(actor, at);
    agreement_bindings::claim(&mut tx, id, agreement, &said).await?;
    let entry = Entry {
        at,
        actor,
        action: "connection.claim_agreement",
        subject: Subject::Connection(id),
        before: before.map(|claim| json!({ "agreement_id": claim.agreement })),
        after: Some(json!({ "agreement_id": agreement })),
        reason: reason.as_deref(),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let change = (None, Some(json!({ "connection_id": id })));
    note(
        &mut tx,
        actor,
        agreement,
        "agreement.claim",
        change,
        reason.as_deref(),
        at,
    )
    .await?;
    let due: Vec<AgreementId> = rows.iter().map(|row| row.id).collect();
    agreements::look_at(&mut tx, &due, at).await?;
    judge_wakes::wake(&mut tx, &Wake::Account(owner), at).await?;
    ctx.commit(tx).await?;
    Ok(Paying {
        connection: id,
        paid,
        claim: Some(Claim { agreement, said }),
    })
}

async fn refuse(
    conn: &mut PgConnection,
    now: &Agreement,
    connection: &Connection,
) -> Result<(), AppError> {
    let refused = |code, detail: String| {
        let error = AppError::new(code, detail);
        Err(error.field("agreement_id"))
    };
    let seller = listing_services::listing_of(conn, connection.service_id).await?;
    if seller.is_none_or(|(listing, _)| listing.id != now.listing) {
        let detail = format!(
            "the listing {} does not sell the connection's service",
            now.listing
        );
        return refused(Code::AgreementOfOtherListing, detail);
    }
    let attached = agreement_accounts::of_many(conn, &[now.id]).await?;
    let owner = &connection.owner;
    match attached.into_iter().find(|it| it.account == *owner) {
        None => {
            let detail = format!("account {owner} is not attached to it");
            return refused(Code::AccountNotAttached, detail);
        }
        Some(it) if it.proof == AccountProof::None => {
            let detail = format!("account {owner} is attached to it without a proof");
            return refused(Code::AccountNotAttached, detail);
        }
        Some(_) => {}
    }
    if now.lets_in() {
        return Ok(());
    }
    refused(Code::AgreementNotInForce, format!("it is {}", now.state))
}
