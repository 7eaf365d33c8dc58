//! The work of people on reviews: who works on it, why it is held, until when access was given. Whoever writes here holds the lock of the
//! connection's row.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError, approvals, planned_revocations, review_rules};
use crate::domain::ids::{
    AccessRemovalId, AgreementId, ConnectionId, DecisionId, EndpointServiceId, RejudgementId,
};
use crate::domain::review::Verb;
use crate::domain::review_desk::{Claim, Desk, Hold, Planner, ScheduledRevocation};

struct Row {
    connection_id: ConnectionId,
    claimed_by: Option<String>,
    claimed_at: Option<DateTime<Utc>>,
    claim_ends_at: Option<DateTime<Utc>>,
    held_code: Option<String>,
    held_reason: Option<String>,
    held_until: Option<DateTime<Utc>>,
    held_by_kind: Option<String>,
    held_by: Option<String>,
    held_at: Option<DateTime<Utc>>,
    reminded_at: Option<DateTime<Utc>>,
    escalated_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    expiring_at: Option<DateTime<Utc>>,
    revoke_at: Option<DateTime<Utc>>,
    revoke_reason: Option<String>,
    revoke_by: Option<String>,
    access_removal_id: Option<AccessRemovalId>,
    rejudgement_id: Option<RejudgementId>,
    agreement_id: Option<AgreementId>,
}

impl TryFrom<Row> for Desk {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.connection_id;
        let broken = |what: String| StoreError::inconsistent("reviews", id, what);
        let half = || StoreError::inconsistent("reviews", id, "half of something");
        let claim = match (row.claimed_by, row.claimed_at, row.claim_ends_at) {
            (None, None, None) => None,
            (Some(by), Some(at), Some(ends_at)) => Some(Claim { by, at, ends_at }),
            _ => return Err(half()),
        };
        let hold = match (
            row.held_code,
            row.held_reason,
            row.held_by_kind,
            row.held_by,
            row.held_at,
        ) {
            (None, None, None, None, None) => None,
            (Some(code), Some(reason), Some(kind), Some(by), Some(at)) => Some(Hold {
                code,
                reason,
                until: row.held_until,
                by_kind: kind.parse().map_err(broken)?,
                by,
                at,
            }),
            _ => return Err(half()),
        };
        let revocation = match (row.revoke_at, row.revoke_reason, row.revoke_by) {
            (None, None, None) => None,
            (Some(at), Some(reason), Some(by)) => Some(ScheduledRevocation {
                at,
                reason,
                by,
                planner: Planner::of_columns(
                    row.access_removal_id,
                    row.rejudgement_id,
                    row.agreement_id,
                ),
            }),
            _ => return Err(half()),
        };
        Ok(Self {
            claim,
            hold,
            reminded_at: row.reminded_at,
            escalated_at: row.escalated_at,
            expires_at: row.expires_at,
            expiring_at: row.expiring_at,
            revocation,
            ..Self::default()
        })
    }
}

/// What people did about these connections, without approvals and rules.
pub async fn of_many(
    conn: &mut PgConnection,
    ids: &[ConnectionId],
) -> Result<HashMap<ConnectionId, Desk>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT asked.id AS "connection_id!: ConnectionId", v.claimed_by AS "claimed_by?", v.claimed_at AS "claimed_at?",
                  v.claim_ends_at AS "claim_ends_at?", v.held_code AS "held_code?", v.held_reason AS "held_reason?", v.held_until AS "held_until?",
                  v.held_by_kind AS "held_by_kind?", v.held_by AS "held_by?", v.held_at AS "held_at?", v.reminded_at AS "reminded_at?",
                  v.escalated_at AS "escalated_at?", v.expires_at AS "expires_at?", v.expiring_at AS "expiring_at?", p.at AS "revoke_at?",
                  p.reason AS "revoke_reason?", p.by AS "revoke_by?", p.access_removal_id AS "access_removal_id?: AccessRemovalId",
                  p.rejudgement_id AS "rejudgement_id?: RejudgementId", p.agreement_id AS "agreement_id?: AgreementId"
             FROM unnest($1::uuid[]) AS asked (id)
             LEFT JOIN reviews v ON v.connection_id = asked.id
             LEFT JOIN LATERAL (
                  SELECT * FROM standing_revocations WHERE connection_id = asked.id
                   ORDER BY at, access_removal_id NULLS FIRST, rejudgement_id, agreement_id LIMIT 1) AS p ON true"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.connection_id, row.try_into()?)))
        .collect()
}

