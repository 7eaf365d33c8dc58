//! Consumers: the organisations.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{PgConnection, StoreError};
use crate::domain::consumer::{Consumer, ConsumerState};
use crate::domain::ids::ConsumerId;

const TABLE: &str = "consumers";

struct Row {
    id: ConsumerId,
    name: String,
    slug: String,
    notes: String,
    labels: Value,
    contacts: Value,
    state: String,
    version: i64,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl TryFrom<Row> for Consumer {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: String| StoreError::inconsistent(TABLE, id, what);
        Ok(Self {
            id,
            name: row.name,
            slug: row.slug,
            notes: row.notes,
            labels: serde_json::from_value(row.labels)
                .map_err(|e| broken(format!("labels: {e}")))?,
            contacts: serde_json::from_value(row.contacts)
                .map_err(|e| broken(format!("contacts: {e}")))?,
            state: row.state.parse().map_err(broken)?,
            version: row.version,
            created_at: row.created_at,
            created_by: row.created_by,
        })
    }
}

fn as_json<T: serde::Serialize>(id: ConsumerId, value: &T) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(|e| StoreError::inconsistent(TABLE, id, e))
}

/// Adds a consumer; `Duplicate` on `consumers_slug_unique`.
pub async fn insert(conn: &mut PgConnection, new: &Consumer) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO consumers (id, name, slug, notes, labels, contacts, state, version, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.id as _,
        new.name,
        new.slug,
        new.notes,
        as_json(new.id, &new.labels)?,
        as_json(new.id, &new.contacts)?,
        new.state.as_str(),
        new.version,
        new.created_at,
        new.created_by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the row's lock, so that nobody changes the consumer, what is denied to it or how much it uses until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: ConsumerId) -> Result<(), StoreError> {
    // Not `FOR UPDATE`: rows that refer to the consumer may be added meanwhile.
    sqlx::query!(
        "SELECT FROM consumers WHERE id = $1 FOR NO KEY UPDATE",
        id as _
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: ConsumerId,
) -> Result<Option<Consumer>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: ConsumerId", name, slug, notes, labels, contacts, state, version, created_at, created_by
             FROM consumers WHERE id = $1"#,
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Consumer::try_from).transpose()
}

/// Which consumers to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only those whose name has this in it, in any case.
    pub name: Option<&'a str>,
    /// Only those that have a label with this key, and with this value where one is given.
    pub label: Option<(&'a str, Option<&'a str>)>,
    /// Only the one that this account belongs to.
    pub account: Option<&'a privatelink::AccountId>,
    /// Only those in this state.
    pub state: Option<ConsumerState>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    before: Option<ConsumerId>,
    limit: i64,
) -> Result<Vec<Consumer>, StoreError> {
    let (key, value) = filter.label.unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: ConsumerId", name, slug, notes, labels, contacts, state, version, created_at, created_by
             FROM consumers k
            WHERE ($1::uuid IS NULL OR k.id < $1)
              AND ($2::text IS NULL OR position(lower($2) IN lower(k.name)) > 0)
              AND ($3::text IS NULL OR k.labels ? $3)
              AND ($4::text IS NULL OR k.labels ->> $3 = $4)
              AND ($5::text IS NULL OR EXISTS (SELECT FROM consumer_accounts a
                                                WHERE a.consumer_id = k.id AND a.account_id = $5 AND a.removed_at IS NULL))
              AND ($6::text IS NULL OR k.state = $6)
            ORDER BY k.id DESC
            LIMIT $7"#,
        before.map(ConsumerId::uuid),
        filter.name,
        key,
        value.flatten(),
        filter.account.map(privatelink::AccountId::as_str),
        filter.state.map(ConsumerState::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Consumer::try_from).collect()
}

/// Records a change where the row still is at the version of `row`; `Duplicate` on `consumers_slug_unique`. Answers whether it was recorded.
pub async fn record_change(conn: &mut PgConnection, row: &Consumer) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE consumers
            SET name = $3, slug = $4, notes = $5, labels = $6, contacts = $7, state = $8, version = version + 1
          WHERE id = $1 AND version = $2",
        row.id as _,
        row.version,
        row.name,
        row.slug,
        row.notes,
        as_json(row.id, &row.labels)?,
        as_json(row.id, &row.contacts)?,
        row.state.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
