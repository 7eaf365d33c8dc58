//! The connections that a re-judgement would not accept, and what became of each. Whoever writes here holds the lock of the re-judgement's row.

use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{ConnectionId, EndpointServiceId, RejudgementId};
use crate::domain::rejudgement::{KeptAs, Losing, LosingState};

const TABLE: &str = "rejudgement_connections";

/// A connection that is not accepted: which, whether it is rejected or held, the code and the sentence.
#[derive(Debug, Clone)]
pub struct Unaccepted {
    /// The connection.
    pub connection: ConnectionId,
    /// [`LosingState::Found`] where it is rejected, [`LosingState::Held`] where it is held.
    pub state: LosingState,
    /// The code of the first reason.
    pub code: String,
    /// The reasons.
    pub sentence: String,
}

/// Adds what was found.
pub async fn insert(
    conn: &mut PgConnection,
    id: RejudgementId,
    found: &[Unaccepted],
) -> Result<(), StoreError> {
    let connections: Vec<Uuid> = found.iter().map(|row| row.connection.uuid()).collect();
    let codes: Vec<String> = found.iter().map(|row| row.code.clone()).collect();
    let states: Vec<String> = found.iter().map(|row| row.state.to_string()).collect();
    let sentences: Vec<String> = found.iter().map(|row| row.sentence.clone()).collect();
    sqlx::query!(
        "INSERT INTO rejudgement_connections (rejudgement_id, connection_id, code, sentence, state)
         SELECT $1, connection, code, sentence, state
           FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS new (connection, code, sentence, state)",
        id as _,
        &connections,
        &codes,
        &sentences,
        &states,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The next ones that nothing was done about.
pub async fn found(
    conn: &mut PgConnection,
    id: RejudgementId,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT connection_id AS "id: ConnectionId" FROM rejudgement_connections
            WHERE rejudgement_id = $1 AND state = 'found' ORDER BY connection_id LIMIT $2"#,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The next ones that a revocation was planned for, after a connection.
pub async fn planned(
    conn: &mut PgConnection,
    id: RejudgementId,
    after: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<ConnectionId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT connection_id AS "id: ConnectionId" FROM rejudgement_connections
            WHERE rejudgement_id = $1 AND state = 'planned' AND ($2::uuid IS NULL OR connection_id > $2)
            ORDER BY connection_id LIMIT $3"#,
        id as _,
        after.map(ConnectionId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Notes that a revocation was planned, and why.
pub async fn record_planned(
    conn: &mut PgConnection,
    id: RejudgementId,
    why: &Unaccepted,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgement_connections
            SET state = 'planned', code = $3, sentence = $4
          WHERE rejudgement_id = $1 AND connection_id = $2 AND state = 'found'",
        id as _,
        why.connection as _,
        why.code,
        why.sentence,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a connection was left as it is, and why.
pub async fn record_kept(
    conn: &mut PgConnection,
    id: RejudgementId,
    connection: ConnectionId,
    kept_as: KeptAs,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgement_connections SET state = 'kept', kept_as = $3
          WHERE rejudgement_id = $1 AND connection_id = $2 AND state = 'found'",
        id as _,
        connection as _,
        kept_as.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a connection whose revocation was planned is left as it is after all, because it is not rejected any more.
pub async fn record_spared(
    conn: &mut PgConnection,
    id: RejudgementId,
    connection: ConnectionId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE rejudgement_connections SET state = 'kept', kept_as = $3
          WHERE rejudgement_id = $1 AND connection_id = $2 AND state = 'planned'",
        id as _,
        connection as _,
        KeptAs::NotRejected.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a planned revocation was taken back.
pub async fn record_taken_back(
    conn: &mut PgConnection,
    id: RejudgementId,
    connection: ConnectionId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE rejudgement_connections SET state = 'taken_back'
          WHERE rejudgement_id = $1 AND connection_id = $2 AND state = 'planned'",
        id as _,
        connection as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A page of those that are in one of these states, the newest connection first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    id: RejudgementId,
    states: &[LosingState],
    before: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<Losing>, StoreError> {
    let states: Vec<String> = states.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"SELECT r.connection_id AS "connection: ConnectionId", c.endpoint_service_id AS "service: EndpointServiceId",
                  c.endpoint_id, c.owner_account, r.code, r.sentence, r.state, r.kept_as
             FROM rejudgement_connections r JOIN connections c ON c.id = r.connection_id
            WHERE r.rejudgement_id = $1 AND r.state = ANY($2) AND ($3::uuid IS NULL OR r.connection_id < $3)
            ORDER BY r.connection_id DESC
            LIMIT $4"#,
        id as _,
        &states,
        before.map(ConnectionId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: String| StoreError::inconsistent(TABLE, row.connection, what);
            let kept_as = row.kept_as.as_deref().map(str::parse::<KeptAs>);
            Ok(Losing {
                connection: row.connection,
                service: row.service,
                endpoint: row.endpoint_id,
                owner: row.owner_account,
                code: row.code,
                sentence: row.sentence,
                state: row.state.parse().map_err(broken)?,
                kept_as: kept_as.transpose().map_err(broken)?,
            })
        })
        .collect()
}
