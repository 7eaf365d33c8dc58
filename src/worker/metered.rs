//! A gateway that pays for each call from the AccountRegion's budget, makes it only while the lease lasts, counts it and logs how it
//! ended.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

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
use super::term::{HANDING_OVER, LEASE_EXPIRING, LeaseTerm, not_made};

/// Wraps a gateway.
pub struct Metered {
    inner: Arc<dyn PrivateLink>,
    meter: Meter,
}

impl Metered {
    /// Wraps `inner`, which then pays as the meter says.
    pub fn new(inner: Arc<dyn PrivateLink>, meter: Meter) -> Self {
        Self { inner, meter }
    }

    async fn call<T>(
        &self,
        action: &'static str,
        bucket: Bucket,
        call: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        self.meter.call(action, bucket, call).await
    }
}

/// What a call passes before it is made: a token of the AccountRegion's budget and the lease. And what it leaves behind: a count and a line in the log.
#[derive(Clone)]
pub struct Meter {
    /// What calls are paid from.
    pub budget: Arc<Budget>,
    /// How long calls may be made.
    pub term: Arc<LeaseTerm>,
    /// Where they are counted.
    pub metrics: WorkerMetrics,
}

impl Meter {
    /// Makes a call. What AWS says of our credentials is not passed on as its answer.
    pub(super) async fn call<T>(
        &self,
        action: &'static str,
        bucket: Bucket,
        call: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        let result = self.made(action, bucket, call).await;
        result.map_err(|error| self.of_credentials(error, bucket))
    }

    async fn made<T>(
        &self,
        action: &'static str,
        bucket: Bucket,
        call: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        let token = self.budget.take(bucket).await;
        // Asked after the wait for a token, which may have been long.
        let result = if bucket.pays_changes() {
            match self.term.cover_change().await {
                Some(_under_way) => call.await,
                None => Err(self.no_call()),
            }
        } else if self.term.allows_call() {
            call.await
        } else {
            Err(self.no_call())
        };
        match &result {
            Err(error @ GatewayError::Busy { .. }) if !not_made(error) => token.throttled(),
            _ => drop(token),
        }
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) if not_made(error) => "not_made",
            Err(error) => error.kind(),
        };
        self.metrics
            .calls
            .get_or_create(&CallLabels { action, outcome })
            .inc();
        match &result {
            Ok(_) => tracing::debug!(aws.action = action, "called AWS"),
            Err(error) if not_made(error) => {
                tracing::info!(
                    aws.action = action,
                    cause = error.code(),
                    "a call to AWS was not made"
                );
            }
            Err(error) => {
                tracing::warn!(aws.action = action, aws.code = error.code(), %error, "a call to AWS failed");
            }
        }
        result
    }

    /// Not done, and to be done later: by this replica once it has renewed its lease, or by the next owner.
    fn no_call(&self) -> GatewayError {
        let code = if self.term.is_leaving() {
            HANDING_OVER
        } else {
            LEASE_EXPIRING
        };
        GatewayError::Busy {
            code: code.to_owned(),
            retry_after: None,
        }
    }

    /// What says that AWS does not take our credentials says nothing about the thing that the call was for: that is left for later, and the
    /// credentials are proven anew before anything else is done here.
    fn of_credentials(&self, error: GatewayError, bucket: Bucket) -> GatewayError {
        if !doubts_credentials(&error, bucket) {
            return error;
        }
        self.term.doubt();
        GatewayError::Busy {
            code: error.code().to_owned(),
            retry_after: Some(NEW_CREDENTIALS),
        }
    }
}

/// How long a call waits for its AccountRegion's credentials to be proven anew.
const NEW_CREDENTIALS: Duration = Duration::from_secs(2);

/// Codes that are about who asks and not about what is asked: those common to all AWS Query APIs, EC2's `AuthFailure`, and the adapter's own for
/// credentials that could not be had. EC2 says `UnauthorizedOperation` where a policy forbids a call.
const OF_CREDENTIALS: [&str; 12] = [
    "AuthFailure",
    "Credentials",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "NoCredentials",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Whether AWS refused us, or STS refused us the role. ELBv2, SNS and SQS say `AccessDenied` where a policy forbids a call; from EC2 it can only
/// be STS's.
fn doubts_credentials(error: &GatewayError, bucket: Bucket) -> bool {
    match error {
        GatewayError::Denied { code, .. } | GatewayError::Unknown { code, .. } => {
            OF_CREDENTIALS.contains(&code.as_str())
                || code == "AccessDenied"
                    && !matches!(
                        bucket,
                        Bucket::BalancerRead | Bucket::Messaging | Bucket::Queue
                    )
        }
        GatewayError::Busy { .. }
        | GatewayError::NotFound { .. }
        | GatewayError::Invalid { .. } => false,
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
        // This is how credentials are proven: what AWS says of them is the answer.
        let call = self.inner.caller_account();
        self.meter
            .made("GetCallerIdentity", Bucket::Read, call)
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

    // The rest of what can be changed about a service.

    async fn start_private_dns_verification(&self, id: &ServiceId) -> Result<(), GatewayError> {
        let call = self.inner.start_private_dns_verification(id);
        let action = "StartVpcEndpointServicePrivateDnsVerification";
        self.call(action, Bucket::Mutation, call).await
    }

    async fn make_service_owner_pay(&self, id: &ServiceId) -> Result<(), GatewayError> {
        let call = self.inner.make_service_owner_pay(id);
        let action = "ModifyVpcEndpointServicePayerResponsibility";
        self.call(action, Bucket::Mutation, call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(code: &str) -> GatewayError {
        GatewayError::Denied {
            code: code.to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn what_is_about_credentials_is_told_from_what_a_policy_forbids() {
        for code in OF_CREDENTIALS {
            assert!(doubts_credentials(&denied(code), Bucket::Accept), "{code}");
        }
        assert!(!doubts_credentials(
            &denied("UnauthorizedOperation"),
            Bucket::Accept
        ));
        assert!(
            doubts_credentials(&denied("AccessDenied"), Bucket::Read),
            "STS's"
        );
        assert!(!doubts_credentials(
            &denied("AccessDenied"),
            Bucket::BalancerRead
        ));
    }
}
