//! What has to hold for a step of a listing: each guard, asked in the step's transaction, under the listing's lock.

use chrono::{DateTime, Utc};

use super::AppError;
use super::code::Code;
use super::listing_parts::{breaks, refuse};
use super::read_listings::examine;
use super::step_listing::Words;
use crate::domain::actor::{Actor, ActorKind};
use crate::domain::listing::content_rules;
use crate::domain::listing::readiness::{Readiness, failing};
use crate::domain::listing::review::{rejections, unticked};
use crate::domain::listing::{
    Listing, ListingState, ReviewItem, Revision, RevisionStatus, StepGuard, Taken, Wrong,
};
use crate::store::{PgConnection, listing_revisions as revisions, listing_services};

/// The step that is taken, and on what.
pub(super) struct Case<'a> {
    pub(super) actor: &'a Actor,
    pub(super) listing: &'a Listing,
    pub(super) open: Option<&'a Revision>,
    pub(super) words: &'a Words,
    pub(super) reason: Option<&'a str>,
    pub(super) taken: Taken,
    pub(super) at: DateTime<Utc>,
    /// What was seen of services before this is too old to sell by.
    pub(super) fresh_since: DateTime<Utc>,
}

impl Case<'_> {
    /// The open revision. A step that is about one is not taken without.
    pub(super) fn revision(&self) -> Result<&Revision, AppError> {
        self.open
            .ok_or_else(|| AppError::internal("a step without its revision"))
    }

    /// Asks a guard: refuses where it does not hold.
    pub(super) async fn ask(
        &self,
        conn: &mut PgConnection,
        guard: StepGuard,
    ) -> Result<(), AppError> {
        match guard {
            StepGuard::Complete => {
                let revision = self.revision()?;
                refuse(
                    Code::ListingIncomplete,
                    content_rules::missing(&revision.content, "content"),
                )?;
                self.sellable(conn, revision).await
            }
            StepGuard::Sellable => self.sellable(conn, self.revision()?).await,
            StepGuard::Continuous => {
                let wrong = breaks(conn, self.listing.id, &self.revision()?.content).await?;
                refuse(Code::PlanBound, wrong)
            }
            // The author may have made the token.
            StepGuard::AnotherPerson if self.actor.kind != ActorKind::Person => {
                let detail = "a program does not review; two persons stand for what is sold";
                Err(AppError::new(Code::ReviewBySamePerson, detail))
            }
            StepGuard::AnotherPerson if self.revision()?.may_be_reviewed_by(&self.actor.name) => {
                Ok(())
            }
            StepGuard::AnotherPerson => {
                let detail = "whoever wrote in a revision or submitted it does not review it; ask somebody else";
                Err(AppError::new(Code::ReviewBySamePerson, detail))
            }
            StepGuard::Checklist => {
                let left: Vec<&str> = unticked(&self.words.checklist)
                    .into_iter()
                    .map(ReviewItem::as_str)
                    .collect();
                if left.is_empty() {
                    return Ok(());
                }
                let detail = format!("not ticked: {}", left.join(", "));
                Err(AppError::new(Code::InvalidRequest, detail).field("checklist"))
            }
            StepGuard::Reasons => refuse(
                Code::InvalidRequest,
                rejections(&self.words.rejections, "reasons"),
            ),
            StepGuard::TestAccount if !self.listing.allow_list.is_empty() => Ok(()),
            StepGuard::TestAccount => {
                let (field, detail) = (
                    "allow_list".to_owned(),
                    "the allow-list names no account to test with".to_owned(),
                );
                refuse(Code::ListingIncomplete, vec![Wrong { field, detail }])
            }
            StepGuard::ServicesFree => {
                let wanted = self.revision()?.content.service_ids();
                let sellers = listing_services::sellers(conn, &wanted).await?;
                let other = sellers
                    .into_iter()
                    .find(|(_, seller)| *seller != self.listing.id);
                other.map_or(Ok(()), |(service, seller)| {
                    let detail = format!("the listing {seller} sells the service {service}; a service is sold by one listing at a time");
                    Err(AppError::new(Code::ServiceListed, detail))
                })
            }
            StepGuard::ReadyAgain if self.listing.suspended_from != Some(ListingState::Public) => {
                Ok(())
            }
            StepGuard::Ready | StepGuard::ReadyAgain => {
                let releases = matches!(self.taken.step.revision, Some((_, RevisionStatus::Live)));
                let sold = if releases {
                    self.revision()?.clone()
                } else {
                    self.live(conn).await?
                };
                unready(examine(conn, self.listing, &sold, self.fresh_since).await?)
            }
            StepGuard::Reason if self.reason.is_some() => Ok(()),
            StepGuard::Reason => {
                Err(AppError::new(Code::InvalidRequest, "say why").field("reason"))
            }
            StepGuard::NothingLive => {
                let live = listing_services::live(conn, self.listing.id).await?;
                if live.agreements == 0 && live.connections == 0 {
                    return Ok(());
                }
                let detail = format!(
                    "{} agreements and {} connections are live",
                    live.agreements, live.connections
                );
                Err(AppError::new(Code::ListingInUse, detail))
            }
        }
    }

    /// What a service has to be wherever it is sold, asked for a review and again before the sale: it may have changed meanwhile.
    async fn sellable(&self, conn: &mut PgConnection, sold: &Revision) -> Result<(), AppError> {
        let mut checks = examine(conn, self.listing, sold, self.fresh_since).await?;
        checks.retain(|one| one.check.before_review());
        unready(checks)
    }

    async fn live(&self, conn: &mut PgConnection) -> Result<Revision, AppError> {
        let number = self.listing.live_revision.unwrap_or_default();
        let live = revisions::by_number(conn, self.listing.id, number).await?;
        live.ok_or_else(|| AppError::internal("a released listing without a live revision"))
    }
}

fn unready(checks: Vec<Readiness>) -> Result<(), AppError> {
    let failing = failing(checks);
    let Some(first) = failing.first() else {
        return Ok(());
    };
    let about = first
        .service_id
        .map_or_else(String::new, |id| format!(" of {id}"));
    let more = match failing.len() {
        1 => String::new(),
        count => format!(" ({} more)", count - 1),
    };
    let detail = format!("{}{about}: {}{more}", first.check, first.evidence);
    Err(AppError::new(Code::ListingNotReady, detail).unready(failing))
}
