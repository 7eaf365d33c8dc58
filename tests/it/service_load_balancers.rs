//! The load balancers behind a service are replaced: added first, read back, then removed, as far as endpoints and listeners allow.

use std::time::Duration;

use portcullis::domain::clock::Clock;
use portcullis::worker::sync_services;
use privatelink::EndpointServiceChange;
use privatelink_sim::Behavior;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::MODIFY;
use crate::support::halting::halt_after;
use crate::support::http::send;
use crate::support::{HERE, PROVIDER, Service, Setup, TestApp, Who};

impl TestApp {
    /// The load balancers that AWS has behind a service, sorted.
    pub(crate) async fn balancers(&self, service: &Service) -> Vec<String> {
        let seen = self.in_aws(service).await;
        let arns = seen.network_load_balancer_arns.into_iter();
        let mut arns: Vec<String> = arns.map(Into::into).collect();
        arns.sort();
        arns
    }

    async fn service_verb(&self, service: &Service, verb: &str) -> Value {
        let path = format!("/v1/services/{}/{verb}", service.id);
        self.post(Who::Admin, &path, &json!({})).await.good()
    }
}

fn sorted<const N: usize>(arns: [&String; N]) -> Vec<String> {
    let mut arns: Vec<String> = arns.into_iter().cloned().collect();
    arns.sort();
    arns
}

#[sqlx::test(migrations = "./migrations")]
async fn a_load_balancer_is_replaced_by_adding_first_and_removing_last(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let old = app.balancers(&service).await.remove(0);
    let new = app.load_balancer("new");
    let before = app.sim().calls().of(MODIFY).len();
    let changed = app
        .change(&service, &json!({ "load_balancer_arns": [new] }))
        .await;
    assert_eq!(
        changed["differences"],
        json!([
            { "step": "add_load_balancers", "values": [new] },
            { "step": "remove_load_balancers", "values": [old] },
        ])
    );
    app.run_worker().await;
    assert_eq!(app.balancers(&service).await, [new.as_str()]);
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{shown}");
    assert_eq!(shown["applied_version"], shown["version"]);
    assert_eq!(shown["differences"], json!([]));
    assert_eq!(shown["observed"]["load_balancer_arns"], json!([new]));
    assert_eq!(app.sim().calls().of(MODIFY).len(), before + 2);
    // The old one is free again: another service can have it.
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "second", "load_balancer_arns": [old],
    });
    app.registered(&body).await;
}

