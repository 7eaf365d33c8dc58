//! The simulator as the stage of the port's contract: the same checks run in process and, with other gateways on the same
//! simulator, through the SDK over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use privatelink::contract::{ContractFault, ContractWorld, EndpointRefusal};
use privatelink::{
    AccountId, ConnectionState, LoadBalancerArn, Messaging, PrivateLink, Region, VpcEndpointId,
};

use crate::simulator::{SimConfig, SimError, Simulator};
use crate::{Behavior, SimClock};
use crate::{Effect, Fault, When};

/// The stage: a simulator with a stopped clock and small pages, two providers and a consumer.
pub struct SimContractWorld {
    simulator: Simulator,
    region: Region,
    provider: AccountId,
    consumer: AccountId,
    gateway: Arc<dyn PrivateLink>,
    other_gateway: Arc<dyn PrivateLink>,
    messaging: Arc<dyn Messaging>,
    balancers: AtomicU32,
}

/// Rows on a page: small enough that checks see several pages.
const PAGE_SIZE: usize = 5;

/// The names of the people in the story.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Where all of it happens.
    pub region: Region,
    /// The account of the gateway under test.
    pub provider: AccountId,
    /// A second provider.
    pub other_provider: AccountId,
    /// The consumer.
    pub consumer: AccountId,
}

impl SimContractWorld {
    /// A simulator as the contract wants it: a stopped clock, small pages.
    pub fn simulator() -> Result<Simulator, SimError> {
        let clock = SimClock::running();
        clock.stop();
        Simulator::new(SimConfig {
            seed: 1,
            page_size_limit: Some(PAGE_SIZE),
            clock,
            ..SimConfig::default()
        })
    }

    /// The stage with the simulator's own gateways.
    pub fn in_process(simulator: &Simulator, cast: Cast) -> Self {
        let gateway = |account: &AccountId| -> Arc<dyn PrivateLink> {
            Arc::new(simulator.gateway(account.clone(), cast.region.clone()))
        };
        let (one, other) = (gateway(&cast.provider), gateway(&cast.other_provider));
        Self::with_gateways(simulator, cast, one, other)
    }

    /// The stage with gateways of another implementation that talk to the same simulator.
    pub fn with_gateways(
        simulator: &Simulator,
        cast: Cast,
        gateway: Arc<dyn PrivateLink>,
        other_gateway: Arc<dyn PrivateLink>,
    ) -> Self {
        let messaging = simulator.gateway(cast.provider.clone(), cast.region.clone());
        Self {
            simulator: simulator.clone(),
            region: cast.region,
            provider: cast.provider,
            consumer: cast.consumer,
            gateway,
            other_gateway,
            messaging: Arc::new(messaging),
            balancers: AtomicU32::new(0),
        }
    }

    /// The stage with another implementation's topics, queues and notifications of the provider.
    #[must_use]
    pub fn with_messaging(mut self, messaging: Arc<dyn Messaging>) -> Self {
        self.messaging = messaging;
        self
    }

    fn actor(&self) -> crate::Consumer {
        self.simulator
            .consumer(self.consumer.clone(), self.region.clone())
    }
}

#[async_trait]
impl ContractWorld for SimContractWorld {
    fn gateway(&self) -> Arc<dyn PrivateLink> {
        self.gateway.clone()
    }

    fn other_gateway(&self) -> Arc<dyn PrivateLink> {
        self.other_gateway.clone()
    }

    fn provider(&self) -> AccountId {
        self.provider.clone()
    }

    fn consumer(&self) -> AccountId {
        self.consumer.clone()
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE
    }

    async fn ready_load_balancer(&self) -> Result<LoadBalancerArn, String> {
        let number = self.balancers.fetch_add(1, Ordering::Relaxed);
        self.simulator
            .provider_setup(self.provider.clone(), self.region.clone())
            .load_balancer(&format!("contract-{number}"), 2)
            .map_err(|error| error.to_string())
    }

    async fn create_endpoint(&self, service_name: &str) -> Result<VpcEndpointId, EndpointRefusal> {
        self.actor()
            .create_endpoint(service_name)
            .map_err(|error| EndpointRefusal {
                code: error.code,
                message: error.message,
            })
    }

    async fn delete_endpoint(&self, endpoint: &VpcEndpointId) -> Result<(), String> {
        self.actor()
            .delete_endpoint(endpoint)
            .map_err(|error| error.to_string())
    }

    async fn endpoint_state(
        &self,
        endpoint: &VpcEndpointId,
    ) -> Result<Option<ConnectionState>, String> {
        self.actor()
            .endpoint_state(endpoint)
            .map_err(|error| error.to_string())
    }

    /// Jumps over the longest of AWS's own delays; linger and expiry times are longer and stay ahead.
    async fn settle(&self) -> Result<(), String> {
        let Behavior {
            accept_delay_ms,
            endpoint_deleting_ms,
            service_deleting_ms,
            reject_settle_ms,
            service_pending_ms,
            permission_propagation_ms,
            remote_region_pending_ms,
            remote_region_deleting_ms,
            load_balancer_provisioning_ms,
            target_initial_ms,
            ..
        } = self.simulator.behavior();
        let longest = [
            accept_delay_ms,
            endpoint_deleting_ms,
            service_deleting_ms,
            reject_settle_ms,
            service_pending_ms,
            permission_propagation_ms,
            remote_region_pending_ms,
            remote_region_deleting_ms,
            load_balancer_provisioning_ms,
            target_initial_ms,
        ]
        .into_iter()
        .max()
        .unwrap_or(0);
        self.simulator
            .clock()
            .advance(Duration::from_millis(longest + 1));
        Ok(())
    }

    async fn plan_fault(&self, action: &str, fault: ContractFault) -> Result<(), String> {
        let code = "InternalError".to_owned();
        let effect = match fault {
            ContractFault::Throttle => Effect::Throttle,
            ContractFault::ErrorBefore => Effect::ErrorBefore { status: 500, code },
            ContractFault::ErrorAfter => Effect::ErrorAfter { status: 500, code },
            ContractFault::DropAnswer => Effect::DropAnswer,
            ContractFault::Reset => Effect::Reset { when: When::After },
            ContractFault::Truncate => Effect::Truncate,
            ContractFault::Garbled => Effect::Garbled,
            ContractFault::Deny => Effect::DenyAction,
        };
        let fault = Fault::always(action, effect).for_account(self.provider.clone());
        self.simulator.faults().plan(fault);
        Ok(())
    }

    async fn clear_faults(&self) -> Result<(), String> {
        self.simulator.faults().clear();
        Ok(())
    }

    fn messaging(&self) -> Arc<dyn Messaging> {
        self.messaging.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_simulator_in_process_keeps_the_contract() {
        let simulator = SimContractWorld::simulator().unwrap();
        let cast = Cast {
            region: "eu-west-1".parse().unwrap(),
            provider: "111111111111".parse().unwrap(),
            other_provider: "333333333333".parse().unwrap(),
            consumer: "222222222222".parse().unwrap(),
        };
        let world = SimContractWorld::in_process(&simulator, cast);
        let mut broken = Vec::new();
        for check in privatelink::contract::CHECKS {
            if let Err(why) = (check.run)(&world).await {
                broken.push(format!("{}: {why}", check.name));
            }
            world.clear_faults().await.unwrap();
        }
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}
