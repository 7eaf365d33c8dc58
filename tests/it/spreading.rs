//! Several replicas: who serves what, who joins, who dies, who is told to stop; and AccountRegions that are broken or disabled.
//!
//! Leases run by the database's clock, so these replicas run in real time. What is waited for is asked for, with a limit; only that something does
//! not happen takes a rest.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use portcullis::worker::{Worker, WorkerSettings};
use privatelink::{AccountId, Region};
use privatelink_sim::{Effect, Fault, When};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::http::send;
use crate::support::{Answer, PROVIDER, Setup, TestApp, Who};

/// Leases that are short enough to wait for, and passes that come often.
fn brisk() -> Setup {
    let usual = Setup::default();
    Setup {
        settings: WorkerSettings {
            lease_ttl: Duration::from_secs(3),
            lease_interval: Duration::from_millis(100),
            listing_interval: Duration::from_millis(100),
            ..usual.settings
        },
        ..usual
    }
}

/// A replica that runs, in a task of its own.
struct Replica {
    id: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(app: &TestApp) -> Self {
        let worker = app.another_worker();
        let id = worker.replica().simple().to_string();
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { worker.run(token).await });
        Self { id, stop, task }
    }

    /// As `kill -9` does: nothing is given back.
    fn kill(self) {
        self.task.abort();
    }

    /// As SIGTERM does.
    async fn terminate(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

impl TestApp {
    async fn add_account_regions(&self, count: u64) -> Vec<String> {
        let mut ids = Vec::new();
        for number in 0..count {
            let account = format!("{}", 200_000_000_000 + number);
            let body = json!({ "account_id": account, "region": "eu-west-1" });
            let made = self.post(Who::Admin, "/v1/account-regions", &body).await;
            ids.push(made.good()["id"].as_str().unwrap().to_owned());
        }
        ids
    }

    async fn account_region(&self, id: &str) -> Value {
        let path = format!("/v1/account-regions/{id}");
        self.get(Who::Viewer, &path).await.good()
    }

    async fn all_account_regions(&self) -> Vec<Value> {
        let path = "/v1/account-regions?limit=200";
        let all = self.get(Who::Viewer, path).await.good();
        all["items"].as_array().unwrap().clone()
    }

    /// How many AccountRegions each replica serves.
    async fn served(&self) -> HashMap<String, usize> {
        let mut served = HashMap::new();
        for row in self.all_account_regions().await {
            if let Some(replica) = row["served_by"]["replica"].as_str() {
                *served.entry(replica.to_owned()).or_default() += 1;
            }
        }
        served
    }

    /// Waits until the replicas serve so many each, in any order; how long that took.
    async fn spread(&self, wanted: &[usize]) -> Duration {
        let began = Instant::now();
        loop {
            let served = self.served().await;
            let mut counts: Vec<usize> = served.values().copied().collect();
            counts.sort_unstable();
            if counts == wanted {
                return began.elapsed();
            }
            let late = began.elapsed() > Duration::from_secs(20);
            assert!(!late, "{served:?} instead of {wanted:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn fences(&self) -> i64 {
        self.count("SELECT sum(lease_fence)::bigint FROM account_regions")
            .await
    }

    async fn patch(&self, who: Who, path: &str, body: &Value) -> Answer {
        send(self.request(who, Method::PATCH, path).json(body)).await
    }

    async fn change_account_region(&self, id: &str, change: Value) -> Value {
        let mut body = change;
        body["version"] = self.account_region(id).await["version"].clone();
        let path = format!("/v1/account-regions/{id}");
        self.patch(Who::Admin, &path, &body).await.good()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn replicas_share_fairly_when_they_join_and_when_they_die(pool: PgPool) {
    let app = TestApp::start_with(pool, brisk());
    app.add_account_regions(20).await;
    let first = Replica::start(&app);
    app.spread(&[20]).await;
    let second = Replica::start(&app);
    app.spread(&[10, 10]).await;
    let third = Replica::start(&app);
    app.spread(&[6, 7, 7]).await;
    let fourth = Replica::start(&app);
    app.spread(&[5, 5, 5, 5]).await;

    // At rest nobody passes anything around.
    let before = app.fences().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(app.fences().await, before);

    // The leases of the dead run out, and the others take them. A lease lasts 3 s, but the fourth has just set up hints, and a call that changes something extends its lease by 6.8 s
    // (the longest call, its recording and the extending), of which the rest before took one.
    fourth.kill();
    let took = app.spread(&[6, 7, 7]).await;
    assert!(took < Duration::from_secs(9), "{took:?}");
    second.kill();
    app.spread(&[10, 10]).await;

    // Who is told to stop gives back at once, and need not be waited for.
    let before = Instant::now();
    third.terminate().await;
    app.spread(&[20]).await;
    let took = before.elapsed();
    assert!(
        took < Duration::from_millis(2_500),
        "no lease had to run out: {took:?}"
    );
    let replicas = app.get(Who::Viewer, "/v1/replicas").await.good();
    assert_eq!(replicas["items"].as_array().unwrap().len(), 1, "{replicas}");
    assert_eq!(replicas["items"][0]["replica"], first.id);
    assert_eq!(replicas["items"][0]["holds"], 20);
    first.terminate().await;
    app.spread(&[]).await;
    let replicas = app.get(Who::Viewer, "/v1/replicas").await.good();
    assert_eq!(replicas["items"], json!([]));
}

/// The promise of the settings as they are shipped: a lease of 4 s that is looked after every second.
#[sqlx::test(migrations = "./migrations")]
async fn hand_over_takes_a_second_after_sigterm_and_five_after_a_death(pool: PgPool) {
    let setup = Setup {
        settings: WorkerSettings::default(),
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    app.add_account_regions(4).await;
    let first = Replica::start(&app);
    app.spread(&[4]).await;
    let second = Replica::start(&app);
    let joined = app.spread(&[2, 2]).await;
    let began = Instant::now();
    first.terminate().await;
    app.spread(&[4]).await;
    let terminated = began.elapsed();
    let third = Replica::start(&app);
    app.spread(&[2, 2]).await;
    second.kill();
    let killed = app.spread(&[4]).await;
    println!("joined {joined:?}, after SIGTERM {terminated:?}, after a death {killed:?}");
    assert!(joined < Duration::from_secs(6), "{joined:?}");
    assert!(terminated < Duration::from_secs(3), "{terminated:?}");
    assert!(killed < Duration::from_secs(7), "{killed:?}");
    third.terminate().await;
}

/// Two replicas and one AccountRegion: the second waits, politely, and the first is left alone.
#[sqlx::test(migrations = "./migrations")]
async fn a_replica_with_nothing_to_do_waits(pool: PgPool) {
    let app = TestApp::start_with(pool, brisk());
    let ids = app.add_account_regions(1).await;
    let first = Replica::start(&app);
    app.spread(&[1]).await;
    let fence = app.fences().await;
    let second = Replica::start(&app);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(app.fences().await, fence);
    let seen = app.account_region(&ids[0]).await;
    assert_eq!(seen["served_by"]["replica"], first.id);
    assert!(seen["served_by"]["since"].is_string(), "{seen}");
    first.terminate().await;
    app.spread(&[1]).await;
    assert_eq!(
        app.account_region(&ids[0]).await["served_by"]["replica"],
        second.id
    );
    second.terminate().await;
}

/// A lease is given back only after the call under way has ended and what it came to is written down.
#[sqlx::test(migrations = "./migrations")]
async fn a_call_under_way_is_finished_before_the_lease_is_given_back(pool: PgPool) {
    let app = TestApp::start_with(pool, brisk());
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.give_leases_back().await;
    let slow = Effect::Slow {
        delay_ms: 700,
        when: When::Before,
    };
    app.sim()
        .faults()
        .plan(Fault::once("AcceptVpcEndpointConnections", slow));
    let first = Replica::start(&app);
    app.spread(&[1]).await;
    app.decide(&request, "accept").await;
    let began = Instant::now();
    while !app.sim().faults().list().is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "AWS was not called"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.terminate().await;
    let written = "SELECT count(*) FROM sync_attempts WHERE outcome = 'recorded'";
    assert_eq!(app.count(written).await, 1);
    assert_eq!(app.accepts(&request), 1);
    assert_eq!(
        app.account_region_of(&service.id).await["served_by"],
        Value::Null
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_disabled_account_region_is_left_alone_until_it_is_enabled(pool: PgPool) {
    let app = TestApp::start_with(pool, brisk());
    let ids = app.add_account_regions(2).await;
    let replica = Replica::start(&app);
    app.spread(&[2]).await;
    app.change_account_region(&ids[0], json!({ "enabled": false, "reason": "moved" }))
        .await;
    app.spread(&[1]).await;
    let calls = |app: &TestApp| {
        let account: AccountId = "200000000000".parse().unwrap();
        let all = app.sim().calls().all();
        all.iter().filter(|call| call.account == account).count()
    };
    let before = calls(&app);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(calls(&app), before, "nothing is called there");
    let seen = app.account_region(&ids[0]).await;
    assert_eq!(
        (&seen["enabled"], &seen["served_by"]),
        (&json!(false), &Value::Null)
    );

    app.change_account_region(&ids[0], json!({ "enabled": true }))
        .await;
    app.spread(&[2]).await;
    let audited = app
        .count("SELECT count(*) FROM audit_entries WHERE action = 'account_region.change'")
        .await;
    assert_eq!(audited, 2);
    replica.terminate().await;
}

/// I12 and fault 28: whoever's credentials are refused pauses alone, visibly, and ever more rarely.
#[sqlx::test(migrations = "./migrations")]
async fn broken_account_regions_cost_the_healthy_ones_nothing(pool: PgPool) {
    let mut setup = brisk();
    setup.settings.listing_interval = Duration::from_millis(700);
    let app = TestApp::start_with(pool, setup);
    let ids = app.add_account_regions(50).await;
    let denied = Effect::DenyAction;
    for number in 0..10_u64 {
        let account: AccountId = (200_000_000_000 + number).to_string().parse().unwrap();
        let fault = Fault::always("GetCallerIdentity", denied.clone());
        app.sim().faults().plan(fault.for_account(account));
    }
    let replicas = [Replica::start(&app), Replica::start(&app)];
    let (broken, healthy) = ids.split_at(10);
    let began = Instant::now();
    loop {
        let all = app.all_account_regions().await;
        let listed = all.iter().filter(|row| !row["listing"].is_null()).count();
        let shown = all
            .iter()
            .filter(|row| row["error"]["code"] == "AccessDenied")
            .count();
        if (listed, shown) == (40, 10) {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "{listed} listed, {shown} refused"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Every healthy one has its turn meanwhile, however many others fail.
    let seen = app.sim().calls().count();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let since = app.sim().calls().since(seen, usize::MAX).into_iter();
    let listings = since.filter(|call| call.action == "DescribeVpcEndpointConnections");
    let had_a_turn: BTreeSet<String> = listings.map(|call| call.account.to_string()).collect();
    assert_eq!(had_a_turn.len(), healthy.len(), "{had_a_turn:?}");
    for id in broken {
        let seen = app.account_region(id).await;
        assert_eq!(seen["listing"], Value::Null);
        assert_eq!(seen["error"]["code"], "AccessDenied", "{seen}");
    }
    let served = app.served().await;
    let healthy_served: usize = served.values().sum();
    assert!((40..=50).contains(&healthy_served), "{served:?}");
    // Mended, and told so: it is tried at once, although its rest is not over.
    app.sim().faults().clear();
    let mended = &broken[3];
    app.change_account_region(mended, json!({})).await;
    let began = Instant::now();
    while app.account_region(mended).await["listing"].is_null() {
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for replica in replicas {
        replica.terminate().await;
    }
}

/// Fault 28: a session that AWS does not take any more stalls nothing. It pauses its AccountRegion, and goes on when it is renewed.
#[sqlx::test(migrations = "./migrations")]
async fn an_expired_session_pauses_its_account_region_and_stalls_nothing(pool: PgPool) {
    let app = TestApp::start_with(pool, brisk());
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.give_leases_back().await;
    let others = app.add_account_regions(1).await;
    let expired = Effect::ErrorBefore {
        status: 500,
        code: "ExpiredToken".to_owned(),
    };
    let provider: AccountId = PROVIDER.parse().unwrap();
    let replica = Replica::start(&app);
    app.spread(&[2]).await;
    let began = Instant::now();
    while app.account_region(&others[0]).await["listing"].is_null() {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.sim()
        .faults()
        .plan(Fault::always("*", expired).for_account(provider));
    app.decide(&request, "accept").await;
    let began = Instant::now();
    loop {
        let shown = app.account_region_of(&service.id).await;
        let other = app.account_region(&others[0]).await;
        if shown["error"]["code"] == "ExpiredToken" && !other["listing"].is_null() {
            assert_eq!(other["error"], Value::Null);
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{shown} {other}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seen = app.connection(&request).await;
    assert_eq!(
        (&seen["summary"], &seen["sync"]["attempts"]),
        (&json!("accepting"), &json!(0))
    );
    assert_eq!(app.service(&service.id).await["sync"]["state"], "idle");

    app.sim().faults().clear();
    let began = Instant::now();
    while app
        .sim()
        .calls()
        .of("AcceptVpcEndpointConnections")
        .iter()
        .all(|c| c.outcome != "ok")
    {
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "it does not go on"
        );
        app.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replica.terminate().await;
}

/// Another way in is proven before anything is done with it; a second person who read the old version is told so.
#[sqlx::test(migrations = "./migrations")]
async fn a_change_of_an_account_region_names_the_version_it_changes(pool: PgPool) {
    let app = TestApp::start(pool);
    let id = app.add_account_region().await;
    let path = format!("/v1/account-regions/{id}");
    let role = format!("arn:aws:iam::{PROVIDER}:role/portcullis");
    let change =
        json!({ "version": 1, "role_arn": role, "external_id": "tenant-7", "name": "Ledger" });
    let changed = app.patch(Who::Admin, &path, &change).await.good();
    assert_eq!(changed["version"], 2);
    assert_eq!(
        (&changed["role_arn"], &changed["name"]),
        (&json!(role), &json!("Ledger"))
    );
    assert!(!changed.to_string().contains("tenant-7"), "{changed}");
    let late = app.patch(Who::Admin, &path, &change).await;
    late.refused("the second", 409, "account_region_changed");
    for (bad, field) in [
        (
            json!({ "version": 2, "role_arn": "arn:aws:iam::999999999999:role/x" }),
            "role_arn",
        ),
        (json!({ "version": 2, "external_id": "?" }), "external_id"),
        (json!({ "version": 2, "name": "a\nb" }), "name"),
    ] {
        let refused = app.patch(Who::Admin, &path, &bad).await;
        refused.refused(field, 400, "invalid_request");
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    let gone = format!("/v1/account-regions/acr_{:032}", 0);
    let missing = app.patch(Who::Admin, &gone, &json!({ "version": 1 })).await;
    missing.refused("nothing", 404, "account_region_not_found");
    // Without the role there is nothing that asks for the external id.
    let change = json!({ "version": 2, "role_arn": null });
    let changed = app.patch(Who::Admin, &path, &change).await.good();
    assert_eq!(changed["role_arn"], Value::Null);
    let left = "SELECT count(*) FROM account_regions WHERE external_id IS NOT NULL";
    assert_eq!(app.count(left).await, 0);
    let audited = "SELECT count(*) FROM audit_entries WHERE action = 'account_region.change' AND after::text LIKE '%tenant%'";
    assert_eq!(app.count(audited).await, 0);
}

/// I3: a change is not sent once the lease is another's, although the term by this machine's clock is not over.
#[sqlx::test(migrations = "./migrations")]
async fn a_call_that_changes_something_is_not_sent_under_a_lease_that_is_lost_or_disabled(
    pool: PgPool,
) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let place = app.place().await;
    let ids = [request.endpoint.clone()];
    let accept = async || {
        place
            .gateway
            .accept_connections(&service.aws_id, &ids)
            .await
    };
    let id = app.account_region_of(&service.id).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    app.change_account_region(&id, json!({ "enabled": false }))
        .await;
    assert_eq!(accept().await.unwrap_err().code(), "LeaseExpiring");
    app.change_account_region(&id, json!({ "enabled": true }))
        .await;
    app.expire_leases().await;
    assert_eq!(accept().await.unwrap_err().code(), "LeaseExpiring");
    let heir = app.another_worker();
    assert_eq!(heir.lease_once().await.unwrap().len(), 1);
    assert_eq!(accept().await.unwrap_err().code(), "LeaseExpiring");
    assert_eq!(app.accepts(&request), 0);
}

impl TestApp {
    /// As if the worker that steps had been told to stop.
    async fn give_leases_back(&self) {
        for sql in [
            "UPDATE account_regions SET lease_holder = NULL, lease_until = NULL, lease_since = NULL",
            "DELETE FROM replicas",
        ] {
            sqlx::query(sql).execute(self.db()).await.unwrap();
        }
    }

    async fn account_region_of(&self, service: &str) -> Value {
        let seen = self.service(service).await;
        self.account_region(seen["account_region_id"].as_str().unwrap())
            .await
    }
}

/// The places that workers hold when they only step: nobody's is another's.
#[sqlx::test(migrations = "./migrations")]
async fn stepping_replicas_share_too(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_regions(7).await;
    let workers: Vec<Worker> = (0..3).map(|_| app.another_worker()).collect();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for worker in &workers {
        for place in worker.lease_once().await.unwrap() {
            let region: &Region = &place.lease.place.region;
            let name = format!("{} {region}", place.lease.place.account);
            assert!(seen.insert(name.clone()), "{name} is held twice");
        }
    }
    assert_eq!(seen.len(), 7);
}
