//! The program itself, by what it writes: no secret, whatever it is asked and whatever goes wrong, and no line that a client made up.

use std::process::{Output, Stdio};
use std::time::Duration;

use portcullis::api::auth::Role as TokenRole;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::starting::token;

/// In every secret, and in nothing else.
const CANARY: &str = "canary";

/// `serve --role api`, with some settings.
struct Program {
    child: Child,
    log: String,
    address: String,
    dir: TempDir,
}

fn command(dir: &TempDir, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .args(["serve", "--role", "api"])
        .env_clear()
        .env("PORTCULLIS__HTTP__LISTEN", "127.0.0.1:0")
        .env("PORTCULLIS__AUTH__DEVELOPMENT_ISSUER", "true")
        .env(
            "PORTCULLIS__AUTH__DEVELOPMENT_KEY_FILE",
            dir.path().join("issuer.pem"),
        )
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Program {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = command(&dir, settings).spawn().unwrap();
        let stderr = child.stderr.as_mut().unwrap();
        let mut lines = BufReader::new(stderr);
        let mut log = String::new();
        let address = loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(20), lines.read_line(&mut line));
            assert_ne!(read.await.unwrap().unwrap(), 0, "it ended: {log}");
            log.push_str(&line);
            if let Some((_, behind)) = line.split_once("on http://") {
                let end = behind.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
                break behind[..end.unwrap_or(behind.len())].to_owned();
            }
        };
        // What the reader holds already belongs to the log.
        log.push_str(std::str::from_utf8(lines.buffer()).unwrap());
        Self {
            child,
            log,
            address,
            dir,
        }
    }

    /// Everything that it has written.
    async fn end(mut self) -> String {
        // Whatever was answered was logged before, but the pipe may be behind.
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.child.start_kill().unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut self.log).await.unwrap();
        self.log
    }

    fn token(&self) -> String {
        token(&self.dir.path().join("issuer.pem"), TokenRole::Admin)
    }

    async fn raw(&self, request: &[u8]) -> String {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        socket.write_all(request).await.unwrap();
        let mut heard = Vec::new();
        let read =
            tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut heard)).await;
        read.unwrap().unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    }
}

#[track_caller]
fn clean(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret:?} is in {text}");
    }
}

/// Asks what a client may ask that has secrets, or means harm.
async fn exercised(program: &Program) -> Vec<String> {
    let token = program.token();
    let signature = token.rsplit('.').next().unwrap().to_owned();
    let get = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")
    };
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let body = r#"{"name":"canary","slug":7}"#;
    let requests = [
        get("/v1/connections?limit=1&secret=canary-query", &bearer),
        get("/v1/connections?cursor=canary-cursor", &bearer),
        get(
            "/v1/services",
            &format!("{bearer}Cookie: canary\r\nX-Api-Key: canary\r\n"),
        ),
        get(
            "/v1/services",
            "Authorization: Bearer canary.canary.canary\r\n",
        ),
        get("/v1/services", "Authorization: Basic canary\r\n"),
        get("/v1/services?token=canary", ""),
        get("/v1/nothing?canary", &bearer),
        get("/readyz?canary", ""),
        format!(
            "POST /v1/consumers?canary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}Content-Type: application/json\r\nIdempotency-Key: canary\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        // What would make a line or a colour of its own.
        get("/v1/%0a%0dFORGED%1b%5b31m", &bearer),
        get("/v1/services/%0aFORGED%1b[31m", &bearer),
        get(
            "/v1/services",
            &format!("{bearer}User-Agent: a%0aFORGED\\nFORGED\r\nX-Request-Id: a%0aFORGED\r\n"),
        ),
        format!("GET%1b[31m /v1/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}\r\n"),
        "FORGED\u{1b}[31m / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /\u{1b}[31mFORGED HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: \u{1b}[31mFORGED\r\n\r\n".to_owned(),
        "GET /v1/\u{e9}FORGED HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    for request in &requests {
        let heard = program.raw(request.as_bytes()).await;
        assert!(!heard.starts_with("HTTP/1.1 5"), "{request}: {heard}");
    }
    let metrics = program.raw(get("/metrics", "").as_bytes()).await;
    clean(&metrics, &[CANARY, "FORGED", &signature]);
    vec![token, signature]
}

