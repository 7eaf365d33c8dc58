//! A registered endpoint service: what the provider wants, what AWS says, and whether the two are in step.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, EndpointService, LoadBalancerArn, Region, ServiceId};
use serde::{Deserialize, Serialize};

use super::doctor::Check;
use super::ids::{AccountRegionId, EndpointServiceId};
use super::lifecycle::Lifecycle;
use super::private_dns::Watch;
use super::stall::Stall;
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, named after what it says"
)]
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
    /// Desired: `ipv4`, `ipv6`; `None` leaves them to AWS.
    pub supported_ip_address_types: Option<Vec<String>>,
    /// Desired: the other Regions that consumers may connect from; `None` leaves them as they are.
    pub supported_regions: Option<Vec<String>>,
    /// Desired: tags, beside any that AWS already has.
    pub tags: BTreeMap<String, String>,
    /// Whether somebody confirmed that everybody may connect unasked.
    pub open_to_everybody: bool,
    /// Principals that we granted, and may therefore remove.
    pub granted_principals: Vec<String>,
    /// Keys of tags that we set, and may therefore remove.
    pub set_tag_keys: Vec<String>,
    /// Counts the changes of what is desired.
    pub version: i64,
    /// The last version that AWS was seen to agree with; 0 when none was.
    pub applied_version: i64,
    /// AWS's id; absent until AWS has answered the create.
    pub aws_service_id: Option<ServiceId>,
    /// The name consumers type.
    pub service_name: Option<String>,
    /// The last Describe.
    pub observed: Option<ObservedService>,
    /// The last checks of what is behind it.
    pub checks: Option<Checks>,
    /// Whether AWS is told yet.
    pub sync: ServiceSync,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// Who registered it.
    pub created_by: String,
    /// Since when somebody waits for the worker to look.
    pub check_requested_at: Option<DateTime<Utc>>,
    /// While it is stalled: since when, and who takes care.
    pub stall: Option<Stall>,
    /// Load balancers that somebody took out of the service, and that may therefore be removed.
    pub dropped_load_balancer_arns: Vec<LoadBalancerArn>,
    /// Whether somebody confirmed that the load balancers may listen differently.
    pub listeners_may_differ: bool,
    /// Since when AWS shall read the load balancers' zones again; `None` when it need not.
    pub refresh_zones_at: Option<DateTime<Utc>>,
    /// Desired: the private DNS name.
    pub private_dns_name: WantedName,
    /// Desired: whether the owner pays for the endpoints. Once true, always true.
    pub service_owner_pays: bool,
    /// What is remembered about the private DNS name that AWS has.
    pub private_dns: Option<Watch>,
    /// Steps that wait for something outside, each tried again by itself.
    pub waiting: Vec<Waiting>,
    /// Where it is in its life, and by whose word.
    pub lifecycle: Lifecycle,
}

/// What is desired of the private DNS name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WantedName {
    /// As AWS has it, whatever that is.
    #[default]
    AsItIs,
    /// None.
    Absent,
    /// This one.
    Name(String),
}

impl WantedName {
    /// The name, if one is desired.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::AsItIs | Self::Absent => None,
        }
    }
}

/// A step that AWS does not take as things are, and that is tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Waiting {
    /// Which step, by its word.
    pub step: String,
    /// Of which.
    pub values: Vec<String>,
    /// AWS's code, or ours.
    pub code: String,
    /// What it waits for, and what the choices are.
    pub message: String,
    /// The endpoints that are in the way, as far as they are known here: at most 20.
    pub endpoints: Vec<String>,
    /// How many endpoints are in the way.
    pub endpoint_count: i64,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What AWS said about a service, and when.
#[derive(Debug, Clone)]
pub struct ObservedService {
    /// The whole description.
    pub service: EndpointService,
    /// The principals that AWS allows; `None` until they were read.
    pub principals: Option<Vec<String>>,
    /// When the read began.
    pub at: DateTime<Utc>,
}

/// The outcome of the checks of what is behind a service, and when they ran.
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
