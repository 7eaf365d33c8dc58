//! The two types of PrivateLink endpoints, and what each of them may not have.

use serde::{Deserialize, Serialize};

use super::endpoints::NewEndpoint;
use super::services::Service;
use crate::AwsError;

/// The type of an endpoint that goes to a service behind load balancers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointKind {
    /// Network interfaces with addresses and DNS names.
    #[default]
    Interface,
    /// A next hop for routes.
    GatewayLoadBalancer,
}

impl EndpointKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interface => "Interface",
            Self::GatewayLoadBalancer => "GatewayLoadBalancer",
        }
    }
}

impl Service {
    /// The type of endpoints that go to it.
    pub fn kind(&self) -> EndpointKind {
        if self.is_gateway() {
            EndpointKind::GatewayLoadBalancer
        } else {
            EndpointKind::Interface
        }
    }
}

/// AWS's answer to an endpoint of another type than the service's.
pub(super) fn wrong_type(asked: &str, available: &str) -> AwsError {
    AwsError::new(
        "InvalidParameter",
        format!("Endpoint type ({asked}) does not match available service types ([{available}])."),
    )
}

/// Refuses what an endpoint to a Gateway Load Balancer cannot have: it is in one subnet and only a next hop.
pub(super) fn check_gateway_load_balancer_endpoint(
    new: &NewEndpoint,
    subnets: &[String],
) -> Result<(), AwsError> {
    let refuse = |why: &str| {
        Err(AwsError::new(
            "InvalidParameter",
            format!("{why} endpoints of type GatewayLoadBalancer"),
        ))
    };
    if subnets.len() != 1 {
        return refuse("Exactly one subnet must be specified for");
    }
    if !new.security_groups.is_empty() {
        return refuse("Security groups are not supported for");
    }
    if new.private_dns || !new.dns.is_empty() {
        return refuse("Private DNS and DNS options are not supported for");
    }
    if new.policy.is_some() {
        return refuse("Endpoint policies are not supported for");
    }
    Ok(())
}