/// All that people did about one connection, with the approvals that stand and the rules of its service.
pub async fn desk(
    conn: &mut PgConnection,
    id: ConnectionId,
    service: EndpointServiceId,
) -> Result<Desk, StoreError> {
    let mut known = of_many(conn, &[id]).await?;
    let mut desk = known.remove(&id).unwrap_or_default();
    desk.approvals = approvals::standing(conn, id).await?;
    desk.rules = review_rules::of_service(conn, service).await?;
    Ok(desk)
}

/// Records who works on it, or that nobody does.
pub async fn set_claim(
    conn: &mut PgConnection,
    id: ConnectionId,
    claim: Option<&Claim>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO reviews (connection_id, claimed_by, claimed_at, claim_ends_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (connection_id) DO UPDATE
            SET claimed_by = EXCLUDED.claimed_by, claimed_at = EXCLUDED.claimed_at, claim_ends_at = EXCLUDED.claim_ends_at",
        id as _,
        claim.map(|claim| claim.by.as_str()),
        claim.map(|claim| claim.at),
        claim.map(|claim| claim.ends_at),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records why it is not decided now, or that nothing holds it. Answers false when it is decided already.
pub async fn set_hold(
    conn: &mut PgConnection,
    id: ConnectionId,
    hold: Option<&Hold>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO reviews (connection_id, held_code, held_reason, held_until, held_by_kind, held_by, held_at)
         SELECT id, $2, $3, $4, $5, $6, $7 FROM connections WHERE id = $1 AND review_state = 'undecided'
         ON CONFLICT (connection_id) DO UPDATE
            SET held_code = EXCLUDED.held_code, held_reason = EXCLUDED.held_reason, held_until = EXCLUDED.held_until,
                held_by_kind = EXCLUDED.held_by_kind, held_by = EXCLUDED.held_by, held_at = EXCLUDED.held_at",
        id as _,
        hold.map(|hold| hold.code.as_str()),
        hold.map(|hold| hold.reason.as_str()),
        hold.and_then(|hold| hold.until),
        hold.map(|hold| hold.by_kind.as_str()),
        hold.map(|hold| hold.by.as_str()),
        hold.map(|hold| hold.at),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Closes the desk with a decision: nobody works on it any more, nothing holds it, nothing is scheduled, and the approvals that stood were
/// used or overruled. An accept may give access until a time.
pub async fn conclude(
    conn: &mut PgConnection,
    id: ConnectionId,
    decision: DecisionId,
    verb: Verb,
    expires_at: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH ended AS (
             UPDATE approvals
                SET ended_at = $4, decision_id = $2, ended_as = CASE WHEN $3 = 'accept' THEN 'used' ELSE 'overruled' END
              WHERE connection_id = $1 AND ended_at IS NULL)
         UPDATE reviews
            SET claimed_by = NULL, claimed_at = NULL, claim_ends_at = NULL, held_code = NULL, held_reason = NULL,
                held_until = NULL, held_by_kind = NULL, held_by = NULL, held_at = NULL, expires_at = NULL, expiring_at = NULL
          WHERE connection_id = $1",
        id as _,
        decision as _,
        verb.as_str(),
        at,
    )
    .execute(&mut *conn)
    .await?;
    planned_revocations::clear(conn, id).await?;
    if expires_at.is_some() {
        set_expiry(conn, id, expires_at).await?;
    }
    Ok(())
}

/// Records until when access is given. Answers false when it is not given at all.
pub async fn set_expiry(
    conn: &mut PgConnection,
    id: ConnectionId,
    expires_at: Option<DateTime<Utc>>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO reviews (connection_id, expires_at)
         SELECT id, $2 FROM connections WHERE id = $1 AND review_state = 'accepted'
         ON CONFLICT (connection_id) DO UPDATE SET expires_at = EXCLUDED.expires_at, expiring_at = NULL",
        id as _,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
