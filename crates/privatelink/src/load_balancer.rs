//! The load balancer behind an endpoint service, as far as the doctor asks about it.

use serde::{Deserialize, Serialize};

use crate::{AvailabilityZoneId, LoadBalancerArn};

/// One row of ELBv2 `DescribeLoadBalancers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// The load balancer.
    pub arn: LoadBalancerArn,
    /// Its name, unique in the account and Region.
    pub name: String,
    /// `network`, `application` or `gateway`.
    pub kind: String,
    /// `active`, `provisioning`, `active_impaired` or `failed`.
    pub state: String,
    /// What AWS says about a state that is not `active`.
    pub state_reason: Option<String>,
    /// `internal` or `internet-facing`. PrivateLink takes both.
    pub scheme: String,
    /// `ipv4` or `dualstack`.
    pub ip_address_type: Option<String>,
    /// Zones by the name they have in this account. ELBv2 does not tell ids: map with [`AvailabilityZone`].
    pub availability_zones: Vec<String>,
    /// Security groups, when it was created with any.
    pub security_groups: Vec<String>,
    /// Whether inbound rules are enforced on PrivateLink traffic; absent without security groups.
    pub enforce_security_groups_on_private_link: Option<bool>,
}

impl LoadBalancer {
    /// How many load balancers one `DescribeLoadBalancers` may name.
    pub const MOST_IN_ONE_CALL: usize = 20;
}

/// What the doctor reads of ELBv2 `DescribeLoadBalancerAttributes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerAttributes {
    /// `load_balancing.cross_zone.enabled`, which is off by default on Network Load Balancers.
    pub cross_zone: bool,
    /// `deletion_protection.enabled`, off by default.
    pub deletion_protection: bool,
}

/// One row of ELBv2 `DescribeListeners`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The listener.
    pub arn: String,
    /// 1 to 65535.
    pub port: u16,
    /// `TCP`, `TLS`, `UDP`, `TCP_UDP`, `QUIC` or `TCP_QUIC` on a Network Load Balancer.
    pub protocol: String,
    /// Target groups that it forwards to by default.
    pub target_group_arns: Vec<String>,
}

/// What the doctor reads of ELBv2 `DescribeListenerAttributes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerAttributes {
    /// `tcp.idle_timeout.seconds`, 60 to 6000 and 350 by default; only listeners that pass TCP on have it.
    pub tcp_idle_timeout_seconds: Option<u32>,
}

impl ListenerAttributes {
    /// AWS's default of `tcp.idle_timeout.seconds`, the only value that goes together with consumers in other Regions.
    pub const DEFAULT_TCP_IDLE_TIMEOUT_SECONDS: u32 = 350;
}

/// One row of ELBv2 `DescribeTargetGroups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// The target group.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// `instance`, `ip` or `alb`.
    pub target_type: String,
}

/// What the doctor reads of ELBv2 `DescribeTargetGroupAttributes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroupAttributes {
    /// `load_balancing.cross_zone.enabled`; absent for `use_load_balancer_configuration`, the default.
    pub cross_zone: Option<bool>,
    /// `proxy_protocol_v2.enabled`. Targets must then expect the header, which carries the id of the consumer's endpoint.
    pub proxy_protocol_v2: bool,
}

/// One row of ELBv2 `DescribeTargetHealth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetHealth {
    /// The instance id, IP address or load balancer ARN.
    pub target_id: String,
    /// The port it was registered with.
    pub port: Option<u16>,
    /// The zone by its name in this account, where AWS tells it.
    pub availability_zone: Option<String>,
    /// Whether the target takes traffic.
    pub state: TargetState,
    /// AWS's reason code, such as `Target.FailedHealthChecks`.
    pub reason: Option<String>,
}

/// The health of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum TargetState {
    /// Takes traffic.
    Healthy,
    /// Fails its health check.
    Unhealthy,
    /// Being registered or checked for the first time.
    Initial,
    /// Being deregistered.
    Draining,
    /// Not in use by a listener, or in a zone that is off.
    Unused,
    /// Health checks are disabled, or the state cannot be told.
    Unavailable,
    /// Any other word, kept as it came.
    Unknown(String),
}

impl TargetState {
    /// Reads a state off the wire.
    pub fn parse(raw: &str) -> Self {
        match raw {
            "healthy" => Self::Healthy,
            "unhealthy" => Self::Unhealthy,
            "initial" => Self::Initial,
            "draining" => Self::Draining,
            "unused" => Self::Unused,
            "unavailable" => Self::Unavailable,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// The state as AWS writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Initial => "initial",
            Self::Draining => "draining",
            Self::Unused => "unused",
            Self::Unavailable => "unavailable",
            Self::Unknown(raw) => raw,
        }
    }
}

impl From<String> for TargetState {
    fn from(raw: String) -> Self {
        Self::parse(&raw)
    }
}

impl From<TargetState> for String {
    fn from(state: TargetState) -> Self {
        state.as_str().to_owned()
    }
}

/// A zone's name in this account and its id everywhere. Names are shuffled per account; only ids may be told to consumers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailabilityZone {
    /// Such as `us-east-1a`.
    pub name: String,
    /// Such as `use1-az4`.
    pub id: AvailabilityZoneId,
}
