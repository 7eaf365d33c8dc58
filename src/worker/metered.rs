//! A gateway that pays for each call from the AccountRegion's budget, makes it only while the lease lasts, counts it and logs how it
//! ended.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use privatelink::{
    AccountId, AllowedPrincipal, AvailabilityZone, Connection, ConnectionFilter, EndpointService,
    EndpointServiceChange, GatewayError, ItemFailure, Listener, ListenerAttributes, LoadBalancer,
    LoadBalancerArn, LoadBalancerAttributes, NewEndpointService, Page, PageToken, PrivateLink,
    ServiceId, ServiceNotification, TargetGroup, TargetGroupAttributes, TargetHealth,
    VpcEndpointId,
};

use super::budget::{Bucket, Budget};
use super::metrics::{CallLabels, WorkerMetrics};
use super::term::LeaseTerm;

/// Wraps a gateway.
pub struct Metered {
    inner: Arc<dyn PrivateLink>,
    budget: Arc<Budget>,
    term: Arc<LeaseTerm>,
    metrics: WorkerMetrics,
}

impl Metered {
    /// Wraps `inner`, which then pays from `budget`, for as long as the lease lasts.
    pub fn new(
        inner: Arc<dyn PrivateLink>,
        budget: Arc<Budget>,
        term: Arc<LeaseTerm>,
        metrics: WorkerMetrics,
    ) -> Self {
        Self {
            inner,
            budget,
            term,
            metrics,
        }
    }

    async fn call<T>(
        &self,
        action: &'static str,
        bucket: Bucket,
        call: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        metered(
            &self.budget,
            &self.term,
            &self.metrics,
            action,
            bucket,
            call,
        )
        .await
    }
}

/// Makes a call that is paid for, if the lease lasts long enough for it, counts it and logs how it ended.
pub(super) async fn metered<T>(
    budget: &Budget,
    term: &LeaseTerm,
    metrics: &WorkerMetrics,
    action: &'static str,
    bucket: Bucket,
    call: impl Future<Output = Result<T, GatewayError>>,
) -> Result<T, GatewayError> {
    let token = budget.take(bucket).await;
    // Asked after the wait for a token, which may have been long.
    let result = if term.allows_call() {
        let result = call.await;
        if matches!(result, Err(GatewayError::Busy { .. })) {
            token.throttled();
        } else {
            drop(token);
        }
        result
    } else {
        Err(lease_expiring())
    };
    let outcome = result.as_ref().err().map_or("ok", GatewayError::kind);
    metrics
        .calls
        .get_or_create(&CallLabels { action, outcome })
        .inc();
    match &result {
        Ok(_) => tracing::debug!(aws.action = action, "called AWS"),
        Err(error) => {
            tracing::warn!(aws.action = action, aws.code = error.code(), %error, "a call to AWS failed");
        }
    }
    result
}

/// Not done, and to be done later: by this replica once it has renewed its lease, or by the next owner.
fn lease_expiring() -> GatewayError {
    GatewayError::Busy {
        code: "LeaseExpiring".to_owned(),
        retry_after: None,
    }
}

#[async_trait]
impl PrivateLink for Metered {
    async fn create_endpoint_service(
        &self,
        new: &NewEndpointService,
    ) -> Result<EndpointService, GatewayError> {
        let call = self.inner.create_endpoint_service(new);
        self.call(
            "CreateVpcEndpointServiceConfiguration",
            Bucket::ServiceMutation,
            call,
        )
        .await
    }

    async fn modify_endpoint_service(
        &self,
        id: &ServiceId,
        change: &EndpointServiceChange,
    ) -> Result<(), GatewayError> {
        let call = self.inner.modify_endpoint_service(id, change);
        self.call(
            "ModifyVpcEndpointServiceConfiguration",
            Bucket::ServiceMutation,
            call,
        )
        .await
    }

    async fn delete_endpoint_service(
        &self,
        id: &ServiceId,
    ) -> Result<Option<ItemFailure>, GatewayError> {
        let call = self.inner.delete_endpoint_service(id);
        self.call(
            "DeleteVpcEndpointServiceConfigurations",
            Bucket::ServiceMutation,
            call,
        )
        .await
    }

    async fn endpoint_service(&self, id: &ServiceId) -> Result<EndpointService, GatewayError> {
        let call = self.inner.endpoint_service(id);
        self.call(
            "DescribeVpcEndpointServiceConfigurations",
            Bucket::Read,
            call,
        )
        .await
    }

