//! Switches for everything that AWS leaves undocumented, plus the delays of the simulated world.
//!
//! Each default is the harsher of the plausible behaviours: a backend that survives it survives the kinder one too.

use serde::{Deserialize, Serialize};

use crate::effects;
use crate::throttling::Throttling;
use crate::world::private_dns::DnsState;

/// What happens when a connection is asked to do what it may already have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Legality {
    /// A per-item error inside the HTTP 200.
    Error,
    /// Nothing changes, and nothing is said.
    NoOp,
    /// The change is made.
    Allow,
}

/// What the body of a connection notification looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationBody {
    /// A JSON object of the simulator's own making.
    Json,
    /// A sentence that names the ids.
    Text,
}

/// Whose signatures are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureCheck {
    /// Nobody's: whoever names a key has it.
    None,
    /// Those of keys whose secret the simulator knows: given out by `AssumeRole`, or registered.
    Known,
    /// Everybody's. Keys of 12 digits have a secret that everybody knows, all other unknown keys are refused.
    All,
}

/// How the simulated AWS behaves where the real one is undocumented, and how long it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, named after what it switches"
)]
pub struct Behavior {
    /// Milliseconds a connection stays `pending` after it was accepted, or born on a service without acceptance.
    pub accept_delay_ms: u64,
    /// Milliseconds an endpoint stays `deleting` after its consumer deleted it.
    pub endpoint_deleting_ms: u64,
    /// Milliseconds a `deleted` endpoint stays listed before it vanishes. AWS: minutes to about an hour, undocumented.
    pub endpoint_linger_ms: u64,
    /// Milliseconds a request may wait before it is `expired`. AWS documents the state, not the time; one vendor says 14 days.
    pub expire_after_ms: u64,
    /// Milliseconds an endpoint service stays `Deleting`; its load balancers stay in use until then.
    pub service_deleting_ms: u64,
    /// Milliseconds a `Deleted` endpoint service stays listed.
    pub service_linger_ms: u64,
    /// Milliseconds after a rejection during which the row still blocks deleting the service.
    pub reject_settle_ms: u64,
    /// Milliseconds a new endpoint service is `Pending`. AWS's own sample shows `Available` in the answer of its creation.
    pub service_pending_ms: u64,
    /// Milliseconds a Region that was added to a service is `Pending`; no consumer can come from it meanwhile. Undocumented.
    pub remote_region_pending_ms: u64,
    /// Milliseconds a Region that was removed from a service is `Deleting` before it is `Closed`. Undocumented.
    pub remote_region_deleting_ms: u64,
    /// Milliseconds until a principal that was added to a service can find it and connect to it. Undocumented.
    pub permission_propagation_ms: u64,
    /// Milliseconds a new load balancer is `provisioning`.
    pub load_balancer_provisioning_ms: u64,
    /// Milliseconds a newly registered target is `initial`.
    pub target_initial_ms: u64,
    /// Accepting a `rejected` connection. Undocumented.
    pub accept_after_reject: Legality,
    /// Accepting a connection that is `pending` or `available`. Undocumented.
    pub accept_again: Legality,
    /// Rejecting a connection that is `rejected`. Undocumented.
    pub reject_again: Legality,
    /// The per-item code for a connection in the wrong state. No source ties one to accept or reject.
    pub wrong_state_code: String,
    /// The per-item code of accept and reject for an endpoint that is not on the service. Undocumented.
    pub unknown_endpoint_code: String,
    /// Whether rows of rejected endpoints are listed after their service is gone, as has been seen on AWS.
    pub rejected_rows_outlive_service: bool,
    /// Whether rows of deleted endpoints go on lingering in the provider's listing after their service is gone. Undocumented.
    pub deleted_rows_outlive_service: bool,
    /// Whether a Network Load Balancer must be `active` before a service can use it. Undocumented.
    pub service_needs_active_load_balancer: bool,
    /// Milliseconds a client token is remembered; afterwards the same request makes another resource. AWS documents no time for
    /// these actions.
    pub client_token_ms: u64,
    /// Whether a client token remembers that `AcceptanceRequired` was left out, so that the same request with `true` is another one.
    /// Undocumented.
    pub client_token_as_sent: bool,
    /// Token buckets per action, account and Region. Off by default, unlike on AWS, so that tests are not slow unasked.
    pub throttling: Throttling,
    /// Whether associations show the documented words (`AVAILABLE`) instead of those of AWS's own samples (`Accessible`).
    pub documented_association_states: bool,
    /// Whether an endpoint is `pending` again while its consumer changes it.
    pub modify_reenters_pending: bool,
    /// Whether the notifications of a service stay when it is deleted. Undocumented; deleting them is harmless.
    pub notifications_outlive_service: bool,
    /// Milliseconds from the request for a check of a private DNS name to its result. AWS: minutes, undocumented.
    pub private_dns_verification_ms: u64,
    /// Milliseconds from the loss of a record to its discovery. AWS looks about daily.
    pub private_dns_recheck_ms: u64,
    /// What a verified private DNS name becomes when its record is lost; AWS documents that it falls back, not to what.
    pub private_dns_regresses_to: DnsState,
    /// Whether AWS finds a new record by itself. Documented so, and observed not to.
    pub private_dns_polls: bool,
    /// Whether the first description after a change of the private DNS name comes without its record, as has been seen.
    pub private_dns_hidden_first_read: bool,
    /// Whether a private DNS name can be changed or removed while endpoints are attached. Old documentation says no.
    pub private_dns_changes_with_connections: bool,
    /// Whether a consumer can enable private DNS on an accepted endpoint that is not available yet. Undocumented; people are told to
    /// wait.
    pub private_dns_while_pending: bool,
    /// Whether new endpoints are refused while a private DNS name that was verified once is not. Code undocumented.
    pub lost_private_dns_refuses_endpoints: bool,
    /// Whether the payer for an endpoint can be chosen again. Documented for services only, where it cannot.
    pub endpoint_payer_reversible: bool,
    /// Whether a Describe of endpoints or services takes ids together with `MaxResults`. Several EC2 Describes refuse that; for
    /// these it is undocumented.
    pub ids_with_max_results: bool,
    /// Whether an IP address type can be taken from a service while endpoints of that type are attached. Undocumented.
    pub ip_type_removal_with_endpoints: bool,
    /// How many interface and Gateway Load Balancer endpoints a VPC may have. AWS's default is 50; here none.
    pub endpoints_per_vpc: Option<usize>,
    /// Whether a service with Regions lists its own among them.
    pub home_region_listed: bool,
    /// Whether a connection notification may name a topic in another Region. Undocumented.
    pub notification_topic_in_other_region: bool,
    /// Whether the topic of a connection notification must exist when it is named. Undocumented.
    pub notification_topic_must_exist: bool,
    /// What the body of a connection notification looks like. AWS documents none: both are invented, and a reader that needs
    /// one of them is wrong.
    pub notification_body: NotificationBody,
    /// Messages of one queue that may be in flight; a receive beyond it is `OverLimit`. AWS: 120,000 for standard queues.
    pub in_flight_limit: usize,
    /// Whose signatures are checked.
    pub check_signatures: SignatureCheck,
    /// Whether a role that was never registered lets everybody assume it. AWS denies it; many set-ups need no roles of their own.
    pub assume_unknown_roles: bool,
    /// Whether `AssumeRole` takes `Policy`, `PolicyArns`, `Tags` and `TransitiveTagKeys` although nothing enforces them; otherwise they are
    /// refused as not modelled.
    pub accept_session_policies: bool,
    /// Milliseconds of the machine's clock that an HTTP(S) endpoint has for its answer to SNS. AWS: 15 seconds.
    pub sns_reply_limit_ms: u64,
    /// The largest number of ids in one accept or reject. AWS documents none; above it the whole call fails.
    pub max_ids_per_decision: usize,
    /// Whether `DryRun` tries the request on a copy of the world and answers with its refusal. Undocumented; otherwise only what is
    /// wrong with the request itself is said.
    pub dry_run_tries: bool,
    /// Never more rows than this on a page, whatever `MaxResults` says; small values find code that reads one page.
    pub page_size_limit: Option<usize>,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            accept_delay_ms: 300,
            endpoint_deleting_ms: 200,
            endpoint_linger_ms: 3_600_000,
            expire_after_ms: 14 * 24 * 3_600_000,
            service_deleting_ms: 200,
            service_linger_ms: 60_000,
            reject_settle_ms: 500,
            service_pending_ms: 0,
            permission_propagation_ms: 0,
            remote_region_pending_ms: 300,
            remote_region_deleting_ms: 300,
            load_balancer_provisioning_ms: 500,
            target_initial_ms: 500,
            accept_after_reject: Legality::Error,
            accept_again: Legality::Error,
            reject_again: Legality::Error,
            wrong_state_code: "InvalidState".to_owned(),
            unknown_endpoint_code: "InvalidVpcEndpointId.NotFound".to_owned(),
            rejected_rows_outlive_service: true,
            deleted_rows_outlive_service: true,
            service_needs_active_load_balancer: false,
            client_token_ms: 24 * 3_600_000,
            client_token_as_sent: true,
            throttling: Throttling::Off,
            documented_association_states: false,
            modify_reenters_pending: true,
            notifications_outlive_service: true,
            private_dns_verification_ms: 500,
            private_dns_recheck_ms: 500,
            private_dns_regresses_to: DnsState::PendingVerification,
            private_dns_polls: false,
            private_dns_hidden_first_read: true,
            private_dns_changes_with_connections: false,
            private_dns_while_pending: false,
            lost_private_dns_refuses_endpoints: true,
            endpoint_payer_reversible: false,
            ids_with_max_results: false,
            ip_type_removal_with_endpoints: false,
            endpoints_per_vpc: None,
            home_region_listed: true,
            notification_topic_in_other_region: false,
            notification_topic_must_exist: true,
            notification_body: NotificationBody::Json,
            in_flight_limit: 120_000,
            check_signatures: SignatureCheck::Known,
            assume_unknown_roles: true,
            accept_session_policies: false,
            sns_reply_limit_ms: 15_000,
            max_ids_per_decision: 1_000,
            dry_run_tries: true,
            page_size_limit: None,
        }
    }
}

