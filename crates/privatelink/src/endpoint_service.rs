//! A VPC endpoint service and its permissions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AccountId, AvailabilityZoneId, LoadBalancerArn, ServiceId};

/// The state of an endpoint service (Pascal case on the wire).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ServiceState {
    /// Being made.
    Pending,
    /// Consumers with permission can connect.
    Available,
    /// Being deleted.
    Deleting,
    /// Gone; may be listed for a while.
    Deleted,
    /// Could not be made.
    Failed,
    /// A word this version does not know, kept as it came.
    Unknown(String),
}

impl ServiceState {
    /// Reads a state off the wire, whatever its case.
    pub fn parse(raw: &str) -> Self {
        [
            Self::Pending,
            Self::Available,
            Self::Deleting,
            Self::Deleted,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.as_str().eq_ignore_ascii_case(raw))
        .unwrap_or_else(|| Self::Unknown(raw.to_owned()))
    }

    /// The state as AWS writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::Available => "Available",
            Self::Deleting => "Deleting",
            Self::Deleted => "Deleted",
            Self::Failed => "Failed",
            Self::Unknown(raw) => raw,
        }
    }

    /// Whether the service is on its way out or never came: not to be adopted.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Deleting | Self::Deleted | Self::Failed)
    }
}

impl From<String> for ServiceState {
    fn from(raw: String) -> Self {
        Self::parse(&raw)
    }
}

impl From<ServiceState> for String {
    fn from(state: ServiceState) -> Self {
        state.as_str().to_owned()
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of `DescribeVpcEndpointServiceConfigurations`. Lists come in no stable order: compare them as sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointService {
    /// `vpce-svc-…`.
    pub service_id: ServiceId,
    /// What a consumer types: `com.amazonaws.vpce.REGION.vpce-svc-…`.
    pub service_name: String,
    /// Where AWS says the service is.
    pub state: ServiceState,
    /// Whether the owner must accept each connection. `false`: connections are born `pending`.
    pub acceptance_required: bool,
    /// The Network Load Balancers behind it.
    pub network_load_balancer_arns: Vec<LoadBalancerArn>,
    /// Zones as named in the owner's account.
    pub availability_zones: Vec<String>,
    /// The same zones by id, where AWS sends them.
    pub availability_zone_ids: Vec<AvailabilityZoneId>,
    /// `ipv4`, `ipv6`.
    pub supported_ip_address_types: Vec<String>,
    /// Regions consumers may connect from, besides the service's own.
    pub supported_regions: Vec<String>,
    /// Every other Region that AWS lists, those that are closed or on their way included, with its state. Never the service's own.
    #[serde(default)]
    pub remote_regions: Vec<RemoteRegion>,
    /// Base DNS names; empty for Gateway Load Balancer services.
    pub base_endpoint_dns_names: Vec<String>,
    /// The private DNS name, when one is set.
    pub private_dns_name: Option<PrivateDnsName>,
    /// The owner's tags.
    pub tags: Vec<(String, String)>,
    /// `ServiceOwner` when the owner pays for the endpoints, else absent.
    #[serde(default)]
    pub payer_responsibility: Option<String>,
}

/// Another Region of a service, as AWS lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRegion {
    /// The Region.
    pub region: String,
    /// `Pending`, `Available`, `Deleting`, `Deleted`, `Failed`, `Closed`, or a word that AWS added since. A free string on the wire.
    pub state: Option<String>,
}

/// A private DNS name and the proof of its ownership. Parts may be missing right after a change: read again before showing them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateDnsName {
    /// The name itself.
    pub name: String,
    /// `pendingVerification`, `verified` or `failed`.
    pub state: Option<String>,
    /// The name of the TXT record, relative to the domain.
    pub txt_name: Option<String>,
    /// The value of the TXT record, case-sensitive.
    pub txt_value: Option<String>,
}

/// What `CreateVpcEndpointServiceConfiguration` is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEndpointService {
    /// Makes the call repeatable: at most 64 ASCII characters. No SDK fills it in.
    pub client_token: String,
    /// Always sent, since the documented default and the observed one have differed.
    pub acceptance_required: bool,
    /// At least one; each may back one service only.
    pub network_load_balancer_arns: Vec<LoadBalancerArn>,
    /// `ipv4`, `ipv6`; empty leaves the choice to AWS.
    pub supported_ip_address_types: Vec<String>,
    /// Tags for the new service.
    pub tags: Vec<(String, String)>,
}

/// What `ModifyVpcEndpointServiceConfiguration` is asked for. All empty makes AWS re-read the load balancers' zones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointServiceChange {
    /// A new value for the acceptance flag.
    pub acceptance_required: Option<bool>,
    /// Load balancers to add.
    pub add_network_load_balancer_arns: Vec<LoadBalancerArn>,
    /// Load balancers to remove; refused while endpoints are attached.
    pub remove_network_load_balancer_arns: Vec<LoadBalancerArn>,
    /// IP address types to add: `ipv4`, `ipv6`.
    pub add_supported_ip_address_types: Vec<String>,
    /// IP address types to remove; one must stay.
    pub remove_supported_ip_address_types: Vec<String>,
    /// Regions to open to consumers. Never the service's own, which AWS implies and refuses to be told.
    pub add_supported_regions: Vec<String>,
    /// Regions to close. Endpoints that exist there stay.
    pub remove_supported_regions: Vec<String>,
    /// A new private DNS name. Setting one starts its verification anew, with another record.
    pub private_dns_name: Option<String>,
    /// Takes the private DNS name away. Leaving `private_dns_name` out, or sending it empty, takes nothing away.
    pub remove_private_dns_name: bool,
}

/// A principal that may discover the service and create endpoints to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedPrincipal {
    /// An IAM ARN, or `*`.
    pub principal: String,
    /// `All`, `Service`, `OrganizationUnit`, `Account`, `User` or `Role`.
    pub principal_type: Option<String>,
    /// The grant's own id, which can carry tags.
    pub service_permission_id: Option<String>,
}

impl AllowedPrincipal {
    /// The ARN that grants a whole account, in the partition of commercial Regions.
    pub fn account_root(account: &AccountId) -> String {
        format!("arn:aws:iam::{account}:root")
    }
}

/// One row of `DescribeVpcEndpointConnectionNotifications`, of a service: where AWS publishes what happens to its connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceNotification {
    /// The SNS topic.
    pub topic_arn: String,
    /// `Connect`, `Accept`, `Reject`, `Delete`, in no stable order.
    pub events: Vec<String>,
    /// Whether AWS publishes (`Enabled`) or has given up (`Disabled`).
    pub enabled: bool,
}

impl ServiceNotification {
    /// Every event that AWS has a notification for.
    pub const EVENTS: [&str; 4] = ["Connect", "Accept", "Reject", "Delete"];
}
