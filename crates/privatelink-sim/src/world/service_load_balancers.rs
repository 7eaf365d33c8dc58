//! The load balancers behind an endpoint service: of one type, the caller's own, and nobody else's.

use std::collections::BTreeSet;

use privatelink::{AvailabilityZoneId, LoadBalancerArn, ServiceId};

use super::gateway_load_balancers::is_gateway;
use super::services::Service;
use super::{Caller, World};
use crate::AwsError;

/// The two types of load balancers that services stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackedBy {
    Network,
    Gateway,
}

impl BackedBy {
    fn code(self, what: &str) -> String {
        let kind = match self {
            Self::Network => "Network",
            Self::Gateway => "Gateway",
        };
        format!("Invalid{kind}LoadBalancerArn.{what}")
    }

    pub(super) fn parse(self, arn: &str) -> Result<LoadBalancerArn, AwsError> {
        let good = |arn: &LoadBalancerArn| match self {
            Self::Network => arn.is_network(),
            Self::Gateway => is_gateway(arn),
        };
        let parsed = arn.parse::<LoadBalancerArn>().ok().filter(good);
        parsed.ok_or_else(|| {
            let shown: String = arn.chars().take(256).collect();
            AwsError::new(
                self.code("Malformed"),
                format!("'{shown}' is not the ARN of a {self:?} Load Balancer"),
            )
        })
    }
}

impl Service {
    /// Whether it stands on Gateway Load Balancers.
    pub fn is_gateway(&self) -> bool {
        self.load_balancers.iter().any(is_gateway)
    }

    /// What it stands on.
    pub(super) fn backed_by(&self) -> BackedBy {
        if self.is_gateway() {
            BackedBy::Gateway
        } else {
            BackedBy::Network
        }
    }
}

/// The load balancers of a new service, of exactly one type.
pub(super) fn exactly_one<'a>(
    network: &'a [String],
    gateway: &'a [String],
) -> Result<(BackedBy, &'a [String]), AwsError> {
    match (network, gateway) {
        ([_, ..], []) => Ok((BackedBy::Network, network)),
        ([], [_, ..]) => Ok((BackedBy::Gateway, gateway)),
        _ => Err(AwsError::new(
            "InvalidParameter",
            "Exactly one of NetworkLoadBalancerArns or GatewayLoadBalancerArns is a required member",
        )),
    }
}

impl World {
    /// Checks that load balancers exist, belong to the caller and back no other service.
    pub(super) fn free_load_balancers(
        &mut self,
        caller: &Caller,
        kind: BackedBy,
        arns: &[String],
        for_service: Option<&ServiceId>,
    ) -> Result<Vec<LoadBalancerArn>, AwsError> {
        let needs_active = self.behavior.service_needs_active_load_balancer;
        let place = self.place(caller);
        let mut free = Vec::new();
        for arn in arns {
            let arn = kind.parse(arn)?;
            let balancer = place.load_balancers.get(&arn).ok_or_else(|| {
                AwsError::new(
                    kind.code("NotFound"),
                    format!("The {kind:?} Load Balancer '{arn}' does not exist"),
                )
            })?;
            if needs_active && balancer.state_at(caller.now) != "active" {
                return Err(AwsError::new(
                    "InvalidParameter",
                    format!("The load balancer '{arn}' is not active"),
                ));
            }
            if place
                .services
                .values()
                .any(|s| Some(&s.id) != for_service && s.uses(&arn, caller.now))
            {
                return Err(AwsError::new(
                    "InvalidParameter",
                    format!(
                        "The following LBs are already associated with another VPC Endpoint Service Configuration: {arn}"
                    ),
                ));
            }
            free.push(arn);
        }
        Ok(free)
    }

    /// A service that supports IPv6 stands on load balancers that have it.
    pub(super) fn check_dualstack(
        &mut self,
        caller: &Caller,
        types: &[String],
        balancers: &[LoadBalancerArn],
    ) -> Result<(), AwsError> {
        if !types.iter().any(|kind| kind == "ipv6") {
            return Ok(());
        }
        let known = &self.place(caller).load_balancers;
        let single = balancers.iter().find(|arn| {
            let balancer = known.get(*arn);
            balancer.is_none_or(|balancer| balancer.ip_address_type != "dualstack")
        });
        match single {
            Some(arn) => Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "The load balancer '{arn}' must have the IP address type dualstack for the service to support ipv6"
                ),
            )),
            None => Ok(()),
        }
    }

    pub(super) fn zones_of(
        &mut self,
        caller: &Caller,
        arns: &[LoadBalancerArn],
    ) -> BTreeSet<AvailabilityZoneId> {
        let place = self.place(caller);
        arns.iter()
            .filter_map(|arn| place.load_balancers.get(arn))
            .flat_map(|lb| lb.subnets.iter().map(|(zone, _)| zone.clone()))
            .collect()
    }
}
