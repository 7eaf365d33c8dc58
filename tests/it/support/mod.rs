//! What the tests share: the running product ([`app`]), requests and answers ([`http`]), the story's beginnings ([`scene`]), organisations
//! ([`consumers`]), requests that queue up before a row ([`queueing`]), what is done behind the product's back ([`drifts`]), how a service ends
//! ([`ending`]), an AWS
//! that can be halted in the middle of a call ([`halting`]), somebody who signs as SNS does ([`sns`]), what people and
//! time do around a review ([`reviews`]), policies as people bring them into force ([`policies`]), what is judged again ([`rejudgements`]), and access
//! that is taken away ([`removals`]), listings as people bring them to the market ([`listings`]), and agreements that use something ([`usage`]).

pub(crate) mod agreements;
pub(crate) mod app;
pub(crate) mod consumers;
pub(crate) mod deals;
pub(crate) mod drifts;
pub(crate) mod ending;
pub(crate) mod halting;
pub(crate) mod hints;
pub(crate) mod http;
pub(crate) mod issuer;
pub(crate) mod listings;
pub(crate) mod members;
pub(crate) mod policies;
pub(crate) mod queueing;
pub(crate) mod rejudgements;
pub(crate) mod removals;
pub(crate) mod reviews;
pub(crate) mod scene;
pub(crate) mod sns;
pub(crate) mod usage;

pub(crate) use app::{Setup, TestApp};
pub(crate) use http::{Answer, Who};
pub(crate) use scene::{CONSUMER, HERE, PROVIDER, Request, Service};
