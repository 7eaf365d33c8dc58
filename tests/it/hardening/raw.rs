//! Bytes that no good client sends. Each connection is answered with a refusal or closed, soon, and the server goes on.

use std::time::{Duration, Instant};

use portcullis::api::limits::HttpSettings;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Setup, TestApp, Who};

/// How long anything here may take; the limits below are much shorter.
const PATIENCE: Duration = Duration::from_secs(15);

fn started(pool: PgPool) -> TestApp {
    let short = Duration::from_secs(1);
    let mut setup = Setup::default();
    setup.http = HttpSettings {
        header_timeout: short,
        body_timeout: short,
        keep_alive: short,
        write_timeout: Duration::from_secs(1),
        ..setup.http
    };
    TestApp::start_with(pool, setup)
}

impl TestApp {
    async fn dialled(&self) -> TcpStream {
        let address = self.address.trim_start_matches("http://");
        TcpStream::connect(address).await.expect("connected")
    }

    /// Sends some bytes and then one of `drip` now and again, until the connection ends. Answers with what came back.
    async fn say(&self, bytes: &[u8], drip: &[u8]) -> String {
        let mut socket = self.dialled().await;
        let begun = Instant::now();
        let (mut from, mut to) = socket.split();
        let mut heard = Vec::new();
        let send = async {
            // Whoever is refused early may be cut off while it sends.
            if to.write_all(bytes).await.is_err() || drip.is_empty() {
                return std::future::pending::<()>().await;
            }
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if to.write_all(drip).await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        let read = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer).await {
                heard.extend_from_slice(&buffer[..count]);
            }
        };
        tokio::select! {
            () = read => {}
            () = send => {}
            () = tokio::time::sleep(PATIENCE) => panic!("the connection hangs after {:?}", begun.elapsed()),
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    async fn still_serves(&self) {
        assert_eq!(self.get(Who::Nobody, "/healthz").await.status, 200);
    }
}

/// The statuses of all answers.
fn statuses(heard: &str) -> Vec<u16> {
    let lines = heard.split("HTTP/1.1 ").skip(1);
    lines
        .map(|line| line[..3].parse().expect("a status"))
        .collect()
}

/// Refused or closed: no answer that is good, and none that blames us.
#[track_caller]
fn refused(what: &str, heard: &str) {
    let all = statuses(heard);
    assert!(
        all.iter().all(|status| (400..500).contains(status)),
        "{what}: {heard}"
    );
}

#[track_caller]
fn problem(what: &str, heard: &str, status: u16, code: &str) {
    assert_eq!(statuses(heard), [status], "{what}: {heard}");
    assert!(
        heard.contains("application/problem+json"),
        "{what}: {heard}"
    );
    assert!(
        heard.contains(&format!("\"code\":\"{code}\"")),
        "{what}: {heard}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn slow_clients_are_cut_off(pool: PgPool) {
    let app = started(pool);
    let token = app.token(Who::Admin).unwrap();

    let heard = app
        .say(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", b"y")
        .await;
    assert_eq!(statuses(&heard), [408], "a slow header: {heard}");

    let good = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let second = format!("{good}GET /healthz HTTP/1.1\r\nHost: x\r\nX: ");
    let heard = app.say(second.as_bytes(), b"y").await;
    assert_eq!(
        statuses(&heard)[0],
        200,
        "a slow header, the second one: {heard}"
    );
    assert!(statuses(&heard).len() < 3, "{heard}");

    let heard = app.say(b"", b"").await;
    refused("nothing at all", &heard);

    let post = format!(
        "POST /v1/consumers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    for key in ["", "Idempotency-Key: k\r\n"] {
        let slow = format!("{post}{key}Content-Length: 2000\r\n\r\n{{");
        let heard = app.say(slow.as_bytes(), b" ").await;
        problem("a slow body", &heard, 408, "request_timeout");
        let chunked = format!("{post}{key}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n");
        let heard = app.say(chunked.as_bytes(), b"1\r\n \r\n").await;
        problem("slow chunks", &heard, 408, "request_timeout");
    }
    // Nobody reads the body of somebody unknown.
    let slow =
        b"POST /v1/consumers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n";
    let heard = app.say(slow, b"1\r\n \r\n").await;
    problem("slow chunks for nobody", &heard, 401, "unauthenticated");

    let once = app.say(good.as_bytes(), b"").await;
    assert_eq!(statuses(&once), [200], "a connection that rests ends");
    app.still_serves().await;
}

/// A client that asks for much and reads nothing.
#[sqlx::test(migrations = "./migrations")]
async fn who_does_not_read_is_cut_off(pool: PgPool) {
    let app = started(pool);
    let mut socket = app.dialled().await;
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400);
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.write_all(ask.as_bytes())).await;
    let begun = Instant::now();
    loop {
        // This connection, and the one that asks.
        let metrics = app.get(Who::Nobody, "/metrics").await.text;
        if metrics.contains("portcullis_http_connections 1\n") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{metrics}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    app.still_serves().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_too_large_is_refused(pool: PgPool) {
    let app = started(pool);
    let get = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")
    };
    let header = |size: usize| format!("X-Large: {}\r\n", "x".repeat(size));
    let headers = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("X-{n}: y\r\n")).collect();
        all.concat()
    };
    for path in ["/healthz", "/v1/services", "/nothing"] {
        let heard = app.say(get(path, &header(20_000)).as_bytes(), b"").await;
        problem("20 kB of header", &heard, 431, "headers_too_large");
        let heard = app.say(get(path, &headers(80)).as_bytes(), b"").await;
        problem("80 headers", &heard, 431, "headers_too_large");
        let long = format!("{path}?{}", "x".repeat(20_000));
        let heard = app.say(get(&long, "").as_bytes(), b"").await;
        problem("20 kB of query", &heard, 414, "uri_too_long");
    }
    // What the server itself does not read to its end.
    for (what, bytes) in [
        ("200 kB of header", get("/healthz", &header(200_000))),
        ("a thousand headers", get("/healthz", &headers(1000))),
        (
            "100 kB of path",
            get(&format!("/{}", "x".repeat(100_000)), ""),
        ),
        (
            "1 MB of path",
            get(&format!("/{}", "x".repeat(1_000_000)), ""),
        ),
    ] {
        let heard = app.say(bytes.as_bytes(), b"").await;
        assert!(
            !heard.is_empty() || bytes.len() > 150_000,
            "{what} is answered"
        );
        refused(what, &heard);
    }
    let token = app.token(Who::Admin).unwrap();
    let post = format!(
        "POST /v1/consumers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    let declared = format!(
        "{post}Content-Length: 99999999\r\n\r\n{}",
        " ".repeat(70_000)
    );
    let heard = app.say(declared.as_bytes(), b" ").await;
    problem("a large body", &heard, 413, "payload_too_large");
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096)).repeat(20);
    let heard = app
        .say(
            format!("{post}Transfer-Encoding: chunked\r\n\r\n{chunk}").as_bytes(),
            b"",
        )
        .await;
    problem("a large body in chunks", &heard, 413, "payload_too_large");
    let deep = format!("{{\"name\":{}", "[".repeat(60_000));
    let close = format!(
        "{post}Connection: close\r\nContent-Length: {}\r\n\r\n{deep}",
        deep.len()
    );
    let heard = app.say(close.as_bytes(), b"").await;
    problem("a deep body", &heard, 400, "invalid_json");
    app.still_serves().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_not_http_is_refused(pool: PgPool) {
    let app = started(pool);
    let smuggled = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = "POST /v1/consumers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "two lengths",
            format!("{post}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{{}}{smuggled}").into(),
        ),
        (
            "a list of lengths",
            format!("{post}Content-Length: 2, 40\r\n\r\n{{}}{smuggled}").into(),
        ),
        (
            "a negative length",
            format!("{post}Content-Length: -2\r\n\r\n{{}}{smuggled}").into(),
        ),
        (
            "a length with a sign",
            format!("{post}Content-Length: +2\r\n\r\n{{}}{smuggled}").into(),
        ),
        (
            "a length beyond numbers",
            format!("{post}Content-Length: 99999999999999999999999\r\n\r\n{{}}").into(),
        ),
        (
            "chunks and a length",
            format!(
                "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
            )
            .into(),
        ),
        (
            "a length and chunks",
            format!(
                "{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{smuggled}"
            )
            .into(),
        ),
        (
            "a coding that is not known",
            format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}").into(),
        ),
        (
            "two codings",
            format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}").into(),
        ),
        (
            "chunks of nonsense",
            format!("{post}Transfer-Encoding: chunked\r\n\r\nzzz\r\n{smuggled}").into(),
        ),
        (
            "a chunk beyond numbers",
            format!("{post}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx").into(),
        ),
        ("HTTP/0.9", b"GET /metrics\r\n\r\n".to_vec()),
        ("HTTP/0.9 without an end", b"GET /metrics".to_vec()),
        (
            "HTTP/7.1",
            b"GET /metrics HTTP/7.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "HTTP/2 without being asked",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        ),
        (
            "no method",
            b" /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "a header without a name",
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n".to_vec(),
        ),
        (
            "a blank before the colon",
            b"GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n".to_vec(),
        ),
        (
            "a zero byte in a header",
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n".to_vec(),
        ),
        (
            "an escape in a header",
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: \x1b[31m\r\n\r\n".to_vec(),
        ),
        (
            "an escape in the path",
            b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "a lone carriage return",
            b"GET /metrics HTTP/1.1\r\nHost: x\rX: y\r\n\r\n".to_vec(),
        ),
        (
            "TLS without being asked",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ),
        (
            "noise",
            (0..5000)
                .map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[1])
                .collect(),
        ),
        ("zeros", vec![0; 5000]),
        ("nothing but ends of lines", b"\r\n".repeat(5000)),
    ];
    for (what, bytes) in cases {
        let heard = app.say(&bytes, b"").await;
        refused(what, &heard);
        assert!(!heard.contains("# EOF"), "{what} got the metrics: {heard}");
    }
    // An end of a line without a carriage return may be read as one (RFC 9112); what matters is that it is one request.
    let bare = b"GET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n";
    let heard = app.say(bare, b"").await;
    assert!(
        statuses(&heard).len() <= 1 && statuses(&heard).iter().all(|status| *status < 500),
        "{heard}"
    );
    // What follows a request that was refused is not read as a request.
    let after = format!("{post}Content-Length: 40\r\n\r\n{{}}{smuggled}");
    let heard = app.say(after.as_bytes(), b"").await;
    refused("a body that looks like a request", &heard);
    app.still_serves().await;
}
