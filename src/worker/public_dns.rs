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
        let servers = servers.iter().copied().map(NameServerConfig::udp_and_tcp);
        Self::over(servers.collect(), timeout)
    }

    fn over(servers: Vec<NameServerConfig>, timeout: Duration) -> Result<Self, NoAnswer> {
        let broken = |error: NetError| NoAnswer(format!("the resolver cannot start: {error}"));
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(broken)?
        } else {
            let config = ResolverConfig::from_name_servers(servers);
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::config::ConnectionConfig;
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::TXT;
    use tokio::net::UdpSocket;

    use super::*;

    /// A DNS server that knows two names and keeps silent about a third.
    async fn server() -> Resolver {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let mut message = Message::from_vec(&buffer[..length])
                    .unwrap()
                    .into_response();
                let name = message.queries[0].name().clone();
                let values: Vec<Vec<String>> = match name.to_string().as_str() {
                    "_label.example.com." => {
                        vec![vec!["vpce:AbC".to_owned()], vec!["v=spf1".to_owned()]]
                    }
                    "long.example.com." => vec![vec!["a".repeat(255), "b".repeat(45)]],
                    "silent.example.com." => continue,
                    "broken.example.com." => {
                        message.metadata.response_code = ResponseCode::ServFail;
                        Vec::new()
                    }
                    _ => {
                        message.metadata.response_code = ResponseCode::NXDomain;
                        Vec::new()
                    }
                };
                for value in values {
                    let data = RData::TXT(TXT::new(value));
                    message.add_answer(Record::from_rdata(name.clone(), 1800, data));
                }
                let answer = message.to_vec().unwrap();
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections = vec![ConnectionConfig::udp()];
        server.connections[0].port = port;
        Resolver::over(vec![server], Duration::from_millis(200)).unwrap()
    }

    #[tokio::test]
    async fn values_keep_their_case_and_their_parts_are_put_together() {
        let resolver = server().await;
        let mut values = resolver.txt("_label.example.com").await.unwrap();
        values.sort();
        assert_eq!(values, ["v=spf1", "vpce:AbC"]);
        let long = resolver.txt("long.example.com").await.unwrap();
        assert_eq!(long, [format!("{}{}", "a".repeat(255), "b".repeat(45))]);
    }

    #[tokio::test]
    async fn a_name_that_is_not_there_has_no_values_and_silence_is_no_answer() {
        let resolver = server().await;
        let nothing = resolver.txt("_other.example.com").await;
        assert_eq!(nothing, Ok(Vec::new()));
        for name in ["silent.example.com", "broken.example.com"] {
            assert!(resolver.txt(name).await.is_err(), "{name}");
        }
    }
}
