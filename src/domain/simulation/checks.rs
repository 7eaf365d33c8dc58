//! What must be true always, at rest, and after a person looked after what stalled.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::ConnectionState;

use super::aws::{Aws, connected};
use super::row::Row;
use super::shell::{Portcullis, RULES};
use super::{Checked, LONGEST_LAG_MS};
use crate::domain::connection::Connection;
use crate::domain::observe::REJECTED_OUTSIDE;
use crate::domain::review::ReviewState;
use crate::domain::sync::{Act, Plan, SyncState, plan};

impl Portcullis {
    // What must be true of every call and of every surrender.

    pub(super) fn check_calls(
        &mut self,
        act: Act,
        batch: &[Connection],
        (began, loaded_in): (DateTime<Utc>, u64),
        now: DateTime<Utc>,
        aws: &Aws,
    ) {
        for connection in batch {
            let row = self.row(connection.id);
            let replaced = row.connection.decision_id != connection.decision_id;
            let wanted = match act {
                Act::Accept => connection.review == ReviewState::Accepted,
                Act::Reject => {
                    matches!(
                        connection.review,
                        ReviewState::Rejected | ReviewState::Revoked
                    )
                }
            };
            let fresh = row
                .recorded
                .is_some_and(|(last, at)| last == act && now < at + RULES.stale_read_grace);
            let revived = aws.endpoint(&connection.endpoint_id).revived_at;
            let unmoved = row.connection.sync.state == connection.sync.state;
            let overwritten = revived.is_some_and(|at| {
                connection
                    .sync
                    .act
                    .is_none_or(|(_, called)| at > called + RULES.stale_read_grace)
            });
            let what = if replaced && row.decided_in <= loaded_in {
                "is called for a decision that was replaced before (I3)"
            } else if !wanted {
                "is called for what was not decided (I3)"
            } else if row.looked_at.is_none_or(|at| at < began) {
                "is called without a look (I7)"
            } else if fresh && !replaced {
                "is called again while a read may be stale (I4)"
            } else if row.told >= RULES.max_attempts {
                "is called more often than the rules allow (I14)"
            } else if act == Act::Reject && row.rested && unmoved && overwritten {
                "is overwritten in AWS though nobody asked (I17)"
            } else {
                continue;
            };
            let what = said(row, what);
            self.broken(what);
        }
    }

    pub(super) fn check_stall(&mut self, connection: &Connection, code: &str, now: DateTime<Utc>) {
        let row = self.row(connection.id);
        let refused = [
            REJECTED_OUTSIDE,
            "UnauthorizedOperation",
            "InvalidParameter",
        ];
        let overdue = connection.sync.deadline_at.is_some_and(|at| at <= now);
        if !refused.contains(&code) && !overdue && row.calls < RULES.max_attempts {
            let what = said(row, "is given up too early");
            self.broken(what);
        }
    }
}

/// At any instant.
pub(super) fn always(portcullis: &Portcullis, aws: &Aws) -> Checked {
    if let Some(wrong) = &portcullis.wrong {
        return Err(wrong.clone());
    }
    for row in &portcullis.rows {
        let connection = &row.connection;
        let sync = &connection.sync;
        let queued = matches!(sync.state, SyncState::Due | SyncState::Confirming);
        if queued != sync.due_at.is_some() {
            return Err(said(
                row,
                "is queued without a time, or not queued with one",
            ));
        }
        if sync.state == SyncState::Stalled && sync.code.is_none() {
            return Err(said(row, "stalled without saying why"));
        }
        let refused = matches!(
            sync.code.as_deref(),
            Some("UnauthorizedOperation" | "InvalidParameter")
        );
        if sync.state == SyncState::Stalled && refused && row.told == 0 {
            return Err(said(row, "stalled for what another decision met"));
        }
        let planned = plan(connection.review, &connection.observed.state);
        if sync.state == SyncState::Idle && planned != Plan::Nothing {
            return Err(said(row, "rests although something is owed (I1)"));
        }
        let endpoint = aws.endpoint(&connection.endpoint_id);
        // I7: only a Describe says what is, and it said it at most so long ago.
        let lag = TimeDelta::milliseconds(i64::try_from(LONGEST_LAG_MS).unwrap());
        let state = &connection.observed.state;
        if !endpoint.was(state, connection.observed.at - lag) {
            return Err(said(row, "shows what AWS never showed"));
        }
        if *state == ConnectionState::Deleted && endpoint.state() != ConnectionState::Deleted {
            return Err(said(row, "counts as deleted and exists"));
        }
    }
    Ok(())
}

/// At rest, whatever went wrong before: AWS is known, and it is as decided, or the row says that it is not.
pub(super) fn converged_or_visible(portcullis: &Portcullis, aws: &Aws) -> Checked {
    at_rest(portcullis, aws, |planned, sync| match planned {
        Plan::Nothing => sync == SyncState::Idle,
        Plan::Act(_) | Plan::Surface => {
            matches!(sync, SyncState::Stalled | SyncState::GivenUp)
        }
        Plan::Wait => false,
    })
}

/// At rest after a person said "again" wherever the worker had given up: what can be done is done.
pub(super) fn converged(portcullis: &Portcullis, aws: &Aws) -> Checked {
    at_rest(portcullis, aws, |planned, sync| match planned {
        Plan::Nothing => sync == SyncState::Idle,
        Plan::Surface => sync == SyncState::Stalled,
        Plan::Act(_) | Plan::Wait => false,
    })
}

fn at_rest(
    portcullis: &Portcullis,
    aws: &Aws,
    allowed: impl Fn(Plan, SyncState) -> bool,
) -> Checked {
    for row in &portcullis.rows {
        let connection = &row.connection;
        let truth = aws.endpoint(&connection.endpoint_id).state();
        if connection.observed.state != truth {
            return Err(said(row, &format!("does not show that AWS has {truth}")));
        }
        if !allowed(plan(connection.review, &truth), connection.sync.state) {
            return Err(said(row, "came to no right end (I5)"));
        }
        let decided = connection.review != ReviewState::Undecided;
        if decided != connection.decision_id.is_some() {
            return Err(said(row, "has a review without a decision (I2)"));
        }
        let outside = connected(&truth) || truth == ConnectionState::Rejected;
        if !decided && outside && row.drifts.is_empty() {
            return Err(said(
                row,
                "was decided by nobody, and nothing says so (I17)",
            ));
        }
    }
    let known = |id| {
        portcullis
            .rows
            .iter()
            .any(|r| r.connection.endpoint_id == id)
    };
    match aws
        .endpoints
        .iter()
        .find(|e| e.state() != ConnectionState::Deleted && !known(e.id.clone()))
    {
        Some(endpoint) => Err(format!("{} was never recorded", endpoint.id)),
        None => Ok(()),
    }
}

pub(super) fn said(row: &Row, what: &str) -> String {
    let connection = &row.connection;
    format!(
        "{} ({}, {}, {:?}) {what}",
        connection.endpoint_id, connection.review, connection.observed.state, connection.sync
    )
}