impl Behavior {
    /// Why a switch cannot stand where it does; the control API refuses such switches.
    pub fn check(&self) -> Result<(), String> {
        for (name, limit) in [
            ("page_size_limit", self.page_size_limit),
            ("max_ids_per_decision", Some(self.max_ids_per_decision)),
            ("in_flight_limit", Some(self.in_flight_limit)),
        ] {
            if limit == Some(0) {
                return Err(format!("{name} 0 lets nothing through"));
            }
        }
        if self.sns_reply_limit_ms == 0 {
            return Err("sns_reply_limit_ms 0 leaves no time for an answer".to_owned());
        }
        for (name, code) in [
            ("wrong_state_code", &self.wrong_state_code),
            ("unknown_endpoint_code", &self.unknown_endpoint_code),
        ] {
            if !effects::is_code(code) {
                return Err(format!("{name} '{code}' is no code"));
            }
        }
        for (name, legality) in [
            ("accept_again", self.accept_again),
            ("reject_again", self.reject_again),
        ] {
            if legality == Legality::Allow {
                return Err(format!(
                    "{name} is error or no_op: there is nothing to allow"
                ));
            }
        }
        if !matches!(
            self.private_dns_regresses_to,
            DnsState::PendingVerification | DnsState::Failed
        ) {
            return Err("private_dns_regresses_to is pendingVerification or failed".to_owned());
        }
        self.throttling.check()
    }

    /// Every delay zero, so that each change is finished when it is asked for; the rules stay harsh.
    pub fn instant() -> Self {
        Self {
            accept_delay_ms: 0,
            endpoint_deleting_ms: 0,
            service_deleting_ms: 0,
            reject_settle_ms: 0,
            service_pending_ms: 0,
            remote_region_pending_ms: 0,
            remote_region_deleting_ms: 0,
            load_balancer_provisioning_ms: 0,
            target_initial_ms: 0,
            ..Self::default()
        }
    }
}
