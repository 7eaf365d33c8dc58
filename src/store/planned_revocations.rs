//! Access that is going to be taken away: who wants it and when. Each has a row of its own, and the earliest that stands counts. Whoever writes here holds
//! the lock of the connection's row.

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
