//! The drift inbox.
//!
//! A drift is identified by its place, kind, service and subject, and its content is `before` and `after`. The same one stands once
//! (`resolved_at` is NULL); one with another content closes it and begins a new row. What is at rest is read and not written.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::ServiceId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PgConnection, StoreError, audit};
use crate::domain::actor::{Actor, ActorKind};
use crate::domain::drift::{About, DriftKind};
use crate::domain::drift_inbox::{Drift, DriftState, Found, Settled};
use crate::domain::ids::{AccountRegionId, ConnectionId, DriftId, EndpointServiceId, uuid_at};

/// Why a drift closed by itself: AWS does not show it any more.
pub const HEALED: &str = "AWS does not show it any more";
/// Why a drift closed by itself: another took its place.
pub const SUPERSEDED: &str = "AWS shows something else by now";
/// Why a drift closed by itself: there is nothing left to disagree about.
pub const GONE: &str = "the endpoint is gone";

struct Row {
    id: DriftId,
    kind: String,
    account_region_id: AccountRegionId,
    endpoint_service_id: Option<EndpointServiceId>,
    connection_id: Option<ConnectionId>,
    subject: String,
    before: Option<Value>,
    after: Option<Value>,
    evidence: Value,
    detected_at: DateTime<Utc>,
    state: String,
    resolved_at: Option<DateTime<Utc>>,
    settled_at: Option<DateTime<Utc>>,
    settled_by_kind: Option<String>,
    settled_by: Option<String>,
    settled_reason: Option<String>,
}

impl TryFrom<Row> for Drift {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent("drifts", row.id, what);
        let settled = match (
            row.settled_at,
            row.settled_by_kind,
            row.settled_by,
            row.settled_reason,
        ) {
            (None, None, None, None) => None,
            (Some(at), Some(kind), Some(by), Some(reason)) => Some(Settled {
                at,
                by_kind: kind.parse::<ActorKind>().map_err(broken)?,
                by,
                reason,
            }),
            _ => return Err(broken("half a settlement".to_owned())),
        };
        Ok(Self {
            id: row.id,
            kind: row.kind.parse().map_err(broken)?,
            account_region_id: row.account_region_id,
            service_id: row.endpoint_service_id,
            connection_id: row.connection_id,
            subject: row.subject,
            before: row.before.unwrap_or_default(),
            after: row.after.unwrap_or_default(),
            evidence: row.evidence,
            detected_at: row.detected_at,
            state: row.state.parse().map_err(broken)?,
            resolved_at: row.resolved_at,
            settled,
        })
    }
}

/// Reads drifts: the columns once, whatever the rest of the statement says.
macro_rules! drift_rows {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT d.id AS "id: DriftId", d.kind, d.account_region_id AS "account_region_id: AccountRegionId",
                      d.endpoint_service_id AS "endpoint_service_id: EndpointServiceId",
                      d.connection_id AS "connection_id: ConnectionId", d.subject, d.before, d.after, d.evidence,
                      d.detected_at, d.state, d.resolved_at, d.settled_at, d.settled_by_kind, d.settled_by, d.settled_reason
                 FROM drifts d "# + $rest
            $(, $argument)*
        )
    };
}

/// One by id.
pub async fn by_id(conn: &mut PgConnection, id: DriftId) -> Result<Option<Drift>, StoreError> {
    let row = drift_rows!(r#"WHERE d.id = $1"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Drift::try_from).transpose()
}

/// One by id, and keeps others waiting who settle it, until the end of the transaction. What it is about is locked before it.
pub async fn locked(conn: &mut PgConnection, id: DriftId) -> Result<Option<Drift>, StoreError> {
    let row = drift_rows!(r#"WHERE d.id = $1 FOR UPDATE"#, id as _,)
        .fetch_optional(conn)
        .await?;
    row.map(Drift::try_from).transpose()
}

/// Which drifts to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<DriftKind>,
    /// Only those that stand here.
    pub state: Option<DriftState>,
    /// Only this service's, those of its connections included.
    pub service: Option<EndpointServiceId>,
    /// Only this AccountRegion's.
    pub account_region: Option<AccountRegionId>,
    /// Only this connection's.
    pub connection: Option<ConnectionId>,
}

/// A page, newest first, starting after `before`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    before: Option<DriftId>,
    limit: i64,
) -> Result<Vec<Drift>, StoreError> {
    let rows = drift_rows!(
        r#"WHERE ($1::uuid IS NULL OR d.id < $1)
              AND ($2::text IS NULL OR d.kind = $2)
              AND ($3::text IS NULL OR d.state = $3)
              AND ($4::uuid IS NULL OR d.endpoint_service_id = $4)
              AND ($5::uuid IS NULL OR d.account_region_id = $5)
              AND ($6::uuid IS NULL OR d.connection_id = $6)
            ORDER BY d.id DESC
            LIMIT $7"#,
        before.map(DriftId::uuid),
        filter.kind.map(DriftKind::as_str),
        filter.state.map(DriftState::as_str),
        filter.service.map(EndpointServiceId::uuid),
        filter.account_region.map(AccountRegionId::uuid),
        filter.connection.map(ConnectionId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Drift::try_from).collect()
}

/// Drifts of an AccountRegion or of one service that stand, of the given kinds, oldest first.
async fn standing(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    service: Option<EndpointServiceId>,
    kinds: &[&str],
) -> Result<Vec<Drift>, StoreError> {
    let rows = drift_rows!(
        r#"WHERE d.account_region_id = $1 AND d.kind = ANY($2) AND ($3::uuid IS NULL OR d.endpoint_service_id = $3)
              AND d.resolved_at IS NULL
            ORDER BY d.id"#,
        account_region as _,
        kinds as _,
        service.map(EndpointServiceId::uuid),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Drift::try_from).collect()
}

/// The drifts of this kind that stand about a registered service.
pub async fn standing_of_service(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    service: EndpointServiceId,
    kind: DriftKind,
) -> Result<Vec<Drift>, StoreError> {
    standing(conn, account_region, Some(service), &[kind.as_str()]).await
}

/// What is looked at as a whole, so that what it does not show is healed.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// One registered service.
    Service(AccountRegionId, EndpointServiceId),
    /// The services of an AccountRegion that are not registered.
    AccountRegion(AccountRegionId),
}

