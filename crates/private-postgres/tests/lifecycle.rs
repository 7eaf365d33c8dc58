//! The life of a cluster: made, reused, crashed, healed, shared by nobody, gone.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use private_postgres::{Cluster, Error, Options};

fn start(dir: &Path) -> Cluster {
    Cluster::start(&Options::new(dir).disposable()).unwrap()
}

fn value(cluster: &Cluster, database: &str, sql: &str) -> String {
    cluster.execute(database, sql).unwrap()[0][0]
        .clone()
        .unwrap()
}

fn signal(pid: u32, signal: &str) -> bool {
    let pid = pid.to_string();
    let script = r#"kill "$1" "$2""#;
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", script, "sh", signal, &pid])
        .stderr(Stdio::null());
    kill.status().unwrap().success()
}

fn becomes(limit: Duration, mut level: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if level() {
            return true;
        }
        std::thread::yield_now();
    }
    level()
}

/// Every process that has the directory among its arguments.
fn processes_of(dir: &Path) -> Vec<String> {
    let output = Command::new("ps")
        .args(["-e", "-ww", "-o", "pid=,args="])
        .output()
        .unwrap();
    let dir = dir.canonicalize().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains(dir.to_str().unwrap()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_cluster_is_made_once_and_keeps_its_data() {
    let dir = tempfile::tempdir().unwrap();

    let cold = Instant::now();
    let cluster = start(dir.path());
    println!("cold start: {:?}", cold.elapsed());
    assert!(cluster.major_version() >= 15);
    assert!(cluster.create_database("it's \"quoted\"").unwrap());
    assert!(
        !cluster.create_database("it's \"quoted\"").unwrap(),
        "made twice"
    );
    cluster
        .execute(
            "it's \"quoted\"",
            "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7), (NULL)",
        )
        .unwrap();
    drop(cluster);

    let warm = Instant::now();
    let cluster = start(dir.path());
    println!("warm start: {:?}", warm.elapsed());
    let rows = cluster
        .execute(
            "it's \"quoted\"",
            "SELECT n FROM kept ORDER BY n NULLS LAST",
        )
        .unwrap();
    assert_eq!(rows, [[Some("7".to_owned())], [None]]);
    let stop = Instant::now();
    drop(cluster);
    println!("stop: {:?}", stop.elapsed());
}

#[test]
fn a_dropped_cluster_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    let pid = cluster.pid().unwrap();
    assert!(signal(pid, "-0"));
    assert_ne!(processes_of(dir.path()), Vec::<String>::new());

    drop(cluster);

    assert!(!signal(pid, "-0"));
    assert_eq!(processes_of(dir.path()), Vec::<String>::new());
}

#[test]
fn a_killed_server_is_healed_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(&Options::new(dir.path())).unwrap();
    cluster
        .execute(
            "postgres",
            "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)",
        )
        .unwrap();
    assert!(signal(cluster.pid().unwrap(), "-KILL"));
    assert!(becomes(Duration::from_secs(10), || cluster.has_ended()));
    drop(cluster);

    let cluster = Cluster::start(&Options::new(dir.path())).unwrap();
    assert_eq!(
        value(&cluster, "postgres", "SELECT count(*) FROM kept"),
        "1"
    );
}

#[test]
fn a_creation_that_was_cut_short_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let half = dir.path().join("cluster/pgdata.unfinished");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("PG_VERSION"), "15\n").unwrap();

    let cluster = start(dir.path());

    assert_eq!(value(&cluster, "postgres", "SELECT 1"), "1");
    assert!(!cluster.home().join("pgdata.unfinished").exists());
}

#[test]
fn two_clusters_run_side_by_side() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (start(one.path()), start(two.path()));
    one.execute("postgres", "CREATE TABLE only_here ()")
        .unwrap();

    assert_ne!(one.url("postgres"), two.url("postgres"));
    let refused = two
        .execute("postgres", "SELECT * FROM only_here")
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Refused { code, .. } if code == "42P01"),
        "{refused}"
    );
}

#[test]
fn a_directory_in_use_is_refused_with_the_holders_id() {
    let dir = tempfile::tempdir().unwrap();
    let _holder = start(dir.path());

    let error = Cluster::start(&Options::new(dir.path())).unwrap_err();

    let me = std::process::id().to_string();
    assert!(
        matches!(&error, Error::InUse { pid, .. } if *pid == me),
        "{error}"
    );
}

#[test]
fn a_deep_directory_gets_a_socket_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir
        .path()
        .join("a-directory-with-a-rather-long-name/".repeat(4));

    let cluster = start(&deep);

    assert_eq!(value(&cluster, "postgres", "SELECT 1"), "1");
    cluster.destroy().unwrap();
    assert!(!deep.exists());
}

#[test]
fn a_durable_cluster_keeps_its_safety_settings() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path());
    options.max_connections = 37;

    let cluster = Cluster::start(&options).unwrap();

    assert_eq!(value(&cluster, "postgres", "SHOW fsync"), "on");
    assert_eq!(value(&cluster, "postgres", "SHOW synchronous_commit"), "on");
    assert_eq!(value(&cluster, "postgres", "SHOW max_connections"), "37");
    assert_eq!(value(&cluster, "postgres", "SHOW listen_addresses"), "");
}

#[test]
fn a_named_directory_without_programs_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path().join("data"));
    options.bin_dir = Some(dir.path().to_owned());

    let error = Cluster::start(&options).unwrap_err();

    assert!(matches!(error, Error::UnusableBinDir { .. }), "{error}");
}

/// Only root's server runs as somebody else, so only root's cluster can be shut out of its data directory.
#[test]
fn a_data_directory_that_the_server_cannot_enter_points_to_another_place() {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.path().join("data");

    let cluster = start(&data_dir);

    let moved = !cluster.home().starts_with(closed.path());
    assert_eq!(moved, root, "{}", cluster.home().display());
    let home = cluster.home().to_owned();
    cluster.execute("postgres", "CREATE TABLE kept ()").unwrap();
    drop(cluster);

    let cluster = start(&data_dir);
    cluster.execute("postgres", "SELECT FROM kept").unwrap();
    drop(cluster);

    std::fs::remove_dir_all(&data_dir).unwrap();
    let cluster = start(&data_dir);
    assert_eq!(cluster.home(), home);
    cluster
        .execute("postgres", "SELECT FROM kept")
        .expect_err("removing the directory starts afresh");
    cluster.destroy().unwrap();
    assert!(!home.exists());
}
