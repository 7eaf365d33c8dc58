//! SNS over HTTPS to an endpoint that a private authority vouches for, and endpoints that take too long.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::messaging_tests::encode;
use super::wire_tests::{Served, inside, serve};
use crate::Behavior;

/// An HTTPS endpoint at `localhost` that answers everything with 200.
struct Secure {
    address: SocketAddr,
    /// The certificate of its authority.
    root: String,
    heads: mpsc::UnboundedReceiver<String>,
}

async fn secure() -> Secure {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let chain = vec![leaf.signed_by(&key, &root).unwrap().der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Whoever does not trust the certificate hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut text = Vec::new();
            while !text.ends_with(b"}") && stream.read_buf(&mut text).await.unwrap() > 0 {}
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let _ = stream.shutdown().await;
            tell.send(String::from_utf8(text).unwrap()).unwrap();
        }
    });
    Secure {
        address,
        root: root.pem(),
        heads,
    }
}

impl Served {
    async fn subscribe_url(&self, protocol: &str, url: &str) {
        let (_, text) = self.sns("Action=CreateTopic&Name=t").await;
        let form = format!(
            "Action=Subscribe&Protocol={protocol}&TopicArn={}&Endpoint={}",
            encode(&inside(&text, "TopicArn")),
            encode(url)
        );
        assert_eq!(self.sns(&form).await.0, 200);
    }

    /// Until the first attempt failed and the next is 20 seconds away.
    async fn first_attempt_failed(&self) {
        let due = self.simulator.clock().now() + chrono::TimeDelta::seconds(20);
        while self.simulator.world().next_delivery() != Some(due) {
            tokio::task::yield_now().await;
        }
    }
}

#[actix_web::test]
async fn a_certificate_of_a_private_authority_is_good_once_it_is_trusted() {
    let (sim, mut endpoint) = (serve(), secure().await);
    let url = format!("https://localhost:{}/hook", endpoint.address.port());
    sim.subscribe_url("https", &url).await;
    sim.first_attempt_failed().await;
    assert!(endpoint.heads.try_recv().is_err(), "nothing reached it");

    let trust = json!({"pem": [endpoint.root]});
    assert_eq!(sim.control("PUT", "/sns/trust", Some(trust)).await.0, 204);
    sim.simulator
        .clock()
        .advance(std::time::Duration::from_secs(20));
    let request = endpoint.heads.recv().await.unwrap();
    assert!(request.starts_with("POST /hook HTTP/1.1"), "{request}");
    assert!(request.contains("\"SubscriptionConfirmation\""));
    while sim.simulator.world().deliveries() > 0 {
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn an_endpoint_that_does_not_answer_in_time_is_tried_again() {
    assert_eq!(Behavior::default().sns_reply_limit_ms, 15_000);
    let sim = serve();
    let behavior = Behavior {
        sns_reply_limit_ms: 20,
        ..Behavior::default()
    };
    sim.simulator.set_behavior(behavior).unwrap();
    // It listens and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    sim.subscribe_url("http", &url).await;
    sim.first_attempt_failed().await;
    assert_eq!(sim.simulator.world().deliveries(), 1);
}
