//! Recording what AWS showed: the one idempotent upsert that every observer ends in.
//!
//! A page that shows nothing new writes nothing, not even a timestamp: a fleet at rest costs reads only. A row is overwritten only by
//! a read that began later than the one it shows.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use privatelink::{Connection as Seen, ConnectionState};
use serde_json::{Value, json};
use uuid::Uuid;

use super::connection_drifts::{self, Detected};
use super::drifts::{GONE, HEALED};
use super::{PgConnection, StoreError};
use crate::domain::account_region::Lease;
use crate::domain::drift::{Change, DriftKind, detect, goes_on};
use crate::domain::ids::{AccountRegionId, ConnectionId, EndpointServiceId, uuid_at};
use crate::domain::observe::{SyncChange, sync_change};
use crate::domain::review::ReviewState;
use crate::domain::sync::SyncState;

/// What a page of observations changed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Rows of the page that are connections of registered services.
    pub known: usize,
    /// Connections seen for the first time.
    pub new: usize,
    /// Connections whose state or details changed.
    pub changed: usize,
    /// Disagreements that no decision explains.
    pub drifted: usize,
    /// Connections that wait for a person because of what was seen.
    pub stalled: usize,
}

impl std::ops::AddAssign for Recorded {
    fn add_assign(&mut self, other: Self) {
        self.known += other.known;
        self.new += other.new;
        self.changed += other.changed;
        self.drifted += other.drifted;
        self.stalled += other.stalled;
    }
}

/// One row of the page that differs from what is stored.
struct Difference {
    service: EndpointServiceId,
    acceptance_required: bool,
    registered_at: DateTime<Utc>,
    was: Option<String>,
    seen: usize,
}

/// A row after the upsert.
struct Written {
    id: ConnectionId,
    endpoint_service_id: EndpointServiceId,
    endpoint_id: String,
    review_state: String,
    sync_state: String,
    sync_act_at: Option<DateTime<Utc>>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// How long a connection that has to be watched again may take before it stalls.
    pub patience: Duration,
    /// How long a read may still show the state from before a call that AWS recorded.
    pub stale_read_grace: Duration,
}

/// Records what of a page, whose read began at `at`, is new or differs, in the caller's transaction, which holds the lease. To find the rows
/// that may is for [`super::glance`], which counts the known ones too.
pub async fn record(
    conn: &mut PgConnection,
    lease: &Lease,
    page: &[&Seen],
    at: DateTime<Utc>,
    waits: Waits,
) -> Result<Recorded, StoreError> {
    let differences = compare(conn, lease.account_region, page).await?;
    let mut recorded = Recorded::default();
    if differences.is_empty() {
        return Ok(recorded);
    }
    let written = upsert(conn, lease.account_region, page, &differences, at).await?;

    let by_key: HashMap<(EndpointServiceId, &str), (&Difference, &Seen)> = differences
        .iter()
        .filter_map(|d| Some((d, *page.get(d.seen)?)))
        .map(|(d, seen)| ((d.service, seen.endpoint_id.as_str()), (d, seen)))
        .collect();
    let mut observations = Batch::default();
    let mut moved = Vec::new();
    for row in written {
        let key = (row.endpoint_service_id, row.endpoint_id.as_str());
        let Some((difference, seen)) = by_key.get(&key).copied() else {
            continue;
        };
        if difference.was.is_none() {
            recorded.new += 1;
        } else {
            recorded.changed += 1;
        }
        if difference.was.as_deref() == Some(seen.state.as_str()) {
            continue; // Only details changed, such as a DNS name.
        }
        observations.push(row.id, difference.was.clone(), seen.state.as_str(), at);
        moved.push(Moved::judged(row, difference, seen, at, waits)?);
    }
    recorded.drifted = record_drifts(conn, lease, &moved, at).await?;
    observations.insert(conn).await?;
    let mut syncs = SyncBatch::default();
    for of in &moved {
        let change = sync_change(of.review, of.sync, &of.seen.state, of.drift);
        syncs.push(of.row.id, change);
    }
    recorded.stalled = syncs.stalled();
    syncs.apply(conn, at, waits.patience).await?;
    Ok(recorded)
}

/// A connection whose state moved, and what that means.
struct Moved<'a> {
    row: Written,
    difference: &'a Difference,
    seen: &'a Seen,
    review: ReviewState,
    sync: SyncState,
    drift: Option<DriftKind>,
}

