//! The program as a child process, and the directory that holds everything of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// How long the tour may take.
const TOUR_LIMIT: Duration = Duration::from_mins(2);
/// How long a start that cannot succeed may take to say so.
const REFUSAL_LIMIT: Duration = Duration::from_secs(20);

/// A data directory that is gone after the test.
pub(crate) struct DataDir(TempDir);

impl DataDir {
    pub(crate) fn new() -> Self {
        // As root, the database runs as another account, which has to pass through.
        let open = fs::Permissions::from_mode(0o711);
        let dir = tempfile::Builder::new()
            .prefix("demo")
            .permissions(open)
            .tempdir();
        Self(dir.unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Everything that runs in this directory or names it on its command line. Read from `/proc`, where there is one.
    pub(crate) fn processes(&self) -> BTreeSet<String> {
        let dir = self.path().canonicalize().unwrap();
        let mine = std::process::id().to_string();
        let Ok(entries) = fs::read_dir("/proc") else {
            return BTreeSet::new();
        };
        let mut found = BTreeSet::new();
        for entry in entries.flatten() {
            let pid = entry.file_name().to_string_lossy().into_owned();
            if pid == mine || !pid.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            // A process that has just ended has neither.
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let inside = fs::read_link(entry.path().join("cwd"));
            if line.contains(&*dir.to_string_lossy())
                || inside.is_ok_and(|cwd| cwd.starts_with(&dir))
            {
                found.insert(format!("{pid} {line}"));
            }
        }
        found
    }
}

/// A demo that said it is ready. Dropping it kills it, and the database with it.
pub(crate) struct Demo {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
    client: reqwest::Client,
    /// The line that said so.
    pub(crate) ready: Value,
    /// How long that took from the start of the process.
    pub(crate) ready_after: Duration,
}

impl Demo {
    /// Starts it on free ports and waits for its ready line.
    pub(crate) async fn start(data: &DataDir, arguments: &[&str], limit: Duration) -> Self {
        let began = Instant::now();
        let ports = ["--listen", "127.0.0.1:0", "--sim-listen", "127.0.0.1:0"];
        let mut child = command(data, &ports).args(arguments).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let Ok(first) = timeout(limit, stdout.next_line()).await else {
            panic!("no ready line in {limit:?}");
        };
        let Some(line) = first.unwrap() else {
            let mut said = String::new();
            while let Ok(Some(line)) = stderr.next_line().await {
                said.push_str(&line);
                said.push('\n');
            }
            panic!("it ended before it was ready:\n{said}");
        };
        Self {
            ready_after: began.elapsed(),
            ready: serde_json::from_str(&line).unwrap(),
            child,
            stdout,
            stderr,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) fn api(&self) -> &str {
        self.ready["api"].as_str().unwrap()
    }

    pub(crate) fn sim(&self) -> &str {
        self.ready["sim"].as_str().unwrap()
    }

    /// Asks the API with the token of the ready line.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = self
            .client
            .get(format!("{}{path}", self.api()))
            .bearer_auth(self.ready["admin_token"].as_str().unwrap());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        // The probes answer in plain text.
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// Waits for the tour's last line; answers everything that was told until then.
    pub(crate) async fn wait_for_tour(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        let over = async {
            while let Some(line) = self.stderr.next_line().await.unwrap() {
                let over = line.starts_with("The tour ");
                told.push(line);
                if over {
                    return;
                }
            }
        };
        let in_time = timeout(TOUR_LIMIT, over).await.is_ok();
        let last = told.last().map(String::as_str).unwrap_or_default();
        assert!(
            in_time && last.starts_with("The tour is over"),
            "the tour did not end well: {told:#?}"
        );
        told
    }

    /// Does what Ctrl-C does; answers the exit code and what else was on standard output.
    pub(crate) async fn interrupt(mut self, limit: Duration) -> (Option<i32>, String) {
        let kill = format!("kill -INT {}", self.pid());
        let sent = Command::new("/bin/sh").args(["-c", &kill]).status().await;
        assert!(sent.unwrap().success(), "the signal could not be sent");
        let ending = async {
            let mut more = String::new();
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                more.push_str(&line);
            }
            // Read on, so that it never waits for us.
            while self.stderr.next_line().await.unwrap().is_some() {}
            (self.child.wait().await.unwrap().code(), more)
        };
        let Ok(ended) = timeout(limit, ending).await else {
            panic!("it did not end within {limit:?} of SIGINT");
        };
        ended
    }
}

/// Starts a demo that must refuse to run; answers what it says on standard error.
pub(crate) async fn refused(data: &DataDir, arguments: &[&str]) -> String {
    let mut child = command(data, arguments).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let ending = async {
        let (mut out, mut said) = (String::new(), String::new());
        stdout.read_to_string(&mut out).await.unwrap();
        stderr.read_to_string(&mut said).await.unwrap();
        (child.wait().await.unwrap(), out, said)
    };
    let Ok((status, out, said)) = timeout(REFUSAL_LIMIT, ending).await else {
        panic!("it neither ran nor refused in {REFUSAL_LIMIT:?}");
    };
    assert!(!status.success(), "it was to refuse: {said}");
    assert_eq!(out, "", "a refusal has no ready line");
    said
}

fn command(data: &DataDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .arg("demo")
        .arg("--data-dir")
        .arg(data.path())
        .args(arguments)
        // The terminal's Ctrl-C is for the test runner.
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
