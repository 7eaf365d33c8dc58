//! [`Fetch`] over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HOST;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};

use super::fetch::{Fetch, FetchError, LONGEST_ANSWER};
use super::url::AwsUrl;
use crate::domain::causes::chain;

/// Asks over HTTPS, with the public authorities that are built in and those that are added; Amazon's issuers over HTTP.
#[derive(Debug)]
pub struct HttpFetch {
    client: Client,
    /// The origin that is asked in place of SNS.
    instead: Option<String>,
}

impl HttpFetch {
    /// Trusts the public authorities and `extra` (certificates in DER). With `instead`, the simulator is asked where SNS would be; each address
    /// has passed its rule all the same.
    pub fn new(
        timeout: Duration,
        extra: &[Vec<u8>],
        instead: Option<&str>,
    ) -> Result<Self, reqwest::Error> {
        let mut roots = Vec::new();
        for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            roots.push(Certificate::from_der(root)?);
        }
        for root in extra {
            roots.push(Certificate::from_der(root)?);
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(timeout)
            .connect_timeout(timeout)
            .tls_certs_only(roots)
            .user_agent("portcullis")
            .build()?;
        Ok(Self {
            client,
            instead: instead.map(str::to_owned),
        })
    }
}

#[async_trait]
impl Fetch for HttpFetch {
    async fn get(&self, url: &AwsUrl) -> Result<Vec<u8>, FetchError> {
        let request = match &self.instead {
            Some(origin) if url.is_sns() => self
                .client
                .get(format!("{origin}{}", url.path_and_query()))
                .header(HOST, url.host()),
            _ => self.client.get(url.as_str()),
        };
        // The address is in the error otherwise, and a link's token with it.
        let failed = |error: reqwest::Error| FetchError::NoAnswer(chain(&error.without_url()));
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::aws_lc_rs;

    use super::*;
    use crate::sns::topic::TopicArn;

    const PATH: &str = "/SimpleNotificationService-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a.pem";

    fn url() -> AwsUrl {
        let topic: TopicArn = "arn:aws:sns:eu-west-1:111122223333:t".parse().unwrap();
        AwsUrl::certificate(&format!("https://{}{PATH}", topic.host()), &topic).unwrap()
    }

    /// Asks a server that answers everybody so; with what it was asked.
    async fn ask(answer: Vec<u8>) -> (Result<Vec<u8>, FetchError>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let serve = async move {
            let mut heads = Vec::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    socket.read_buf(&mut head).await.unwrap();
                }
                heads.push(String::from_utf8(head).unwrap().to_lowercase());
                let _ = socket.write_all(&answer).await;
                if answer.is_empty() {
                    // Keeps silent, with the connection open.
                    std::future::pending::<()>().await;
                }
                drop(socket);
                // Whoever follows a redirect comes at once.
                let next = tokio::time::timeout(Duration::from_millis(300), listener.accept());
                match next.await {
                    Ok(_) => heads.push("came again".to_owned()),
                    Err(_) => return heads,
                }
            }
        };
        let fetch = HttpFetch::new(Duration::from_millis(700), &[], Some(&origin)).unwrap();
        let server = tokio::spawn(serve);
        let got = fetch.get(&url()).await;
        let heads = match tokio::time::timeout(Duration::from_secs(2), server).await {
            Ok(heads) => heads.unwrap(),
            Err(_) => Vec::new(),
        };
        (got, heads)
    }

    #[tokio::test]
    async fn the_stand_in_is_asked_for_the_same_path_by_the_same_name() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
        let (got, heads) = ask(answer.to_vec()).await;
        assert_eq!(got, Ok(b"hi".to_vec()));
        assert!(heads[0].starts_with(&format!("get {} http/1.1\r\n", PATH.to_lowercase())));
        assert!(
            heads[0].contains("host: sns.eu-west-1.amazonaws.com\r\n"),
            "{heads:?}"
        );
        assert!(!heads[0].contains("authorization"), "{heads:?}");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        for status in [301, 302, 303, 307, 308] {
            let answer = format!(
                "HTTP/1.1 {status} X\r\nlocation: {PATH}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let (got, heads) = ask(answer.into_bytes()).await;
            assert_eq!(got, Err(FetchError::Status(status)));
            assert_eq!(heads.len(), 1, "{heads:?}");
        }
    }

    #[tokio::test]
    async fn a_long_answer_is_not_read_to_its_end() {
        let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        answer.extend(vec![b'x'; LONGEST_ANSWER + 1]);
        assert_eq!(ask(answer).await.0, Err(FetchError::TooLong));
    }

    #[tokio::test]
    async fn silence_is_waited_for_no_longer_than_said() {
        let began = Instant::now();
        let (got, _) = ask(Vec::new()).await;
        assert!(matches!(got, Err(FetchError::NoAnswer(_))), "{got:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    /// A server over TLS at `localhost` that answers everybody with `hi`: its origin, and its authority in DER.
    async fn secure(name: &str) -> (String, Vec<u8>) {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let chain = vec![own.signed_by(&key, &root).unwrap().der().clone()];
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                // Whoever does not trust the certificate hangs up.
                let Ok(mut socket) = acceptor.accept(socket).await else {
                    continue;
                };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    socket.read_buf(&mut head).await.unwrap();
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
                socket.write_all(answer).await.unwrap();
                let _ = socket.shutdown().await;
            }
        });
        (
            format!("https://localhost:{port}"),
            root.as_ref().der().to_vec(),
        )
    }

    #[tokio::test]
    async fn only_whom_a_trusted_authority_vouches_for_by_that_name_is_heard() {
        let limit = Duration::from_secs(5);
        let (origin, root) = secure("localhost").await;
        let trusting = HttpFetch::new(limit, std::slice::from_ref(&root), Some(&origin)).unwrap();
        assert_eq!(trusting.get(&url()).await, Ok(b"hi".to_vec()));
        let wary = HttpFetch::new(limit, &[], Some(&origin)).unwrap();
        let refused = wary.get(&url()).await;
        assert!(
            matches!(refused, Err(FetchError::NoAnswer(_))),
            "{refused:?}"
        );
        let (origin, root) = secure("sns.eu-west-1.amazonaws.com").await;
        let misled = HttpFetch::new(limit, &[root], Some(&origin)).unwrap();
        let refused = misled.get(&url()).await;
        assert!(
            matches!(refused, Err(FetchError::NoAnswer(_))),
            "{refused:?}"
        );
    }

    /// An error is logged, and a link has a token in it.
    #[tokio::test]
    async fn an_error_does_not_tell_the_address() {
        let fetch =
            HttpFetch::new(Duration::from_secs(1), &[], Some("http://127.0.0.1:1")).unwrap();
        let Err(FetchError::NoAnswer(why)) = fetch.get(&url()).await else {
            panic!("nobody listens there");
        };
        assert!(!why.contains("SimpleNotification"), "{why}");
    }
}
