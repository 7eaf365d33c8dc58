//! What the tests share: the running product ([`app`]), requests and answers ([`http`]), the story's beginnings ([`scene`]), what is
//! done behind the product's back ([`drifts`]), and an AWS
//! that can be halted in the middle of a call ([`halting`]).

pub(crate) mod app;
pub(crate) mod drifts;
pub(crate) mod halting;
pub(crate) mod http;
pub(crate) mod scene;

pub(crate) use app::{Setup, TestApp};
pub(crate) use http::{Answer, Who};
pub(crate) use scene::{CONSUMER, HERE, PROVIDER, Request, Service};
