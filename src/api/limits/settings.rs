//! What can be set about the API's listener: where it is, what it takes, and how long it waits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Deserialize;

use super::rate::Rate;

/// The API's listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many threads serve requests.
    pub workers: usize,
    /// Where a process that only works (`--role worker`) shows `/healthz`, `/readyz` and `/metrics`; nowhere unless set. A process that
    /// serves the API shows them there.
    pub operational_listen: Option<SocketAddr>,
    /// How many event streams there may be at once.
    pub max_event_streams: usize,
    /// The largest body, in bytes.
    pub max_body_bytes: usize,
    /// The most that all headers of a request may have together, in bytes.
    pub max_header_bytes: usize,
    /// The most headers of a request.
    pub max_headers: usize,
    /// The longest path and query, in bytes.
    pub max_uri_bytes: usize,
    /// How long a client may take to send the header of a request.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a body may take to arrive.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long a request may be worked on.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// The same for what does many things one after the other.
    #[serde(with = "humantime_serde")]
    pub long_request_timeout: Duration,
    /// How long a client may take to read an answer.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// How long a connection that nothing is asked on is kept.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// The most connections; others wait to be accepted.
    pub max_connections: usize,
    /// The most requests that are worked on at once; others are answered 503.
    pub max_in_flight: usize,
    /// How long a process that is stopping says so under `/readyz` before it stops to listen.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// How long it then waits for the requests that it has begun.
    #[serde(with = "humantime_serde")]
    pub shutdown_timeout: Duration,
    /// For how long a POST that is repeated by its `Idempotency-Key` gets the answer of the first.
    #[serde(with = "humantime_serde")]
    pub idempotency_ttl: Duration,
    /// How many proxies stand in front, each of which adds to `X-Forwarded-For`.
    pub proxies: usize,
    /// How often clients may ask.
    pub rate: RateSettings,
    /// Encryption.
    pub tls: TlsSettings,
}

/// How often clients may ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateSettings {
    /// What a caller may read.
    pub caller_reads: Rate,
    /// What a caller may write.
    pub caller_writes: Rate,
    /// What all callers of an organisation may read.
    pub organisation_reads: Rate,
    /// What all callers of an organisation may write.
    pub organisation_writes: Rate,
    /// What may be asked from an address without a good token.
    pub address: Rate,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            caller_reads: Rate::per_second(100, 500),
            caller_writes: Rate::per_second(50, 250),
            organisation_reads: Rate::per_second(200, 1000),
            organisation_writes: Rate::per_second(100, 500),
            address: Rate::per_second(20, 200),
        }
    }
}

impl RateSettings {
    /// Nobody is limited.
    pub fn off() -> Self {
        Self {
            caller_reads: Rate::Off,
            caller_writes: Rate::Off,
            organisation_reads: Rate::Off,
            organisation_writes: Rate::Off,
            address: Rate::Off,
        }
    }
}

/// Encryption. On where a certificate is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// The certificate and those that lead from it to an authority, in PEM.
    pub certificate_file: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key_file: Option<PathBuf>,
    /// Authorities, in PEM, one of which must have issued the certificate that a client has to show. Clients show none unless this is set.
    pub client_ca_file: Option<PathBuf>,
    /// How often is looked whether the files have changed.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate_file: None,
            key_file: None,
            client_ca_file: None,
            reload_interval: Duration::from_secs(10),
        }
    }
}

impl TlsSettings {
    /// Whether the API is served over TLS.
    pub fn is_on(&self) -> bool {
        self.certificate_file.is_some()
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 2,
            operational_listen: None,
            max_event_streams: 2_048,
            max_body_bytes: 64 * 1024,
            max_header_bytes: 16 * 1024,
            max_headers: 64,
            max_uri_bytes: 8 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            long_request_timeout: Duration::from_mins(2),
            write_timeout: Duration::from_mins(1),
            keep_alive: Duration::from_secs(75),
            max_connections: 4096,
            max_in_flight: 512,
            drain_delay: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(10),
            idempotency_ttl: Duration::from_hours(24),
            proxies: 0,
            rate: RateSettings::default(),
            tls: TlsSettings::default(),
        }
    }
}

impl HttpSettings {
    /// For how long answers are kept, as the clock's arithmetic wants it.
    pub fn answers_kept(&self) -> TimeDelta {
        TimeDelta::from_std(self.idempotency_ttl).unwrap_or(TimeDelta::MAX)
    }

    /// Everything that makes no sense, by key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut number = |key: &str, value: usize, least: usize, most: usize| {
            if !(least..=most).contains(&value) {
                problems.push(format!("http.{key} must be {least} to {most}"));
            }
        };
        number("workers", self.workers, 1, 1024);
        number(
            "max_body_bytes",
            self.max_body_bytes,
            1024,
            16 * 1024 * 1024,
        );
        // The server's own caps are 128 KiB for the whole header, 96 headers and 64 KiB for the URI; beyond them it answers without a body.
        number("max_header_bytes", self.max_header_bytes, 1024, 60 * 1024);
        number("max_headers", self.max_headers, 8, 96);
        number("max_uri_bytes", self.max_uri_bytes, 256, 60 * 1024);
        number("max_connections", self.max_connections, 1, 1_000_000);
        number("max_in_flight", self.max_in_flight, 1, 1_000_000);
        number("proxies", self.proxies, 0, 16);
        let mut time = |key: &str, value: Duration, least: u64, most: u64| {
            if !(Duration::from_millis(least)..=Duration::from_secs(most)).contains(&value) {
                problems.push(format!("http.{key} must be {least} ms to {most} s"));
            }
        };
        time("header_timeout", self.header_timeout, 100, 300);
        time("body_timeout", self.body_timeout, 100, 600);
        time("request_timeout", self.request_timeout, 100, 3600);
        time("long_request_timeout", self.long_request_timeout, 100, 3600);
        time("write_timeout", self.write_timeout, 100, 3600);
        time("keep_alive", self.keep_alive, 100, 3600);
        time("idempotency_ttl", self.idempotency_ttl, 60_000, 30 * 86_400);
        time("drain_delay", self.drain_delay, 0, 300);
        time("shutdown_timeout", self.shutdown_timeout, 0, 3600);
        time("tls.reload_interval", self.tls.reload_interval, 100, 86_400);
        let tls = &self.tls;
        if tls.certificate_file.is_some() != tls.key_file.is_some() {
            problems.push(
                "http.tls.certificate_file and http.tls.key_file go together: set both or neither"
                    .to_owned(),
            );
        } else if tls.client_ca_file.is_some() && !tls.is_on() {
            problems.push("http.tls.client_ca_file needs http.tls.certificate_file".to_owned());
        }
        problems
    }
}
