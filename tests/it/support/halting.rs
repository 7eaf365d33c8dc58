//! A gateway that holds the answer of every accept and reject back, with the work done, until the test lets it go: the moment in which
//! everything can still happen.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis::worker::Place;
use privatelink::{
    AccountId, AllowedPrincipal, AvailabilityZone, Connection, ConnectionFilter, EndpointService,
    EndpointServiceChange, GatewayError, ItemFailure, Listener, LoadBalancer, LoadBalancerArn,
    NewEndpointService, Page, PageToken, PrivateLink, ServiceId, TargetGroup, TargetHealth,
    VpcEndpointId,
};
use tokio::sync::Notify;

/// The two sides of the held answer.
#[derive(Debug, Default)]
pub(crate) struct Halt {
    /// AWS has done the work.
    pub(crate) done: Notify,
    /// The answer may come.
    pub(crate) go_on: Notify,
}

struct Halting {
    inner: Arc<dyn PrivateLink>,
    halt: Arc<Halt>,
}

/// Puts a halt into a place's gateway.
pub(crate) fn halt(place: &mut Place) -> Arc<Halt> {
    let halt = Arc::new(Halt::default());
    place.gateway = Arc::new(Halting {
        inner: place.gateway.clone(),
        halt: halt.clone(),
    });
    halt
}

type Answer<T> = Result<T, GatewayError>;

#[async_trait]
impl PrivateLink for Halting {
    async fn accept_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Answer<Vec<ItemFailure>> {
        let answer = self.inner.accept_connections(id, endpoints).await;
        self.halt.done.notify_one();
        self.halt.go_on.notified().await;
        answer
    }

    async fn reject_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Answer<Vec<ItemFailure>> {
        let answer = self.inner.reject_connections(id, endpoints).await;
        self.halt.done.notify_one();
        self.halt.go_on.notified().await;
        answer
    }

    async fn create_endpoint_service(&self, new: &NewEndpointService) -> Answer<EndpointService> {
        self.inner.create_endpoint_service(new).await
    }

    async fn modify_endpoint_service(
        &self,
        id: &ServiceId,
        change: &EndpointServiceChange,
    ) -> Answer<()> {
        self.inner.modify_endpoint_service(id, change).await
    }

    async fn delete_endpoint_service(&self, id: &ServiceId) -> Answer<Option<ItemFailure>> {
        self.inner.delete_endpoint_service(id).await
    }

    async fn endpoint_service(&self, id: &ServiceId) -> Answer<EndpointService> {
        self.inner.endpoint_service(id).await
    }

    async fn endpoint_services(&self, from: Option<&PageToken>) -> Answer<Page<EndpointService>> {
        self.inner.endpoint_services(from).await
    }

    async fn modify_principals(
        &self,
        id: &ServiceId,
        add: &[String],
        remove: &[String],
    ) -> Answer<()> {
        self.inner.modify_principals(id, add, remove).await
    }

    async fn principals(
        &self,
        id: &ServiceId,
        from: Option<&PageToken>,
    ) -> Answer<Page<AllowedPrincipal>> {
        self.inner.principals(id, from).await
    }

    async fn connections(
        &self,
        filter: &ConnectionFilter,
        from: Option<&PageToken>,
    ) -> Answer<Page<Connection>> {
        self.inner.connections(filter, from).await
    }

    async fn load_balancer(&self, arn: &LoadBalancerArn) -> Answer<LoadBalancer> {
        self.inner.load_balancer(arn).await
    }

    async fn listeners(&self, arn: &LoadBalancerArn) -> Answer<Vec<Listener>> {
        self.inner.listeners(arn).await
    }

    async fn target_groups(&self, arn: &LoadBalancerArn) -> Answer<Vec<TargetGroup>> {
        self.inner.target_groups(arn).await
    }

    async fn target_health(&self, target_group_arn: &str) -> Answer<Vec<TargetHealth>> {
        self.inner.target_health(target_group_arn).await
    }

    async fn availability_zones(&self) -> Answer<Vec<AvailabilityZone>> {
        self.inner.availability_zones().await
    }

    async fn caller_account(&self) -> Answer<AccountId> {
        self.inner.caller_account().await
    }
}
