//! The trait: what Portcullis asks of AWS, for one account in one Region.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    AccountId, AllowedPrincipal, AvailabilityZone, Connection, ConnectionFilter, EndpointService,
    EndpointServiceChange, GatewayError, ItemFailure, Listener, ListenerAttributes, LoadBalancer,
    LoadBalancerArn, LoadBalancerAttributes, Messaging, NewEndpointService, Region, ServiceId,
    ServiceNotification, TargetGroup, TargetGroupAttributes, TargetHealth, VpcEndpointId,
};

/// An opaque place in a paged listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(pub String);

/// One page of a listing. A listing is complete only when a page came without `next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows of this page; may be empty although more pages follow.
    pub items: Vec<T>,
    /// Rows of this page that AWS sent and that could not be read. They exist, so a listing with any proves nothing about what it did
    /// not show.
    pub unreadable: usize,
    /// Where the next page starts. AWS may page even when not asked to.
    pub next: Option<PageToken>,
}

/// Everything Portcullis asks of AWS PrivateLink and its load balancers.
///
/// Implementations make one request per call (two where the doc says so), retry at most once by themselves, and never
/// wait for a state: patience belongs to the worker.
#[async_trait]
pub trait PrivateLink: Send + Sync {
    /// Creates an endpoint service. Repeating it with an equal request and the same token answers with the first result.
    async fn create_endpoint_service(
        &self,
        new: &NewEndpointService,
    ) -> Result<EndpointService, GatewayError>;

    /// Changes an endpoint service. The new state is not in the answer: describe again.
    async fn modify_endpoint_service(
        &self,
        id: &ServiceId,
        change: &EndpointServiceChange,
    ) -> Result<(), GatewayError>;

    /// Deletes an endpoint service. `Ok(Some(_))` is a refusal inside an HTTP 200, such as `ExistingVpcEndpointConnections`.
    async fn delete_endpoint_service(
        &self,
        id: &ServiceId,
    ) -> Result<Option<ItemFailure>, GatewayError>;

    /// Reads one endpoint service; [`GatewayError::NotFound`] when this account does not own it here.
    async fn endpoint_service(&self, id: &ServiceId) -> Result<EndpointService, GatewayError>;

    /// Lists the account's endpoint services, up to 1,000 a page.
    async fn endpoint_services(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<EndpointService>, GatewayError>;

    /// Adds and removes allowed principals.
    async fn modify_principals(
        &self,
        id: &ServiceId,
        add: &[String],
        remove: &[String],
    ) -> Result<(), GatewayError>;

    /// Lists allowed principals, up to 1,000 a page.
    async fn principals(
        &self,
        id: &ServiceId,
        from: Option<&PageToken>,
    ) -> Result<Page<AllowedPrincipal>, GatewayError>;

    /// Sets tags on an endpoint service (`CreateTags`); tags with other keys stay. Without any, no call.
    async fn set_service_tags(
        &self,
        id: &ServiceId,
        tags: &[(String, String)],
    ) -> Result<(), GatewayError>;

    /// Removes tags from an endpoint service by key, whatever their value (`DeleteTags`). Without any, no call: AWS would remove
    /// them all.
    async fn remove_service_tags(
        &self,
        id: &ServiceId,
        keys: &[String],
    ) -> Result<(), GatewayError>;

    /// Lists connections, up to 1,000 a page.
    async fn connections(
        &self,
        filter: &ConnectionFilter,
        from: Option<&PageToken>,
    ) -> Result<Page<Connection>, GatewayError>;

    /// Accepts connections of one service. An empty list means AWS recorded every accept; it is done when a read says so.
    async fn accept_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError>;

    /// Rejects connections of one service, also ones that are available. Results as for accepting.
    async fn reject_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError>;

    /// Reads load balancers, at most [`LoadBalancer::MOST_IN_ONE_CALL`] of them, in no stable order. One that AWS does not have fails the whole
    /// call with [`GatewayError::NotFound`]. Without any, no call: AWS would list them all.
    async fn load_balancers(
        &self,
        arns: &[LoadBalancerArn],
    ) -> Result<Vec<LoadBalancer>, GatewayError>;

    /// Lists all listeners of a load balancer (at most 50 exist).
    async fn listeners(&self, arn: &LoadBalancerArn) -> Result<Vec<Listener>, GatewayError>;

    /// Lists all target groups that a load balancer forwards to.
    async fn target_groups(&self, arn: &LoadBalancerArn) -> Result<Vec<TargetGroup>, GatewayError>;

    /// Reads the health of all targets of one target group.
    async fn target_health(
        &self,
        target_group_arn: &str,
    ) -> Result<Vec<TargetHealth>, GatewayError>;

    /// Lists the Region's zones with the names they have in this account.
    async fn availability_zones(&self) -> Result<Vec<AvailabilityZone>, GatewayError>;

    /// Tells whose credentials these are (STS `GetCallerIdentity`), so that one account is never mistaken for another.
    async fn caller_account(&self) -> Result<AccountId, GatewayError>;

    // What only the doctor asks: attributes and notifications.

    /// Reads the attributes of a Network Load Balancer.
    async fn load_balancer_attributes(
        &self,
        arn: &LoadBalancerArn,
    ) -> Result<LoadBalancerAttributes, GatewayError>;

    /// Reads the attributes of a listener.
    async fn listener_attributes(
        &self,
        listener_arn: &str,
    ) -> Result<ListenerAttributes, GatewayError>;

    /// Reads the attributes of a target group.
    async fn target_group_attributes(
        &self,
        target_group_arn: &str,
    ) -> Result<TargetGroupAttributes, GatewayError>;

    /// Lists all connection notifications of a service, all pages of them; none for a service that is not this account's.
    async fn service_notifications(
        &self,
        id: &ServiceId,
    ) -> Result<Vec<ServiceNotification>, GatewayError>;
    // The rest of what can be changed about a service.

    /// Asks AWS to look for the TXT record of a service's private DNS name. What it finds shows later, in the name's state.
    async fn start_private_dns_verification(&self, id: &ServiceId) -> Result<(), GatewayError>;

    /// Makes the service's owner pay for its endpoints (`ServiceOwner`, the only value that AWS takes). There is no way back.
    async fn make_service_owner_pay(&self, id: &ServiceId) -> Result<(), GatewayError>;
}

/// Which account and Region to reach, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountRegionRef {
    /// The provider's account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
    /// The role to assume, where the process's own credentials are not this account's.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

/// Makes gateways. Implementations keep one client per account and Region.
#[async_trait]
pub trait Gateways: Send + Sync {
    /// A gateway for this account and Region. Cheap after the first call; makes no request by itself.
    async fn gateway(&self, place: &AccountRegionRef)
    -> Result<Arc<dyn PrivateLink>, GatewayError>;

    // Credentials.

    /// Forgets what was kept for this account and Region, its credentials too: AWS does not take them any more. The next gateway begins anew.
    /// Whoever keeps no credentials has nothing to do.
    async fn forget(&self, _place: &AccountRegionRef) {}
    /// The same account and Region's topics, queues and connection notifications. As cheap as [`Gateways::gateway`].
    async fn messaging(&self, place: &AccountRegionRef)
    -> Result<Arc<dyn Messaging>, GatewayError>;
}