/// AWS removes no load balancer while an endpoint is attached. That is shown with the endpoints in the way, tried again ever more rarely, and goes on
/// by itself once they are gone.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_waits_for_endpoints_visibly_and_not_in_a_loop(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let old = app.balancers(&service).await.remove(0);
    let new = app.load_balancer("new");
    let change = json!({ "load_balancer_arns": [new], "tags": { "team": "edge" } });
    app.change(&service, &change).await;
    app.run_worker().await;
    let shown = app.service(&service.id).await;
    let waiting = &shown["waiting"][0];
    assert_eq!(waiting["step"], "remove_load_balancers", "{shown}");
    assert_eq!(waiting["values"], json!([old]));
    assert_eq!(waiting["code"], "ExistingVpcEndpointConnections");
    assert_eq!(waiting["endpoints"], json!([request.endpoint]));
    assert_eq!(waiting["endpoint_count"], 1);
    let message = waiting["message"].as_str().unwrap();
    assert!(
        message.contains("keep it") && message.contains("revoke"),
        "{message}"
    );
    assert_eq!(shown["sync"]["code"], "ExistingVpcEndpointConnections");
    assert_ne!(shown["sync"]["due_at"], Value::Null);
    // The rest of the change is done.
    assert_eq!(app.balancers(&service).await, sorted([&old, &new]));
    let tag = ("team".to_owned(), "edge".to_owned());
    assert!(app.in_aws(&service).await.tags.contains(&tag));
    let since = waiting["since"].clone();

    let before = app.sim().calls().of(MODIFY).len();
    for _ in 0..360 {
        app.advance(Duration::from_secs(10));
        app.run_worker().await;
    }
    let tries = app.sim().calls().of(MODIFY).len() - before;
    assert!((4..=60).contains(&tries), "{tries} tries in an hour");
    let shown = app.service(&service.id).await;
    assert_eq!(shown["waiting"][0]["since"], since, "it goes on waiting");
    assert_eq!(shown["sync"]["state"], "due");

    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.run_worker().await;
    app.service_verb(&service, "retry-sync").await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{shown}");
    assert_eq!(
        (&shown["waiting"], &shown["differences"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(app.balancers(&service).await, [new]);
}

/// The other choice: to keep both.
#[sqlx::test(migrations = "./migrations")]
async fn a_removal_that_waits_can_be_taken_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.requested(&service).await;
    let old = app.balancers(&service).await.remove(0);
    let new = app.load_balancer("new");
    app.change(&service, &json!({ "load_balancer_arns": [new] }))
        .await;
    app.run_worker().await;
    let both = json!({ "load_balancer_arns": [old, new] });
    let shown = app.change(&service, &both).await;
    assert_eq!(shown["waiting"], json!([]));
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{shown}");
    assert_eq!(app.balancers(&service).await, sorted([&old, &new]));
}

#[sqlx::test(migrations = "./migrations")]
async fn load_balancers_that_listen_differently_take_a_confirmation(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let old = app.balancers(&service).await.remove(0);
    let new = app.load_balancer("new");
    app.listen(&new, 8443);
    let change = json!({ "load_balancer_arns": [old, new], "tags": { "team": "edge" } });
    app.change(&service, &change).await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "stalled", "{shown}");
    assert_eq!(shown["sync"]["code"], "listeners_differ");
    let message = shown["sync"]["message"].as_str().unwrap();
    let difference = format!("{old} has no TCP 8443");
    assert!(message.starts_with(&difference), "{message}");
    assert_eq!(app.balancers(&service).await, [old.as_str()]);
    assert!(
        app.in_aws(&service)
            .await
            .tags
            .iter()
            .all(|(key, _)| key != "team")
    );

    // Made equal, a retry is enough.
    app.listen(&old, 8443);
    app.service_verb(&service, "retry-sync").await;
    app.run_until_rest().await;
    assert_eq!(app.balancers(&service).await, sorted([&old, &new]));

    // Or it is meant, and the check says what differs from then on.
    let third = app.load_balancer("third");
    let meant =
        json!({ "load_balancer_arns": [old, new, third], "confirm_listeners_differ": true });
    app.change(&service, &meant).await;
    app.run_until_rest().await;
    assert_eq!(app.balancers(&service).await, sorted([&old, &new, &third]));
    let shown = app.service(&service.id).await;
    assert_eq!(shown["listeners_may_differ"], true);
    let checks = shown["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|c| c["check"] == "listeners_equal")
        .unwrap();
    assert_eq!(check["status"], "fail");
    assert_eq!(check["evidence"], "third lacks TCP 8443");
}

/// The same for a service that is registered with several.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_is_not_created_from_load_balancers_that_listen_differently(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let (one, two) = (app.load_balancer("one"), app.load_balancer("two"));
    app.listen(&two, 8443);
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [one, two],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let id = made["id"].as_str().unwrap();
    app.run_until_rest().await;
    let shown = app.service(id).await;
    assert_eq!(shown["sync"]["code"], "listeners_differ", "{shown}");
    assert_eq!(shown["aws_service_id"], Value::Null);
    let path = format!("/v1/services/{id}");
    let meant = json!({ "version": 1, "confirm_listeners_differ": true });
    send(app.request(Who::Admin, Method::PATCH, &path).json(&meant))
        .await
        .good();
    app.run_until_rest().await;
    let shown = app.service(id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{shown}");
}

#[sqlx::test(migrations = "./migrations")]
async fn load_balancers_that_cannot_be_meant_are_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let other = app.created_service("other").await;
    let theirs = app.balancers(&other).await.remove(0);
    let taken = app
        .try_to_change(&service, &json!({ "load_balancer_arns": [theirs] }))
        .await;
    taken.refused("another's", 409, "load_balancer_taken");
    assert!(taken.text.contains(&other.id), "{}", taken.text);
    let good = app.load_balancer("good");
    for (arns, field) in [
        (json!([]), "load_balancer_arns"),
        (json!([good, good]), "load_balancer_arns[1]"),
        (json!(["nonsense"]), "load_balancer_arns[0]"),
        (
            json!([good.replace(HERE, "us-east-1")]),
            "load_balancer_arns[0]",
        ),
        (
            json!([good.replace(PROVIDER, "999988887777")]),
            "load_balancer_arns[0]",
        ),
        (
            json!([good.replace("/net/", "/app/")]),
            "load_balancer_arns[0]",
        ),
    ] {
        let body = json!({ "load_balancer_arns": arns });
        let answer = app.try_to_change(&service, &body).await;
        answer.refused(&body.to_string(), 400, "invalid_request");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
}

/// A load balancer may back a service that nobody registered here: then AWS refuses it, and the message says which service has it.
#[sqlx::test(migrations = "./migrations")]
async fn a_load_balancer_of_an_unregistered_service_stalls_with_that_service_named(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let foreign = app.foreign_service("foreign", true).await;
    let seen = app.console().endpoint_service(&foreign).await.unwrap();
    let arn = seen.network_load_balancer_arns[0].to_string();
    app.change(&service, &json!({ "load_balancer_arns": [arn] }))
        .await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "stalled", "{shown}");
    assert_eq!(shown["sync"]["code"], "InvalidParameter");
    let message = shown["sync"]["message"].as_str().unwrap();
    assert!(message.contains(foreign.as_str()), "{message}");
    assert!(message.contains("one service only"), "{message}");
}

