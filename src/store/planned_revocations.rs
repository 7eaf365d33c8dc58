//! Access that is going to be taken away: who wants it and when. Each has a row of its own, and the earliest that stands counts. Whoever writes here holds
//! the lock of the connection's row.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{PgConnection, StoreError};
use crate::domain::ids::{AccessRemovalId, AgreementId, ConnectionId, RejudgementId};
use crate::domain::review_desk::{Planner, ScheduledRevocation};

impl Planner {
    fn columns(self) -> (Option<Uuid>, Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Person => (None, None, None),
            Self::AccessRemoval(id) => (Some(id.uuid()), None, None),
            Self::Rejudgement(id) => (None, Some(id.uuid()), None),
            Self::Agreement(id) => (None, None, Some(id.uuid())),
        }
    }

    /// The planner of a row.
    pub(super) fn of_columns(
        removal: Option<AccessRemovalId>,
        rejudgement: Option<RejudgementId>,
        agreement: Option<AgreementId>,
    ) -> Self {
        match (removal, rejudgement, agreement) {
            (Some(id), _, _) => Self::AccessRemoval(id),
            (None, Some(id), _) => Self::Rejudgement(id),
            (None, None, Some(id)) => Self::Agreement(id),
            (None, None, None) => Self::Person,
        }
    }
}

/// Plans one beside what others planned; an earlier one of the same planner makes room. Answers false where no access is given.
pub async fn add(
    conn: &mut PgConnection,
    id: ConnectionId,
    planned: &ScheduledRevocation,
) -> Result<bool, StoreError> {
    let (removal, rejudgement, agreement) = planned.planner.columns();
    let done = sqlx::query!(
        "INSERT INTO planned_revocations (connection_id, access_removal_id, rejudgement_id, agreement_id, at, reason, by)
         SELECT id, $2, $3, $4, $5, $6, $7 FROM connections WHERE id = $1 AND review_state = 'accepted'
         ON CONFLICT ON CONSTRAINT planned_revocations_one_of_each DO UPDATE
            SET at = EXCLUDED.at, reason = EXCLUDED.reason, by = EXCLUDED.by",
        id as _,
        removal,
        rejudgement,
        agreement,
        planned.at,
        planned.reason,
        planned.by,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What an agreement plans to take away, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The agreement.
    pub agreement: AgreementId,
    /// The connection.
    pub connection: ConnectionId,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who planned it.
    pub by: String,
}

impl Cut {
    /// As it stands beside what others planned.
    pub fn planned(&self) -> ScheduledRevocation {
        ScheduledRevocation {
            at: self.at,
            reason: self.reason.clone(),
            by: self.by.clone(),
            planner: Planner::Agreement(self.agreement),
        }
    }
}

/// Plans what agreements cut, as [`add`] does. Answers those that are planned now: the others give no access. No two are of the same agreement and connection.
pub async fn add_cuts(
    conn: &mut PgConnection,
    cuts: &[Cut],
) -> Result<HashSet<(AgreementId, ConnectionId)>, StoreError> {
    let agreements: Vec<Uuid> = cuts.iter().map(|cut| cut.agreement.uuid()).collect();
    let connections: Vec<Uuid> = cuts.iter().map(|cut| cut.connection.uuid()).collect();
    let ats: Vec<DateTime<Utc>> = cuts.iter().map(|cut| cut.at).collect();
    let reasons: Vec<&str> = cuts.iter().map(|cut| cut.reason.as_str()).collect();
    let by: Vec<&str> = cuts.iter().map(|cut| cut.by.as_str()).collect();
    let rows = sqlx::query!(
        r#"INSERT INTO planned_revocations (connection_id, agreement_id, at, reason, by)
           SELECT c.id, u.agreement_id, u.at, u.reason, u.by
             FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[]) AS u (connection_id, agreement_id, at, reason, by)
             JOIN connections AS c ON c.id = u.connection_id AND c.review_state = 'accepted'
           ON CONFLICT ON CONSTRAINT planned_revocations_one_of_each DO UPDATE
              SET at = EXCLUDED.at, reason = EXCLUDED.reason, by = EXCLUDED.by
           RETURNING agreement_id AS "agreement!: AgreementId", connection_id AS "connection: ConnectionId""#,
        &connections,
        &agreements,
        &ats,
        &reasons as &[&str],
        &by as &[&str],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.agreement, row.connection))
        .collect())
}

/// Takes back what agreements plan to cut, and answers what was planned.
pub async fn take_cuts_back(
    conn: &mut PgConnection,
    of: &[(AgreementId, ConnectionId)],
) -> Result<Vec<Cut>, StoreError> {
    let (agreements, connections): (Vec<Uuid>, Vec<Uuid>) =
        of.iter().map(|(a, c)| (a.uuid(), c.uuid())).unzip();
    let rows = sqlx::query_as!(
        Cut,
        r#"DELETE FROM planned_revocations AS p USING unnest($1::uuid[], $2::uuid[]) AS u (agreement_id, connection_id)
            WHERE p.agreement_id = u.agreement_id AND p.connection_id = u.connection_id
           RETURNING p.agreement_id AS "agreement!: AgreementId", p.connection_id AS "connection: ConnectionId", p.at, p.reason, p.by"#,
        &agreements,
        &connections,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Takes one planner's back, and answers it, if there is one.
pub async fn take_back(
    conn: &mut PgConnection,
    id: ConnectionId,
    planner: Planner,
) -> Result<Option<ScheduledRevocation>, StoreError> {
    let (removal, rejudgement, agreement) = planner.columns();
    let row = sqlx::query!(
        "DELETE FROM planned_revocations
          WHERE connection_id = $1 AND access_removal_id IS NOT DISTINCT FROM $2 AND rejudgement_id IS NOT DISTINCT FROM $3
            AND agreement_id IS NOT DISTINCT FROM $4
         RETURNING at, reason, by",
        id as _,
        removal,
        rejudgement,
        agreement,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ScheduledRevocation {
        at: row.at,
        reason: row.reason,
        by: row.by,
        planner,
    }))
}

/// Forgets what people, removals and re-judgements planned, and answers whether there was any. What agreements plan is not theirs to give up.
pub async fn clear_all_but_agreements(
    conn: &mut PgConnection,
    id: ConnectionId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM planned_revocations WHERE connection_id = $1 AND agreement_id IS NULL",
        id as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Forgets all that anybody planned.
pub async fn clear(conn: &mut PgConnection, id: ConnectionId) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM planned_revocations WHERE connection_id = $1",
        id as _
    )
    .execute(conn)
    .await?;
    Ok(())
}