impl Scope {
    fn parts(self) -> (AccountRegionId, Option<EndpointServiceId>, About) {
        match self {
            Self::Service(place, service) => (place, Some(service), About::Service),
            Self::AccountRegion(place) => (place, None, About::AccountRegion),
        }
    }
}

/// Brings the rows in step with what is found now, and answers how many drifts are new. With `complete`, what is not found any more is
/// closed; a look that may have missed something closes nothing. The caller holds the lease.
pub async fn reconcile(
    conn: &mut PgConnection,
    scope: Scope,
    found: &[Found],
    complete: bool,
    at: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let (account_region, service, about) = scope.parts();
    let kinds: Vec<&str> = DriftKind::ALL
        .iter()
        .filter(|kind| kind.about() == about)
        .map(|kind| kind.as_str())
        .collect();
    let standing = standing(conn, account_region, service, &kinds).await?;
    let mut new: BTreeMap<(DriftKind, &str), &Found> = found
        .iter()
        .map(|now| ((now.kind, now.subject.as_str()), now))
        .collect();
    let (mut healed, mut superseded) = (Vec::new(), Vec::new());
    for drift in &standing {
        let key = (drift.kind, drift.subject.as_str());
        match new.get(&key) {
            Some(now) if (&now.before, &now.after) == (&drift.before, &drift.after) => {
                new.remove(&key);
            }
            Some(_) => superseded.push(drift.id),
            None if complete => healed.push(drift.id),
            None => {}
        }
    }
    close(conn, &healed, HEALED, at).await?;
    close(conn, &superseded, SUPERSEDED, at).await?;
    let new: Vec<&Found> = new.into_values().collect();
    let opened = open(conn, account_region, service, &new, at).await?;
    let (action, subject) = match service {
        Some(id) => (
            "endpoint_service.drifted",
            audit::Subject::EndpointService(id),
        ),
        None => (
            "account_region.drifted",
            audit::Subject::AccountRegion(account_region),
        ),
    };
    for (id, index) in &opened {
        let Some(found) = new.get(*index) else {
            continue;
        };
        let entry = audit::Entry {
            at,
            actor: &Actor::aws(),
            action,
            subject,
            before: Some(found.before.clone()),
            after: Some(
                json!({ "drift": found.kind, "drift_id": id, "subject": found.subject, "shown": found.after }),
            ),
            reason: None,
            decision: None,
        };
        audit::record(conn, entry).await?;
    }
    Ok(opened.len())
}

