//! Writing listings: beginning one, and changing how it is called, whose it is, who sees it, and what its draft says. What was submitted is never written again: the next draft
//! begins beside it.

use std::collections::BTreeSet;

use serde_json::json;

use super::code::Code;
use super::listing_parts::{
    CONTENT, accounts, breaks, draft, record, refuse, stamp, unknown_services,
};
use super::preconditions::ExpectedVersion;
use super::read_listings::{WholeListing, missing, whole};
use super::{AppContext, AppError, consumer_details, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::slug_of;
use crate::domain::ids::ListingId;
use crate::domain::listing::content_rules::limits;
use crate::domain::listing::plan_ids::give_ids;
use crate::domain::listing::{
    LONGEST_OWNER, Listing, ListingContent, ListingState, Revision, RevisionStatus, Visibility,
};
use crate::domain::policy::Stamp;
use crate::store::{PgConnection, agreements, listing_revisions as revisions, listings};

/// What a listing begins with.
#[derive(Debug)]
pub struct NewListing {
    /// A short name that is used once; made of the title when absent.
    pub slug: Option<String>,
    /// Who answers for it; whoever makes it when absent.
    pub owner: Option<String>,
    /// Who sees it once it is public.
    pub visibility: Visibility,
    /// Accounts that may buy while it is limited.
    pub allow_list: Vec<String>,
    /// What its first draft says.
    pub content: ListingContent,
    /// Why.
    pub reason: Option<String>,
}

/// Begins a listing with its first draft.
#[tracing::instrument(skip_all)]
pub async fn create(
    ctx: &AppContext,
    actor: &Actor,
    mut new: NewListing,
) -> Result<WholeListing, AppError> {
    let reason = text::optional_reason(new.reason.as_deref())?;
    refuse(Code::InvalidRequest, limits(&new.content, CONTENT))?;
    let slug = match &new.slug {
        Some(slug) => consumer_details::slug(slug)?,
        None => slug_of(&new.content.title).ok_or_else(|| {
            let detail = "no slug can be made of the title; give one";
            AppError::new(Code::InvalidRequest, detail).field("slug")
        })?,
    };
    let owner = new.owner.as_deref().map(owner).transpose()?;
    let allow_list = accounts(&new.allow_list)?;
    let at = ctx.clock.now();
    let by = stamp(actor, at);
    refuse(
        Code::InvalidRequest,
        give_ids(&mut new.content, &[], None, at, CONTENT),
    )?;
    let listing = Listing {
        id: ListingId::new(at),
        slug,
        owner: owner.unwrap_or_else(|| actor.name.clone()),
        state: ListingState::Draft,
        suspended_from: None,
        live_revision: None,
        visibility: new.visibility,
        allow_list,
        version: 1,
        created: by.clone(),
        moved: by.clone(),
        moved_reason: None,
    };
    let mut tx = ctx.begin().await?;
    refuse(
        Code::InvalidRequest,
        unknown_services(&mut tx, &new.content).await?,
    )?;
    if !listings::insert(&mut tx, &listing).await? {
        return Err(slug_taken(&listing.slug));
    }
    let first = draft(listing.id, 1, new.content, BTreeSet::new(), &by);
    revisions::insert(&mut tx, &first).await?;
    let after = json!({ "slug": listing.slug, "owner": listing.owner, "visibility": listing.visibility, "allow_list": listing.allow_list, "revision": 1, "content": first.content });
    record(
        &mut tx,
        actor,
        at,
        "listing.create",
        listing.id,
        (None, Some(after)),
        reason.as_deref(),
    )
    .await?;
    let made = whole(&mut tx, listing.id).await?;
    ctx.commit(tx).await?;
    Ok(made)
}

/// What to change. `None` stays as it is.
#[derive(Debug, Default)]
pub struct ListingChange {
    /// The version that the caller has read.
    pub version: ExpectedVersion,
    /// Another short name; only before it was released.
    pub slug: Option<String>,
    /// Who answers for it from now on.
    pub owner: Option<String>,
    /// Who sees it once it is public.
    pub visibility: Option<Visibility>,
    /// The whole allow-list.
    pub allow_list: Option<Vec<String>>,
    /// All that the draft says.
    pub content: Option<ListingContent>,
    /// Why.
    pub reason: Option<String>,
}

/// Changes a listing, and its draft. Where there is no draft, one begins: beside the live revision, or after a rejection.
#[tracing::instrument(skip_all, fields(listing.id = %id))]
pub async fn change(
    ctx: &AppContext,
    actor: &Actor,
    id: ListingId,
    change: ListingChange,
) -> Result<WholeListing, AppError> {
    let reason = text::optional_reason(change.reason.as_deref())?;
    let slug = change
        .slug
        .as_deref()
        .map(consumer_details::slug)
        .transpose()?;
    let owner = change.owner.as_deref().map(owner).transpose()?;
    let allow_list = change.allow_list.as_deref().map(accounts).transpose()?;
    if let Some(content) = &change.content {
        refuse(Code::InvalidRequest, limits(content, CONTENT))?;
    }
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let before = listings::locked(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    change.version.check(before.version, Code::ListingChanged)?;
    if before.state == ListingState::Retired {
        return Err(AppError::new(
            Code::ListingStepImpossible,
            "it is retired and does not change any more",
        ));
    }
    let mut after = before.clone();
    if let Some(slug) = slug.filter(|slug| *slug != before.slug) {
        if before.live_revision.is_some() {
            let detail = "the slug stays once the listing was released: it stands in addresses";
            return Err(AppError::new(Code::InvalidRequest, detail).field("slug"));
        }
        after.slug = slug;
    }
    after.owner = owner.unwrap_or(after.owner);
    after.visibility = change.visibility.unwrap_or(after.visibility);
    after.allow_list = allow_list.unwrap_or(after.allow_list);
    let written = match change.content {
        Some(content) => write_draft(&mut tx, id, content, &stamp(actor, at)).await?,
        None => None,
    };
    if after == before && written.is_none() {
        let same = whole(&mut tx, id).await?;
        return Ok(same);
    }
    if !listings::write(&mut tx, &after).await? {
        return Err(slug_taken(&after.slug));
    }
    let shown = |it: &Listing, revision: Option<&Revision>| {
        let mut shown = json!({ "slug": it.slug, "owner": it.owner, "visibility": it.visibility, "allow_list": it.allow_list });
        if let Some(revision) = revision {
            shown["revision"] = json!(revision.number);
            shown["content"] = json!(revision.content);
        }
        shown
    };
    let (old, new) = written.unzip();
    let change = (
        Some(shown(&before, old.flatten().as_ref())),
        Some(shown(&after, new.as_ref())),
    );
    record(
        &mut tx,
        actor,
        at,
        "listing.change",
        id,
        change,
        reason.as_deref(),
    )
    .await?;
    if !after.allow_list.is_subset(&before.allow_list) && after.state.is_released() {
        // Who came, or came back, onto the list may be let in by what they bought.
        agreements::look_at_listing(&mut tx, id, at).await?;
    }
    let changed = whole(&mut tx, id).await?;
    ctx.commit(tx).await?;
    Ok(changed)
}

/// Writes what a draft says, and begins one where there is none. Answers what it was, if there was one, and what it is; nothing where it says that already.
async fn write_draft(
    conn: &mut PgConnection,
    id: ListingId,
    mut content: ListingContent,
    by: &Stamp,
) -> Result<Option<(Option<Revision>, Revision)>, AppError> {
    let newest = revisions::newest(conn, id).await?;
    let newest = newest.ok_or_else(|| AppError::internal("a listing without a revision"))?;
    if matches!(
        newest.status,
        RevisionStatus::InReview | RevisionStatus::Approved
    ) {
        let detail = format!(
            "revision {} is {}; take it back with back-to-draft to change it",
            newest.number, newest.status
        );
        return Err(AppError::new(Code::ListingFrozen, detail).field(CONTENT));
    }
    let known = revisions::plans(conn, id).await?;
    refuse(
        Code::InvalidRequest,
        give_ids(&mut content, &known, Some(&newest.content), by.at, CONTENT),
    )?;
    refuse(
        Code::InvalidRequest,
        unknown_services(conn, &content).await?,
    )?;
    refuse(Code::PlanBound, breaks(conn, id, &content).await?)?;
    // What was rejected, or taken back, may be sent again as it is: what was wrong may lie elsewhere.
    let over = matches!(
        newest.status,
        RevisionStatus::Rejected | RevisionStatus::Superseded
    );
    if newest.content == content && !over {
        return Ok(None);
    }
    if newest.status != RevisionStatus::Draft {
        // It goes on from what they wrote, so they are among its authors still.
        let authors = if over {
            newest.authors
        } else {
            BTreeSet::new()
        };
        let next = draft(id, newest.number + 1, content, authors, by);
        revisions::insert(conn, &next).await?;
        return Ok(Some((None, next)));
    }
    let mut next = Revision {
        content,
        written: by.clone(),
        ..newest.clone()
    };
    next.authors.insert(by.by.clone());
    if !revisions::write_draft(conn, &next).await? {
        return Err(AppError::internal("a draft moved under the listing's lock"));
    }
    Ok(Some((Some(newest), next)))
}

fn owner(given: &str) -> Result<String, AppError> {
    text::checked_line("owner", given, LONGEST_OWNER)
}

fn slug_taken(slug: &str) -> AppError {
    let detail = format!("another listing has the slug {slug}; choose another");
    AppError::new(Code::ListingExists, detail).field("slug")
}