fn url_of(database: &PgConnectOptions) -> String {
    let database = database.clone().password("canary-password");
    database.to_url_lossy().to_string()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_log_for_people_has_no_secret_and_no_forged_line(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let program = Program::start(&[("DATABASE_URL", &url_of(&database))]).await;
    let secrets = exercised(&program).await;
    let log = program.end().await;
    clean(&log, &[CANARY, "\u{1b}"]);
    clean(
        &log,
        &secrets.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for line in log.lines() {
        // Each begins with a time of ours, so none is a client's.
        let year = line.get(..4).and_then(|year| year.parse::<u16>().ok());
        assert!(year.is_some_and(|year| year > 2000), "{line:?} in {log}");
    }
    let answered = log.lines().filter(|line| line.contains("request answered"));
    assert!(answered.count() >= 13, "{log}");
    for told in [
        "http.caller=\"admin\"",
        "http.caller=\"refused\"",
        "http.caller=\"anonymous\"",
        "duration_ms=",
    ] {
        assert!(log.contains(told), "no {told} in {log}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_log_for_programs_has_no_secret_and_no_forged_line(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let url = url_of(&database);
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PORTCULLIS__LOG__FORMAT", "json"),
        ("PORTCULLIS__LOG__FILTER", "debug"),
    ];
    let program = Program::start(&settings).await;
    let secrets = exercised(&program).await;
    let log = program.end().await;
    clean(
        &log,
        &[
            "canary-password",
            "canary-query",
            "canary-subject",
            "canary.canary",
            "\u{1b}",
        ],
    );
    clean(
        &log,
        &secrets.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let mut callers = Vec::new();
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        if line["message"] == "request answered" {
            callers.push(
                line["span"]["http.caller"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
            assert!(line["duration_ms"].is_number(), "{line}");
        }
    }
    for kind in ["admin", "refused", "anonymous"] {
        assert!(
            callers.iter().any(|caller| caller == kind),
            "{kind}: {callers:?}"
        );
    }
}

/// A URL that does not lead anywhere, or is none.
#[tokio::test]
async fn a_database_url_is_not_shown_when_it_fails() {
    let settings = [
        (
            "DATABASE_URL",
            "postgres://canary-user:canary-password@127.0.0.1:1/canary-name?sslmode=disable",
        ),
        ("PORTCULLIS__LOG__FILTER", "debug"),
    ];
    let program = Program::start(&settings).await;
    let request = format!(
        "GET /v1/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        program.token()
    );
    let heard = program.raw(request.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 503"), "{heard}");
    assert!(heard.contains("retry-after"), "{heard}");
    clean(&heard, &[CANARY]);
    let log = program.end().await;
    assert!(log.contains("a request failed on our side"), "{log}");
    clean(&log, &["canary-password", "canary-user"]);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    std::fs::write(&file, "postgres://me:canary@db:port/x").unwrap();
    for (key, value) in [
        ("DATABASE_URL", "postgres://me:canary@db:port/x"),
        ("DATABASE_URL", "canary"),
        ("PORTCULLIS__DATABASE__URL", "postgres://me:canary@[::1/x"),
        ("PORTCULLIS__DATABASE__URL_FILE", file.to_str().unwrap()),
        (
            "PORTCULLIS__DATABASE__MAX_CONNECTIONS",
            "postgres://me:canary@db/x",
        ),
        ("PORTCULLIS__DATABASE", "postgres://me:canary@db/x"),
        ("PORTCULLIS__HTTP__LISTEN", "postgres://me:canary@db/x"),
    ] {
        let ended: Output = command(&dir, &[(key, value)]).output().await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{key}: {said}");
        assert!(said.starts_with("portcullis: "), "{key}: {said}");
        clean(&said, &[CANARY]);
    }
}
