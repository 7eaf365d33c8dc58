//! Everything that sources told of agreements. Append-only: an event is kept once, as it came first.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::agreement::{AgreementNoticeKind, HeardNotice, Notice, Told};
use crate::domain::decision::AgreementSource;
use crate::domain::policy::Stamp;

const TABLE: &str = "agreement_notices";

struct Row {
    source: String,
    event_id: String,
    reference: String,
    at: DateTime<Utc>,
    kind: String,
    cause: Option<String>,
    terms: Option<Value>,
    reason: Option<String>,
    heard_at: DateTime<Utc>,
    heard_by: String,
}

impl TryFrom<Row> for HeardNotice {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.event_id.clone();
        let broken = |what: String| StoreError::inconsistent(TABLE, &id, what);
        let kind: AgreementNoticeKind = row.kind.parse().map_err(broken)?;
        let cause = row.cause.as_deref().map(str::parse).transpose();
        let terms = row.terms.map(serde_json::from_value).transpose();
        let told = Told::of(
            kind,
            terms.map_err(|e| broken(e.to_string()))?,
            cause.map_err(broken)?,
        );
        Ok(Self {
            source: row.source.parse().map_err(broken)?,
            reference: row.reference,
            notice: Notice {
                id: row.event_id,
                at: row.at,
                told: told.ok_or_else(|| broken("it is not what its kind says".to_owned()))?,
            },
            reason: row.reason,
            heard: Stamp {
                at: row.heard_at,
                by: row.heard_by,
            },
        })
    }
}

/// Reads notices: the columns once, whatever the rest of the statement says.
macro_rules! notice_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT source, event_id, reference, at, kind, cause, terms, reason, heard_at, heard_by FROM agreement_notices "# + $rest
            $(, $argument)*
        )
    };
}

/// Keeps a notice. Answers false where an event with this id was told before, whatever that said.
pub async fn insert(conn: &mut PgConnection, new: &HeardNotice) -> Result<bool, StoreError> {
    let (cause, terms) = match &new.notice.told {
        Told::Ended(cause) => (Some(cause.as_str()), None),
        Told::Made(terms) => (None, Some(serde_json::to_value(terms))),
        _ => (None, None),
    };
    let terms = terms
        .transpose()
        .map_err(|e| StoreError::inconsistent(TABLE, &new.notice.id, e))?;
    let done = sqlx::query!(
        "INSERT INTO agreement_notices (source, event_id, reference, at, kind, cause, terms, reason, heard_at, heard_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT ON CONSTRAINT agreement_notices_pkey DO NOTHING",
        new.source.as_str(),
        new.notice.id,
        new.reference,
        new.notice.at,
        new.notice.told.kind().as_str(),
        cause,
        terms,
        new.reason,
        new.heard.at,
        new.heard.by,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One by the source's id of it.
pub async fn by_event(
    conn: &mut PgConnection,
    source: AgreementSource,
    event_id: &str,
) -> Result<Option<HeardNotice>, StoreError> {
    let row = notice_rows!(
        r#"WHERE source = $1 AND event_id = $2"#,
        source.as_str(),
        event_id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(HeardNotice::try_from).transpose()
}

/// All that was told of these agreements, by when it happened.
pub async fn of_many(
    conn: &mut PgConnection,
    references: &[(AgreementSource, String)],
) -> Result<Vec<HeardNotice>, StoreError> {
    let sources: Vec<&str> = references
        .iter()
        .map(|(source, _)| source.as_str())
        .collect();
    let references: Vec<&str> = references
        .iter()
        .map(|(_, reference)| reference.as_str())
        .collect();
    let rows = notice_rows!(
        r#"WHERE (source, reference) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY at, event_id"#,
        &sources as &[&str],
        &references as &[&str],
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(HeardNotice::try_from).collect()
}

/// Where a page of notices begins: behind the one that was heard at this time and has this id.
pub type After = (DateTime<Utc>, String);

/// A page of what was told of an agreement, in the order in which it was heard, starting after `after`.
pub async fn page(
    conn: &mut PgConnection,
    source: AgreementSource,
    reference: &str,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<HeardNotice>, StoreError> {
    let rows = notice_rows!(
        r#"WHERE source = $1 AND reference = $2 AND ($3::timestamptz IS NULL OR (heard_at, event_id) > ($3, $4))
            ORDER BY heard_at, event_id LIMIT $5"#,
        source.as_str(),
        reference,
        after.map(|(at, _)| *at),
        after.map(|(_, id)| id.as_str()),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(HeardNotice::try_from).collect()
}

/// Waits until nobody else tells of an agreement with this id at its source, or makes it known, and holds that to the end of the transaction: of the two, one sees
/// what the other has written. It is taken before any lock of a row.
pub async fn lock_reference(
    conn: &mut PgConnection,
    source: AgreementSource,
    reference: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('agreement ' || $1::text || ' ' || $2::text, 0))",
        source.as_str(),
        reference,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}