impl<'a> Moved<'a> {
    fn judged(
        row: Written,
        difference: &'a Difference,
        seen: &'a Seen,
        at: DateTime<Utc>,
        waits: Waits,
    ) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent("connections", row.id, what);
        let review: ReviewState = row.review_state.parse().map_err(broken)?;
        let sync: SyncState = row.sync_state.parse().map_err(broken)?;
        let drift = detect(Change {
            review,
            sync,
            just_called: row
                .sync_act_at
                .is_some_and(|called| at < called + waits.stale_read_grace),
            preexisting: difference.was.is_none()
                && seen
                    .created_at
                    .is_some_and(|made| made <= difference.registered_at),
            acceptance_required: difference.acceptance_required,
            observed: &seen.state,
        });
        Ok(Self {
            row,
            difference,
            seen,
            review,
            sync,
            drift,
        })
    }

    fn detected(&self, kind: DriftKind) -> Detected<'_> {
        Detected {
            connection: self.row.id,
            service: self.row.endpoint_service_id,
            endpoint: &self.row.endpoint_id,
            kind,
            review: self.review,
            observed: self.seen.state.as_str(),
            evidence: json!({
                "owner_account_id": self.seen.owner,
                "was": self.difference.was,
                "created_at": self.seen.created_at,
                "service_registered_at": self.difference.registered_at,
                "acceptance_required": self.difference.acceptance_required,
            }),
        }
    }
}

/// Opens the drifts that were detected, and closes those that healed or that another took the place of. Answers how many are new.
async fn record_drifts(
    conn: &mut PgConnection,
    lease: &Lease,
    moved: &[Moved<'_>],
    at: DateTime<Utc>,
) -> Result<usize, StoreError> {
    // A connection that was not there before has none.
    let known = moved.iter().filter(|of| of.difference.was.is_some());
    let known: Vec<ConnectionId> = known.map(|of| of.row.id).collect();
    let standing = if known.is_empty() {
        HashMap::new()
    } else {
        connection_drifts::standing(conn, &known).await?
    };
    let (mut healed, mut superseded, mut new) = (Vec::new(), Vec::new(), 0);
    for of in moved {
        let drifts = standing.get(&of.row.id).map_or(&[][..], Vec::as_slice);
        let Some(kind) = of.drift else {
            healed.extend((!drifts.is_empty()).then_some(of.row.id));
            continue;
        };
        let was = of.difference.was.as_deref().map(ConnectionState::parse);
        let (on, off): (Vec<_>, Vec<_>) = drifts.iter().partition(|(_, standing)| {
            was.as_ref()
                .is_some_and(|was| goes_on(*standing, was, kind))
        });
        superseded.extend(off.iter().map(|(id, _)| *id));
        if on.is_empty() {
            new +=
                usize::from(connection_drifts::record(conn, lease, &of.detected(kind), at).await?);
        }
    }
    connection_drifts::resolve(conn, &healed, HEALED, at).await?;
    connection_drifts::supersede(conn, &superseded, at).await?;
    Ok(new)
}

/// Finds which rows are new or differ, word by word.
async fn compare(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    page: &[&Seen],
) -> Result<Vec<Difference>, StoreError> {
    let columns = Columns::of(page.iter().copied());
    let rows = sqlx::query!(
        r#"
        SELECT u.position AS "position!", s.id AS "service: EndpointServiceId", s.acceptance_required, s.created_at,
               c.observed_state AS "was?"
          FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[])
               WITH ORDINALITY AS u (aws_service_id, endpoint_id, state, aws_connection_id, endpoint_region,
                                     ip_address_type, dns_entries, position)
          JOIN endpoint_services s ON s.account_region_id = $1 AND s.aws_service_id = u.aws_service_id AND s.lifecycle <> 'released'
          LEFT JOIN connections c ON c.endpoint_service_id = s.id AND c.endpoint_id = u.endpoint_id
         WHERE c.id IS NULL OR (c.observed_state, c.aws_connection_id, c.endpoint_region, c.ip_address_type, c.dns_entries)
                   IS DISTINCT FROM (u.state, u.aws_connection_id, u.endpoint_region, u.ip_address_type, u.dns_entries)
        "#,
        account_region as _,
        &columns.service,
        &columns.endpoint,
        &columns.state,
        &columns.connection as _,
        &columns.region as _,
        &columns.ip as _,
        &columns.dns,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Difference {
                service: row.service,
                acceptance_required: row.acceptance_required,
                registered_at: row.created_at,
                was: row.was,
                seen: usize::try_from(row.position).ok()?.checked_sub(1)?,
            })
        })
        .collect())
}

