//! The steps in the life of a listing: review, release, publishing, stops, and its end. Which step may be taken where, and what has to hold, stands in
//! [`crate::domain::listing::steps`]; here the rows follow. The guards are in `listing_guards`.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::code::Code;
use super::listing_guards::Case;
use super::listing_parts::{draft, record, stamp};
use super::read_listings::{WholeListing, whole};
use super::{AppContext, AppError, listing_locks, text};
use crate::domain::actor::Actor;
use crate::domain::ids::ListingId;
use crate::domain::judgement::Wake;
use crate::domain::listing::{ListingVerb, Rejection, ReviewItem, Revision, RevisionStatus};
use crate::store::{
    PgConnection, agreements, judge_wakes, listing_revision_steps as steps,
    listing_revisions as revisions, listing_services, listings,
};

/// The most characters of what a reviewer says.
const LONGEST_NOTE: usize = 5000;

/// What somebody says with a step.
#[derive(Debug, Default)]
pub struct Words {
    /// The open revision that they have read.
    pub revision: Option<i64>,
    /// Why.
    pub reason: Option<String>,
    /// What a reviewer ticks.
    pub checklist: Vec<ReviewItem>,
    /// What a reviewer says.
    pub note: Option<String>,
    /// Why a reviewer rejects.
    pub rejections: Vec<Rejection>,
}

