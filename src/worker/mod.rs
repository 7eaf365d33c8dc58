//! The worker: brings AWS in step with what was decided, and records what AWS shows.
//!
//! Two rules hold everywhere here. *The worker takes no input*: each pass reads what should be and what is, and closes the gap; a nudge
//! or a timer only says when. *No transaction is open across a call to AWS*: read, call, then write in a short transaction that begins
//! by proving the lease ([`crate::store::leases::hold`]).
//!
//! The [`supervisor`] leases AccountRegions and runs these loops for each: [`observe`] lists all connections, [`sync_connections`] tells AWS the
//! decisions and reads back, [`sync_services`] creates, reads and checks services; [`hint_setup`] has AWS tell of connections by itself,
//! [`hint_queue`] stores what it tells, and [`hint_follow`] looks where that points; [`inventory`] lists all services, [`expire`] turns time into review changes, [`census`]
//! counts. [`blocks`] carries blocks
//! out, [`access`] the end of access, and [`rejudgements`] re-judgements, [`usage`] counts what is used, [`findings`] compares that with what was bought, and [`house`] tidies up, once in each process. Each loop is a public `run_pass`, so that tests step it
//! and never sleep.

pub mod absent;
pub mod access;
pub mod agreements;
pub mod blocks;
pub mod budget;
pub mod call;
pub mod census;
mod converge_service;
mod delete_service;
pub mod dry_runs;
pub mod error;
mod examine;
pub mod expire;
pub mod findings;
pub mod hint_board;
pub mod hint_follow;
pub mod hint_queue;
pub mod hint_setup;
pub mod house;
pub mod identity;
pub mod inventory;
pub mod judge;
pub mod listing;
mod loops;
pub mod metered;
pub mod metered_messaging;
pub mod metrics;
pub mod number_events;
pub mod observe;
pub mod pages;
pub mod place;
pub mod probe;
pub mod public_dns;
pub mod rejudgements;
mod retire_service;
pub mod review_metrics;
pub mod runner;
pub mod seal_audit;
mod service_balancers;
mod service_drift;
pub mod settings;
pub mod stalls;
pub mod supervisor;
pub mod sync_connections;
pub mod sync_services;
pub mod term;
pub mod usage;
mod watch_private_dns;

pub use error::PassError;
pub use place::{Place, Shared};
pub use settings::WorkerSettings;
pub use supervisor::Worker;