async fn upsert(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    page: &[&Seen],
    differences: &[Difference],
    at: DateTime<Utc>,
) -> Result<Vec<Written>, StoreError> {
    let rows: Vec<(&Difference, &Seen)> = differences
        .iter()
        .filter_map(|d| Some((d, *page.get(d.seen)?)))
        .collect();
    let columns = Columns::of(rows.iter().map(|(_, seen)| *seen));
    let ids: Vec<Uuid> = rows.iter().map(|_| ConnectionId::new(at).uuid()).collect();
    let services: Vec<Uuid> = rows.iter().map(|(d, _)| d.service.uuid()).collect();
    let owners: Vec<String> = rows.iter().map(|(_, s)| s.owner.to_string()).collect();
    let created: Vec<Option<DateTime<Utc>>> = rows.iter().map(|(_, s)| s.created_at).collect();
    let written = sqlx::query_as!(
        Written,
        r#"
        INSERT INTO connections AS c
               (id, endpoint_service_id, account_region_id, endpoint_id, owner_account, observed_state, observed_at,
                aws_created_at, aws_connection_id, endpoint_region, ip_address_type, dns_entries, first_seen_at)
        SELECT u.id, u.service, $1, u.endpoint_id, u.owner, u.state, $2,
               u.created, u.aws_connection_id, u.endpoint_region, u.ip_address_type, u.dns_entries, $2
          FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[],
                      $10::text[], $11::text[], $12::jsonb[])
               AS u (id, service, endpoint_id, owner, state, created, aws_connection_id, endpoint_region,
                     ip_address_type, dns_entries)
         -- One order for everybody who locks several connections.
         ORDER BY u.service, u.endpoint_id
        ON CONFLICT ON CONSTRAINT connections_endpoint_unique DO UPDATE
           SET observed_state = EXCLUDED.observed_state,
               observed_at = EXCLUDED.observed_at,
               aws_connection_id = EXCLUDED.aws_connection_id,
               endpoint_region = EXCLUDED.endpoint_region,
               ip_address_type = EXCLUDED.ip_address_type,
               dns_entries = EXCLUDED.dns_entries
         WHERE c.observed_at <= EXCLUDED.observed_at
        RETURNING c.id AS "id: ConnectionId", c.endpoint_service_id AS "endpoint_service_id: EndpointServiceId",
                  c.endpoint_id, c.review_state, c.sync_state, c.sync_act_at
        "#,
        account_region as _,
        at,
        &ids,
        &services,
        &columns.endpoint,
        &owners,
        &columns.state,
        &created as _,
        &columns.connection as _,
        &columns.region as _,
        &columns.ip as _,
        &columns.dns,
    )
    .fetch_all(conn)
    .await?;
    Ok(written)
}

/// The page turned into arrays, one a column, as `unnest` wants them.
#[derive(Default)]
struct Columns {
    service: Vec<String>,
    endpoint: Vec<String>,
    state: Vec<String>,
    connection: Vec<Option<String>>,
    region: Vec<Option<String>>,
    ip: Vec<Option<String>>,
    dns: Vec<Value>,
}

impl Columns {
    fn of<'a>(page: impl Iterator<Item = &'a Seen>) -> Self {
        let mut columns = Self::default();
        for seen in page {
            columns.service.push(seen.service_id.to_string());
            columns.endpoint.push(seen.endpoint_id.to_string());
            columns.state.push(seen.state.as_str().to_owned());
            columns.connection.push(seen.connection_id.clone());
            columns
                .region
                .push(seen.endpoint_region.as_ref().map(ToString::to_string));
            columns.ip.push(seen.ip_address_type.clone());
            columns.dns.push(
                serde_json::to_value(&seen.dns_entries).unwrap_or_else(|_| Value::Array(vec![])),
            );
        }
        columns
    }
}

/// Observations of one page, written in one statement.
#[derive(Default)]
struct Batch {
    ids: Vec<Uuid>,
    connections: Vec<Uuid>,
    from: Vec<Option<String>>,
    to: Vec<String>,
    at: Option<DateTime<Utc>>,
}

impl Batch {
    fn push(&mut self, id: ConnectionId, from: Option<String>, to: &str, at: DateTime<Utc>) {
        self.ids.push(uuid_at(at));
        self.connections.push(id.uuid());
        self.from.push(from);
        self.to.push(to.to_owned());
        self.at = Some(at);
    }

