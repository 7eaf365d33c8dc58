//! How a pass fails.

use privatelink::GatewayError;

use crate::app::AppError;
use crate::store::StoreError;

/// Why a pass ended early. What it had recorded until then stands; the next pass begins anew.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// AWS.
    #[error("a call to AWS failed")]
    Gateway(#[from] GatewayError),
    /// The database.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A decision that the worker takes in somebody's name.
    #[error("a decision could not be recorded")]
    Decision(#[from] AppError),
}

impl PassError {
    /// Whether another replica owns the AccountRegion now, so that this one must stop working in it.
    pub fn lease_is_lost(&self) -> bool {
        matches!(self, Self::Store(StoreError::LostLease))
    }
}