/// What the console added is shown and stays, until somebody says which ones there shall be.
#[sqlx::test(migrations = "./migrations")]
async fn a_load_balancer_that_somebody_else_added_is_removed_only_when_that_is_said(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let ours = app.balancers(&service).await.remove(0);
    let theirs = app.load_balancer("theirs");
    let added = EndpointServiceChange {
        add_network_load_balancer_arns: vec![theirs.parse().unwrap()],
        ..EndpointServiceChange::default()
    };
    app.console()
        .modify_endpoint_service(&service.aws_id, &added)
        .await
        .unwrap();
    app.change(&service, &json!({ "name": "renamed" })).await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["unknown_load_balancer_arns"], json!([theirs]));
    assert_eq!(shown["differences"], json!([]));
    assert_eq!(app.balancers(&service).await, sorted([&ours, &theirs]));

    app.change(&service, &json!({ "load_balancer_arns": [ours] }))
        .await;
    app.run_until_rest().await;
    assert_eq!(app.balancers(&service).await, [ours]);
}

/// AWS does not notice by itself that a load balancer got a zone.
#[sqlx::test(migrations = "./migrations")]
async fn a_new_zone_is_read_on_request(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let arn = app.narrow_load_balancer("edge");
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [arn],
    });
    let service = app.registered(&body).await;
    app.enable_all_zones(&arn);
    app.advance(Duration::from_mins(10));
    app.run_worker().await;
    let zones = |shown: &Value| {
        shown["observed"]["availability_zone_ids"]
            .as_array()
            .unwrap()
            .len()
    };
    let shown = app.service(&service.id).await;
    assert_eq!(zones(&shown), 2);
    let checks = shown["checks"].as_array().unwrap();
    let check = checks.iter().find(|c| c["check"] == "zones_known").unwrap();
    assert_eq!(check["status"], "warn");
    assert!(check["fix"].as_str().unwrap().contains("refresh-zones"));

    let asked = app.service_verb(&service, "refresh-zones").await;
    assert_ne!(asked["zones_refresh_asked_at"], Value::Null);
    let before = app.sim().calls().of(MODIFY).len();
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(zones(&shown), 3, "{shown}");
    assert_eq!(shown["zones_refresh_asked_at"], Value::Null);
    app.advance(Duration::from_mins(10));
    app.run_worker().await;
    assert_eq!(app.sim().calls().of(MODIFY).len(), before + 1, "once");
    let audited =
        "SELECT count(*) FROM audit_entries WHERE action = 'endpoint_service.refresh_zones'";
    assert_eq!(app.count(audited).await, 1);
}

