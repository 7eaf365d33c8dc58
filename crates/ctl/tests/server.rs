//! The commands against a small HTTP server that answers what each test tells it to, and keeps what it was asked. The commands run in a process of their own
//! (`examples/ctl.rs`), since exit codes and standard output are what is tested.

#![expect(
    clippy::expect_used,
    reason = "a test whose server or program does not start has failed"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
struct Seen {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is answered: a status, headers, a body. Status 0 hangs up instead.
type Reply = (u16, &'static str, String);

struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers one reply after the other, the last one for ever.
    fn new(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else {
                    continue;
                };
                let mut kept = kept.lock().expect("no panic");
                let reply = replies[kept.len().min(replies.len() - 1)].clone();
                kept.push(request);
                drop(kept);
                if reply.0 != 0 {
                    write(stream, &reply);
                }
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Runs `ctl` with what `input` has on standard input.
    fn ctl_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = program()
            .args(arguments)
            .env("PORTCULLIS_URL", &self.url)
            .env("PORTCULLIS_TOKEN", "secret-token")
            .spawn()
            .expect("the program");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).expect("taken");
        drop(stdin);
        child.wait_with_output().expect("an end")
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        self.ctl_with(arguments, "")
    }
}

/// The example that cargo built beside this test.
fn program() -> Command {
    let mut path = std::env::current_exe().expect("a path");
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join("ctl"));
    command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap_or(0))];
    reader.read_exact(&mut body).ok()?;
    (!line.is_empty()).then(|| Seen {
        line: line.trim().trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn write(mut stream: TcpStream, (status, headers, body): &Reply) {
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
}

fn ok(body: &Value) -> Reply {
    (200, "", body.to_string())
}

fn problem(status: u16, headers: &'static str, code: &str) -> Reply {
    let body = json!({
        "type": format!("urn:portcullis:error:{code}"), "title": "T", "status": status, "detail": "It is so.", "code": code, "request_id": "req-1",
        "errors": [{"field": "reason", "detail": "too long"}],
    });
    (status, headers, body.to_string())
}

fn page(ids: &[&str], next: Option<&str>) -> Reply {
    let items: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "id": id, "summary": "waiting" }))
        .collect();
    ok(&json!({ "items": items, "next_cursor": next }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

#[test]
fn the_token_goes_into_the_header_and_nowhere_else() {
    let server = Server::new(vec![page(&["con_1"], None)]);
    let done = server.ctl(&["connections", "list"]);
    assert_eq!(code(&done), 0, "{}", text(&done.stderr));
    assert_eq!(
        server.seen()[0].header("authorization"),
        Some("Bearer secret-token")
    );
    let shown = text(&done.stdout) + &text(&done.stderr);
    assert!(!shown.contains("secret-token"), "{shown}");
    let refused = server.ctl(&["--token", "x", "connections", "list"]);
    assert_eq!(code(&refused), 2);
}

#[test]
fn all_pages_are_read_by_their_cursors_and_shown_as_one_document() {
    let server = Server::new(vec![
        page(&["con_1", "con_2"], Some("con_2")),
        page(&["con_3"], None),
    ]);
    let done = server.ctl(&[
        "connections",
        "list",
        "--summary",
        "waiting",
        "--page-all",
        "-o",
        "json",
    ]);
    let shown: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(3));
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        asked,
        [
            "GET /v1/connections?summary=waiting&limit=200",
            "GET /v1/connections?summary=waiting&limit=200&cursor=con_2"
        ]
    );
}

