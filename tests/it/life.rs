//! The main story, end to end: registered, requested, decided, told to AWS, read back.

use std::time::Duration;

use portcullis::worker::sync_connections;
use privatelink_sim::Behavior;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{HERE, PROVIDER, Setup, TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn a_service_is_created_from_its_load_balancer_and_found_ready(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;

    let seen = app.service(&service.id).await;
    assert_eq!(seen["origin"], "created");
    assert_eq!(seen["observed"]["state"], "Available");
    assert_eq!(seen["ready"], true, "{}", seen["checks"]);
    let in_aws = app
        .console()
        .endpoint_service(&service.aws_id)
        .await
        .unwrap();
    assert!(in_aws.acceptance_required);
    assert!(
        in_aws
            .tags
            .contains(&("Name".to_owned(), "edge".to_owned()))
    );
    let creates = app
        .sim()
        .calls()
        .of("CreateVpcEndpointServiceConfiguration");
    assert_eq!(creates.len(), 1);
}

/// Load balancers take minutes in AWS, and a service may be registered before: nobody has to wait for the next round of checks.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_is_ready_soon_after_its_load_balancer_is(pool: PgPool) {
    let behavior = Behavior {
        load_balancer_provisioning_ms: 60_000,
        target_initial_ms: 20_000,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    app.add_account_region().await;
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "fresh",
        "load_balancer_arns": [app.fresh_load_balancer("fresh")],
    });
    let service = app.registered(&body).await;
    assert_eq!(app.service(&service.id).await["ready"], false);

    let mut waited = Duration::ZERO;
    while app.service(&service.id).await["ready"] != true {
        assert!(waited <= Duration::from_secs(90), "still not ready");
        app.advance(Duration::from_secs(1));
        waited += Duration::from_secs(1);
        app.run_worker().await;
    }
    assert!(waited >= Duration::from_mins(1), "{waited:?}");

    // At rest the checks go back to their slow round.
    let reads = || app.sim().calls().of("DescribeTargetHealth").len();
    let before = reads();
    app.advance(Duration::from_mins(1));
    app.run_worker().await;
    assert_eq!(reads(), before);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_exists_is_adopted_with_its_own_settings(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let aws_id = app.foreign_service("old", false).await;
    let body =
        json!({ "account_id": PROVIDER, "region": HERE, "name": "old", "aws_service_id": aws_id });
    let service = app.registered(&body).await;

    let seen = app.service(&service.id).await;
    assert_eq!(seen["origin"], "adopted");
    assert_eq!(seen["acceptance_required"], false);
    assert_eq!(seen["load_balancer_arns"].as_array().unwrap().len(), 1);
    assert_eq!(seen["ready"], true, "{}", seen["checks"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_aws_does_not_have_is_shown_as_stalled(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "ghost", "aws_service_id": "vpce-svc-0123456789abcdef0",
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    app.run_worker().await;
    let seen = app.service(made["id"].as_str().unwrap()).await;
    assert_eq!(seen["sync"]["state"], "stalled");
    assert_eq!(seen["sync"]["code"], "service_missing");
}

/// I1, I2, I4, I6: the decision, its audit line and the call are there, once each, and in order.
#[sqlx::test(migrations = "./migrations")]
async fn a_request_waits_is_accepted_and_becomes_available(pool: PgPool) {
    // AWS takes its time, so that no two entries of the history have the same one.
    let behavior = Behavior {
        accept_delay_ms: 300,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let waiting = app.connection(&request).await;
    assert_eq!(waiting["summary"], "waiting");
    assert_eq!(waiting["owner_account_id"], crate::support::CONSUMER);

    app.advance(Duration::from_mins(1));
    let decided = app.decide(&request, "accept").await;
    assert_eq!(decided["summary"], "accepting");
    assert_eq!(app.accepts(&request), 0, "AWS is told by the worker only");
    app.advance(Duration::from_secs(1));
    let report = sync_connections::run_pass(&app.place().await)
        .await
        .unwrap();
    assert_eq!((report.sent, report.recorded), (1, 1));
    app.advance(Duration::from_millis(100));
    app.run_until_rest().await;

    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "available");
    assert_eq!(seen["sync"]["state"], "idle");
    assert_eq!(
        app.consumer()
            .endpoint_state(&request.endpoint)
            .unwrap()
            .unwrap()
            .as_str(),
        "available"
    );
    assert_eq!(app.accepts(&request), 1);
    assert_eq!(
        events(&seen),
        [
            "observed pendingAcceptance",
            "decided accept",
            "called accept recorded",
            "observed pending",
            "observed available"
        ]
    );
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 1);
    let told = app
        .count(
            "SELECT count(*) FROM audit_entries a JOIN decisions d ON d.id = a.decision_id
              WHERE a.action = 'connection.accept' AND a.actor_kind = 'person' AND a.actor = 'approver@provider.example'
                AND a.reason = 'accept: order 4711' AND a.request_id <> ''",
        )
        .await;
    assert_eq!(told, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_request_is_rejected_and_stays_rejected(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    assert_eq!(app.decide(&request, "reject").await["summary"], "rejecting");
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
    assert_eq!((app.accepts(&request), app.rejects(&request)), (0, 1));
}

/// I4: one effective accept and one effective reject, each for its own decision.
#[sqlx::test(migrations = "./migrations")]
async fn access_that_was_given_is_taken_away(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.advance(Duration::from_hours(1));
    assert_eq!(app.decide(&request, "revoke").await["summary"], "revoking");
    app.run_until_rest().await;

    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!((app.accepts(&request), app.rejects(&request)), (1, 1));
    let orphans = app
        .count(
            "SELECT count(*) FROM decisions d
              WHERE (SELECT count(*) FROM audit_entries a WHERE a.decision_id = d.id) <> 1",
        )
        .await;
    assert_eq!(orphans, 0, "every decision has one audit line");
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 2);
}

/// A pass over a fleet at rest writes nothing at all to connections, and tells AWS nothing.
#[sqlx::test(migrations = "./migrations")]
async fn a_pass_over_a_fleet_at_rest_writes_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let (accepted, waiting) = (app.requested(&service).await, app.requested(&service).await);
    app.decide(&accepted, "accept").await;
    app.run_until_rest().await;
    let before = (app.row_versions().await, app.accepts(&accepted));

    app.advance(Duration::from_mins(30));
    app.run_worker().await;
    assert_eq!((app.row_versions().await, app.accepts(&accepted)), before);
    assert_eq!(app.accepts(&waiting), 0);
}

impl TestApp {
    /// Where every row of the tables that a pass may touch is stored, and by which transaction it was written.
    pub(crate) async fn row_versions(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT 'connection ' || id || xmin::text || ctid::text FROM connections
             UNION ALL SELECT 'observation ' || id || xmin::text FROM observations
             UNION ALL SELECT 'attempt ' || id || xmin::text FROM sync_attempts
             UNION ALL SELECT 'drift ' || id || xmin::text || ctid::text FROM drifts
             UNION ALL SELECT 'inventory ' || aws_service_id || xmin::text || ctid::text || xmax::text FROM inventory_services
             UNION ALL SELECT 'audit ' || id || xmin::text FROM audit_entries
             ORDER BY 1",
        )
        .fetch_all(self.db())
        .await
        .unwrap()
    }
}

/// The history in short.
fn events(connection: &Value) -> Vec<String> {
    let word = |entry: &Value, field: &str| entry[field].as_str().map(str::to_owned);
    connection["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            ["event", "to", "verb", "act", "outcome", "kind"]
                .iter()
                .filter_map(|field| word(entry, field))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

/// `*` on a service that accepts by itself would open its load balancer to everybody with an AWS account.
#[sqlx::test(migrations = "./migrations")]
async fn an_adopted_service_that_accepts_by_itself_is_not_opened_to_everybody(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let aws_id = app.foreign_service("open", false).await;
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "open",
        "aws_service_id": aws_id, "allowed_principals": ["*"],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    app.run_worker().await;
    let seen = app.service(made["id"].as_str().unwrap()).await;
    assert_eq!(seen["sync"]["state"], "stalled");
    assert_eq!(seen["sync"]["code"], "open_to_everybody");
    let granted = app.console().principals(&aws_id, None).await.unwrap();
    assert!(
        granted.items.iter().all(|p| p.principal != "*"),
        "{granted:?}"
    );
}
