//! How a store failure looks to a caller who could not have caused it.
#![deny(clippy::wildcard_enum_match_arm)]

use super::AppError;
use crate::store::StoreError;

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            // A use case that can meet a duplicate turns it into its own refusal before it gets here.
            StoreError::Duplicate { .. }
            | StoreError::LostLease
            | StoreError::InUse
            | StoreError::Inconsistent { .. }
            | StoreError::Database(_) => Self::internal(error),
        }
    }
}
