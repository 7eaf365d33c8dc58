//! Seals over the audit trail: what waits for one, those there are, and the entries as they are now.

use audit_chain::{Hash, Leaf, Seal, Signature};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};

const TABLE: &str = "audit_seals";

/// A seal as it is stored.
#[derive(Debug, Clone)]
pub struct StoredSeal {
    /// What it says.
    pub seal: Seal,
    /// Its hash, as it was stored.
    pub hash: Hash,
    /// Who signed the hash.
    pub signature: Option<Signature>,
}

struct Row {
    number: i64,
    at: DateTime<Utc>,
    previous: Vec<u8>,
    leaves: Vec<u8>,
    hash: Vec<u8>,
    key_id: Option<String>,
    signature: Option<Vec<u8>>,
}

impl TryFrom<Row> for StoredSeal {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: &str| StoreError::inconsistent(TABLE, row.number, what);
        let hash = |bytes: &[u8]| {
            bytes
                .try_into()
                .map_err(|_| broken("a hash of another size"))
        };
        Ok(Self {
            seal: Seal {
                number: row.number.try_into().map_err(|_| broken("its number"))?,
                at: row.at.timestamp_micros(),
                previous: hash(&row.previous)?,
                leaves: Leaf::unpack(&row.leaves).ok_or_else(|| broken("its leaves"))?,
            },
            hash: hash(&row.hash)?,
            signature: row
                .key_id
                .zip(row.signature)
                .map(|(key, bytes)| Signature { key, bytes }),
        })
    }
}

/// Makes the caller the only one who seals until its transaction ends. Answers false where somebody else does.
pub async fn lock(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtextextended('audit seals', 0)) AS "locked!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(locked)
}

/// The last seal.
pub async fn last(conn: &mut PgConnection) -> Result<Option<StoredSeal>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT number, at, previous, leaves, hash, key_id, signature FROM audit_seals ORDER BY number DESC LIMIT 1"
    )
    .fetch_optional(conn)
    .await?;
    row.map(StoredSeal::try_from).transpose()
}

/// The seals after a number, in their order.
pub async fn after(
    conn: &mut PgConnection,
    number: u64,
    limit: i64,
) -> Result<Vec<StoredSeal>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT number, at, previous, leaves, hash, key_id, signature FROM audit_seals WHERE number > $1 ORDER BY number LIMIT $2",
        i64::try_from(number).unwrap_or(i64::MAX),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(StoredSeal::try_from).collect()
}

/// Takes the entries that have waited longest from those that wait, with the hashes of their texts. One that is gone is left waiting: that it is gone must
/// be found.
pub async fn take_waiting(conn: &mut PgConnection, limit: i64) -> Result<Vec<Leaf>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH next AS (
               SELECT w.id, w.at, found.hash
                 FROM audit_unsealed w
                      -- Entry by entry: however many wait, no more are read than are taken.
                CROSS JOIN LATERAL (SELECT sha256(convert_to(audit_text(e), 'UTF8')) AS hash FROM audit_entries e
                                     WHERE e.id = w.id AND e.at = w.at OFFSET 0) AS found
                ORDER BY w.id LIMIT $1),
           taken AS (
               DELETE FROM audit_unsealed AS w USING next AS n WHERE w.id = n.id AND w.at = n.at)
           SELECT id AS "id!", at AS "at!", hash AS "hash!" FROM next ORDER BY id"#,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let wrong = |_| StoreError::inconsistent("audit_entries", row.id, "its hash");
            Ok(Leaf {
                id: row.id,
                at: row.at.timestamp_micros(),
                hash: row.hash.as_slice().try_into().map_err(wrong)?,
            })
        })
        .collect()
}

/// Adds a seal.
pub async fn insert(conn: &mut PgConnection, new: &StoredSeal) -> Result<(), StoreError> {
    let number = i64::try_from(new.seal.number).unwrap_or(i64::MAX);
    let at =
        time_of(new.seal.at).ok_or_else(|| StoreError::inconsistent(TABLE, number, "its time"))?;
    sqlx::query!(
        "INSERT INTO audit_seals (number, at, previous, leaves, hash, key_id, signature) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        number,
        at,
        &new.seal.previous[..],
        Leaf::pack(&new.seal.leaves),
        &new.hash[..],
        new.signature.as_ref().map(|signature| signature.key.as_str()),
        new.signature.as_ref().map(|signature| signature.bytes.as_slice()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn time_of(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

/// Ids and times to look entries up by.
fn keys_of(leaves: &[Leaf]) -> (Vec<Uuid>, Vec<DateTime<Utc>>) {
    let time = |leaf: &Leaf| time_of(leaf.at).unwrap_or(DateTime::<Utc>::MIN_UTC);
    leaves.iter().map(|leaf| (leaf.id, time(leaf))).unzip()
}

/// The hashes of entries' texts as they are now, in the order of the leaves; `None` for one that is gone.
pub async fn hashes(
    conn: &mut PgConnection,
    leaves: &[Leaf],
) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let (ids, times) = keys_of(leaves);
    let rows = sqlx::query_scalar!(
        r#"SELECT CASE WHEN e.id IS NOT NULL THEN sha256(convert_to(audit_text(e), 'UTF8')) END AS "hash?"
             FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS asked (id, at, place)
             LEFT JOIN audit_entries e ON e.id = asked.id AND e.at = asked.at
            ORDER BY asked.place"#,
        &ids,
        &times,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Entries' texts as they are now, in the order of the leaves; `None` for one that is gone.
pub async fn texts(
    conn: &mut PgConnection,
    leaves: &[Leaf],
) -> Result<Vec<Option<String>>, StoreError> {
    let (ids, times) = keys_of(leaves);
    let rows = sqlx::query_scalar!(
        r#"SELECT CASE WHEN e.id IS NOT NULL THEN audit_text(e) END AS "text?"
             FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS asked (id, at, place)
             LEFT JOIN audit_entries e ON e.id = asked.id AND e.at = asked.at
            ORDER BY asked.place"#,
        &ids,
        &times,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// How many entries there are, are sealed, and wait, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Entries.
    pub entries: i64,
    /// Those in seals.
    pub sealed: i64,
    /// Those that wait for one.
    pub waiting: i64,
}

/// Counts them.
pub async fn count(conn: &mut PgConnection) -> Result<Count, StoreError> {
    let row = sqlx::query_as!(
        Count,
        r#"SELECT (SELECT count(*) FROM audit_entries) AS "entries!", (SELECT count(*) FROM audit_unsealed) AS "waiting!",
                  (SELECT coalesce(sum(octet_length(leaves) / 56), 0)::bigint FROM audit_seals) AS "sealed!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(row)
}

/// An entry that waits for its seal and is gone.
pub async fn waiting_gone(conn: &mut PgConnection) -> Result<Option<Uuid>, StoreError> {
    let id = sqlx::query_scalar!(
        "SELECT w.id FROM audit_unsealed w WHERE NOT EXISTS (SELECT FROM audit_entries e WHERE e.id = w.id AND e.at = w.at)
          ORDER BY w.id LIMIT 1"
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// Entries after an id that do not wait for a seal, in the order of their ids.
pub async fn settled_after(
    conn: &mut PgConnection,
    id: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT e.id FROM audit_entries e
          WHERE e.id > $1 AND NOT EXISTS (SELECT FROM audit_unsealed w WHERE w.id = e.id AND w.at = e.at)
          ORDER BY e.id LIMIT $2",
        id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
