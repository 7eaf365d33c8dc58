//! The server never outlives its owner, however the owner ends, and the next owner copes with what it finds.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers fail the test"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use private_postgres::{Cluster, Options};

/// Says to the test below that it is the owner, not the test.
const OWNER_OF: &str = "PRIVATE_POSTGRES_TEST_OWNER_OF";

/// Run as its own process by the tests of this file: starts a cluster, says where, and waits to be killed.
#[test]
fn owner_process() {
    let Some(dir) = std::env::var_os(OWNER_OF) else {
        return;
    };
    let cluster = Cluster::start(&Options::new(dir).disposable()).unwrap();
    println!("\nserver {}", cluster.pid().unwrap());
    loop {
        std::thread::park();
    }
}

/// Starts an owner in a process of its own; the owner and the id of its server.
fn owner(dir: &Path) -> (Child, u32) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner_process", "--nocapture"])
        .env(OWNER_OF, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let server = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("server ")?.parse().ok())
        .expect("the owner says its server's id");
    (child, server)
}

/// Whether a process runs. One that ended and that nobody has asked about yet (a zombie) does not.
fn alive(pid: u32) -> bool {
    let state = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    state.stdout.first().is_some_and(|state| *state != b'Z')
}

#[test]
fn a_killed_owner_leaves_no_server() {
    let dir = tempfile::tempdir().unwrap();
    let (mut owner, server) = owner(dir.path());
    assert!(alive(server));

    owner.kill().unwrap();
    owner.wait().unwrap();

    let end = Instant::now() + Duration::from_secs(10);
    while alive(server) {
        assert!(Instant::now() < end, "the server outlived its owner");
    }
}

#[test]
fn the_next_owner_may_start_while_the_old_server_still_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (mut owner, old) = owner(dir.path());

    owner.kill().unwrap();
    owner.wait().unwrap();
    let cluster = Cluster::start(&Options::new(dir.path()).disposable()).unwrap();

    assert_ne!(cluster.pid(), Some(old));
    assert!(!alive(old));
    assert_eq!(
        cluster.execute("postgres", "SELECT 1").unwrap(),
        [[Some("1".to_owned())]]
    );
}

#[test]
fn a_server_that_lost_its_guard_is_stopped_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (mut owner, old) = owner(dir.path());
    // The guard is the server's parent and leads its own group: killing the group leaves the server alone, as a machine
    // short of memory might, because the server's processes are not in it.
    let parent = Command::new("ps")
        .args(["-o", "ppid=", "-p", &old.to_string()])
        .output()
        .unwrap();
    let guard = String::from_utf8(parent.stdout).unwrap().trim().to_owned();
    let watchers = Command::new("ps")
        .args(["-e", "-o", "pid=,ppid="])
        .output()
        .unwrap();
    let text = String::from_utf8(watchers.stdout).unwrap();
    let mut doomed = vec![guard.clone()];
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(pid), Some(ppid)) = (words.next(), words.next())
            && ppid == guard
            && pid != old.to_string()
        {
            doomed.push(pid.to_owned());
        }
    }
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", "kill -KILL \"$@\"", "sh"]).args(&doomed);
    assert!(kill.status().unwrap().success());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(alive(old), "the test meant to leave it running");

    let cluster = Cluster::start(&Options::new(dir.path()).disposable()).unwrap();

    assert!(!alive(old));
    assert_ne!(cluster.pid(), Some(old));
}
