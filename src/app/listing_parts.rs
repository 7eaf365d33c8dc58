//! What writing listings and their steps have in common: checks against the database, drafts, and entries of the audit trail.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde_json::Value;

use super::AppError;
use super::code::Code;
use crate::domain::actor::Actor;
use crate::domain::ids::{EndpointServiceId, ListingId, PlanId};
use crate::domain::listing::continuity::broken;
use crate::domain::listing::{ListingContent, MOST_ALLOWED, Revision, RevisionStatus, Wrong};
use crate::domain::policy::Stamp;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{PgConnection, endpoint_services, listing_revisions as revisions};

/// Where the content stands in a request.
pub(super) const CONTENT: &str = "content";

/// What a content changes of plans that were live and may not.
pub(super) async fn breaks(
    conn: &mut PgConnection,
    id: ListingId,
    content: &ListingContent,
) -> Result<Vec<Wrong>, AppError> {
    let ids: Vec<PlanId> = content.plans.iter().filter_map(|plan| plan.id).collect();
    let live = revisions::last_live_plans(conn, id, &ids).await?;
    let was = |id| live.iter().find(|plan| plan.id == Some(id));
    Ok(broken(content, was, CONTENT))
}

/// The services that are not registered here, or share a Region.
pub(super) async fn unknown_services(
    conn: &mut PgConnection,
    content: &ListingContent,
) -> Result<Vec<Wrong>, AppError> {
    let known = endpoint_services::by_ids(conn, &content.service_ids()).await?;
    let mut regions = BTreeMap::<_, EndpointServiceId>::new();
    let mut wrong = Vec::new();
    for (index, listed) in content.services.iter().enumerate() {
        let id = listed.service_id;
        let found = known.iter().find(|service| service.id == id);
        let detail = match found {
            None => format!("there is no service {id}"),
            Some(service) => match regions.insert(service.region.clone(), id) {
                Some(other) if other != id => format!(
                    "the service {other} is in {} as well; a listing sells one service in a Region",
                    service.region
                ),
                Some(_) | None => continue,
            },
        };
        let field = format!("{CONTENT}.services[{index}].service_id");
        wrong.push(Wrong { field, detail });
    }
    Ok(wrong)
}

/// A revision that begins. `authors` wrote what it is a copy of.
pub(super) fn draft(
    listing: ListingId,
    number: i64,
    content: ListingContent,
    mut authors: BTreeSet<String>,
    by: &Stamp,
) -> Revision {
    authors.insert(by.by.clone());
    Revision {
        listing,
        number,
        status: RevisionStatus::Draft,
        content,
        authors,
        begun: by.clone(),
        written: by.clone(),
        submitted: None,
        reviewed: None,
        checklist: Vec::new(),
        review_note: None,
        rejections: Vec::new(),
        live_at: None,
        superseded_at: None,
    }
}

/// Reads an allow-list.
pub(super) fn accounts(given: &[String]) -> Result<BTreeSet<AccountId>, AppError> {
    let wrong =
        |field: String, detail: String| AppError::new(Code::InvalidRequest, detail).field(field);
    if given.len() > MOST_ALLOWED {
        let detail = format!(
            "an allow-list may have {MOST_ALLOWED} accounts, not {}",
            given.len()
        );
        return Err(wrong("allow_list".to_owned(), detail));
    }
    let read = given.iter().enumerate().map(|(index, account)| {
        account
            .parse::<AccountId>()
            .map_err(|e| wrong(format!("allow_list[{index}]"), e.to_string()))
    });
    read.collect()
}

/// Refuses with all that is wrong, if anything is.
pub(super) fn refuse(code: Code, wrong: Vec<Wrong>) -> Result<(), AppError> {
    AppError::of_wrongs(code, wrong).map_or(Ok(()), Err)
}

/// Who does something, and when.
pub(super) fn stamp(actor: &Actor, at: DateTime<Utc>) -> Stamp {
    Stamp {
        at,
        by: actor.name.clone(),
    }
}

/// Writes an entry about a listing.
pub(super) async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    at: DateTime<Utc>,
    action: &'static str,
    id: ListingId,
    (before, after): (Option<Value>, Option<Value>),
    reason: Option<&str>,
) -> Result<(), AppError> {
    let entry = Entry {
        at,
        actor,
        action,
        subject: Subject::Listing(id),
        before,
        after,
        reason,
        decision: None,
    };
    Ok(audit::record(conn, entry).await?)
}
