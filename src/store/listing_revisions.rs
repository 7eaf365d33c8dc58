//! The revisions of listings, and the plans that they have. What was submitted is never written again; the table refuses it too. Their steps are written in
//! [`super::listing_revision_steps`].

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::ids::{ListingId, PlanId};
use crate::domain::listing::{ListingContent, Plan, Rejection, ReviewItem, Revision};
use crate::domain::policy::Stamp;

const TABLE: &str = "listing_revisions";

struct Row {
    listing_id: ListingId,
    number: i64,
    status: String,
    content: Value,
    authors: Vec<String>,
    begun_at: DateTime<Utc>,
    begun_by: String,
    written_at: DateTime<Utc>,
    written_by: String,
    frozen_at: Option<DateTime<Utc>>,
    submitted_by: Option<String>,
    reviewed_at: Option<DateTime<Utc>>,
    reviewed_by: Option<String>,
    checklist: Vec<String>,
    review_note: Option<String>,
    rejections: Value,
    live_at: Option<DateTime<Utc>>,
    superseded_at: Option<DateTime<Utc>>,
}

fn stamp(at: Option<DateTime<Utc>>, by: Option<String>) -> Option<Stamp> {
    at.zip(by).map(|(at, by)| Stamp { at, by })
}

impl TryFrom<Row> for Revision {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let name = format!("{}/{}", row.listing_id, row.number);
        let broken = |what: String| StoreError::inconsistent(TABLE, &name, what);
        let content: ListingContent =
            serde_json::from_value(row.content).map_err(|e| broken(format!("content: {e}")))?;
        if content.plans.iter().any(|plan| plan.id.is_none()) {
            return Err(broken("a plan has no id".to_owned()));
        }
        let rejections: Vec<Rejection> = serde_json::from_value(row.rejections)
            .map_err(|e| broken(format!("rejections: {e}")))?;
        let ticked = row.checklist.iter().map(|word| word.parse::<ReviewItem>());
        Ok(Self {
            listing: row.listing_id,
            number: row.number,
            status: row.status.parse().map_err(broken)?,
            content,
            authors: row.authors.into_iter().collect(),
            begun: Stamp {
                at: row.begun_at,
                by: row.begun_by,
            },
            written: Stamp {
                at: row.written_at,
                by: row.written_by,
            },
            submitted: stamp(row.frozen_at, row.submitted_by),
            reviewed: stamp(row.reviewed_at, row.reviewed_by),
            checklist: ticked.collect::<Result<_, _>>().map_err(broken)?,
            review_note: row.review_note,
            rejections,
            live_at: row.live_at,
            superseded_at: row.superseded_at,
        })
    }
}

/// Reads revisions: the columns once, whatever the rest of the statement says.
macro_rules! revision_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT r.listing_id AS "listing_id: ListingId", r.number, r.status, r.content, r.authors, r.begun_at, r.begun_by, r.written_at,
                      r.written_by, r.frozen_at, r.submitted_by, r.reviewed_at, r.reviewed_by, r.checklist, r.review_note, r.rejections, r.live_at,
                      r.superseded_at
                 FROM listing_revisions AS r "# + $rest
            $(, $argument)*
        )
    };
}

fn json(revision: &Revision) -> Result<Value, StoreError> {
    let name = format!("{}/{}", revision.listing, revision.number);
    serde_json::to_value(&revision.content).map_err(|e| StoreError::inconsistent(TABLE, name, e))
}

fn authors(revision: &Revision) -> Vec<String> {
    revision.authors.iter().cloned().collect()
}

/// Begins a revision as a draft. The caller has locked its listing.
pub async fn insert(conn: &mut PgConnection, new: &Revision) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO listing_revisions (listing_id, number, status, content, authors, begun_at, begun_by, written_at, written_by)
         VALUES ($1, $2, 'draft', $3, $4, $5, $6, $7, $8)",
        new.listing as _,
        new.number,
        json(new)?,
        &authors(new),
        new.begun.at,
        new.begun.by,
        new.written.at,
        new.written.by,
    )
    .execute(&mut *conn)
    .await?;
    note_plans(conn, new).await
}

/// Writes the content of a draft.
pub async fn write_draft(conn: &mut PgConnection, draft: &Revision) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE listing_revisions SET content = $3, authors = $4, written_at = $5, written_by = $6
          WHERE listing_id = $1 AND number = $2 AND status = 'draft'",
        draft.listing as _,
        draft.number,
        json(draft)?,
        &authors(draft),
        draft.written.at,
        draft.written.by,
    )
    .execute(&mut *conn)
    .await?;
    note_plans(conn, draft).await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the ids of plans that are seen for the first time.
