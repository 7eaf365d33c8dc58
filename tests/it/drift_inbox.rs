//! The inbox over REST: who may do what, filters and pages, many at once, figures.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis::worker::{census, observe};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::{OTHER, root};
use crate::support::{CONSUMER, HERE, PROVIDER, TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn approvers_settle_connections_and_admins_services_too(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    let of = TestApp::only(&app.inbox("kind=service_reconfigured").await);
    for verb in ["adopt", "revert", "ignore"] {
        app.settle(Who::Viewer, &of, verb)
            .await
            .refused(verb, 403, "forbidden");
        app.settle(Who::Approver, &of, verb)
            .await
            .refused(verb, 403, "forbidden");
    }
    let con = TestApp::only(&app.inbox("kind=accepted_outside").await);
    app.settle(Who::Approver, &con, "adopt").await.good();
    let many = json!({ "ids": [of], "reason": "all of it" });
    let done = app
        .post(Who::Approver, "/v1/drifts/adopt", &many)
        .await
        .good();
    assert_eq!(done["results"][0]["code"], "forbidden", "{done}");
    let done = app.post(Who::Admin, "/v1/drifts/adopt", &many).await.good();
    assert_eq!(done["adopted"], 1, "{done}");
}

#[sqlx::test(migrations = "./migrations")]
async fn bad_requests_are_refused_by_name(pool: PgPool) {
    let app = TestApp::start(pool);
    let nobody = "dft_00000000000070008000000000000000";
    app.get(Who::Viewer, &format!("/v1/drifts/{nobody}"))
        .await
        .refused("read", 404, "drift_not_found");
    for verb in ["adopt", "revert", "ignore"] {
        app.settle(Who::Admin, nobody, verb)
            .await
            .refused(verb, 404, "drift_not_found");
        let path = format!("/v1/drifts/{nobody}/{verb}");
        let empty = app.post(Who::Admin, &path, &json!({ "reason": " " })).await;
        empty.refused(verb, 400, "invalid_request");
        assert_eq!(empty.json()["errors"][0]["field"], "reason");
    }
    for (query, code) in [
        ("kind=weird", "invalid_query"),
        ("state=weird", "invalid_query"),
        ("limit=0", "invalid_query"),
    ] {
        let path = format!("/v1/drifts?{query}");
        app.get(Who::Viewer, &path).await.refused(query, 400, code);
    }
    for ids in [json!([]), json!(vec![nobody; 501])] {
        let body = json!({ "ids": ids, "reason": "all of it" });
        let refused = app.post(Who::Admin, "/v1/drifts/adopt", &body).await;
        refused.refused("how many", 400, "invalid_request");
        assert_eq!(refused.json()["errors"][0]["field"], "ids");
    }
    let body = json!({ "ids": [nobody], "reason": "" });
    app.post(Who::Admin, "/v1/drifts/adopt", &body)
        .await
        .refused("no reason", 400, "invalid_request");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_list_is_filtered_and_paged(pool: PgPool) {
    let app = TestApp::start(pool);
    let place = app.add_account_region().await;
    let (one, two) = (
        app.created_service("one").await,
        app.created_service("two").await,
    );
    let mut expected = BTreeSet::new();
    for number in 0..7 {
        let request = app.requested(&one).await;
        app.accept_behind_our_back(&one, &request).await;
        app.advance(Duration::from_secs(1));
        app.run_until_rest().await;
        let query = format!("connection_id={}", request.id);
        let id = TestApp::only(&app.inbox(&query).await);
        if number < 2 {
            app.settle(Who::Approver, &id, "adopt").await.good();
        } else {
            expected.insert(id);
        }
    }
    app.set_acceptance(&two, false).await;
    app.look_again().await;
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/drifts?state=open&kind=accepted_outside&limit=2{cursor}");
        let page = app.get(Who::Viewer, &path).await.good();
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|d| d["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids.len(), 5);
    let mut sorted = ids.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(ids, sorted, "newest first");
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected);
    for (query, count) in [
        ("state=adopted".to_owned(), 2),
        (format!("service_id={}", two.id), 1),
        (format!("service_id={}", one.id), 7),
        (format!("account_region_id={place}"), 8),
        (
            "account_region_id=acr_00000000000070008000000000000000".to_owned(),
            0,
        ),
    ] {
        assert_eq!(app.inbox(&query).await.len(), count, "{query}");
    }
}

/// What stood there when a service was taken over is agreed with in one request, and each gets a decision of its own.
#[sqlx::test(migrations = "./migrations")]
async fn what_stood_there_is_adopted_in_bulk(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let aws_id = app.foreign_service("old", true).await;
    let name = format!("com.amazonaws.vpce.{HERE}.{aws_id}");
    let endpoints: Vec<_> = (0..12)
        .map(|_| app.consumer().create_endpoint(&name).unwrap())
        .collect();
    let console = app.console();
    let done = console.accept_connections(&aws_id, &endpoints).await;
    assert_eq!(done, Ok(Vec::new()));
    app.advance(Duration::from_mins(1));
    let body =
        json!({ "account_id": PROVIDER, "region": HERE, "name": "old", "aws_service_id": aws_id });
    app.registered(&body).await;
    let inbox = app.inbox("state=open").await;
    let mut ids: Vec<Value> = inbox.iter().map(|d| d["id"].clone()).collect();
    assert_eq!(ids.len(), 13, "twelve connections and who may connect");
    let nobody = json!("dft_00000000000070008000000000000000");
    ids.insert(1, nobody.clone());
    let many = json!({ "ids": ids, "reason": "taken over as it stands" });
    let mutations = app.mutations();
    let done = app.post(Who::Admin, "/v1/drifts/adopt", &many).await.good();
    assert_eq!(done["adopted"], 13, "{done}");
    let results = done["results"].as_array().unwrap();
    assert_eq!(results.len(), 14);
    let given: Vec<&Value> = results.iter().map(|r| &r["id"]).collect();
    assert_eq!(given, ids.iter().collect::<Vec<_>>(), "in the order given");
    assert_eq!(results[1]["code"], "drift_not_found");
    let again = app.post(Who::Admin, "/v1/drifts/adopt", &many).await.good();
    assert_eq!(again["adopted"], 0);
    assert_eq!(again["results"][0]["code"], "drift_settled");
    app.look_again().await;
    assert_eq!(app.mutations(), mutations);
    assert!(app.inbox("state=open").await.is_empty());
    let decided = "SELECT count(*) FROM decisions WHERE verb = 'accept' AND reason = 'taken over as it stands'";
    assert_eq!(app.count(decided).await, 12);
    let seen = app.get(Who::Viewer, "/v1/services").await.good();
    let allowed = &seen["items"][0]["allowed_principals"];
    assert_eq!(*allowed, json!([root(CONSUMER)]));
}

/// To agree that everybody may connect unasked takes the same word as to ask for it.
#[sqlx::test(migrations = "./migrations")]
async fn to_adopt_an_open_door_takes_a_confirmation(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_acceptance(&service, false).await;
    app.look_again().await;
    let id = TestApp::only(&app.inbox("").await);
    app.settle(Who::Admin, &id, "adopt").await.good();
    app.grant(&service, &["*"], &[]).await;
    app.look_again().await;
    let id = TestApp::only(&app.inbox("state=open").await);
    let refused = app.settle(Who::Admin, &id, "adopt").await;
    refused.refused("unconfirmed", 400, "invalid_request");
    assert_eq!(
        refused.json()["errors"][0]["field"],
        "confirm_open_to_everybody"
    );
    let body = json!({ "reason": "a public service", "confirm_open_to_everybody": true });
    let path = format!("/v1/drifts/{id}/adopt");
    app.post(Who::Admin, &path, &body).await.good();
    let seen = app.service(&service.id).await;
    assert_eq!(seen["open_to_everybody"], true);
    app.look_again().await;
    assert_eq!(app.service(&service.id).await["sync"]["state"], "idle");
    // Ours now, and so taken out when it is wanted no more.
    let closed = json!({ "allowed_principals": [CONSUMER] });
    app.change(&service, &closed).await;
    app.run_until_rest().await;
    assert_eq!(app.allowed(&service).await, [root(CONSUMER)]);
}

/// The same where the two halves of the door are two drifts: neither is agreed with in silence.
#[sqlx::test(migrations = "./migrations")]
async fn to_waive_acceptance_takes_a_confirmation_where_others_let_everybody_in(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.set_acceptance(&service, false).await;
    app.grant(&service, &["*"], &[]).await;
    app.look_again().await;
    let id = TestApp::only(&app.inbox("kind=service_reconfigured").await);
    let refused = app.settle(Who::Admin, &id, "adopt").await;
    refused.refused("unconfirmed", 400, "invalid_request");
    let body = json!({ "reason": "a public service", "confirm_open_to_everybody": true });
    let path = format!("/v1/drifts/{id}/adopt");
    app.post(Who::Admin, &path, &body).await.good();
    let seen = app.service(&service.id).await;
    assert_eq!(seen["open_to_everybody"], false, "`*` is not asked for yet");
    assert_eq!(seen["acceptance_required"], false);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_figures_are_shown_while_the_account_region_is_served(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.grant(&service, &[&root(OTHER)], &[]).await;
    let foreign = app.foreign_service("foreign", true).await;
    let name = format!("com.amazonaws.vpce.{HERE}.{foreign}");
    app.consumer().create_endpoint(&name).unwrap();
    app.look_again().await;
    let place = app.place().await;
    observe::run_pass(&place).await.unwrap();
    census::run_pass(&place).await.unwrap();
    let shown = || {
        let mut registry = Registry::default();
        app.shared.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    };
    let here = format!(r#"account="{PROVIDER}",region="{HERE}""#);
    let text = shown();
    for line in [
        format!("portcullis_connections{{{here}}} 2\n"),
        format!("portcullis_connections_unregistered{{{here}}} 1\n"),
        format!("portcullis_drifts_open{{{here},kind=\"accepted_outside\"}} 1\n"),
        format!("portcullis_drifts_open{{{here},kind=\"unknown_principal\"}} 1\n"),
        format!("portcullis_drifts_open{{{here},kind=\"preexisting\"}} 0\n"),
    ] {
        assert!(text.contains(&line), "{line}{text}");
    }
    let id = TestApp::only(&app.inbox("kind=accepted_outside").await);
    app.settle(Who::Approver, &id, "adopt").await.good();
    census::run_pass(&place).await.unwrap();
    let line = format!("portcullis_drifts_open{{{here},kind=\"accepted_outside\"}} 0\n");
    assert!(shown().contains(&line));
    // Another replica shows them from now on.
    drop(place);
    assert!(!shown().contains(&here), "{}", shown());
}
