//! A simulator of AWS PrivateLink, provider and consumer side, acceptance included.
//!
//! It has two faces on one world. In process, a [`Simulator`] hands out implementations of the port
//! ([`privatelink::PrivateLink`]) and hands for the other people in the story ([`Consumer`], [`ProviderSetup`]). Over HTTP it
//! speaks the wire protocols of EC2, ELBv2, STS, SNS and SQS, so that boto3, the AWS CLI and every SDK work against it unchanged.
//!
//! The layers, each of which knows only the ones before it: [`world`] (state and rules, pure), [`simulator`] (the lock, the
//! [`SimClock`], [`faults`], the call log, the state file), then [`gateway`] (the port), [`wire`] (forms and XML) and [`http`].

pub mod api;
pub mod behavior;
mod calls;
pub mod clock;
pub mod consumer;
pub mod contract_world;
mod delivery;
pub mod effects;
pub mod error;
pub mod events;
pub mod faults;
pub mod gateway;
pub mod http;
pub mod populate;
pub mod provider_setup;
pub mod simulator;
mod state_file;
pub mod summary;
pub mod throttling;
mod waiting;
pub mod wire;
pub mod world;

pub use behavior::{Behavior, Legality, NotificationBody, SignatureCheck};
pub use clock::SimClock;
pub use consumer::Consumer;
pub use effects::{Effect, When};
pub use error::AwsError;
pub use events::{CallLog, Event};
pub use faults::{Fault, Faults};
pub use gateway::SimGateway;
pub use populate::{Populated, Population};
pub use provider_setup::ProviderSetup;
pub use simulator::{SimConfig, SimError, Simulator, Snapshot};

#[cfg(test)]
mod determinism_tests;
