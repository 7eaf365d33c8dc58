//! The port to AWS PrivateLink, provider side.
//!
//! AWS nouns keep their AWS names and live here; nothing of the AWS SDK does. The crate holds four things: the
//! vocabulary ([`ids`], [`endpoint_service`], [`connection`], [`load_balancer`], [`messaging`]), the traits [`PrivateLink`] and
//! [`Messaging`] that speak it, the closed list of ways a call can end ([`GatewayError`]), and the checks that every implementation must pass ([`contract`]).
//!
//! One value of [`PrivateLink`] serves one AWS account in one Region: that pair is what AWS throttles, scopes ids by and
//! grants permissions for.

pub mod connection;
pub mod contract;
pub mod endpoint_service;
pub mod error;
pub mod gateway;
pub mod ids;
pub mod load_balancer;
pub mod messaging;

pub use connection::{Connection, ConnectionFilter, ConnectionState, DnsEntry};
pub use endpoint_service::{
    AllowedPrincipal, EndpointService, EndpointServiceChange, NewEndpointService, PrivateDnsName,
    RemoteRegion, ServiceNotification, ServiceState,
};
pub use error::{Advice, GatewayError, ItemFailure};
pub use gateway::{AccountRegionRef, Gateways, Page, PageToken, PrivateLink};
pub use ids::{
    AccountId, AvailabilityZoneId, InvalidId, LoadBalancerArn, Region, ServiceId, VpcEndpointId,
};
pub use load_balancer::{
    AvailabilityZone, Listener, ListenerAttributes, LoadBalancer, LoadBalancerAttributes,
    TargetGroup, TargetGroupAttributes, TargetHealth, TargetState,
};
pub use messaging::{
    ConnectionNotification, Messaging, NewConnectionNotification, Queue, QueueMessage,
    Subscription, Topic, TopicAttribute,
};
