//! Asks a service's life before anything is decided about its connections or changed about it.
//!
//! Every way to let a consumer in ends in `decide_connection::record`, and that takes an [`Admitted`], which only this file makes: by asking
//! the life of the service while nobody can change it.

use std::collections::HashMap;

use super::code::Code;
use super::decide_connection::not_found;
use super::{AppError, PgConnection};
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::lifecycle::{LifecycleState, Retired};
use crate::domain::review::Verb;
use crate::store::lifecycles;

/// The life of a service, which cannot change until the end of the transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate(LifecycleState);

/// A verb that the life of the service allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted(Verb);

impl Admitted {
    /// The verb.
    pub(super) fn verb(self) -> Verb {
        self.0
    }
}

impl Gate {
    /// The gate of a connection's service. Before the connection itself is locked: services come first.
    pub(super) async fn of(conn: &mut PgConnection, id: ConnectionId) -> Result<Self, AppError> {
        let state = lifecycles::shared_of_connection(conn, id).await?;
        state.map(Self).ok_or_else(|| not_found(id))
    }

    /// The gate of a service, of which several connections are decided about; `None` when there is no such service. Before the connections are locked.
    pub(super) async fn of_service(
        conn: &mut PgConnection,
        id: EndpointServiceId,
    ) -> Result<Option<Self>, AppError> {
        Ok(lifecycles::shared(conn, id).await?.map(Self))
    }

    /// The gates of several connections' services, likewise. A connection that does not exist has none.
    pub(super) async fn of_many(
        conn: &mut PgConnection,
        ids: &[ConnectionId],
    ) -> Result<HashMap<ConnectionId, Self>, AppError> {
        let states = lifecycles::shared_of_connections(conn, ids).await?;
        let gates = states.into_iter().map(|(id, state)| (id, Self(state)));
        Ok(gates.collect())
    }

    /// Whether nothing is done about the service any more.
    pub(super) fn has_ended(self) -> bool {
        self.0.is_looked_after().is_err()
    }

    /// The gate of a service that the caller holds and that is being drained.
    pub(super) fn of_draining() -> Self {
        Self(LifecycleState::Draining)
    }

    /// Whether this may be decided.
    pub(super) fn admit(self, verb: Verb) -> Result<Admitted, AppError> {
        self.0.admits(verb).map_err(refused)?;
        Ok(Admitted(verb))
    }
}

/// Refuses to change what is desired of a service that is on its way out.
pub(super) fn may_change(service: &RegisteredService) -> Result<(), AppError> {
    service.lifecycle.state.may_change().map_err(refused)
}

/// Refuses what would need AWS about a service that has ended.
pub(super) fn is_looked_after(service: &RegisteredService) -> Result<(), AppError> {
    service.lifecycle.state.is_looked_after().map_err(refused)
}

/// The refusal with its code.
pub(super) fn refused(why: Retired) -> AppError {
    let code = match why {
        Retired::Draining => Code::ServiceDraining,
        Retired::Deleting => Code::ServiceDeleting,
        Retired::Ended(_) => Code::ServiceEnded,
        Retired::NotDraining(_) => Code::ServiceNotDraining,
    };
    AppError::new(code, why.to_string())
}