    async fn endpoint_services(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<EndpointService>, GatewayError> {
        let call = self.inner.endpoint_services(from);
        self.call(
            "DescribeVpcEndpointServiceConfigurations",
            Bucket::Read,
            call,
        )
        .await
    }

    async fn modify_principals(
        &self,
        id: &ServiceId,
        add: &[String],
        remove: &[String],
    ) -> Result<(), GatewayError> {
        let call = self.inner.modify_principals(id, add, remove);
        self.call(
            "ModifyVpcEndpointServicePermissions",
            Bucket::Mutation,
            call,
        )
        .await
    }

    async fn principals(
        &self,
        id: &ServiceId,
        from: Option<&PageToken>,
    ) -> Result<Page<AllowedPrincipal>, GatewayError> {
        let call = self.inner.principals(id, from);
        self.call("DescribeVpcEndpointServicePermissions", Bucket::Read, call)
            .await
    }

    async fn set_service_tags(
        &self,
        id: &ServiceId,
        tags: &[(String, String)],
    ) -> Result<(), GatewayError> {
        let call = self.inner.set_service_tags(id, tags);
        self.call("CreateTags", Bucket::Mutation, call).await
    }

    async fn remove_service_tags(
        &self,
        id: &ServiceId,
        keys: &[String],
    ) -> Result<(), GatewayError> {
        let call = self.inner.remove_service_tags(id, keys);
        self.call("DeleteTags", Bucket::Mutation, call).await
    }

    async fn connections(
        &self,
        filter: &ConnectionFilter,
        from: Option<&PageToken>,
    ) -> Result<Page<Connection>, GatewayError> {
        let call = self.inner.connections(filter, from);
        self.call("DescribeVpcEndpointConnections", Bucket::Read, call)
            .await
    }

    async fn accept_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        let call = self.inner.accept_connections(id, endpoints);
        self.call("AcceptVpcEndpointConnections", Bucket::Accept, call)
            .await
    }

    async fn reject_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        let call = self.inner.reject_connections(id, endpoints);
        self.call("RejectVpcEndpointConnections", Bucket::Reject, call)
            .await
    }

    async fn load_balancers(
        &self,
        arns: &[LoadBalancerArn],
    ) -> Result<Vec<LoadBalancer>, GatewayError> {
        let call = self.inner.load_balancers(arns);
        self.call("DescribeLoadBalancers", Bucket::BalancerRead, call)
            .await
    }

    async fn listeners(&self, arn: &LoadBalancerArn) -> Result<Vec<Listener>, GatewayError> {
        self.call(
            "DescribeListeners",
            Bucket::BalancerRead,
            self.inner.listeners(arn),
        )
        .await
    }

    async fn target_groups(&self, arn: &LoadBalancerArn) -> Result<Vec<TargetGroup>, GatewayError> {
        self.call(
            "DescribeTargetGroups",
            Bucket::BalancerRead,
            self.inner.target_groups(arn),
        )
        .await
    }

    async fn target_health(
        &self,
        target_group_arn: &str,
    ) -> Result<Vec<TargetHealth>, GatewayError> {
        let call = self.inner.target_health(target_group_arn);
        self.call("DescribeTargetHealth", Bucket::BalancerRead, call)
            .await
    }

    async fn availability_zones(&self) -> Result<Vec<AvailabilityZone>, GatewayError> {
        self.call(
            "DescribeAvailabilityZones",
            Bucket::Read,
            self.inner.availability_zones(),
        )
        .await
    }

    async fn caller_account(&self) -> Result<AccountId, GatewayError> {
        self.call(
            "GetCallerIdentity",
            Bucket::Read,
            self.inner.caller_account(),
        )
        .await
    }

    // What only the doctor asks: attributes and notifications.

    async fn load_balancer_attributes(
        &self,
        arn: &LoadBalancerArn,
    ) -> Result<LoadBalancerAttributes, GatewayError> {
        let call = self.inner.load_balancer_attributes(arn);
        self.call("DescribeLoadBalancerAttributes", Bucket::BalancerRead, call)
            .await
    }

    async fn listener_attributes(
        &self,
        listener_arn: &str,
    ) -> Result<ListenerAttributes, GatewayError> {
        let call = self.inner.listener_attributes(listener_arn);
        self.call("DescribeListenerAttributes", Bucket::BalancerRead, call)
            .await
    }

    async fn target_group_attributes(
        &self,
        target_group_arn: &str,
    ) -> Result<TargetGroupAttributes, GatewayError> {
        let call = self.inner.target_group_attributes(target_group_arn);
        self.call("DescribeTargetGroupAttributes", Bucket::BalancerRead, call)
            .await
    }

    async fn service_notifications(
        &self,
        id: &ServiceId,
    ) -> Result<Vec<ServiceNotification>, GatewayError> {
        let call = self.inner.service_notifications(id);
        self.call(
            "DescribeVpcEndpointConnectionNotifications",
            Bucket::Read,
            call,
        )
        .await
    }
}