#[test]
fn json_is_what_the_api_said_and_jsonl_a_row_each() {
    let said = r#"{ "items": [ {"id":"con_1", "zulu": 1, "alpha": 2} ],  "next_cursor": null }"#;
    let server = Server::new(vec![(200, "", said.to_owned())]);
    assert_eq!(
        text(&server.ctl(&["connections", "list", "-o", "json"]).stdout).trim_end(),
        said
    );
    let lines = text(&server.ctl(&["connections", "list", "-o", "jsonl"]).stdout);
    assert_eq!(lines.lines().count(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(lines.trim()).expect("JSON")["alpha"],
        2
    );
}

#[test]
fn a_write_that_was_not_answered_is_repeated_with_its_key() {
    let decided = ok(
        &json!({ "decided": 1, "approved": 0, "refused": 0, "results": [{ "id": "con_1", "result": "decided" }] }),
    );
    let server = Server::new(vec![
        (0, "", String::new()),
        problem(503, "retry-after: 0\r\n", "unavailable"),
        problem(429, "retry-after: 0\r\n", "rate_limited"),
        problem(409, "", "idempotency_in_progress"),
        decided,
    ]);
    let done = server.ctl(&["decide", "accept", "con_1", "--reason", "paid"]);
    assert_eq!(code(&done), 0, "{}", text(&done.stderr));
    let keys: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").map(str::to_owned))
        .collect();
    assert_eq!(keys.len(), 5);
    assert!(
        keys[0].is_some() && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
    let again = server.ctl(&["decide", "accept", "con_1", "--reason", "paid"]);
    assert_eq!(code(&again), 0);
    assert_ne!(
        server.seen()[5].header("idempotency-key"),
        keys[0].as_deref()
    );
}

#[test]
fn tries_have_an_end_and_other_writes_are_not_repeated() {
    let server = Server::new(vec![problem(503, "retry-after: 0\r\n", "unavailable")]);
    let done = server.ctl(&["connections", "list", "--retries", "2"]);
    assert_eq!((code(&done), server.seen().len()), (3, 3));
    let done = server.ctl(&["api", "PATCH", "/v1/consumers/cns_1", "-d", "{}"]);
    assert_eq!((code(&done), server.seen().len()), (3, 4));
    assert_eq!(server.seen()[3].header("idempotency-key"), None);
}

#[test]
fn exit_codes_say_what_happened() {
    for (status, expected) in [(404, 1), (409, 1), (401, 4), (403, 4), (500, 5)] {
        let server = Server::new(vec![problem(status, "", "some_code")]);
        let done = server.ctl(&["services", "show", "svc_1"]);
        assert_eq!(code(&done), expected, "{status}");
        let told = text(&done.stderr);
        let wanted = format!(
            "portcullis: some_code ({status}): It is so.\n  reason: too long\n  request id: req-1\n"
        );
        assert_eq!(told, wanted);
        assert!(done.stdout.is_empty());
    }
    let garbled = Server::new(vec![(200, "", "<html>".to_owned())]);
    assert_eq!(code(&garbled.ctl(&["services", "list"])), 5);
    // A port that nobody listens at any more.
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let gone = program()
        .args([
            "services",
            "list",
            "--retries",
            "1",
            "--url",
            &format!("http://{free}"),
        ])
        .output()
        .expect("the program");
    assert_eq!(code(&gone), 3, "{}", text(&gone.stderr));
}

#[test]
fn what_cannot_be_undone_needs_a_yes_where_nobody_can_be_asked() {
    let rejected =
        ok(&json!({ "decided": 1, "results": [{ "id": "con_1", "result": "decided" }] }));
    let server = Server::new(vec![rejected]);
    let asked = server.ctl(&["decide", "reject", "con_1", "--reason", "no"]);
    assert_eq!((code(&asked), server.seen().len()), (2, 0));
    let told = server.ctl(&["decide", "reject", "con_1", "--reason", "no", "--yes"]);
    assert_eq!((code(&told), server.seen().len()), (0, 1));
}

#[test]
fn many_are_decided_from_standard_input_in_requests_of_a_thousand() {
    let thousand = |from: u32| {
        let results: Vec<Value> = (from..from + 1000)
            .map(|id| json!({ "id": format!("con_{id}"), "result": "decided" }))
            .collect();
        ok(&json!({ "decided": 1000, "approved": 0, "refused": 0, "results": results }))
    };
    let last = json!({ "decided": 0, "approved": 0, "refused": 1,
        "results": [{ "id": "con_2000", "result": "refused", "code": "connection_closed", "detail": "It is gone." }] });
    let server = Server::new(vec![thousand(0), thousand(1000), ok(&last)]);
    let rows: Vec<String> = (0..2001)
        .map(|id| json!({ "connection_id": format!("con_{id}") }).to_string())
        .collect();
    let input = rows.join("\n");
    let done = server.ctl_with(
        &["decide", "accept", "-", "--reason", "paid", "-o", "jsonl"],
        &input,
    );
    assert_eq!(code(&done), 1);
    assert_eq!(
        text(&done.stderr),
        "portcullis: 2000 of 2001 connections done\n"
    );
    assert_eq!(text(&done.stdout).lines().count(), 2001);
    let sizes: Vec<usize> = server
        .seen()
        .iter()
        .map(|seen| {
            serde_json::from_str::<Value>(&seen.body).expect("JSON")["items"]
                .as_array()
                .map_or(0, Vec::len)
        })
        .collect();
    assert_eq!(sizes, [1000, 1000, 1]);
}

#[test]
fn an_id_of_aws_is_looked_up() {
    let server = Server::new(vec![page(&["con_7"], None), ok(&json!({ "id": "con_7" }))]);
    let done = server.ctl(&["connections", "show", "vpce-0123"]);
    assert_eq!(code(&done), 0, "{}", text(&done.stderr));
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        asked,
        [
            "GET /v1/connections?endpoint_id=vpce-0123",
            "GET /v1/connections/con_7"
        ]
    );
    let unknown = Server::new(vec![page(&[], None)]);
    assert_eq!(code(&unknown.ctl(&["connections", "show", "vpce-0123"])), 1);
}

#[test]
fn a_dry_run_is_waited_for() {
    let run = |state: &str| {
        ok(
            &json!({ "id": "dry_1", "policy_id": "pol_1", "state": state, "result": { "judged": 7, "samples": [1, 2] } }),
        )
    };
    let server = Server::new(vec![run("pending"), run("running"), run("done")]);
    let done = server.ctl(&["policies", "dry-run", "pol_1"]);
    assert_eq!((code(&done), server.seen().len()), (0, 3));
    let shown = text(&done.stdout);
    assert!(
        shown.contains("result.judged") && !shown.contains("samples"),
        "{shown}"
    );
    let failed = Server::new(vec![run("pending"), run("failed")]);
    assert_eq!(code(&failed.ctl(&["policies", "dry-run", "pol_1"])), 1);
}

fn feed(ids: &[&str], next: &str, more: bool) -> Reply {
    let items: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "id": id, "type": "connection.accept" }))
        .collect();
    ok(&json!({ "items": items, "next_cursor": next, "has_more": more }))
}