/// Takes a step, if it can be taken and its guards let it.
#[tracing::instrument(skip_all, fields(listing.id = %id, step = %verb))]
pub async fn take(
    ctx: &AppContext,
    actor: &Actor,
    id: ListingId,
    verb: ListingVerb,
    words: &Words,
) -> Result<WholeListing, AppError> {
    let reason = text::optional_reason(words.reason.as_deref())?;
    let note = words.note.as_deref();
    let note = note
        .map(|note| text::checked("note", note, LONGEST_NOTE))
        .transpose()?;
    let mut tx = ctx.begin().await?;
    let listing = listing_locks::lock(&mut tx, id).await?;
    let open = revisions::open(&mut tx, id).await?;
    let taken = listing
        .standing(open.as_ref().map(|it| it.status))
        .take(verb)
        .map_err(|refusal| AppError::new(Code::ListingStepImpossible, refusal.to_string()))?;
    if let (Some(read), Some(open)) = (words.revision, &open)
        && read != open.number
    {
        let detail = format!(
            "the open revision is {}, not {read}; read it again",
            open.number
        );
        return Err(AppError::new(Code::ListingChanged, detail).field("revision"));
    }
    let case = Case {
        actor,
        listing: &listing,
        open: open.as_ref(),
        words,
        reason: reason.as_deref(),
        taken,
        at: ctx.clock.now(),
        fresh_since: ctx.fresh_since(),
    };
    for guard in taken.step.guards {
        case.ask(&mut tx, *guard).await?;
    }
    let live_revision = case.move_revision(&mut tx, note.as_deref()).await?;
    if verb == ListingVerb::Retire {
        wake(&mut tx, id, case.at).await?;
        listing_services::end_all(&mut tx, id, &[], case.at).await?;
    }
    let step = listings::Move {
        from: listing.state,
        to: taken.state,
        suspended_from: taken.suspended_from,
        live_revision,
        by: &stamp(actor, case.at),
        reason: case.reason,
    };
    if !listings::record_move(&mut tx, id, &step).await? {
        return Err(AppError::internal("a listing moved under its own lock"));
    }
    case.tell(&mut tx, live_revision).await?;
    if listing.state.is_released() || taken.state.is_released() {
        wake(&mut tx, id, case.at).await?;
        agreements::look_at_listing(&mut tx, id, case.at).await?;
    }
    let after = whole(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// Has everybody judged again who asks for a service of the listing.
async fn wake(conn: &mut PgConnection, id: ListingId, at: DateTime<Utc>) -> Result<(), AppError> {
    for service in listing_services::sold_by(conn, id).await? {
        judge_wakes::wake(conn, &Wake::Service(service), at).await?;
    }
    Ok(())
}

impl Case<'_> {
    /// Moves the open revision as the step says. Answers which revision is live then.
    async fn move_revision(
        &self,
        conn: &mut PgConnection,
        note: Option<&str>,
    ) -> Result<Option<i64>, AppError> {
        let Some((_, to)) = self.taken.step.revision else {
            return Ok(self.listing.live_revision);
        };
        let (id, revision, by) = (
            self.listing.id,
            self.revision()?,
            stamp(self.actor, self.at),
        );
        let number = revision.number;
        let done = match to {
            RevisionStatus::InReview => steps::record_submitted(conn, id, number, &by).await?,
            RevisionStatus::Approved | RevisionStatus::Rejected => {
                let rejected = to == RevisionStatus::Rejected;
                let review = steps::Review {
                    by: &by,
                    checklist: &self.words.checklist,
                    note,
                    rejections: if rejected {
                        &self.words.rejections
                    } else {
                        &[]
                    },
                };
                steps::record_review(conn, id, number, &review).await?
            }
            RevisionStatus::Superseded => {
                let done = steps::record_superseded(conn, id, number, self.at).await?;
                let next = draft(
                    id,
                    number + 1,
                    revision.content.clone(),
                    revision.authors.clone(),
                    &by,
                );
                revisions::insert(conn, &next).await?;
                done
            }
            RevisionStatus::Live => {
                self.go_live(conn, revision).await?;
                return Ok(Some(number));
            }
            RevisionStatus::Draft => {
                return Err(AppError::internal("no step leads back into a draft"));
            }
        };
        if done {
            Ok(self.listing.live_revision)
        } else {
            Err(AppError::internal(
                "a revision moved under the listing's lock",
            ))
        }
    }

    /// Makes a revision the one that is sold, with its services.
    async fn go_live(&self, conn: &mut PgConnection, revision: &Revision) -> Result<(), AppError> {
        let id = self.listing.id;
        // Those of services that are not sold any more are judged again, too.
        wake(conn, id, self.at).await?;
        if let Some(before) = self.listing.live_revision {
            steps::record_superseded(conn, id, before, self.at).await?;
        }
        if !steps::record_live(conn, id, revision.number, self.at).await? {
            return Err(AppError::internal(
                "a revision moved under the listing's lock",
            ));
        }
        let taken = listing_services::sell(conn, revision, self.at).await?;
        taken.first().map_or(Ok(()), |service| {
            let detail = format!("another listing sells the service {service} since a moment ago");
            Err(AppError::new(Code::ServiceListed, detail))
        })
    }

    async fn tell(&self, conn: &mut PgConnection, live: Option<i64>) -> Result<(), AppError> {
        let action = action(self.taken.step.verb);
        let before =
            json!({ "state": self.listing.state, "live_revision": self.listing.live_revision });
        let mut after = json!({ "state": self.taken.state, "live_revision": live });
        if let (Some((_, to)), Some(open)) = (self.taken.step.revision, self.open) {
            after["revision"] = json!({ "number": open.number, "status": to });
            if to == RevisionStatus::Rejected {
                after["rejections"] = json!(self.words.rejections);
            }
        }
        let change = (Some(before), Some(after));
        record(
            conn,
            self.actor,
            self.at,
            action,
            self.listing.id,
            change,
            self.reason,
        )
        .await
    }
}

/// The word of the audit trail.
fn action(verb: ListingVerb) -> &'static str {
    match verb {
        ListingVerb::Submit => "listing.submit",
        ListingVerb::Approve => "listing.approve",
        ListingVerb::Reject => "listing.reject",
        ListingVerb::BackToDraft => "listing.back_to_draft",
        ListingVerb::Release => "listing.release",
        ListingVerb::Publish => "listing.publish",
        ListingVerb::Unpublish => "listing.unpublish",
        ListingVerb::Restrict => "listing.restrict",
        ListingVerb::Suspend => "listing.suspend",
        ListingVerb::Resume => "listing.resume",
        ListingVerb::Retire => "listing.retire",
    }
}
