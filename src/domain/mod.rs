//! The rules, pure: ids, time, states and their transitions, the sync plan, readiness checks.
//!
//! Nothing here is async, does I/O or knows HTTP. `sqlx` appears only as the derive on ids.

pub mod account_region;
pub mod actor;
pub mod backoff;
pub mod bucket;
pub mod clock;
pub mod connection;
pub mod dispatch;
pub mod drift;
pub mod drift_inbox;
pub mod endpoint_service;
pub mod hint;
pub mod history;
pub mod ids;
pub mod inventory;
pub mod observe;
pub mod outcome;
pub mod principal;
pub mod readiness;
pub mod review;
pub mod service_drift;
pub mod service_plan;
pub mod settlement;
#[cfg(test)]
mod simulation;
pub mod summary;
pub mod sync;
pub mod sync_step;
pub mod text;
