//! The feed of events.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::audit_entry::{Subject, SubjectKind};
use crate::domain::event::{Bounds, Event};
use crate::domain::ids::{DecisionId, EndpointServiceId};

/// Gives positions to what has waited longest. Answers how many were given; `None` where somebody else is at it.
pub async fn number(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Option<u64>, StoreError> {
    let Some(last) = sqlx::query_scalar!("SELECT last FROM event_feed FOR UPDATE SKIP LOCKED")
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(None);
    };
    let done = sqlx::query!(
        r#"WITH next AS (
               SELECT at, id, observed FROM events_waiting ORDER BY at, id LIMIT $1),
           taken AS (
               DELETE FROM events_waiting AS w USING next AS n WHERE w.at = n.at AND w.id = n.id),
           told AS (
               SELECT n.at, n.id, source.*, $2 + row_number() OVER (ORDER BY n.at, n.id) AS position
                 FROM next AS n
                      -- Row by row: however many there are, no more are read than are taken.
                CROSS JOIN LATERAL (
                      SELECT e.action AS kind, e.subject_kind, e.subject_id, e.decision_id, e.request_id,
                             NULL::text AS from_state, NULL::text AS to_state
                        FROM audit_entries AS e WHERE NOT n.observed AND e.id = n.id AND e.at = n.at
                      UNION ALL
                      SELECT 'connection.observed', 'connection', o.connection_id, NULL, NULL, o.from_state, o.to_state
                        FROM observations AS o WHERE n.observed AND o.id = n.id AND o.at = n.at
                      OFFSET 0) AS source)
           INSERT INTO events (position, noted_at, at, source_id, kind, subject_kind, subject_id, endpoint_service_id, decision_id,
                               request_id, from_state, to_state)
           SELECT t.position, $3, t.at, t.id, t.kind, t.subject_kind, t.subject_id,
                  CASE t.subject_kind
                      WHEN 'endpoint_service' THEN t.subject_id
                      WHEN 'connection' THEN (SELECT c.endpoint_service_id FROM connections AS c WHERE c.id = t.subject_id) END,
                  t.decision_id, t.request_id, t.from_state, t.to_state
             FROM told AS t"#,
        limit,
        last,
        now,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    let given = i64::try_from(done).unwrap_or(i64::MAX);
    if given > 0 {
        sqlx::query!("UPDATE event_feed SET last = last + $1", given)
            .execute(conn)
            .await?;
    }
    Ok(Some(done))
}

/// Where the feed begins and ends.
pub async fn bounds(conn: &mut PgConnection) -> Result<Bounds, StoreError> {
    let bounds = sqlx::query_as!(Bounds, "SELECT first, last FROM event_feed")
        .fetch_one(conn)
        .await?;
    Ok(bounds)
}

struct Row {
    position: i64,
    at: DateTime<Utc>,
    kind: String,
    subject_kind: String,
    subject_id: Uuid,
    service: Option<EndpointServiceId>,
    decision: Option<DecisionId>,
    request_id: Option<String>,
    from_state: Option<String>,
    to_state: Option<String>,
}

impl TryFrom<Row> for Event {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent("events", row.position, what);
        let kind: SubjectKind = row.subject_kind.parse().map_err(broken)?;
        Ok(Self {
            position: row.position,
            at: row.at,
            kind: row.kind,
            subject: Subject::of(kind, row.subject_id),
            service: row.service,
            decision: row.decision,
            request_id: row.request_id,
            observed: row.to_state.map(|to| (row.from_state, to)),
        })
    }
}

/// Which events to read. What is absent does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// What happened: `connection.accept`, or `connection` for all that happens to connections.
    pub kind: Option<String>,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The service that it is about, or whose connection it is about.
    pub service: Option<EndpointServiceId>,
}

impl Filter {
    /// Whether it lets an event through, as the statement in [`after`] does.
    pub fn lets_through(&self, event: &Event) -> bool {
        let kind = |wanted: &String| {
            let rest = event.kind.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.kind.as_ref().is_none_or(kind)
            && self.subject.is_none_or(|subject| event.subject == subject)
            && (self.service.is_none() || event.service == self.service)
    }
}

/// Events after a position, in their order, up to another.
pub async fn after(
    conn: &mut PgConnection,
    filter: &Filter,
    position: i64,
    up_to: i64,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT position, at, kind, subject_kind, subject_id, endpoint_service_id AS "service: EndpointServiceId",
                  decision_id AS "decision: DecisionId", request_id, from_state, to_state
             FROM events
            WHERE position > $1 AND position <= $2
              AND ($3::text IS NULL OR kind = $3 OR starts_with(kind, $3 || '.'))
              AND ($4::uuid IS NULL OR subject_id = $4)
              AND ($5::uuid IS NULL OR endpoint_service_id = $5)
            ORDER BY position LIMIT $6"#,
        position,
        up_to,
        filter.kind,
        filter.subject.map(Subject::uuid),
        filter.service.map(EndpointServiceId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Event::try_from).collect()
}
