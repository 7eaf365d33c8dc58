//! The rules, pure: ids, time, states and their transitions, the sync plan, the doctor's checks.
//!
//! Nothing here is async, does I/O or knows HTTP. `sqlx` appears only as the derive on ids.

pub mod access_removal;
pub mod access_request;
pub mod account_region;
pub mod actor;
pub mod approval;
pub mod backoff;
pub mod batch_size;
pub mod block;
pub mod bucket;
pub mod clock;
pub mod connection;
pub mod consumer;
pub mod decision;
pub mod denial;
pub mod dispatch;
pub mod doctor;
pub mod drift;
pub mod drift_inbox;
pub mod endpoint_service;
pub mod envelope;
pub mod follow;
pub mod hint;
pub mod hint_setup;
pub mod history;
pub mod idempotency;
pub mod ids;
pub mod inventory;
pub mod judgement;
pub mod lifecycle;
pub mod listeners;
pub mod notice;
pub mod observe;
pub mod outcome;
pub mod policy;
pub mod policy_dry_run;
pub mod principal;
pub mod private_dns;
pub mod quota;
pub mod rejudgement;
pub mod review;
pub mod review_desk;
pub mod review_rules;
pub mod review_timer;
pub mod service_drift;
pub mod service_plan;
pub mod settlement;
pub mod share;
pub mod silence;
#[cfg(test)]
mod simulation;
pub mod stall;
pub mod summary;
pub mod sync;
pub mod sync_step;
pub mod text;
