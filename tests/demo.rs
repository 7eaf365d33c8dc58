//! `portcullis demo` as a newcomer meets it: the real program, started, looked at, stopped and started again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot start the program has failed"
)]

mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use program::{DataDir, Demo, refused};
use serde_json::Value;

/// What the tour leaves, by the consumer's account.
const TOUR_ENDS: [(&str, &str); 5] = [
    ("222222222222", "available"),
    ("333333333333", "rejected"),
    ("444444444444", "revoked"),
    ("555555555555", "deleted"),
    ("666666666666", "waiting"),
];

/// Generous, because other tests use the machine too. On an idle one it is to be 2 s at most.
const WARM_LIMIT: Duration = Duration::from_secs(10);
/// A cold start makes a database cluster first.
const COLD_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_tour_ends_as_it_should_and_a_warm_start_finds_it_done() {
    let data = DataDir::new();
    let mut demo = Demo::start(&data, &["--scenario", "tour"], COLD_LIMIT).await;
    println!(
        "cold start to ready: {:.2} s",
        demo.ready_after.as_secs_f64()
    );
    assert_ready_line(&demo).await;
    let told = demo.wait_for_tour().await;
    for step in 1..=8 {
        let wanted = format!("{step}. ");
        assert!(
            told.iter().any(|line| line.starts_with(&wanted)),
            "step {step} was not told: {told:#?}"
        );
    }
    let connections = connections(&demo).await;
    assert_tour_is_over(&connections);
    let histories = histories(&demo, &connections).await;
    interrupt(demo, &data).await;

    let mut demo = Demo::start(&data, &["--scenario", "tour"], WARM_LIMIT).await;
    println!(
        "warm start to ready: {:.2} s",
        demo.ready_after.as_secs_f64()
    );
    assert_ready_line(&demo).await;
    let told = demo.wait_for_tour().await;
    let repeated: Vec<&String> = told
        .iter()
        .filter(|line| (3..=8).any(|step| line.starts_with(&format!("{step}. "))))
        .collect();
    assert!(repeated.is_empty(), "done a second time: {repeated:#?}");
    let again = self::connections(&demo).await;
    assert_tour_is_over(&again);
    assert_eq!(
        again.keys().collect::<Vec<_>>(),
        connections.keys().collect::<Vec<_>>(),
        "the connections are not the same ones"
    );
    assert_eq!(
        self::histories(&demo, &again).await,
        histories,
        "the second tour left traces"
    );
    interrupt(demo, &data).await;
}

#[tokio::test]
async fn a_second_start_on_the_same_data_is_refused_and_the_first_goes_on() {
    let data = DataDir::new();
    let first = Demo::start(&data, &["--scenario", "none"], COLD_LIMIT).await;

    let sentence = refused(
        &data,
        &["--listen", "127.0.0.1:0", "--sim-listen", "127.0.0.1:0"],
    )
    .await;

    assert!(
        sentence.contains("is in use by process")
            && sentence.contains("choose another data directory"),
        "{sentence}"
    );
    assert!(
        sentence.contains(&first.pid().to_string()),
        "it does not say which process: {sentence}"
    );
    assert_eq!(
        first.get("/readyz").await.0,
        200,
        "the first start suffered"
    );
    interrupt(first, &data).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused_with_the_flag_to_use() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--listen", "--sim-listen"), ("--sim-listen", "--listen")] {
        let data = DataDir::new();

        let sentence = refused(&data, &[flag, &address, other, "127.0.0.1:0"]).await;

        assert!(
            sentence.contains(&format!("cannot listen on {address}"))
                && sentence.contains(&format!("choose another address with {flag},")),
            "{sentence}"
        );
        assert!(
            !data.path().join("postgres").exists(),
            "a database cluster was made for nothing"
        );
    }
}

/// Ctrl-C, and then: nothing runs, nothing listens.
async fn interrupt(demo: Demo, data: &DataDir) {
    let ports = [demo.api(), demo.sim()].map(|url| url.trim_start_matches("http://").to_owned());
    assert!(
        !data.processes().is_empty() || !Path::new("/proc/self").exists(),
        "the search for processes does not find the database that runs"
    );
    let asked = Instant::now();
    let (code, more) = demo.interrupt(STOP_LIMIT).await;
    println!("Ctrl-C to exit: {:.2} s", asked.elapsed().as_secs_f64());
    assert_eq!(code, Some(0), "it did not end well");
    assert_eq!(more, "", "standard output is for the ready line alone");
    assert_eq!(data.processes(), BTreeSet::new(), "left behind");
    for port in ports {
        let address: SocketAddr = port.parse().unwrap();
        assert!(
            TcpListener::bind(address).is_ok(),
            "{address} is still in use"
        );
    }
}

async fn assert_ready_line(demo: &Demo) {
    // A set: whether a JSON object keeps its order depends on what else the build has in it.
    let keys: BTreeSet<&str> = demo
        .ready
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let wanted = ["admin_token", "api", "database_url", "page", "ready", "sim"];
    assert_eq!(keys, wanted.into(), "the ready line has other keys");
    assert_eq!(demo.ready["ready"], true);
    assert!(
        demo.ready["database_url"]
            .as_str()
            .unwrap()
            .starts_with("postgres://"),
        "{}",
        demo.ready
    );
    let page = reqwest::get(demo.ready["page"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(page.status(), 200, "the page is not there");
    let state = reqwest::get(format!("{}/_sim/state", demo.sim()))
        .await
        .unwrap();
    assert_eq!(state.status(), 200, "the simulator is not there");
    assert_eq!(
        demo.get("/readyz").await.0,
        200,
        "ready, but not ready to serve"
    );
}

/// Every connection by its id.
async fn connections(demo: &Demo) -> BTreeMap<String, Value> {
    let (status, body) = demo.get("/v1/connections").await;
    assert_eq!(status, 200, "{body}");
    let rows = body["items"].as_array().unwrap();
    rows.iter()
        .map(|row| (row["id"].as_str().unwrap().to_owned(), row.clone()))
        .collect()
}

fn assert_tour_is_over(connections: &BTreeMap<String, Value>) {
    let stands: BTreeMap<&str, &str> = connections
        .values()
        .map(|row| {
            (
                row["owner_account_id"].as_str().unwrap(),
                row["summary"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(stands, BTreeMap::from(TOUR_ENDS));
    assert_eq!(connections.len(), TOUR_ENDS.len(), "{connections:#?}");
}

/// What happened to each connection.
async fn histories(demo: &Demo, connections: &BTreeMap<String, Value>) -> Vec<Value> {
    let mut all = Vec::new();
    for id in connections.keys() {
        let (status, body) = demo.get(&format!("/v1/connections/{id}")).await;
        assert_eq!(status, 200, "{body}");
        assert!(!body["history"].as_array().unwrap().is_empty(), "{body}");
        all.push(body["history"].clone());
    }
    all
}
