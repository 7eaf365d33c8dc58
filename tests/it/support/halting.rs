//! A gateway that holds the answer of a change in AWS back, with the work done, until the test lets it go: the moment in which everything
//! can still happen. Or a page of a listing, or the read of a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use portcullis::worker::Place;
use privatelink::{
    AccountId, AllowedPrincipal, AvailabilityZone, Connection, ConnectionFilter, EndpointService,
    EndpointServiceChange, GatewayError, ItemFailure, Listener, ListenerAttributes, LoadBalancer,
    LoadBalancerArn, LoadBalancerAttributes, NewEndpointService, Page, PageToken, PrivateLink,
    ServiceId, ServiceNotification, TargetGroup, TargetGroupAttributes, TargetHealth,
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
    /// Changes that are answered before one is held.
    let_pass: AtomicUsize,
    /// Pages of complete listings that are answered before one is held.
    pages: AtomicUsize,
    /// Reads of a service that are answered before one is held.
    reads: AtomicUsize,
}

/// Holds the next accept or reject, or any other change, of a place.
pub(crate) fn halt(place: &mut Place) -> Arc<Halt> {
    halt_after(place, 0)
}

/// Holds the change that comes after this many.
pub(crate) fn halt_after(place: &mut Place, let_pass: usize) -> Arc<Halt> {
    halting(place, let_pass, usize::MAX, usize::MAX)
}

/// Holds one page of complete listings: the one that comes after this many.
pub(crate) fn halt_page_after(place: &mut Place, pages: usize) -> Arc<Halt> {
    halting(place, usize::MAX, pages, usize::MAX)
}

/// Holds the next read of a service.
pub(crate) fn halt_read(place: &mut Place) -> Arc<Halt> {
    halting(place, usize::MAX, usize::MAX, 0)
}

fn halting(place: &mut Place, let_pass: usize, pages: usize, reads: usize) -> Arc<Halt> {
    let halt = Arc::new(Halt::default());
    place.gateway = Arc::new(Halting {
        inner: place.gateway.clone(),
        halt: halt.clone(),
        let_pass: AtomicUsize::new(let_pass),
        pages: AtomicUsize::new(pages),
        reads: AtomicUsize::new(reads),
    });
    halt
}

impl Halting {
    async fn hold<T>(&self, answer: T) -> T {
        let pass = |left: usize| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.let_pass.fetch_update(set, fetch, pass).is_err() {
            self.wait().await;
        }
        answer
    }

    async fn wait(&self) {
        self.halt.done.notify_one();
        self.halt.go_on.notified().await;
    }
}

type Answer<T> = Result<T, GatewayError>;

#[async_trait]
impl PrivateLink for Halting {
    async fn accept_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Answer<Vec<ItemFailure>> {
        self.hold(self.inner.accept_connections(id, endpoints).await)
            .await
    }

    async fn reject_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Answer<Vec<ItemFailure>> {
        self.hold(self.inner.reject_connections(id, endpoints).await)
            .await
    }

    async fn create_endpoint_service(&self, new: &NewEndpointService) -> Answer<EndpointService> {
        self.inner.create_endpoint_service(new).await
    }

    async fn modify_endpoint_service(
        &self,
        id: &ServiceId,
        change: &EndpointServiceChange,
    ) -> Answer<()> {
        self.hold(self.inner.modify_endpoint_service(id, change).await)
            .await
    }

    async fn delete_endpoint_service(&self, id: &ServiceId) -> Answer<Option<ItemFailure>> {
        self.inner.delete_endpoint_service(id).await
    }

    async fn endpoint_service(&self, id: &ServiceId) -> Answer<EndpointService> {
        let answer = self.inner.endpoint_service(id).await;
        let pass = |left: usize| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.reads.fetch_update(set, fetch, pass).is_err() {
            self.wait().await;
        }
        answer
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
        self.hold(self.inner.modify_principals(id, add, remove).await)
            .await
    }

    async fn set_service_tags(&self, id: &ServiceId, tags: &[(String, String)]) -> Answer<()> {
        self.hold(self.inner.set_service_tags(id, tags).await).await
    }

    async fn remove_service_tags(&self, id: &ServiceId, keys: &[String]) -> Answer<()> {
        self.hold(self.inner.remove_service_tags(id, keys).await)
            .await
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
        let page = self.inner.connections(filter, from).await;
        // From nought it wraps to a number that is never counted down: the pages after the held one pass.
        if *filter == ConnectionFilter::All && self.pages.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.wait().await;
        }
        page
    }

    async fn load_balancers(&self, arns: &[LoadBalancerArn]) -> Answer<Vec<LoadBalancer>> {
        self.inner.load_balancers(arns).await
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

    // What only the doctor asks: attributes and notifications.

    async fn load_balancer_attributes(
        &self,
        arn: &LoadBalancerArn,
    ) -> Answer<LoadBalancerAttributes> {
        self.inner.load_balancer_attributes(arn).await
    }

    async fn listener_attributes(&self, listener_arn: &str) -> Answer<ListenerAttributes> {
        self.inner.listener_attributes(listener_arn).await
    }

    async fn target_group_attributes(
        &self,
        target_group_arn: &str,
    ) -> Answer<TargetGroupAttributes> {
        self.inner.target_group_attributes(target_group_arn).await
    }

    async fn service_notifications(&self, id: &ServiceId) -> Answer<Vec<ServiceNotification>> {
        self.inner.service_notifications(id).await
    }

    // The rest of what can be changed about a service.

    async fn start_private_dns_verification(&self, id: &ServiceId) -> Answer<()> {
        self.hold(self.inner.start_private_dns_verification(id).await)
            .await
    }

    async fn make_service_owner_pay(&self, id: &ServiceId) -> Answer<()> {
        self.hold(self.inner.make_service_owner_pay(id).await).await
    }
}
