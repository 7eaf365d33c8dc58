//! The certificate that the API is served with, read again when its files change.
//!
//! TLS 1.2 and 1.3 by rustls. Connections that are open keep the certificate that they began with; a new pair that cannot be used leaves the old
//! one in place.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::limits::settings::TlsSettings;
use crate::domain::clock::Clock;

/// Why a certificate cannot be served with. Never shows what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{key} {path} cannot be read: {source}")]
    File {
        /// The setting that names it.
        key: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no certificate, or no key, in a file.
    #[error("{key} {path} holds {what}")]
    Content {
        /// The setting that names it.
        key: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What it holds instead.
        what: &'static str,
    },
    /// The key is not that of the certificate, or of a kind that is not known.
    #[error("http.tls.key_file is not the key of http.tls.certificate_file: {0}")]
    Pair(rustls::Error),
    /// The certificate is over.
    #[error("the certificate in http.tls.certificate_file has expired on {0}")]
    Expired(DateTime<Utc>),
    /// Client certificates cannot be asked for.
    #[error("http.tls.client_ca_file cannot be used: {0}")]
    ClientAuthority(String),
    /// The versions of TLS are not there.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

const CERTIFICATE_KEY: &str = "http.tls.certificate_file";
const KEY_KEY: &str = "http.tls.key_file";
const CLIENT_KEY: &str = "http.tls.client_ca_file";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// What is shown of certificates.
#[derive(Debug, Clone, Default)]
pub struct TlsMetrics {
    reloads: Family<Outcome, Counter>,
    expires: Gauge<i64, AtomicI64>,
}

impl TlsMetrics {
    /// Adds the metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "portcullis_tls_reloads",
            "Times that the files of the certificate had changed, by whether the new one is used",
            self.reloads.clone(),
        );
        registry.register_with_unit(
            "portcullis_tls_certificate_expires",
            "When the certificate that is served ends, since 1970",
            Unit::Seconds,
            self.expires.clone(),
        );
    }

    fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&Outcome { outcome }).inc();
    }
}

/// A certificate to serve with, and the means to change it. Cloning shares it.
#[derive(Clone)]
pub struct Tls {
    config: ServerConfig,
    pair: Arc<Pair>,
    files: Files,
    /// How the files were before they were read.
    seen: Stamp,
    metrics: TlsMetrics,
}

#[derive(Debug)]
struct Pair(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(pair.clone())
    }
}

#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Whether files are as they were.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads what the settings name; `None` where TLS is off.
    pub fn open(
        settings: &TlsSettings,
        metrics: TlsMetrics,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&settings.certificate_file, &settings.key_file)
        else {
            return Ok(None);
        };
        let files = Files {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let seen = files.stamp();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (pair, ends) = files.read(&provider, now)?;
        metrics.expires.set(ends.timestamp());
        let pair = Arc::new(Pair(RwLock::new(Arc::new(pair))));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Setup)?;
        let builder = match &settings.client_ca_file {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let wrong =
                    |why: &dyn std::fmt::Display| TlsError::ClientAuthority(why.to_string());
                let mut roots = RootCertStore::empty();
                for authority in certificates(CLIENT_KEY, path)? {
                    roots.add(authority).map_err(|why| wrong(&why))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|why| wrong(&why))?)
            }
        };
        Ok(Some(Self {
            config: builder.with_cert_resolver(pair.clone()),
            pair,
            files,
            seen,
            metrics,
        }))
    }

    pub(super) fn config(&self) -> ServerConfig {
        self.config.clone()
    }

    /// Looks every `interval` whether the files have changed, and serves new connections with the new pair if it can be used. Never ends.
    pub async fn keep_fresh(self, interval: Duration, clock: Arc<dyn Clock>) {
        let mut seen = self.seen;
        let mut refused = None;
        loop {
            tokio::time::sleep(interval).await;
            let stamp = self.files.stamp();
            // A pair that is being written is half there for a moment, so what was refused is tried again.
            if stamp == seen && refused.is_none() {
                continue;
            }
            seen = stamp;
            let provider = aws_lc_rs::default_provider();
            match self.files.read(&provider, clock.now()) {
                Ok((pair, ends)) => {
                    *self.pair.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    self.metrics.expires.set(ends.timestamp());
                    self.metrics.reloaded("used");
                    refused = None;
                    tracing::info!(until = %ends, "new connections are served with a new certificate");
                }
                Err(error) => {
                    let why = error.to_string();
                    if refused.as_ref() != Some(&why) {
                        self.metrics.reloaded("refused");
                        tracing::error!(%error, "the new certificate cannot be used; the old one is kept");
                    }
                    refused = Some(why);
                }
            }
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Files {
    fn stamp(&self) -> Stamp {
        let of = |path: &Path| {
            let told = |data: Metadata| Some((data.modified().ok()?, data.len()));
            std::fs::metadata(path).ok().and_then(told)
        };
        [of(&self.certificate), of(&self.key)]
    }

    /// The pair, and when it ends. Fails unless the key is the certificate's and the certificate lasts.
    fn read(
        &self,
        provider: &CryptoProvider,
        now: DateTime<Utc>,
    ) -> Result<(CertifiedKey, DateTime<Utc>), TlsError> {
        let chain = certificates(CERTIFICATE_KEY, &self.certificate)?;
        let content = |key, path: &Path, what| TlsError::Content {
            key,
            path: path.to_owned(),
            what,
        };
        let ends = chain.first().and_then(|first| {
            let (_, parsed) = x509_parser::parse_x509_certificate(first).ok()?;
            DateTime::from_timestamp(parsed.validity().not_after.timestamp(), 0)
        });
        let ends = ends.ok_or_else(|| {
            content(
                CERTIFICATE_KEY,
                &self.certificate,
                "a certificate that cannot be read",
            )
        })?;
        let pem = read(KEY_KEY, &self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| content(KEY_KEY, &self.key, "no private key in PEM"))?;
        let pair = CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Pair)?;
        if ends <= now {
            return Err(TlsError::Expired(ends));
        }
        Ok((pair, ends))
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        key,
        path: path.to_owned(),
        source,
    })
}

/// All certificates of a file; at least one.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(key, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(TlsError::Content {
            key,
            path: path.to_owned(),
            what: "no certificates in PEM",
        }),
    }
}
