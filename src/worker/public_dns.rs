//! Public DNS, as far as the worker asks about it: the TXT records of a name.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// No server answered, or none that could be understood; as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// Looks TXT records up in public DNS.
#[async_trait]
pub trait PublicDns: Send + Sync {
    /// The TXT values of a name, each with its parts put together; none when the name is not there or has none.
    async fn txt(&self, name: &str) -> Result<Vec<String>, NoAnswer>;
}

/// The resolver of this process. Nothing is cached: a record that is awaited is asked for anew each time.
pub struct Resolver {
    inner: TokioResolver,
}

impl Resolver {
    /// Asks these servers, or those of the system when there are none. AWS sees public DNS only, so servers that show private zones mislead.
    pub fn new(servers: &[IpAddr], timeout: Duration) -> Result<Self, NoAnswer> {
        let broken = |error: NetError| NoAnswer(format!("the resolver cannot start: {error}"));
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(broken)?
        } else {
            let servers = servers.iter().copied().map(NameServerConfig::udp_and_tcp);
            let config = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.timeout = timeout;
        options.attempts = 1;
        let inner = builder.build().map_err(broken)?;
        Ok(Self { inner })
    }
}

#[async_trait]
impl PublicDns for Resolver {
    async fn txt(&self, name: &str) -> Result<Vec<String>, NoAnswer> {
        // The dot at the end keeps the system's search domains out of it.
        match self.inner.txt_lookup(format!("{name}.")).await {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::TXT(text) => Some(joined(&text.txt_data)),
                    _ => None,
                })
                .collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(NoAnswer(error.to_string())),
        }
    }
}

/// The parts of a value, which a DNS message cuts after 255 bytes.
fn joined(parts: &[Box<[u8]>]) -> String {
    String::from_utf8_lossy(&parts.concat()).into_owned()
}

/// Answers nothing to anybody: for a process that cannot reach any DNS server.
pub struct Unresolvable(pub NoAnswer);

#[async_trait]
impl PublicDns for Unresolvable {
    async fn txt(&self, _name: &str) -> Result<Vec<String>, NoAnswer> {
        Err(self.0.clone())
    }
}
