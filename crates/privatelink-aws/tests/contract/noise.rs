//! The contract's stage with trouble in the background that the checks do not know of.

use std::sync::Arc;

use async_trait::async_trait;
use privatelink::contract::{ContractFault, ContractWorld, EndpointRefusal};
use privatelink::{
    AccountId, ConnectionState, LoadBalancerArn, Messaging, PrivateLink, VpcEndpointId,
};
use privatelink_sim::contract_world::SimContractWorld;
use privatelink_sim::{Fault, Simulator};

/// What the adapter reads with.
pub(crate) const READS: &[&str] = &[
    "DescribeAvailabilityZones",
    "DescribeListeners",
    "DescribeLoadBalancer*",
    "DescribeTarget*",
    "DescribeVpcEndpoint*",
    "GetCallerIdentity",
    "GetQueue*",
    "GetTopicAttributes",
    "ListSubscriptionsByTopic",
];

/// What it changes things with.
pub(crate) const WRITES: &[&str] = &[
    "AcceptVpcEndpointConnections",
    "CreateVpcEndpointServiceConfiguration",
    "DeleteVpcEndpointServiceConfigurations",
    "ModifyVpcEndpointService*",
    "RejectVpcEndpointConnections",
    "CreateQueue",
    "CreateTopic",
    "CreateVpcEndpointConnectionNotification",
    "ModifyVpcEndpointConnectionNotification",
    "SetQueueAttributes",
    "SetTopicAttributes",
    "Subscribe",
];

/// A stage whose noise comes back whenever a check clears the faults.
pub(crate) struct Noisy {
    pub(crate) inner: SimContractWorld,
    pub(crate) simulator: Simulator,
    pub(crate) noise: Vec<Fault>,
}

impl Noisy {
    /// How many calls over HTTP did not simply end well.
    pub(crate) fn met(&self) -> usize {
        let calls = self.simulator.calls().all();
        let slow = self
            .noise
            .iter()
            .all(|fault| matches!(fault.effect, privatelink_sim::Effect::Slow { .. }));
        let bad = |outcome: &str| slow || outcome != "ok";
        calls.iter().filter(|call| bad(&call.outcome)).count()
    }
}

#[async_trait]
impl ContractWorld for Noisy {
    fn gateway(&self) -> Arc<dyn PrivateLink> {
        self.inner.gateway()
    }

    fn other_gateway(&self) -> Arc<dyn PrivateLink> {
        self.inner.other_gateway()
    }

    fn provider(&self) -> AccountId {
        self.inner.provider()
    }

    fn consumer(&self) -> AccountId {
        self.inner.consumer()
    }

    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    async fn ready_load_balancer(&self) -> Result<LoadBalancerArn, String> {
        self.inner.ready_load_balancer().await
    }

    async fn create_endpoint(&self, service_name: &str) -> Result<VpcEndpointId, EndpointRefusal> {
        self.inner.create_endpoint(service_name).await
    }

    async fn delete_endpoint(&self, endpoint: &VpcEndpointId) -> Result<(), String> {
        self.inner.delete_endpoint(endpoint).await
    }

    async fn endpoint_state(
        &self,
        endpoint: &VpcEndpointId,
    ) -> Result<Option<ConnectionState>, String> {
        self.inner.endpoint_state(endpoint).await
    }

    async fn settle(&self) -> Result<(), String> {
        self.inner.settle().await
    }

    async fn plan_fault(&self, action: &str, fault: ContractFault) -> Result<(), String> {
        self.inner.plan_fault(action, fault).await
    }

    async fn clear_faults(&self) -> Result<(), String> {
        self.inner.clear_faults().await?;
        let provider = self.provider();
        for fault in &self.noise {
            let fault = fault.clone().for_account(provider.clone());
            self.simulator.faults().plan(fault);
        }
        Ok(())
    }

    fn messaging(&self) -> Arc<dyn Messaging> {
        self.inner.messaging()
    }
}
