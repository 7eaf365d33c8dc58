//! Listings and what the catalogue shows of them. Their revisions are in [`super::listing_revisions`], the services that they sell in [`super::listing_services`].

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::{PgConnection, StoreError};
use crate::domain::ids::ListingId;
use crate::domain::listing::{Listing, ListingState, RevisionStatus, Visibility};
use crate::domain::policy::Stamp;

const TABLE: &str = "listings";

struct Row {
    id: ListingId,
    slug: String,
    owner: String,
    state: String,
    suspended_from: Option<String>,
    live_revision: Option<i64>,
    visibility: String,
    allow_list: Vec<String>,
    version: i64,
    created_at: DateTime<Utc>,
    created_by: String,
    moved_at: DateTime<Utc>,
    moved_by: String,
    moved_reason: Option<String>,
}

impl TryFrom<Row> for Listing {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent(TABLE, row.id, what);
        let allowed = row
            .allow_list
            .iter()
            .map(|account| account.parse::<AccountId>());
        let from = row.suspended_from.map(|word| word.parse().map_err(broken));
        Ok(Self {
            id: row.id,
            slug: row.slug,
            owner: row.owner,
            state: row.state.parse().map_err(broken)?,
            suspended_from: from.transpose()?,
            live_revision: row.live_revision,
            visibility: row.visibility.parse().map_err(broken)?,
            allow_list: allowed
                .collect::<Result<_, _>>()
                .map_err(|e| broken(e.to_string()))?,
            version: row.version,
            created: Stamp {
                at: row.created_at,
                by: row.created_by,
            },
            moved: Stamp {
                at: row.moved_at,
                by: row.moved_by,
            },
            moved_reason: row.moved_reason,
        })
    }
}

/// Reads listings: the columns once, whatever the rest of the statement says.
macro_rules! listing_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT l.id AS "id: ListingId", l.slug, coalesce(l.owner, l.created_by) AS "owner!", l.state, l.suspended_from, l.live_revision, l.visibility, l.allow_list, l.version,
                      l.created_at, l.created_by, l.moved_at, l.moved_by, l.moved_reason
                 FROM listings AS l "# + $rest
            $(, $argument)*
        )
    };
}

fn accounts(listing: &Listing) -> Vec<String> {
    listing.allow_list.iter().map(ToString::to_string).collect()
}

/// Adds a listing without revisions. Answers false where another has its slug.
pub async fn insert(conn: &mut PgConnection, new: &Listing) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO listings (id, slug, state, visibility, allow_list, version, created_at, created_by, moved_at, moved_by, owner)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7, $8, NULLIF($9::text, $8))
         ON CONFLICT (slug) DO NOTHING",
        new.id as _,
        new.slug,
        new.state.as_str(),
        new.visibility.as_str(),
        &accounts(new),
        new.version,
        new.created.at,
        new.created.by,
        new.owner,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One by id.
