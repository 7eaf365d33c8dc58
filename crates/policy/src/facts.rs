//! What a policy is asked about. Borrowed, because a decision is made from facts that somebody else keeps.

use std::collections::BTreeMap;

/// Everything that a policy can see of one request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Who asks.
    pub account: Account<'a>,
    /// What is asked for.
    pub service: Service<'a>,
    /// The consumer's endpoint.
    pub endpoint: Endpoint<'a>,
    /// Whether the connection was accepted before and is judged again.
    pub live: bool,
    /// Whether the request for access that the account made for the service beforehand was approved.
    pub approved: bool,
    /// How long the request waits, in seconds.
    pub waited_seconds: u64,
    /// What the consumer has besides this connection.
    pub counts: Counts,
    /// When the decision is made, in seconds since 1970 UTC. Hour and weekday follow from it.
    pub unix_seconds: i64,
    /// What the service is sold by.
    pub listing: Option<Listing<'a>>,
    /// What the consumer agreed to.
    pub agreement: Option<Agreement<'a>>,
}

/// The AWS account that owns the endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// 12 digits.
    pub id: &'a str,
    /// Whether somebody proved that it is the consumer's.
    pub proven: bool,
    /// The registered consumer that it belongs to.
    pub consumer: Option<Consumer<'a>>,
}

/// A registered consumer.
#[derive(Debug, Clone, Copy)]
pub struct Consumer<'a> {
    /// Our id.
    pub id: &'a str,
    /// What people call it.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// The endpoint service.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// Our id.
    pub id: &'a str,
    /// What people call it.
    pub name: &'a str,
    /// The provider's account.
    pub account: &'a str,
    /// The Region it lives in.
    pub region: &'a str,
    /// The other Regions that consumers may connect from.
    pub other_regions: &'a [String],
    /// Its tags.
    pub tags: &'a BTreeMap<String, String>,
}

/// The consumer's endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// `vpce-…`.
    pub id: &'a str,
    /// The Region it is in.
    pub region: &'a str,
    /// Its Availability Zone ids, if they are known.
    pub zones: Option<&'a [String]>,
    /// `ipv4`, `dualstack` or `ipv6`, if it is known.
    pub ip_address_type: Option<&'a str>,
}

/// What the consumer, or the account when it is nobody's, has besides this connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Accepted connections.
    pub connections: u32,
    /// Accepted connections to this service.
    pub on_service: u32,
    /// Regions with accepted connections.
    pub regions: u32,
}

/// What the service is sold by.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its state's word.
    pub state: &'a str,
    /// The consumer's plan.
    pub plan: Option<&'a str>,
}

/// What the consumer agreed to.
#[derive(Debug, Clone, Copy)]
pub struct Agreement<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its state's word.
    pub state: &'a str,
    /// `aws` or `private`.
    pub source: &'a str,
}
