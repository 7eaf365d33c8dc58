//! A registered endpoint service: what the provider wants, what AWS says, and whether the two are in step.

use chrono::{DateTime, Utc};
use privatelink::{AccountId, EndpointService, LoadBalancerArn, Region, ServiceId};

use super::ids::{AccountRegionId, EndpointServiceId};
use super::readiness::Check;
use super::sync::SyncState;
use super::text::text_enum;

text_enum!(
    /// How a service came to be registered.
    Origin {
        /// Portcullis created it from load balancers.
        Created = "created",
        /// It existed and was taken over by its AWS id.
        Adopted = "adopted",
    }
);

/// A registered endpoint service.
#[derive(Debug, Clone)]
pub struct RegisteredService {
    /// Our id.
    pub id: EndpointServiceId,
    /// Where it lives.
    pub account_region_id: AccountRegionId,
    /// The account it lives in.
    pub account: AccountId,
    /// The Region it lives in.
    pub region: Region,
    /// What people call it.
    pub name: String,
    /// Created or adopted.
    pub origin: Origin,
    /// Desired: whether each connection has to be accepted.
    pub acceptance_required: bool,
    /// Desired: the load balancers behind it.
    pub load_balancer_arns: Vec<LoadBalancerArn>,
    /// Desired: principals that may connect, beside any that AWS already has.
    pub allowed_principals: Vec<String>,
    /// AWS's id; absent until AWS has answered the create.
    pub aws_service_id: Option<ServiceId>,
    /// The name consumers type.
    pub service_name: Option<String>,
    /// The last Describe.
    pub observed: Option<ObservedService>,
    /// The last readiness checks.
    pub checks: Option<Checks>,
    /// Whether AWS is told yet.
    pub sync: ServiceSync,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// Who registered it.
    pub created_by: String,
}

/// What AWS said about a service, and when.
#[derive(Debug, Clone)]
pub struct ObservedService {
    /// The whole description.
    pub service: EndpointService,
    /// When the read began.
    pub at: DateTime<Utc>,
}

/// The outcome of the readiness checks, and when they ran.
#[derive(Debug, Clone)]
pub struct Checks {
    /// Each check.
    pub all: Vec<Check>,
    /// When the reads began.
    pub at: DateTime<Utc>,
}

/// How far AWS is told about a service.
#[derive(Debug, Clone)]
pub struct ServiceSync {
    /// Idle, due or stalled.
    pub state: SyncState,
    /// When the worker looks next.
    pub due_at: DateTime<Utc>,
    /// Failed tries since it last worked.
    pub attempts: i32,
    /// The last AWS error code.
    pub code: Option<String>,
    /// AWS's words.
    pub message: Option<String>,
}
