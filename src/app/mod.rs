//! Use cases: one file for each verb, one transaction each. They know no HTTP and never call AWS.
//!
//! A use case reads, asks the domain, writes guarded, records the audit line and makes the sync due, all in one transaction; then it
//! wakes this process's worker. A lost wake-up costs a second, not correctness.

pub mod activate_policy;
mod admission;
pub mod approve;
pub mod block;
pub mod block_step;
pub mod bulk_decide;
pub mod cancel_drain;
mod candidate;
pub mod change_account_region;
pub mod change_consumer;
pub mod change_review_rules;
pub mod change_service;
pub mod claim_review;
pub mod code;
pub mod comment;
pub mod consumer_accounts;
mod consumer_details;
mod consumer_gate;
pub mod context;
pub mod decide_connection;
pub mod decision_words;
pub mod deny;
pub mod desk;
pub mod diagnose;
pub mod drain_service;
pub mod dry_run_policy;
pub mod error;
pub mod explain_connection;
mod from_store;
pub mod gather_facts;
pub mod give_access_for;
pub mod hold_review;
pub mod import_services;
pub mod judge;
pub mod policies;
pub mod policy_settings;
pub mod policy_shelf;
mod principals;
pub mod read;
pub mod read_consumers;
pub mod read_policies;
pub mod receive_hint;
pub mod record_subscription;
pub mod refresh_zones;
pub mod register_account_region;
pub mod register_consumer;
pub mod register_service;
pub mod reject_drained;
pub mod release_service;
pub mod request_check;
pub mod retry_sync;
pub mod review_queue;
pub mod review_settings;
pub mod run_timers;
pub mod set_quota;
mod settle_account_drift;
pub mod settle_drift;
mod settle_service_drift;
pub mod stall_care;
pub mod test_policy;
mod text;
pub mod validate_policy;
pub mod write_policy;

pub use context::{AppContext, Nudge};
pub use error::AppError;

use crate::store::PgConnection;
