//! The API over TLS: versions, a new certificate without a restart, a bad one, clients with certificates, and clients that speak plainly.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::startup::Running;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use super::starting::Start;

const NAME: &str = "portcullis.test";

/// An authority, and what it issues.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
struct Issued {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap())
    }

    fn issues(&self, until: i32) -> Issued {
        let mut own = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        own.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = own.signed_by(&key, &self.0).unwrap();
        Issued {
            certificate: format!("{}{}", certificate.pem(), self.0.pem()),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        }
    }
}

fn encrypted(database: &PgConnectOptions, first: &Issued) -> Start {
    let mut start = Start::on(database);
    let (certificate, key) = (start.path("tls.pem"), start.path("tls-key.pem"));
    std::fs::write(&certificate, &first.certificate).unwrap();
    std::fs::write(&key, &first.key).unwrap();
    start.settings.http.tls.certificate_file = Some(certificate);
    start.settings.http.tls.key_file = Some(key);
    start.settings.http.tls.reload_interval = Duration::from_millis(100);
    start.settings.http.header_timeout = Duration::from_secs(1);
    start
}

fn client(authority: &Authority, address: SocketAddr) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(authority.0.pem().as_bytes()).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([root])
        .resolve(NAME, address)
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

async fn get(client: &reqwest::Client, address: SocketAddr, path: &str) -> reqwest::Response {
    let url = format!("https://{NAME}:{}{path}", address.port());
    client.get(url).send().await.unwrap()
}

/// The certificate that a client is shown, if it speaks only this version.
async fn shown(
    authority: &Authority,
    address: SocketAddr,
    version: &'static SupportedProtocolVersion,
) -> CertificateDer<'static> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

fn started(start: &Start) -> (Running, SocketAddr) {
    let running = start.api().unwrap();
    let address = running.api.unwrap();
    (running, address)
}

#[sqlx::test(migrations = "./migrations")]
async fn the_api_is_served_over_tls_1_2_and_1_3(_: PgPoolOptions, database: PgConnectOptions) {
    let authority = Authority::new();
    let issued = authority.issues(2100);
    let (running, address) = started(&encrypted(&database, &issued));
    let client = client(&authority, address);
    let answer = get(&client, address, "/v1/services").await;
    assert_eq!(answer.status(), 401);
    assert_eq!(
        answer.headers()["strict-transport-security"],
        "max-age=31536000"
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    for version in [&version::TLS12, &version::TLS13] {
        assert_eq!(shown(&authority, address, version).await, issued.der);
    }
    let metrics = get(&client, address, "/metrics")
        .await
        .text()
        .await
        .unwrap();
    let until = "portcullis_tls_certificate_expires_seconds 4102444800";
    assert!(metrics.contains(until), "{metrics}");

    // Whoever speaks plainly, or does not speak, is cut off.
    for bytes in [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
        b"",
        b"\x16\x03\x01",
    ] {
        let begun = Instant::now();
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut heard = Vec::new();
        let read =
            tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut heard)).await;
        match read.expect("it hangs") {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert!(!heard.starts_with(b"HTTP"), "{:?}", begun.elapsed());
    }
    assert_eq!(get(&client, address, "/healthz").await.status(), 200);
    running.stop().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_new_certificate_is_used_without_a_restart(_: PgPoolOptions, database: PgConnectOptions) {
    let authority = Authority::new();
    let (first, second, over) = (
        authority.issues(2100),
        authority.issues(2101),
        authority.issues(2001),
    );
    let start = encrypted(&database, &first);
    let (running, address) = started(&start);
    let client = client(&authority, address);
    let metric = async |line: &str| {
        let begun = Instant::now();
        loop {
            let metrics = get(&client, address, "/metrics")
                .await
                .text()
                .await
                .unwrap();
            if metrics.contains(line) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "no {line} in {metrics}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let write = |issued: &Issued| {
        std::fs::write(start.path("tls.pem"), &issued.certificate).unwrap();
        std::fs::write(start.path("tls-key.pem"), &issued.key).unwrap();
    };
    // Half of it: the certificate does not fit its key.
    std::fs::write(start.path("tls.pem"), &second.certificate).unwrap();
    metric("portcullis_tls_reloads_total{outcome=\"refused\"} 1\n").await;
    assert_eq!(shown(&authority, address, &version::TLS13).await, first.der);
    // The other half.
    write(&second);
    metric("portcullis_tls_reloads_total{outcome=\"used\"} 1\n").await;
    assert_eq!(
        shown(&authority, address, &version::TLS13).await,
        second.der
    );
    // Nonsense, nothing, and one that is over: the one that was is kept.
    std::fs::write(start.path("tls-key.pem"), "no key").unwrap();
    metric("portcullis_tls_reloads_total{outcome=\"refused\"} 2\n").await;
    std::fs::remove_file(start.path("tls.pem")).unwrap();
    metric("portcullis_tls_reloads_total{outcome=\"refused\"} 3\n").await;
    write(&over);
    metric("portcullis_tls_reloads_total{outcome=\"refused\"} 4\n").await;
    assert_eq!(
        shown(&authority, address, &version::TLS13).await,
        second.der
    );
    running.stop().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn clients_show_a_certificate_where_they_have_to(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let authority = Authority::new();
    let (own, theirs) = (authority.issues(2100), authority.issues(2100));
    let mut start = encrypted(&database, &own);
    std::fs::write(start.path("clients.pem"), authority.0.pem()).unwrap();
    start.settings.http.tls.client_ca_file = Some(start.path("clients.pem"));
    let (running, address) = started(&start);
    let url = format!("https://{NAME}:{}/healthz", address.port());
    let nobody = client(&authority, address).get(&url).send().await;
    assert!(nobody.is_err(), "a client without a certificate");
    let identity =
        reqwest::Identity::from_pem(format!("{}{}", theirs.certificate, theirs.key).as_bytes());
    let root = reqwest::Certificate::from_pem(authority.0.pem().as_bytes()).unwrap();
    let known = reqwest::Client::builder()
        .tls_certs_only([root])
        .resolve(NAME, address)
        .identity(identity.unwrap())
        .build()
        .unwrap();
    assert_eq!(known.get(&url).send().await.unwrap().status(), 200);
    running.stop().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_certificate_that_cannot_be_used_is_told_at_start(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let authority = Authority::new();
    let (first, second, over) = (
        authority.issues(2100),
        authority.issues(2100),
        authority.issues(2001),
    );
    let start = encrypted(&database, &first);
    let says = |why: &str| {
        let error = start.api().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(
            !error.contains("PRIVATE") && !error.contains("canary"),
            "{error}"
        );
    };
    let (certificate, key) = (start.path("tls.pem"), start.path("tls-key.pem"));
    std::fs::write(&key, &second.key).unwrap();
    says("http.tls.key_file is not the key of http.tls.certificate_file");
    std::fs::write(&key, "-----BEGIN canary").unwrap();
    says("holds no private key");
    std::fs::remove_file(&key).unwrap();
    says("http.tls.key_file");
    std::fs::write(&key, &over.key).unwrap();
    std::fs::write(&certificate, &over.certificate).unwrap();
    says("has expired");
    std::fs::write(&certificate, "canary").unwrap();
    says("holds no certificates");
}
