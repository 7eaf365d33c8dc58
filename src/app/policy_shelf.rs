//! Compiled policy sets, kept by their digest: a text is parsed and checked once in a process, however many requests it decides.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::context::off_thread;
use super::{AppContext, AppError};
use crate::domain::ids::EndpointServiceId;
use crate::store::{PgConnection, policies};

/// A compiled set.
pub type Set = super::policies::PolicySet;

/// The most sets that are kept. Only active ones decide, so more than these are left over from changes.
const MOST: usize = 256;

/// The sets of this process.
#[derive(Clone, Default)]
pub struct PolicyShelf(Arc<Mutex<HashMap<String, Arc<Set>>>>);

impl PolicyShelf {
    /// The set of a text, compiled if it is new. A text that was validated and does not compile any more is a fault: nothing may be decided without it.
    pub async fn compiled(&self, digest: &str, text: &str) -> Result<Arc<Set>, AppError> {
        if let Some(set) = self.kept().get(digest) {
            return Ok(set.clone());
        }
        let text = text.to_owned();
        // A thousand policies take a tenth of a second.
        let compiled = off_thread(move || Set::compile(&text)).await?;
        let set = compiled.map_err(|wrong| {
            let first = wrong.first().map(ToString::to_string).unwrap_or_default();
            AppError::internal(format!("an active policy set does not compile: {first}"))
        })?;
        let set = Arc::new(set);
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(digest.to_owned(), set.clone());
        Ok(set)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Set>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PolicyShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PolicyShelf")
            .field(&self.kept().len())
            .finish()
    }
}

/// The sets of a service that are in force: the provider's, then its own.
#[derive(Debug, Default)]
pub(super) struct InForce {
    pub(super) sets: Vec<Arc<Set>>,
    /// The digests of those that do not compile any more.
    pub(super) broken: Vec<String>,
}

/// What is in force for each of these services, as far as it compiles: for whoever is not kept from deciding by a policy.
pub(super) async fn in_force(
    conn: &mut PgConnection,
    ctx: &AppContext,
    services: &[EndpointServiceId],
) -> Result<HashMap<EndpointServiceId, InForce>, AppError> {
    let mut all = HashMap::with_capacity(services.len());
    for service in services {
        let of: &mut InForce = all.entry(*service).or_default();
        for active in policies::active(conn, *service).await? {
            match ctx.shelf.compiled(&active.digest, &active.text).await {
                Ok(set) => of.sets.push(set),
                Err(fault) => {
                    tracing::error!(policy.id = %active.id, error = %fault, "a person decides without a policy set");
                    of.broken.push(active.digest);
                }
            }
        }
    }
    Ok(all)
}

/// The sets that decide about each of these services: the provider's, then the service's own. None decides where one of them does not compile any more.
pub(super) async fn of_services(
    conn: &mut PgConnection,
    ctx: &AppContext,
    services: &[EndpointServiceId],
) -> Result<HashMap<EndpointServiceId, Vec<Arc<Set>>>, AppError> {
    let mut all = HashMap::with_capacity(services.len());
    for service in services {
        let mut sets = Vec::new();
        for active in policies::active(conn, *service).await? {
            sets.push(ctx.shelf.compiled(&active.digest, &active.text).await?);
        }
        all.insert(*service, sets);
    }
    Ok(all)
}
