//! Tokens of programs. Their secrets are kept as hashes alone.

use chrono::{DateTime, Utc};

use super::{PgConnection, StoreError};
use crate::domain::consumer::Said;
use crate::domain::ids::ServiceTokenId;
use crate::domain::role::{Role, Roles};
use crate::domain::service_token::{Scope, ServiceToken, ServiceTokenState};

struct Row {
    id: ServiceTokenId,
    name: String,
    roles: Vec<String>,
    scopes: Option<Vec<String>>,
    made_at: DateTime<Utc>,
    made_by: String,
    expires_at: DateTime<Utc>,
    rotated_at: Option<DateTime<Utc>>,
    rotated_by: Option<String>,
    previous_until: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    revoked_by: Option<String>,
    revoked_reason: Option<String>,
}

impl TryFrom<Row> for ServiceToken {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let broken = |what: &str| StoreError::inconsistent("service_tokens", id, what.to_owned());
        let revoked = match (row.revoked_at, row.revoked_by, row.revoked_reason) {
            (None, None, None) => None,
            (Some(at), Some(by), Some(reason)) => Some(Said { at, by, reason }),
            _ => return Err(broken("half revoked")),
        };
        Ok(Self {
            id,
            name: row.name,
            roles: roles(id, &row.roles)?,
            scopes: scopes(id, row.scopes.as_deref())?,
            made_at: row.made_at,
            made_by: row.made_by,
            expires_at: row.expires_at,
            rotated: row.rotated_at.zip(row.rotated_by),
            previous_until: row.previous_until,
            last_used_at: row.last_used_at,
            revoked,
        })
    }
}

fn roles(id: ServiceTokenId, words: &[String]) -> Result<Vec<Role>, StoreError> {
    let read = words.iter().map(|word| word.parse::<Role>());
    read.collect::<Result<_, _>>()
        .map_err(|error| StoreError::inconsistent("service_tokens", id, error.to_string()))
}

fn scopes(id: ServiceTokenId, words: Option<&[String]>) -> Result<Option<Vec<Scope>>, StoreError> {
    let read = words.map(|words| words.iter().map(|word| word.parse::<Scope>()).collect());
    read.transpose()
        .map_err(|error: String| StoreError::inconsistent("service_tokens", id, error))
}

/// Reads tokens: the columns once, whatever the rest of the statement says.
macro_rules! token_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: ServiceTokenId", name, roles, scopes, made_at, made_by, expires_at, rotated_at, rotated_by, previous_until,
                      last_used_at, revoked_at, revoked_by, revoked_reason
                 FROM service_tokens "# + $rest
            $(, $argument)*
        )
    };
}

/// Adds a token with the hash of its secret. Answers false where another one that was not revoked has the name.
pub async fn insert(
    conn: &mut PgConnection,
    new: &ServiceToken,
    hash: &[u8; 32],
) -> Result<bool, StoreError> {
    let roles: Vec<String> = new
        .roles
        .iter()
        .map(|role| role.name().to_owned())
        .collect();
    let scopes = new.scopes.as_ref();
    let scopes: Option<Vec<String>> =
        scopes.map(|all| all.iter().map(|it| it.as_str().to_owned()).collect());
    let done = sqlx::query!(
        "INSERT INTO service_tokens (id, name, roles, scopes, secret_hash, made_at, made_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING",
        new.id as _,
        new.name,
        &roles,
        scopes.as_deref(),
        &hash[..],
        new.made_at,
        new.made_by,
        new.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One by id.
pub async fn by_id(
    conn: &mut PgConnection,
    id: ServiceTokenId,
) -> Result<Option<ServiceToken>, StoreError> {
    let row = token_rows!(r#"WHERE id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(ServiceToken::try_from).transpose()
}

/// One by id, locked until the transaction ends.
pub async fn locked(
    conn: &mut PgConnection,
    id: ServiceTokenId,
) -> Result<Option<ServiceToken>, StoreError> {
    let row = token_rows!(r#"WHERE id = $1 FOR UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(ServiceToken::try_from).transpose()
}

/// Gives a token that was not revoked another secret; the one before goes on until `previous_until`, if that is said, and one before that ends.
pub async fn rotate(
    conn: &mut PgConnection,
    id: ServiceTokenId,
    hash: &[u8; 32],
    previous_until: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
    by: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE service_tokens
            SET previous_hash = CASE WHEN $3::timestamptz IS NULL THEN NULL ELSE secret_hash END, previous_until = $3,
                secret_hash = $2, rotated_at = $4, rotated_by = $5
          WHERE id = $1 AND revoked_at IS NULL",
        id as _,
        &hash[..],
        previous_until,
        at,
        by,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a token that nobody has ended. Answers whether nobody had.
pub async fn revoke(
    conn: &mut PgConnection,
    id: ServiceTokenId,
    said: &Said,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE service_tokens SET revoked_at = $2, revoked_by = $3, revoked_reason = $4 WHERE id = $1 AND revoked_at IS NULL",
        id as _,
        said.at,
        said.by,
        said.reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a token that is shown is compared with.
#[derive(Debug)]
pub struct Credentials {
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    /// The same of the one before, and until when that goes on.
    pub previous: Option<(Vec<u8>, DateTime<Utc>)>,
    /// What it is trusted with.
    pub roles: Roles,
    /// What of that it is narrowed to.
    pub scopes: Option<Vec<Scope>>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Whether somebody ended it.
    pub revoked: bool,
    /// When it was last used, as far as that was noted.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What a token that is shown is compared with.
pub async fn credentials(
    conn: &mut PgConnection,
    id: ServiceTokenId,
) -> Result<Option<Credentials>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT secret_hash, previous_hash, previous_until, roles, scopes, expires_at, revoked_at IS NOT NULL AS "revoked!", last_used_at
             FROM service_tokens WHERE id = $1"#,
        id as _,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Credentials {
            hash: row.secret_hash,
            previous: row.previous_hash.zip(row.previous_until),
            roles: roles(id, &row.roles)?.into_iter().collect(),
            scopes: scopes(id, row.scopes.as_deref())?,
            expires_at: row.expires_at,
            revoked: row.revoked,
            last_used_at: row.last_used_at,
        })
    })
    .transpose()
}

/// Notes that a token was used, unless that was noted after `since`.
pub async fn note_use(
    conn: &mut PgConnection,
    id: ServiceTokenId,
    at: DateTime<Utc>,
    since: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE service_tokens SET last_used_at = $2 WHERE id = $1 AND revoked_at IS NULL AND (last_used_at IS NULL OR last_used_at <= $3)",
        id as _,
        at,
        since,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    state: Option<ServiceTokenState>,
    now: DateTime<Utc>,
    before: Option<ServiceTokenId>,
    limit: i64,
) -> Result<Vec<ServiceToken>, StoreError> {
    let rows = token_rows!(
        r#"WHERE ($1::uuid IS NULL OR id < $1)
              AND ($2::text IS NULL
                   OR $2 = CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= $3 THEN 'expired' ELSE 'active' END)
            ORDER BY id DESC
            LIMIT $4"#,
        before.map(ServiceTokenId::uuid),
        state.map(ServiceTokenState::as_str),
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ServiceToken::try_from).collect()
}
