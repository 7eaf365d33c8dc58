//! Takes in what a source tells of an agreement. Steps may come in any order, twice, and before the agreement is known here.

use serde_json::json;

use super::agreement_checks::refuse_foreign;
use super::agreement_standing::{note, stand};
use super::code::Code;
use super::listing_parts::{refuse, stamp};
use super::read_agreements::missing;
use super::{AppContext, AppError, PgConnection, text};
use crate::domain::actor::Actor;
use crate::domain::agreement::notice_rules::{foreign_id, told};
use crate::domain::agreement::{Agreement, HeardNotice, Notice};
use crate::domain::decision::AgreementSource;
use crate::domain::ids::AgreementId;
use crate::store::{agreement_notices, agreements};

/// Which agreement is told of.
#[derive(Debug, Clone)]
pub enum Of {
    /// One that is known.
    Known(AgreementId),
    /// One with this id where it was made, known or not.
    Reference(String),
}

/// What was heard.
#[derive(Debug)]
pub struct Heard {
    /// The notice, as it was told first.
    pub notice: HeardNotice,
    /// The agreement that it is about; `None` where that is not known yet.
    pub agreement: Option<Agreement>,
    /// Whether the event was told for the first time.
    pub new: bool,
}

/// Keeps what was told, and has the agreement stand where it stands by that.
#[tracing::instrument(skip_all, fields(event.id = %notice.id))]
pub async fn hear_notice(
    ctx: &AppContext,
    actor: &Actor,
    of: Of,
    notice: Notice,
    reason: Option<&str>,
) -> Result<Heard, AppError> {
    let at = ctx.clock.now();
    let mut wrong = told(&notice, at);
    if let Of::Reference(reference) = &of {
        wrong.extend(foreign_id("reference", reference));
    }
    refuse(Code::InvalidRequest, wrong)?;
    let reason = text::optional_reason(reason)?;
    let source = AgreementSource::Private;
    let mut tx = ctx.begin().await?;
    let (reference, known) = match of {
        Of::Known(id) => {
            let found = agreements::by_id(&mut tx, id).await?;
            let found = found.ok_or_else(|| missing(id))?;
            refuse_foreign(&found)?;
            (found.reference.clone(), Some(found))
        }
        Of::Reference(reference) => {
            agreement_notices::lock_reference(&mut tx, source, &reference).await?;
            let found = agreements::by_reference(&mut tx, source, &reference).await?;
            (reference, found)
        }
    };
    let heard = HeardNotice {
        source,
        reference,
        notice,
        reason,
        heard: stamp(actor, at),
    };
    let Some(before) = known else {
        let (notice, new) = keep(&mut tx, heard).await?;
        ctx.commit(tx).await?;
        return Ok(Heard {
            notice,
            agreement: None,
            new,
        });
    };
    let rows = locked_with_predecessor(&mut tx, &before).await?;
    let (notice, new) = keep(&mut tx, heard).await?;
    let mut after = rows.iter().find(|row| row.id == before.id).cloned();
    if new {
        let told = json!({ "event_id": notice.notice.id, "kind": notice.notice.told.kind(), "at": notice.notice.at });
        let reason = notice.reason.as_deref();
        let change = (None, Some(told));
        note(
            &mut tx,
            actor,
            before.id,
            "agreement.hear",
            change,
            reason,
            at,
        )
        .await?;
        let stood = stand(&mut tx, actor, &rows, at).await?;
        after = stood.into_iter().find(|row| row.id == before.id);
    }
    ctx.commit(tx).await?;
    Ok(Heard {
        notice,
        agreement: after,
        new,
    })
}

/// Keeps a notice, once. Answers it as it was told first, and whether that was now. An event that was told as something else is refused.
pub(super) async fn keep(
    conn: &mut PgConnection,
    heard: HeardNotice,
) -> Result<(HeardNotice, bool), AppError> {
    if agreement_notices::insert(conn, &heard).await? {
        return Ok((heard, true));
    }
    let first = agreement_notices::by_event(conn, heard.source, &heard.notice.id).await?;
    let first = first.ok_or_else(|| AppError::internal("a notice is there and is not"))?;
    let differs = if first.reference != heard.reference {
        "another agreement"
    } else if first.notice.at != heard.notice.at {
        "another time"
    } else if first.notice.told != heard.notice.told {
        "something else"
    } else {
        return Ok((first, false));
    };
    let detail = format!(
        "the event {:?} was told before, of {differs}; give what happened besides an id of its own",
        heard.notice.id
    );
    Err(AppError::new(Code::EventDiffers, detail).field("event_id"))
}

/// An agreement and the one whose place it takes, with those in between that never came to be, locked: that one stands where it stands because of this one.
pub(super) async fn locked_with_predecessor(
    conn: &mut PgConnection,
    of: &Agreement,
) -> Result<Vec<Agreement>, AppError> {
    let before = agreements::line_before(conn, of.id).await?;
    let ids: Vec<AgreementId> = before.iter().copied().chain([of.id]).collect();
    let rows = agreements::locked(conn, &ids).await?;
    // Whoever rolls one of them back has it locked: from here on the line stays as it is.
    if agreements::line_before(conn, of.id).await? != before {
        let detail = "another of its line was rolled back at this moment; send it again";
        return Err(AppError::new(Code::AgreementChanged, detail));
    }
    Ok(rows)
}