async fn note_plans(conn: &mut PgConnection, revision: &Revision) -> Result<(), StoreError> {
    let ids = revision.content.plans.iter().filter_map(|plan| plan.id);
    let ids: Vec<uuid::Uuid> = ids.map(PlanId::uuid).collect();
    sqlx::query!(
        "INSERT INTO listing_plans (id, listing_id, made_at) SELECT id, $2, $3 FROM unnest($1::uuid[]) AS id ON CONFLICT (id) DO NOTHING",
        &ids,
        revision.listing as _,
        revision.written.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One of a listing.
pub async fn by_number(
    conn: &mut PgConnection,
    listing: ListingId,
    number: i64,
) -> Result<Option<Revision>, StoreError> {
    let row = revision_rows!(
        r#"WHERE r.listing_id = $1 AND r.number = $2"#,
        listing as _,
        number,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Revision::try_from).transpose()
}

/// The open one of a listing.
pub async fn open(
    conn: &mut PgConnection,
    listing: ListingId,
) -> Result<Option<Revision>, StoreError> {
    let row = revision_rows!(
        r#"WHERE r.listing_id = $1 AND r.status IN ('draft', 'in_review', 'approved')"#,
        listing as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Revision::try_from).transpose()
}

/// The newest one of a listing, whatever became of it.
pub async fn newest(
    conn: &mut PgConnection,
    listing: ListingId,
) -> Result<Option<Revision>, StoreError> {
    let row = revision_rows!(
        r#"WHERE r.listing_id = $1 ORDER BY r.number DESC LIMIT 1"#,
        listing as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Revision::try_from).transpose()
}

/// Those of some listings that are open or live, for lists.
pub async fn standing(
    conn: &mut PgConnection,
    listings: &[ListingId],
) -> Result<Vec<Revision>, StoreError> {
    let ids: Vec<uuid::Uuid> = listings.iter().map(|id| id.uuid()).collect();
    let rows = revision_rows!(
        r#"WHERE r.listing_id = ANY($1)
              AND (r.status IN ('draft', 'in_review', 'approved', 'live')
                   OR r.number = (SELECT max(n.number) FROM listing_revisions AS n WHERE n.listing_id = r.listing_id))
            ORDER BY r.listing_id, r.number"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Revision::try_from).collect()
}

/// Those of some listings that are live. One that this version of the program cannot read is left out: it hides no others.
pub async fn live(
    conn: &mut PgConnection,
    listings: &[ListingId],
) -> Result<Vec<Revision>, StoreError> {
    let ids: Vec<uuid::Uuid> = listings.iter().map(|id| id.uuid()).collect();
    let rows = revision_rows!(
        r#"WHERE r.listing_id = ANY($1) AND r.status = 'live' ORDER BY r.listing_id"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let read = |row| {
        let read = Revision::try_from(row);
        read.inspect_err(|error| tracing::error!(%error, "a live revision cannot be read"))
            .ok()
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Some plans of a listing, each as it was when it was last live. One that never was is not among them. However many revisions there are, no more is read than
/// these plans.
pub async fn last_live_plans(
    conn: &mut PgConnection,
    listing: ListingId,
    plans: &[PlanId],
) -> Result<Vec<Plan>, StoreError> {
    let ids: Vec<String> = plans.iter().map(ToString::to_string).collect();
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT ON (plan.value ->> 'id') plan.value AS "plan!"
             FROM listing_revisions AS r
            CROSS JOIN LATERAL jsonb_array_elements(r.content -> 'plans') AS plan (value)
            WHERE r.listing_id = $1 AND r.live_at IS NOT NULL AND plan.value ->> 'id' = ANY($2)
            ORDER BY plan.value ->> 'id', r.number DESC"#,
        listing as _,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let read = |plan| {
        serde_json::from_value(plan)
            .map_err(|e| StoreError::inconsistent(TABLE, listing, format!("plans: {e}")))
    };
    rows.into_iter().map(read).collect()
}

/// A page of a listing's, the newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    listing: ListingId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Revision>, StoreError> {
    let rows = revision_rows!(
        r#"WHERE r.listing_id = $1 AND ($2::bigint IS NULL OR r.number < $2) ORDER BY r.number DESC LIMIT $3"#,
        listing as _,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Revision::try_from).collect()
}

/// The plans that a listing ever had.
pub async fn plans(conn: &mut PgConnection, listing: ListingId) -> Result<Vec<PlanId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: PlanId" FROM listing_plans WHERE listing_id = $1"#,
        listing as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
