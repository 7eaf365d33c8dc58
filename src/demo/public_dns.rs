//! Public DNS as the simulator keeps it: the TXT records that its control API publishes.

use async_trait::async_trait;
use privatelink_sim::Simulator;

use crate::startup::{NoAnswer, PublicDns};

/// The simulator's records.
pub(super) struct SimulatedDns(pub(super) Simulator);

#[async_trait]
impl PublicDns for SimulatedDns {
    async fn txt(&self, name: &str) -> Result<Vec<String>, NoAnswer> {
        Ok(self.0.txt(name))
    }
}