    async fn insert(self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let Some(at) = self.at else { return Ok(()) };
        sqlx::query!(
            "INSERT INTO observations (id, at, connection_id, from_state, to_state)
             SELECT u.id, $1, u.connection, u.was, u.is_now
               FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[]) AS u (id, connection, was, is_now)",
            at,
            &self.ids,
            &self.connections,
            &self.from as _,
            &self.to,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// Changes of sync state of one page, written in one statement.
#[derive(Default)]
struct SyncBatch {
    ids: Vec<Uuid>,
    states: Vec<String>,
    codes: Vec<Option<&'static str>>,
    messages: Vec<Option<&'static str>>,
}

impl SyncBatch {
    fn stalled(&self) -> usize {
        self.codes.iter().flatten().count()
    }

    fn push(&mut self, id: ConnectionId, change: SyncChange) {
        let (state, code, message) = match change {
            SyncChange::Keep => return,
            SyncChange::Settle => (SyncState::Idle, None, None),
            SyncChange::Look => (SyncState::Confirming, None, None),
            SyncChange::Stall(code, message) => (SyncState::Stalled, Some(code), Some(message)),
        };
        self.ids.push(id.uuid());
        self.states.push(state.as_str().to_owned());
        self.codes.push(code);
        self.messages.push(message);
    }

    async fn apply(
        self,
        conn: &mut PgConnection,
        at: DateTime<Utc>,
        patience: Duration,
    ) -> Result<(), StoreError> {
        if self.ids.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE connections AS c
                SET sync_state = u.state,
                    sync_due_at = CASE WHEN u.state = 'confirming' THEN $4::timestamptz END,
                    sync_deadline_at = CASE WHEN u.state = 'confirming' THEN $5::timestamptz END,
                    sync_code = u.code,
                    sync_message = u.message,
                    -- What was given up begins anew.
                    sync_attempts = CASE WHEN c.sync_state = 'given_up' THEN 0 ELSE c.sync_attempts END,
                    sync_act = CASE WHEN c.sync_state <> 'given_up' THEN c.sync_act END,
                    sync_act_at = CASE WHEN c.sync_state <> 'given_up' THEN c.sync_act_at END
               FROM unnest($1::uuid[], $2::text[], $3::text[], $6::text[]) AS u (id, state, code, message)
              WHERE c.id = u.id",
            &self.ids,
            &self.states,
            &self.codes as _,
            at,
            at + patience,
            &self.messages as _,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// A live connection, for finding what a complete listing did not show.
#[derive(Debug, Clone)]
pub struct Live {
    /// Our id.
    pub id: ConnectionId,
    /// The service, by AWS's id.
    pub aws_service_id: String,
    /// The endpoint, by AWS's id.
    pub endpoint_id: String,
}

/// Connections of an AccountRegion that are not deleted, were last written before `before` and known before `settled`, in id order
/// after `after`.
pub async fn live_page(
    conn: &mut PgConnection,
    account_region: AccountRegionId,
    before: DateTime<Utc>,
    settled: DateTime<Utc>,
    after: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<Live>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.id AS "id: ConnectionId", s.aws_service_id AS "aws_service_id!", c.endpoint_id
             FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
            WHERE c.account_region_id = $1 AND c.observed_state <> 'deleted' AND c.observed_at < $2 AND c.first_seen_at <= $5
              AND s.aws_service_id IS NOT NULL AND s.lifecycle <> 'released' AND ($3::uuid IS NULL OR c.id > $3)
            ORDER BY c.id
            LIMIT $4"#,
        account_region as _,
        before,
        after.map(ConnectionId::uuid),
        limit,
        settled,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Live {
            id: row.id,
            aws_service_id: row.aws_service_id,
            endpoint_id: row.endpoint_id,
        })
        .collect())
}

/// Marks connections as deleted that neither a complete listing nor a direct read showed. Their sync comes to rest: nothing is owed to an
/// endpoint that is gone.
pub async fn mark_deleted(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        UPDATE connections AS c
           SET observed_state = 'deleted', observed_at = $2,
               sync_state = 'idle', sync_due_at = NULL, sync_deadline_at = NULL, sync_code = NULL, sync_message = NULL
          FROM (SELECT id, observed_state AS was FROM connections
                 WHERE id = ANY($1) ORDER BY endpoint_service_id, endpoint_id FOR UPDATE) AS before
         WHERE c.id = before.id AND c.observed_state <> 'deleted' AND c.observed_at < $2
        RETURNING c.id AS "id: ConnectionId", before.was
        "#,
        &ids,
        at,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut observations = Batch::default();
    for row in &rows {
        observations.push(row.id, Some(row.was.clone()), "deleted", at);
    }
    let gone: Vec<ConnectionId> = rows.iter().map(|row| row.id).collect();
    connection_drifts::resolve(conn, &gone, GONE, at).await?;
    observations.insert(conn).await?;
    Ok(rows.len() as u64)
}
