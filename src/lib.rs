//! Portcullis: the provider's side of AWS PrivateLink.
//!
//! Imports point one way, and `tests/layers.rs` holds them to it:
//!
//! ```text
//! domain  <-  store  <-  app  <-  sns  <-  api
//!   ^           ^         ^
//!   +-----------+---------+---  worker  --->  privatelink (the port)
//! ```
//!
//! `startup`, `demo` and `cli` see everything, and nothing sees them; `config` and `telemetry` are read by them only.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod sns;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod worker;
