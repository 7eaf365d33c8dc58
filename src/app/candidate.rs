//! A policy that is not in force, as it would decide if it were, and what would be decided if one that is in force were not: together with the other sets
//! that are.

use std::collections::HashMap;
use std::sync::Arc;

use super::code::Code;
use super::context::off_thread;
use super::error::Finding;
use super::policies::{self, PolicySets};
use super::policy_shelf::Set;
use super::{AppContext, AppError};
use crate::domain::decision::{Facts, Policies, PolicyVerdict};
use crate::domain::ids::EndpointServiceId;
use crate::domain::policy::{Others, Policy, scope_name};
use crate::store::{PgConnection, policies as store};

/// A compiled candidate, or the place that one leaves empty, with the sets that would decide beside it.
#[derive(Debug)]
pub(super) struct Candidate {
    scope: Option<EndpointServiceId>,
    /// `None` where a policy is taken away.
    own: Option<Set>,
    /// The provider's set, where the candidate is a service's.
    provider: Option<Arc<Set>>,
    /// The services' sets, where the candidate is the provider's.
    services: HashMap<EndpointServiceId, Arc<Set>>,
    /// Which those are.
    pub(super) others: Others,
}

impl Candidate {
    /// Compiles a policy and reads what is in force beside it; refuses one that does not compile.
    pub(super) async fn load(
        conn: &mut PgConnection,
        ctx: &AppContext,
        policy: &Policy,
    ) -> Result<Self, AppError> {
        let text = policy.text.clone();
        let own = off_thread(move || policies::compile(&text)).await?;
        let own = own.map_err(invalid)?;
        Self::beside(conn, ctx, policy.service, Some(own)).await
    }

    /// Reads what would be left in force without a policy.
    pub(super) async fn without(
        conn: &mut PgConnection,
        ctx: &AppContext,
        policy: &Policy,
    ) -> Result<Self, AppError> {
        Self::beside(conn, ctx, policy.service, None).await
    }

    async fn beside(
        conn: &mut PgConnection,
        ctx: &AppContext,
        scope: Option<EndpointServiceId>,
        own: Option<Set>,
    ) -> Result<Self, AppError> {
        let mut candidate = Self {
            scope,
            own,
            provider: None,
            services: HashMap::new(),
            others: Others::new(),
        };
        let others = match scope {
            Some(service) => store::active(conn, service).await?,
            None => store::active_of_services(conn).await?,
        };
        for other in others {
            // The one whose place it takes.
            if other.service == scope {
                continue;
            }
            let set = ctx.shelf.compiled(&other.digest, &other.text).await?;
            match other.service {
                None => candidate.provider = Some(set),
                Some(service) => {
                    candidate.services.insert(service, set);
                }
            }
            let name = scope_name(other.service);
            candidate.others.insert(name, other.digest);
        }
        Ok(candidate)
    }
}

impl Policies for Candidate {
    fn judge(&self, facts: &Facts) -> PolicyVerdict {
        let service = facts.service.id;
        let provider = match self.scope {
            None => self.own.as_ref(),
            Some(_) => self.provider.as_deref(),
        };
        let service = match self.scope {
            Some(scope) if scope == service => self.own.as_ref(),
            _ => self.services.get(&service).map(AsRef::as_ref),
        };
        let sets: Vec<&Set> = provider.into_iter().chain(service).collect();
        PolicySets(&sets).judge(facts)
    }
}

/// The refusal of a text that does not compile.
pub(super) fn invalid(findings: Vec<Finding>) -> AppError {
    let detail = match findings.as_slice() {
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                more => format!("; {more} more in diagnostics"),
            };
            format!("{}:{}: {}{more}", first.line, first.column, first.message)
        }
        [] => "the text does not compile".to_owned(),
    };
    AppError::new(Code::PolicyInvalid, detail)
        .field("text")
        .findings(findings)
}