pub async fn by_id(conn: &mut PgConnection, id: ListingId) -> Result<Option<Listing>, StoreError> {
    let row = listing_rows!(r#"WHERE l.id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Listing::try_from).transpose()
}

/// One by id, locked until the transaction ends: every step, and whatever depends on where the listing stands, takes its turn here.
pub async fn locked(conn: &mut PgConnection, id: ListingId) -> Result<Option<Listing>, StoreError> {
    let row = listing_rows!(r#"WHERE l.id = $1 FOR NO KEY UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Listing::try_from).transpose()
}

/// One by id, kept as it is until the transaction ends. Several may keep it at a time, and whoever would change it waits for all of them.
pub async fn kept(conn: &mut PgConnection, id: ListingId) -> Result<Option<Listing>, StoreError> {
    let row = listing_rows!(r#"WHERE l.id = $1 FOR SHARE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Listing::try_from).transpose()
}

/// Which listings to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those that stand so.
    pub state: Option<ListingState>,
    /// Only those that are shown so.
    pub visibility: Option<Visibility>,
    /// Only the one with this slug.
    pub slug: Option<&'a str>,
    /// Only those whose open revision stands so.
    pub open: Option<RevisionStatus>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<ListingId>,
    limit: i64,
) -> Result<Vec<Listing>, StoreError> {
    let rows = listing_rows!(
        r#"WHERE ($1::uuid IS NULL OR l.id < $1)
              AND ($2::text IS NULL OR l.state = $2)
              AND ($3::text IS NULL OR l.visibility = $3)
              AND ($4::text IS NULL OR l.slug = $4)
              AND ($5::text IS NULL OR EXISTS (SELECT FROM listing_revisions AS r WHERE r.listing_id = l.id AND r.status = $5))
            ORDER BY l.id DESC
            LIMIT $6"#,
        before.map(ListingId::uuid),
        filter.state.map(ListingState::as_str),
        filter.visibility.map(Visibility::as_str),
        filter.slug,
        filter.open.map(RevisionStatus::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Listing::try_from).collect()
}

/// Writes how a listing is called, whose it is and who sees it, and counts the change; also where only its open revision changed. The caller has locked it. Answers false where
/// another has the slug, and then the transaction is to be taken back.
pub async fn write(conn: &mut PgConnection, listing: &Listing) -> Result<bool, StoreError> {
    let done = match sqlx::query!(
        "UPDATE listings SET slug = $2, visibility = $3, allow_list = $4, owner = NULLIF($5::text, created_by), version = version + 1
          WHERE id = $1 AND NOT EXISTS (SELECT FROM listings AS other WHERE other.slug = $2 AND other.id <> $1)",
        listing.id as _,
        listing.slug,
        listing.visibility.as_str(),
        &accounts(listing),
        listing.owner,
    )
    .execute(conn)
    .await
    .map_err(StoreError::from)
    {
        // Somebody took it at this moment.
        Err(StoreError::Duplicate { constraint }) if constraint == "listings_slug_unique" => {
            return Ok(false);
        }
        done => done?,
    };
    Ok(done.rows_affected() == 1)
}

/// Where a listing goes.
#[derive(Debug)]
pub struct Move<'a> {
    /// Where it has to stand.
    pub from: ListingState,
    /// Where it goes.
    pub to: ListingState,
    /// Where it goes back to; only while it is suspended.
    pub suspended_from: Option<ListingState>,
    /// The revision that is sold now.
    pub live_revision: Option<i64>,
    /// Who moves it, and when.
    pub by: &'a Stamp,
    /// Why.
    pub reason: Option<&'a str>,
}

/// Moves a listing that stands where it has to. Answers whether it did.
pub async fn record_move(
    conn: &mut PgConnection,
    id: ListingId,
    step: &Move<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE listings
            SET state = $3, suspended_from = $4, live_revision = $5, version = version + 1,
                moved_at = CASE WHEN state = $3 THEN moved_at ELSE $6 END, moved_by = CASE WHEN state = $3 THEN moved_by ELSE $7 END,
                moved_reason = CASE WHEN state = $3 THEN moved_reason ELSE $8 END
          WHERE id = $1 AND state = $2",
        id as _,
        step.from.as_str(),
        step.to.as_str(),
        step.suspended_from.map(ListingState::as_str),
        step.live_revision,
        step.by.at,
        step.by.by,
        step.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What is looked for in the catalogue.
#[derive(Debug, Default)]
pub struct CatalogFilter<'a> {
    /// Words in lower case that stand in the texts.
    pub words: Option<&'a [String]>,
    /// A category, in any case.
    pub category: Option<&'a str>,
    /// A Region that it can be reached from.
    pub region: Option<&'a str>,
}

/// Listings that are shown to whoever has these accounts at `now`, newest first, starting after `before`: what is public for everybody, what is limited to an
/// allow-list with one of them, and what is public and offered to one of them. Says the same as [`Listing::is_listed_for`].
pub async fn catalog(
    conn: &mut PgConnection,
    (own, now): (&[String], DateTime<Utc>),
    filter: &CatalogFilter<'_>,
    before: Option<ListingId>,
    limit: i64,
) -> Result<Vec<Listing>, StoreError> {
    let rows = listing_rows!(
        r#"JOIN listing_revisions AS r ON r.listing_id = l.id AND r.number = l.live_revision
            WHERE ((l.state = 'public' AND l.visibility = 'public') OR (l.state IN ('public', 'limited') AND l.allow_list && $1)
                   OR (l.state = 'public' AND EXISTS (
                       SELECT FROM offers AS o
                        WHERE o.listing_id = l.id AND o.kind = 'private' AND o.accounts && $1 AND o.withdrawn_at IS NULL
                          AND o.valid_from <= $7 AND o.valid_until > $7
                          -- The plan is sold still.
                          AND r.content -> 'plans' @> jsonb_build_array(jsonb_build_object('id', 'pln_' || replace(o.plan_id::text, '-', ''))))))
              AND ($2::uuid IS NULL OR l.id < $2)
              -- Each word has to be there; strpos takes it letter by letter. OFFSET 0 has the texts put together once, and not for every word.
              AND ($3::text[] IS NULL OR NOT EXISTS (
                   SELECT FROM (SELECT lower(concat_ws(' ', r.content ->> 'title', r.content ->> 'short', r.content ->> 'long',
                                                       r.content ->> 'keywords', r.content ->> 'categories')) AS all_of_it OFFSET 0) AS texts,
                               unnest($3::text[]) AS word
                    WHERE strpos(texts.all_of_it, word) = 0))
              AND ($4::text IS NULL OR EXISTS (
                   SELECT FROM jsonb_array_elements_text(coalesce(r.content -> 'categories', '[]')) AS category WHERE lower(category) = lower($4)))
              AND ($5::text IS NULL OR EXISTS (
                   SELECT FROM listing_services AS ls
                     JOIN endpoint_services AS s ON s.id = ls.endpoint_service_id
                     JOIN account_regions AS a ON a.id = s.account_region_id
                    WHERE ls.listing_id = l.id AND ls.ended_at IS NULL AND s.lifecycle = 'active'
                      AND (a.region = $5 OR coalesce(s.observed -> 'supported_regions', '[]') ? $5)))
            ORDER BY l.id DESC
            LIMIT $6"#,
        own,
        before.map(ListingId::uuid),
        filter.words,
        filter.category,
        filter.region,
        limit,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Listing::try_from).collect()
}
