//! A policy that is not in force, as it would decide if it were: together with the sets that are.

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

/// A compiled candidate with the sets that would decide beside it.
#[derive(Debug)]
pub(super) struct Candidate {
    scope: Option<EndpointServiceId>,
    own: Set,
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
        let mut candidate = Self {
            scope: policy.service,
            own: own.map_err(invalid)?,
            provider: None,
            services: HashMap::new(),
            others: Others::new(),
        };
        let others = match policy.service {
            Some(service) => store::active(conn, service).await?,
            None => store::active_of_services(conn).await?,
        };
        for other in others {
            // The one whose place it takes.
            if other.service == policy.service {
                continue;
            }
            let set = ctx.shelf.compiled(&other.digest, &other.text).await?;
            match other.service {
                None => candidate.provider = Some(set),
                Some(service) => {
                    candidate.services.insert(service, set);
                }
            }
            let scope = scope_name(other.service);
            candidate.others.insert(scope, other.digest);
        }
        Ok(candidate)
    }
}

impl Policies for Candidate {
    fn judge(&self, facts: &Facts) -> PolicyVerdict {
        let service = facts.service.id;
        let provider = match self.scope {
            None => Some(&self.own),
            Some(_) => self.provider.as_deref(),
        };
        let service = match self.scope {
            Some(scope) if scope == service => Some(&self.own),
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
