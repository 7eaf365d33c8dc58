//! A server that gives prepared answers in order and keeps the requests: for what no well-behaved AWS would send.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use privatelink::{AccountRegionRef, Gateways, PrivateLink};
use privatelink_aws::{AwsGateways, AwsSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The account that the tests call as.
pub(crate) const ACCOUNT: &str = "123456789012";

/// One prepared answer.
pub(crate) enum Answer {
    /// A status and a body.
    Http(u16, String),
    /// The connection stays open and silent.
    Silence,
}

/// An EC2 success: the body of `<{action}Response>`.
pub(crate) fn ec2_ok(action: &str, inner: &str) -> Answer {
    let xmlns = "http://ec2.amazonaws.com/doc/2016-11-15/";
    Answer::Http(
        200,
        format!(
            "<{action}Response xmlns=\"{xmlns}\"><requestId>r</requestId>{inner}</{action}Response>"
        ),
    )
}

/// An EC2 error.
pub(crate) fn ec2_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>7a62c49f-347e-4fc4-9331-6e8eaaaaaaaa</RequestID></Response>"
        ),
    )
}

/// The running server. It ends with the test's runtime.
pub(crate) struct Canned {
    /// Where it listens.
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, kept) = (Arc::clone(&answers), Arc::clone(&kept));
                tokio::spawn(async move { serve(stream, &answers, &kept).await });
            }
        });
        Self { url, requests }
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A gateway to this server, with times short enough to wait for.
    pub(crate) async fn gateway(&self) -> Arc<dyn PrivateLink> {
        gateway(&self.url, None).await
    }
}

/// A gateway to this address in `eu-west-1`, with a role to assume where one is given.
pub(crate) async fn gateway(url: &str, role: Option<(&str, &str)>) -> Arc<dyn PrivateLink> {
    let (gateways, place) = (gateways(url, role.is_some()), place(role));
    gateways.gateway(&place).await.unwrap()
}

/// The place in `eu-west-1`, with a role to assume where one is given.
pub(crate) fn place(role: Option<(&str, &str)>) -> AccountRegionRef {
    AccountRegionRef {
        account: ACCOUNT.parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        role_arn: role.map(|(arn, _)| arn.to_owned()),
        external_id: role.map(|(_, external_id)| external_id.to_owned()),
    }
}

/// Gateways to this address, with credentials of their own to assume roles with.
pub(crate) fn gateways(url: &str, assuming_roles: bool) -> AwsGateways {
    let settings = AwsSettings {
        endpoint_url: Some(url.to_owned()),
        static_credentials: assuming_roles.then(|| privatelink_aws::StaticCredentials {
            access_key_id: "AKIDPLATFORM".to_owned(),
            secret_access_key: "secret".to_owned(),
        }),
        connect_timeout: Duration::from_millis(500),
        attempt_timeout: Duration::from_millis(500),
        operation_timeout: Duration::from_secs(5),
        ..AwsSettings::default()
    };
    AwsGateways::new(settings)
}

/// One request per connection.
async fn serve(
    mut stream: TcpStream,
    answers: &Mutex<VecDeque<Answer>>,
    requests: &Mutex<Vec<String>>,
) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    requests.lock().unwrap().push(request);
    let answer = answers.lock().unwrap().pop_front();
    match answer {
        Some(Answer::Http(status, body)) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            // A client that has given up is none of the server's business.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(body.as_bytes()).await;
        }
        Some(Answer::Silence) => std::future::pending().await,
        None => panic!("a request more than answers were prepared"),
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let got = stream.read(&mut chunk).await.ok().filter(|got| *got > 0)?;
        bytes.extend_from_slice(&chunk[..got]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse::<usize>().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
    }
}
