//! The steps of a revision: frozen, reviewed, live, superseded. The caller has locked its listing; each statement names where the revision has to stand.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::ids::ListingId;
use crate::domain::listing::{Rejection, ReviewItem, RevisionStatus};
use crate::domain::policy::Stamp;

const TABLE: &str = "listing_revisions";

/// Records that a draft was submitted: from now on it is frozen.
pub async fn record_submitted(
    conn: &mut PgConnection,
    listing: ListingId,
    number: i64,
    by: &Stamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE listing_revisions SET status = 'in_review', frozen_at = $3, submitted_by = $4
          WHERE listing_id = $1 AND number = $2 AND status = 'draft'",
        listing as _,
        number,
        by.at,
        by.by,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a reviewer says.
#[derive(Debug)]
pub struct Review<'a> {
    /// Who, and when.
    pub by: &'a Stamp,
    /// What was ticked.
    pub checklist: &'a [ReviewItem],
    /// In their own words.
    pub note: Option<&'a str>,
    /// Why it is rejected; empty for an approval.
    pub rejections: &'a [Rejection],
}

/// Records a review of a revision that is in review.
pub async fn record_review(
    conn: &mut PgConnection,
    listing: ListingId,
    number: i64,
    review: &Review<'_>,
) -> Result<bool, StoreError> {
    let status = if review.rejections.is_empty() {
        RevisionStatus::Approved
    } else {
        RevisionStatus::Rejected
    };
    let ticked = review.checklist.iter();
    let ticked: Vec<String> = ticked.map(|item| item.as_str().to_owned()).collect();
    let rejections = serde_json::to_value(review.rejections)
        .map_err(|e| StoreError::inconsistent(TABLE, listing, e))?;
    let done = sqlx::query!(
        "UPDATE listing_revisions SET status = $3, reviewed_at = $4, reviewed_by = $5, checklist = $6, review_note = $7, rejections = $8
          WHERE listing_id = $1 AND number = $2 AND status = 'in_review'",
        listing as _,
        number,
        status.as_str(),
        review.by.at,
        review.by.by,
        &ticked,
        review.note,
        rejections,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a revision that is in review, approved or live.
pub async fn record_superseded(
    conn: &mut PgConnection,
    listing: ListingId,
    number: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE listing_revisions SET status = 'superseded', superseded_at = $3
          WHERE listing_id = $1 AND number = $2 AND status IN ('in_review', 'approved', 'live')",
        listing as _,
        number,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes an approved revision the live one. The one before was superseded first.
pub async fn record_live(
    conn: &mut PgConnection,
    listing: ListingId,
    number: i64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE listing_revisions SET status = 'live', live_at = $3 WHERE listing_id = $1 AND number = $2 AND status = 'approved'",
        listing as _,
        number,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