#[test]
fn a_feed_is_read_to_its_end_although_pages_may_be_empty() {
    let server = Server::new(vec![
        feed(&["8"], "20007", true),
        feed(&[], "40007", true),
        feed(&["40008"], "40008", false),
    ]);
    let done = server.ctl(&[
        "events",
        "list",
        "--type",
        "connection",
        "--after",
        "7",
        "--page-all",
        "-o",
        "jsonl",
    ]);
    assert_eq!(code(&done), 0, "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout).lines().count(), 2);
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        asked,
        [
            "GET /v1/events?type=connection&limit=200&cursor=7",
            "GET /v1/events?type=connection&limit=200&cursor=20007",
            "GET /v1/events?type=connection&limit=200&cursor=40007"
        ]
    );
    // A feed whose next place is where it was does not hold us.
    let stuck = Server::new(vec![feed(&[], "7", true)]);
    let done = stuck.ctl(&["events", "list", "--after", "7", "--page-all"]);
    assert_eq!((code(&done), stuck.seen().len()), (0, 1));
    let whole = Server::new(vec![feed(&["8"], "8", false)]);
    let told = whole.ctl(&["events", "list"]);
    assert_eq!(text(&told.stderr), "", "there is no more");
}

#[test]
fn events_are_followed_until_the_token_ends() {
    let server = Server::new(vec![
        feed(&[], "7", false),
        feed(&["8", "9"], "9", false),
        problem(401, "", "token_expired"),
    ]);
    let done = server.ctl(&["events", "follow", "--subject", "con_1", "-o", "jsonl"]);
    assert_eq!(code(&done), 4);
    assert_eq!(text(&done.stdout).lines().count(), 2);
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    let of = "GET /v1/events?subject_id=con_1&limit=200&cursor=";
    assert_eq!(
        asked,
        ["latest", "7", "9"].map(|cursor| format!("{of}{cursor}"))
    );
}

