//! What the owner of a service may ask for.

use serde::Serialize;

use crate::AwsError;
use crate::world::select::Tags;
use crate::world::service_load_balancers::BackedBy;

/// What `CreateVpcEndpointServiceConfiguration` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewService {
    /// Required unless said otherwise.
    pub acceptance_required: bool,
    /// Whether the request did not say so; a client token remembers that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub acceptance_omitted: bool,
    /// Network Load Balancers of the caller's; exactly one of the two lists is given.
    pub load_balancers: Vec<String>,
    /// Gateway Load Balancers of the caller's.
    pub gateway_load_balancers: Vec<String>,
    /// `ipv4`, `ipv6`; empty means `ipv4`.
    pub ip_address_types: Vec<String>,
    /// The private DNS name.
    pub private_dns_name: Option<String>,
    /// Other Regions to open.
    pub regions: Vec<String>,
    /// Tags.
    pub tags: Tags,
}

/// What `ModifyVpcEndpointServiceConfiguration` is asked for. Empty is legal: AWS then reads the zones again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceChange {
    /// The acceptance flag. Connections that exist are not touched.
    pub acceptance_required: Option<bool>,
    /// Network Load Balancers to add.
    pub add_load_balancers: Vec<String>,
    /// Network Load Balancers to remove.
    pub remove_load_balancers: Vec<String>,
    /// Gateway Load Balancers to add.
    pub add_gateway_load_balancers: Vec<String>,
    /// Gateway Load Balancers to remove.
    pub remove_gateway_load_balancers: Vec<String>,
    /// IP address types to add.
    pub add_ip_address_types: Vec<String>,
    /// IP address types to remove.
    pub remove_ip_address_types: Vec<String>,
    /// A private DNS name, whose proof starts anew. None clears nothing.
    pub private_dns_name: Option<String>,
    /// Clears the private DNS name.
    pub remove_private_dns_name: bool,
    /// Other Regions to open.
    pub add_regions: Vec<String>,
    /// Other Regions to close.
    pub remove_regions: Vec<String>,
}

impl ServiceChange {
    /// What is added and removed of the service's type of load balancers; the other type is refused.
    pub(super) fn of_kind(&self, kind: BackedBy) -> Result<(&[String], &[String]), AwsError> {
        let network = (&*self.add_load_balancers, &*self.remove_load_balancers);
        let gateway = (
            &*self.add_gateway_load_balancers,
            &*self.remove_gateway_load_balancers,
        );
        let (own, other) = match kind {
            BackedBy::Network => (network, gateway),
            BackedBy::Gateway => (gateway, network),
        };
        if other.0.is_empty() && other.1.is_empty() {
            return Ok(own);
        }
        Err(AwsError::new(
            "InvalidParameter",
            "A service has either Network Load Balancers or Gateway Load Balancers",
        ))
    }
}