/// A request that comes while the worker is at work on the service is not lost, nor left for the next round.
#[sqlx::test(migrations = "./migrations")]
async fn zones_that_are_asked_for_during_a_pass_are_read_right_after_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.change(&service, &json!({ "tags": { "team": "edge" } }))
        .await;
    let mut place = app.place().await;
    let halt = halt_after(&mut place, 0);
    let mut pass = Box::pin(sync_services::run_pass(&place));
    tokio::select! {
        _ = &mut pass => panic!("the tags are held back"),
        () = halt.done.notified() => {}
    }
    app.service_verb(&service, "refresh-zones").await;
    let before = app.sim().calls().of(MODIFY).len();
    halt.go_on.notify_one();
    // The gateway holds every change from now on, so nothing but the first pass may go through it.
    pass.await.unwrap();
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "due", "{shown}");
    app.run_worker().await;
    assert_eq!(app.sim().calls().of(MODIFY).len(), before + 1);
    assert_eq!(app.service(&service.id).await["sync"]["state"], "idle");
}

#[sqlx::test(migrations = "./migrations")]
async fn zones_are_not_refreshed_before_there_are_any(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [app.load_balancer("edge")],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let path = format!(
        "/v1/services/{}/refresh-zones",
        made["id"].as_str().unwrap()
    );
    let answer = app.post(Who::Admin, &path, &json!({})).await;
    answer.refused("not created yet", 409, "service_not_observed");
}

/// AWS opens and closes Regions at leisure. One that is on its way cannot be changed: that waits, and a Region that was closed is no difference.
#[sqlx::test(migrations = "./migrations")]
async fn a_region_that_is_on_its_way_waits_and_a_closed_one_is_no_difference(pool: PgPool) {
    let behavior = Behavior {
        remote_region_pending_ms: 60_000,
        remote_region_deleting_ms: 60_000,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let states = |shown: &Value| shown["observed"]["remote_regions"].clone();
    let us = |state: &str| json!([{ "region": "us-east-1", "state": state }]);
    app.change(
        &service,
        &json!({ "supported_regions": ["us-east-1", HERE] }),
    )
    .await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{shown}");
    assert_eq!(states(&shown), us("Pending"));

    // Taken out at once: AWS is still opening it. Whom it would let in meanwhile waits with it.
    let change = json!({ "supported_regions": [], "allowed_principals": ["777788889999"] });
    app.change(&service, &change).await;
    app.run_worker().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["waiting"][0]["code"], "region_settling", "{shown}");
    assert_eq!(shown["waiting"][0]["step"], "remove_regions");
    assert_eq!(app.allowed(&service).await, Vec::<String>::new());
    let deadline = app.clock.now() + Duration::from_mins(10);
    while app.service(&service.id).await["waiting"] != json!([]) {
        assert!(app.clock.now() < deadline, "it goes on waiting");
        app.advance(Duration::from_secs(10));
        app.run_worker().await;
    }
    app.advance(Duration::from_mins(10));
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(states(&shown), us("Closed"), "{shown}");
    assert_eq!(shown["differences"], json!([]));
    assert_eq!(app.allowed(&service).await.len(), 1);
    let made = app.changes_made();
    app.advance(Duration::from_mins(10));
    app.run_worker().await;
    assert_eq!(app.changes_made(), made, "a closed Region is left alone");
}