#[test]
fn an_operation_is_waited_for() {
    let far = |state: &str, failure: Option<&str>| {
        ok(
            &json!({ "id": "rjd_1", "state": state, "progress": { "done": 3, "total": 7 }, "failure": failure }),
        )
    };
    let wait = ["operations", "wait", "rjd_1"];
    let server = Server::new(vec![
        far("queued", None),
        far("running", None),
        far("succeeded", None),
    ]);
    let done = server.ctl(&wait);
    assert_eq!((code(&done), server.seen().len()), (0, 3));
    let shown = text(&done.stdout);
    assert!(shown.contains("progress.done"), "{shown}");
    let failed = Server::new(vec![far("failed", Some("it is gone"))]).ctl(&wait);
    assert_eq!(code(&failed), 1);
    assert!(text(&failed.stderr).contains("it is gone"));
    let waits = Server::new(vec![far("waiting", None)]).ctl(&wait);
    assert_eq!(code(&waits), 1);
    let late = Server::new(vec![far("running", None)]);
    let late = late.ctl(&["operations", "wait", "rjd_1", "--wait-seconds", "0"]);
    assert_eq!(code(&late), 3);
    let listed = Server::new(vec![page(&["rjd_1"], None)]);
    let done = listed.ctl(&[
        "operations",
        "list",
        "--kind",
        "block",
        "--state",
        "running",
    ]);
    assert_eq!(code(&done), 0);
    assert_eq!(
        listed.seen()[0].line,
        "GET /v1/operations?kind=block&state=running"
    );
}

#[test]
fn a_secret_is_shown_once_and_is_missed_where_it_was_lost() {
    let with = |secret: Value| ok(&json!({ "token": { "id": "stk_1" }, "secret": secret }));
    let made = Server::new(vec![with(json!("pcl_secret"))]);
    let create = [
        "tokens",
        "create",
        "ci",
        "--role",
        "viewer",
        "--role",
        "approver",
        "--scope",
        "read",
        "--expires-at",
        "2027-01-31T12:00:00Z",
    ];
    let done = made.ctl(&create);
    assert_eq!(code(&done), 0, "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("pcl_secret"));
    assert!(!text(&done.stderr).contains("pcl_secret"));
    let body: Value = serde_json::from_str(&made.seen()[0].body).expect("JSON");
    assert_eq!(
        body,
        json!({ "name": "ci", "roles": ["viewer", "approver"], "scopes": ["read"], "expires_at": "2027-01-31T12:00:00Z" })
    );
    let lost = Server::new(vec![(0, "", String::new()), with(Value::Null)]);
    let done = lost.ctl(&create);
    assert_eq!((code(&done), lost.seen().len()), (1, 2));
    assert!(text(&done.stderr).contains("rotate stk_1"));
    let keys: Vec<_> = lost.seen();
    assert_eq!(
        keys[0].header("idempotency-key"),
        keys[1].header("idempotency-key")
    );
}

#[test]
fn what_ends_a_secret_is_asked_about() {
    let server = Server::new(vec![ok(&json!({ "token": {}, "secret": "pcl_x" }))]);
    for ends in [
        &["tokens", "revoke", "stk_1", "--reason", "it leaked"][..],
        &["tokens", "rotate", "stk_1", "--grace-seconds", "0"],
    ] {
        assert_eq!(code(&server.ctl(ends)), 2, "{ends:?}");
        assert_eq!(server.seen().len(), 0);
    }
    let gentle = server.ctl(&["tokens", "rotate", "stk_1", "--grace-seconds", "60"]);
    assert_eq!(code(&gentle), 0, "{}", text(&gentle.stderr));
    let revoked = server.ctl(&["tokens", "revoke", "stk_1", "--reason", "it leaked", "-y"]);
    assert_eq!(code(&revoked), 0);
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /v1/service-tokens/stk_1/rotate");
    assert_eq!(seen[1].line, "POST /v1/service-tokens/stk_1/revoke");
    assert_eq!(seen[1].body, r#"{"reason":"it leaked"}"#);
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Server::new(vec![page(&[], None)]);
    let location: &'static str =
        Box::leak(format!("location: {}/v1/services\r\n", other.url).into_boxed_str());
    let server = Server::new(vec![(307, location, String::new())]);
    assert_eq!(code(&server.ctl(&["services", "list"])), 1);
    assert!(other.seen().is_empty());
}
