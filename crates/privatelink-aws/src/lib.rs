//! The adapter: the port of `privatelink` over the AWS SDK. The only crate that names the SDK.
//!
//! [`AwsGateways`] makes one gateway per account and Region, with its credentials. Behind it, one file per group of calls makes
//! the requests, `convert` turns the SDK's rows into the port's, and `errors` sorts everything that can go wrong into the
//! port's five errors. No SDK type is in a public signature, so nobody else has to compile the SDK to use the result.
//!
//! The adapter has no patience and no opinions: it tries a request twice, never waits for a state, and never takes HTTP 200
//! for success where AWS lists failures inside.

mod client;
mod connections;
mod convert;
mod endpoint_services;
mod errors;
mod load_balancers;
mod messaging;
mod settings;

pub use client::AwsGateways;
pub use settings::{AwsSettings, StaticCredentials};
