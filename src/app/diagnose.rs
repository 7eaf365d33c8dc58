//! Examines a service or a connection from what the worker stored. AWS is not called, and nothing is changed.

use chrono::{DateTime, Utc};

use super::code::Code;
use super::{AppContext, AppError};
use crate::domain::account_region::AccountRegion;
use crate::domain::connection::Connection;
use crate::domain::doctor::connection::{ConnectionCase, Decided};
use crate::domain::doctor::service::ServiceCase;
use crate::domain::doctor::states::{Explanation, explain};
use crate::domain::doctor::{Diagnosis, Facts, connection, service};
use crate::domain::drift::DriftKind;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::history::{HistoryEntry, HistoryEvent};
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::store::{
    PgConnection, account_regions, connections, doctor, endpoint_services, history,
};

/// How fresh a diagnosis of a service is.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// When the worker last looked behind the service.
    pub checked_at: Option<DateTime<Utc>>,
    /// Since when somebody waits for a new look.
    pub check_requested_at: Option<DateTime<Utc>>,
}

/// What the rows say of a service.
struct Loaded {
    service: RegisteredService,
    account_region: AccountRegion,
    facts: Option<Facts>,
}

impl Loaded {
    async fn of(conn: &mut PgConnection, id: EndpointServiceId) -> Result<Self, AppError> {
        let missing = || AppError::new(Code::ServiceNotFound, format!("there is no service {id}"));
        let service = endpoint_services::by_id(conn, id)
            .await?
            .ok_or_else(missing)?;
        let place = service.account_region_id;
        let missing = || {
            let detail = format!("there is no AccountRegion {place}");
            AppError::new(Code::AccountRegionNotFound, detail)
        };
        let account_region = account_regions::by_id(conn, place)
            .await?
            .ok_or_else(missing)?;
        let facts = doctor::facts(conn, id).await?;
        Ok(Self {
            service,
            account_region,
            facts,
        })
    }

    fn case(&self, now: DateTime<Utc>) -> ServiceCase<'_> {
        ServiceCase {
            service: &self.service,
            account_region: &self.account_region,
            facts: self.facts.as_ref(),
            now,
        }
    }

    fn freshness(&self) -> Freshness {
        Freshness {
            checked_at: self.service.checks.as_ref().map(|checks| checks.at),
            check_requested_at: self.service.check_requested_at,
        }
    }
}

/// Examines a service.
pub async fn diagnose_service(
    ctx: &AppContext,
    id: EndpointServiceId,
) -> Result<(Diagnosis, Freshness), AppError> {
    let now = ctx.clock.now();
    let loaded = Loaded::of(&mut *ctx.acquire().await?, id).await?;
    let diagnosis = service::diagnose(&loaded.case(now));
    Ok((diagnosis, loaded.freshness()))
}

/// A connection that was examined.
#[derive(Debug)]
pub struct ExaminedConnection {
    /// The connection.
    pub connection: Connection,
    /// What AWS says of it, in words.
    pub state: Explanation,
    /// The checks.
    pub diagnosis: Diagnosis,
    /// How fresh the checks of its service are.
    pub freshness: Freshness,
}

/// Examines a connection.
pub async fn diagnose_connection(
    ctx: &AppContext,
    id: ConnectionId,
) -> Result<ExaminedConnection, AppError> {
    let now = ctx.clock.now();
    let conn: &mut PgConnection = &mut *ctx.acquire().await?;
    let missing = || {
        let detail = format!("there is no connection {id}");
        AppError::new(Code::ConnectionNotFound, detail)
    };
    let found = connections::by_id(conn, id).await?.ok_or_else(missing)?;
    let history = history::of_connection(conn, id).await?;
    let loaded = Loaded::of(conn, found.service_id).await?;
    let decided = last_decision(&history);
    let drifts = open_drifts(&history);
    let case = ConnectionCase {
        connection: &found,
        decided: decided.as_ref(),
        drifts: &drifts,
        service: loaded.case(now),
    };
    let diagnosis = connection::diagnose(&case);
    Ok(ExaminedConnection {
        state: explain(&found.observed.state),
        connection: found,
        diagnosis,
        freshness: loaded.freshness(),
    })
}

/// The history is sorted, the oldest first.
fn last_decision(history: &[HistoryEntry]) -> Option<Decided> {
    history.iter().rev().find_map(|entry| match &entry.event {
        HistoryEvent::Decided {
            verb,
            actor,
            reason,
            ..
        } => Some(Decided {
            verb: *verb,
            actor: actor.clone(),
            reason: reason.clone(),
            at: entry.at,
        }),
        HistoryEvent::Observed { .. }
        | HistoryEvent::Reviewed { .. }
        | HistoryEvent::Called { .. }
        | HistoryEvent::Notified { .. }
        | HistoryEvent::Drifted { .. } => None,
    })
}

fn open_drifts(history: &[HistoryEntry]) -> Vec<(DriftKind, DateTime<Utc>)> {
    let drifts = history.iter().filter_map(|entry| match &entry.event {
        HistoryEvent::Drifted {
            kind, resolved_at, ..
        } if resolved_at.is_none() => Some((*kind, entry.at)),
        HistoryEvent::Observed { .. }
        | HistoryEvent::Decided { .. }
        | HistoryEvent::Reviewed { .. }
        | HistoryEvent::Called { .. }
        | HistoryEvent::Notified { .. }
        | HistoryEvent::Drifted { .. } => None,
    });
    drifts.collect()
}
