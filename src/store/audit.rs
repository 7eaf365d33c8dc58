//! The audit trail: one entry for each change, in the change's own transaction. The table refuses updates and deletes.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{PgConnection, StoreError, unit_of_work};
use crate::domain::actor::Actor;
pub use crate::domain::audit_entry::Subject;
use crate::domain::audit_entry::{AuditEntry, SubjectKind};
use crate::domain::ids::{AuditEntryId, DecisionId, uuid_at};
use crate::domain::order::Order;

/// One audit entry.
#[derive(Debug)]
pub struct Entry<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: &'a Actor,
    /// What, as `noun.verb`.
    pub action: &'static str,
    /// To what.
    pub subject: Subject,
    /// The part that changed, as it was.
    pub before: Option<Value>,
    /// The part that changed, as it is.
    pub after: Option<Value>,
    /// Why.
    pub reason: Option<&'a str>,
    /// The decision behind it.
    pub decision: Option<DecisionId>,
}

/// Writes an entry.
pub async fn record(conn: &mut PgConnection, entry: Entry<'_>) -> Result<(), StoreError> {
    let (kind, id) = (entry.subject.kind(), entry.subject.uuid());
    sqlx::query!(
        "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id, before, after, reason,
                                    request_id, decision_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        uuid_at(entry.at),
        entry.at,
        entry.actor.kind.as_str(),
        entry.actor.name,
        entry.action,
        kind.as_str(),
        id,
        entry.before,
        entry.after,
        entry.reason,
        entry.actor.request_id,
        entry.decision.map(DecisionId::uuid),
    )
    .execute(conn)
    .await?;
    unit_of_work::note_written(id);
    Ok(())
}

/// Writes entries, in their order, in one statement.
pub async fn record_many(
    conn: &mut PgConnection,
    entries: Vec<Entry<'_>>,
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = entries.iter().map(|one| uuid_at(one.at)).collect();
    let ats: Vec<DateTime<Utc>> = entries.iter().map(|one| one.at).collect();
    let kinds: Vec<&str> = entries.iter().map(|one| one.actor.kind.as_str()).collect();
    let actors: Vec<&str> = entries.iter().map(|one| one.actor.name.as_str()).collect();
    let actions: Vec<&str> = entries.iter().map(|one| one.action).collect();
    let about: Vec<&str> = entries
        .iter()
        .map(|one| one.subject.kind().as_str())
        .collect();
    let subjects: Vec<Uuid> = entries.iter().map(|one| one.subject.uuid()).collect();
    let reasons: Vec<Option<&str>> = entries.iter().map(|one| one.reason).collect();
    let requests: Vec<Option<&str>> = entries
        .iter()
        .map(|one| one.actor.request_id.as_deref())
        .collect();
    let decisions: Vec<Option<Uuid>> = entries
        .iter()
        .map(|one| one.decision.map(DecisionId::uuid))
        .collect();
    let (befores, afters): (Vec<Option<Value>>, Vec<Option<Value>>) = entries
        .into_iter()
        .map(|one| (one.before, one.after))
        .unzip();
    sqlx::query!(
        "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id, before, after, reason,
                                    request_id, decision_id)
         SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::jsonb[],
                              $9::jsonb[], $10::text[], $11::text[], $12::uuid[])",
        &ids,
        &ats,
        &kinds as &[&str],
        &actors as &[&str],
        &actions as &[&str],
        &about as &[&str],
        &subjects,
        &befores as &[Option<Value>],
        &afters as &[Option<Value>],
        &reasons as &[Option<&str>],
        &requests as &[Option<&str>],
        &decisions as &[Option<Uuid>],
    )
    .execute(conn)
    .await?;
    for subject in subjects {
        unit_of_work::note_written(subject);
    }
    Ok(())
}

/// Which entries to list. What is absent does not narrow.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// What they are about.
    pub subject: Option<Subject>,
    /// Who did it.
    pub actor: Option<&'a str>,
    /// What was done, as `noun.verb`.
    pub action: Option<&'a str>,
    /// Which request did it.
    pub request_id: Option<&'a str>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

struct Row {
    id: AuditEntryId,
    at: DateTime<Utc>,
    actor_kind: String,
    actor: String,
    action: String,
    subject_kind: String,
    subject_id: Uuid,
    before: Option<Value>,
    after: Option<Value>,
    reason: Option<String>,
    request_id: Option<String>,
    decision: Option<DecisionId>,
}

impl TryFrom<Row> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::inconsistent("audit_entries", row.id, what);
        let kind: SubjectKind = row.subject_kind.parse().map_err(broken)?;
        Ok(Self {
            id: row.id,
            at: row.at,
            actor_kind: row.actor_kind.parse().map_err(broken)?,
            actor: row.actor,
            action: row.action,
            subject: Subject::of(kind, row.subject_id),
            before: row.before,
            after: row.after,
            reason: row.reason,
            request_id: row.request_id,
            decision: row.decision,
        })
    }
}

/// A page of entries, starting after `from`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    order: Order,
    from: Option<AuditEntryId>,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    macro_rules! listed {
        ($after:literal, $order:literal) => {
            sqlx::query_as!(
                Row,
                r#"SELECT id AS "id: AuditEntryId", at, actor_kind, actor, action, subject_kind, subject_id, before, after, reason, request_id,
                          decision_id AS "decision: DecisionId"
                     FROM audit_entries
                    WHERE ($1::uuid IS NULL OR subject_id = $1) AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR action = $3)
                      AND ($4::text IS NULL OR request_id = $4) AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
                      AND ($7::uuid IS NULL OR id "# + $after + r#" $7)
                    ORDER BY id "# + $order + r#" LIMIT $8"#,
                filter.subject.map(Subject::uuid),
                filter.actor,
                filter.action,
                filter.request_id,
                filter.since,
                filter.until,
                from.map(AuditEntryId::uuid),
                limit,
            )
            .fetch_all(conn)
            .await?
        };
    }
    let rows = match order {
        Order::Asc => listed!(">", "ASC"),
        Order::Desc => listed!("<", "DESC"),
    };
    rows.into_iter().map(AuditEntry::try_from).collect()
}