/// Writes new rows, and answers each with its place in `new`. One that stands already, because somebody else wrote it, is left out.
async fn open(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    service: Option<EndpointServiceId>,
    new: &[&Found],
    at: DateTime<Utc>,
) -> Result<Vec<(DriftId, usize)>, StoreError> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = new.iter().map(|_| uuid_at(at)).collect();
    let kinds: Vec<&str> = new.iter().map(|found| found.kind.as_str()).collect();
    let subjects: Vec<&str> = new.iter().map(|found| found.subject.as_str()).collect();
    let before: Vec<&Value> = new.iter().map(|found| &found.before).collect();
    let after: Vec<&Value> = new.iter().map(|found| &found.after).collect();
    let evidence: Vec<&Value> = new.iter().map(|found| &found.evidence).collect();
    let written = sqlx::query_scalar!(
        r#"INSERT INTO drifts (id, account_region_id, endpoint_service_id, kind, subject, before, after, evidence, detected_at)
           SELECT u.id, $1, $2, u.kind, u.subject, u.before, u.after, u.evidence, $3
             FROM unnest($4::uuid[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[], $9::jsonb[])
                  AS u (id, kind, subject, before, after, evidence)
           ON CONFLICT (account_region_id, kind, endpoint_service_id, subject) WHERE resolved_at IS NULL DO NOTHING
           RETURNING id AS "id: DriftId""#,
        account_region as _,
        service.map(EndpointServiceId::uuid),
        at,
        &ids,
        &kinds as _,
        &subjects as _,
        &before as _,
        &after as _,
        &evidence as _,
    )
    .fetch_all(conn)
    .await?;
    let place = |id: DriftId| ids.iter().position(|known| *known == id.uuid());
    Ok(written
        .into_iter()
        .filter_map(|id| Some((id, place(id)?)))
        .collect())
}

/// Closes drifts that went away by themselves. Who ignored one has settled it already; then only its end is noted.
async fn close(
    conn: &mut PgConnection,
    ids: &[DriftId],
    why: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let worker = Actor::worker();
    settle_standing(conn, ids, DriftState::Resolved, &worker, why, at).await
}

/// Settles these drifts as far as they stand: open ones by this actor, and of ignored ones the end is noted.
pub async fn settle_standing(
    conn: &mut PgConnection,
    ids: &[DriftId],
    state: DriftState,
    actor: &Actor,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "UPDATE drifts
            SET resolved_at = $2,
                settled_at = coalesce(settled_at, $2), settled_by_kind = coalesce(settled_by_kind, $4),
                settled_by = coalesce(settled_by, $5), settled_reason = coalesce(settled_reason, $6),
                state = CASE WHEN state = 'open' THEN $3 ELSE state END
          WHERE id = ANY($1) AND resolved_at IS NULL",
        &ids,
        at,
        state.as_str(),
        actor.kind.as_str(),
        actor.name,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The drifts that stand about a service as such, and not about a connection of it.
pub async fn standing_of_service_itself(
    conn: &mut PgConnection,
    service: EndpointServiceId,
) -> Result<Vec<DriftId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: DriftId" FROM drifts
            WHERE endpoint_service_id = $1 AND connection_id IS NULL AND resolved_at IS NULL
            ORDER BY id"#,
        service as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The drifts that stand about a service and its connections.
pub async fn standing_about(
    conn: &mut PgConnection,
    service: EndpointServiceId,
) -> Result<Vec<DriftId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: DriftId" FROM drifts WHERE endpoint_service_id = $1 AND resolved_at IS NULL ORDER BY id"#,
        service as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// Locks the drift about a service that nobody has registered, if there is one. Whoever registers the service does this first: settling such
/// a drift has it locked before it registers, and the other way round the two would wait for each other.
pub async fn lock_unknown_service(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    aws_service_id: &ServiceId,
) -> Result<(), StoreError> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: DriftId" FROM drifts
            WHERE account_region_id = $1 AND kind = 'unknown_service' AND endpoint_service_id IS NULL AND subject = $2
              AND resolved_at IS NULL
            ORDER BY id
              FOR UPDATE"#,
        account_region as _,
        aws_service_id.as_str(),
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Settles the drift about a service that nobody had registered, if there is one: somebody registered it.
pub async fn settle_unknown_service(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    aws_service_id: &ServiceId,
    actor: &Actor,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: DriftId" FROM drifts
            WHERE account_region_id = $1 AND kind = 'unknown_service' AND endpoint_service_id IS NULL AND subject = $2
              AND resolved_at IS NULL"#,
        account_region as _,
        aws_service_id.as_str(),
    )
    .fetch_all(&mut *conn)
    .await?;
    if ids.is_empty() {
        return Ok(());
    }
    settle_standing(conn, &ids, DriftState::Adopted, actor, reason, at).await
}

/// Notes that somebody leaves both as they are. Answers false when it was not open any more.
pub async fn ignore(
    conn: &mut PgConnection,
    id: DriftId,
    actor: &Actor,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE drifts
            SET state = 'ignored', settled_at = $2, settled_by_kind = $3, settled_by = $4, settled_reason = $5
          WHERE id = $1 AND state = 'open'",
        id as _,
        at,
        actor.kind.as_str(),
        actor.name,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many drifts of an AccountRegion are open, by kind. Reads an index of the open ones only.
pub async fn open_by_kind(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
) -> Result<Vec<(DriftKind, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT kind, count(*) AS "count!" FROM drifts WHERE account_region_id = $1 AND state = 'open' GROUP BY kind"#,
        account_region as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = |what: String| StoreError::inconsistent("drifts", "of a kind", what);
            Ok((row.kind.parse().map_err(broken)?, row.count))
        })
        .collect()
}
