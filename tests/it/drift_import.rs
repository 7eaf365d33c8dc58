//! Taking over an account that is in use: the inventory, the preview, the import, and again.

use std::time::Duration;

use portcullis::worker::inventory;
use privatelink::NewEndpointService;
use privatelink_sim::{Effect, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::root;
use crate::support::{Answer, CONSUMER, HERE, PROVIDER, Setup, TestApp, Who};

const DESCRIBE: &str = "DescribeVpcEndpointServiceConfigurations";

impl TestApp {
    async fn import(&self, place: &str, body: &Value) -> Answer {
        let path = format!("/v1/account-regions/{place}/import");
        self.post(Who::Admin, &path, body).await
    }

    async fn preview(&self, place: &str) -> Value {
        let body = json!({ "dry_run": true });
        self.import(place, &body).await.good()
    }
}

fn of<'a>(report: &'a Value, aws_id: &privatelink::ServiceId) -> &'a Value {
    let all = report["services"].as_array().unwrap();
    let found = all.iter().find(|s| s["aws_service_id"] == aws_id.as_str());
    found.unwrap_or_else(|| panic!("{aws_id} is not in {report}"))
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_in_use_is_previewed_imported_and_imported_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let place = app.add_account_region().await;
    let ours = app.created_service("ours").await;
    let old = app.foreign_service("old", true).await;
    let open = app.foreign_service("open", false).await;
    let named = [("Name".to_owned(), "Ledger EU".to_owned())];
    app.console().set_service_tags(&old, &named).await.unwrap();
    let name = format!("com.amazonaws.vpce.{HERE}.{old}");
    let [accepted, waiting] = [0, 1].map(|_| app.consumer().create_endpoint(&name).unwrap());
    let ids = [accepted.clone()];
    let done = app.console().accept_connections(&old, &ids).await;
    assert_eq!(done, Ok(Vec::new()));
    let early = app.import(&place, &json!({})).await;
    early.refused("too early", 409, "inventory_missing");

    app.advance(Duration::from_secs(30));
    let mutations = app.mutations();
    app.take_inventory().await;
    app.run_worker().await;
    app.advance(Duration::from_secs(90));
    let preview = app.preview(&place).await;
    assert_eq!(preview["dry_run"], true);
    assert_eq!(preview["inventory"]["age_seconds"], 90, "{preview}");
    assert_eq!(preview["inventory"]["services"], 3);
    assert_eq!(preview["adopted"], 2, "{preview}");
    let shown = of(&preview, &old);
    assert_eq!(shown["adopted"], true);
    assert_eq!(shown["name"], "Ledger EU");
    assert_eq!(shown["acceptance_required"], true);
    assert_eq!(shown["load_balancer_arns"].as_array().unwrap().len(), 1);
    assert_eq!(shown["allowed_principals"], json!([root(CONSUMER)]));
    assert_eq!(
        shown["connections"],
        json!({ "available": 1, "pendingAcceptance": 1 })
    );
    assert_eq!(of(&preview, &open)["connections"], json!({}));
    let known = of(&preview, &ours.aws_id);
    assert_eq!(known["not_adopted"], "already_registered");
    assert_eq!(known["service_id"], ours.id.as_str());
    assert_eq!(
        app.count("SELECT count(*) FROM endpoint_services").await,
        1,
        "only asked"
    );
    assert_eq!(app.inbox("kind=unknown_service&state=open").await.len(), 2);

    let body = json!({ "reason": "moving in" });
    let done = app.import(&place, &body).await.good();
    assert_eq!(done["adopted"], 2, "{done}");
    let id = of(&done, &old)["service_id"].as_str().unwrap().to_owned();
    let states = app.kinds("kind=unknown_service").await;
    assert_eq!(states, ["unknown_service adopted"; 2]);
    app.run_until_rest().await;
    let seen = app.service(&id).await;
    assert_eq!(
        (&seen["origin"], &seen["name"]),
        (&json!("adopted"), &json!("Ledger EU"))
    );
    assert_eq!(seen["sync"]["state"], "idle", "{seen}");
    let opened = app
        .service(of(&done, &open)["service_id"].as_str().unwrap())
        .await;
    assert_eq!(opened["acceptance_required"], false);

    // The connections came with the next sweep; what was accepted by others waits for a word.
    assert_eq!(app.summary(&app.found(&waiting).await).await, "waiting");
    let drift = TestApp::only(&app.inbox("kind=preexisting").await);
    assert_eq!(app.drift(&drift).await["subject"], accepted.as_str());

    let again = app.import(&place, &body).await.good();
    assert_eq!(again["adopted"], 0, "{again}");
    assert_eq!(of(&again, &old)["not_adopted"], "already_registered");
    assert_eq!(of(&again, &old)["service_id"], id.as_str());
    assert_eq!(of(&again, &old)["connections"], json!(null), "its own now");
    let told = |action: &str| {
        let sql = format!(
            "SELECT count(*) FROM audit_entries WHERE action = '{action}' AND reason = 'moving in'"
        );
        sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql)).fetch_one(app.db())
    };
    assert_eq!(told("account_region.import").await.unwrap(), 1);
    assert_eq!(told("endpoint_service.register").await.unwrap(), 2);
    assert_eq!(app.mutations(), mutations, "nothing of it changed AWS");
}

#[sqlx::test(migrations = "./migrations")]
async fn only_what_was_named_is_imported_and_each_is_answered(pool: PgPool) {
    let app = TestApp::start(pool);
    let place = app.add_account_region().await;
    let (one, two) = (
        app.foreign_service("one", true).await,
        app.foreign_service("two", true).await,
    );
    let gone = app.foreign_service("gone", true).await;
    app.take_inventory().await;
    app.console().delete_endpoint_service(&gone).await.unwrap();
    app.take_fresh_inventory().await;
    let body = json!({ "aws_service_ids": [one, gone, "vpce-svc-0123456789abcdef0"] });
    let done = app.import(&place, &body).await.good();
    assert_eq!(done["services"].as_array().unwrap().len(), 3);
    assert_eq!(of(&done, &one)["adopted"], true);
    assert_eq!(of(&done, &gone)["not_adopted"], "gone", "{done}");
    let nowhere = "vpce-svc-0123456789abcdef0".parse().unwrap();
    assert_eq!(of(&done, &nowhere)["not_adopted"], "not_found");
    let preview = app.preview(&place).await;
    assert_eq!(of(&preview, &two)["adopted"], true, "left for later");
    assert_eq!(
        preview["services"].as_array().unwrap().len(),
        2,
        "what is gone is not offered"
    );
    for (body, field) in [
        (json!({ "aws_service_ids": [] }), "aws_service_ids"),
        (json!({ "aws_service_ids": ["x"] }), "aws_service_ids[0]"),
        (json!({ "reason": "" }), "reason"),
    ] {
        let refused = app.import(&place, &body).await;
        refused.refused(&body.to_string(), 400, "invalid_request");
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    let nobody = "acr_00000000000070008000000000000000";
    let refused = app.import(nobody, &json!({})).await;
    refused.refused("nobody's", 404, "account_region_not_found");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_fresh_inventory_is_made_on_request(pool: PgPool) {
    let app = TestApp::start(pool);
    let place = app.add_account_region().await;
    app.take_inventory().await;
    let late = app.foreign_service("late", true).await;
    app.advance(Duration::from_secs(20));
    assert_eq!(app.take_inventory().await.listed, None, "not due yet");
    let body = json!({ "dry_run": true, "refresh": true });
    let stale = app.import(&place, &body).await.good();
    assert_eq!(stale["adopted"], 0);
    assert!(stale["inventory"]["wanted_at"].is_string());
    app.advance(Duration::from_secs(1));
    assert_eq!(app.take_inventory().await.listed, Some(1));
    let fresh = app.preview(&place).await;
    assert_eq!(of(&fresh, &late)["adopted"], true);
    assert_eq!(app.take_inventory().await.listed, None, "once");
    let asked =
        "SELECT count(*) FROM audit_entries WHERE action = 'account_region.refresh_inventory'";
    assert_eq!(app.count(asked).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_inventory_is_read_page_by_page_and_concludes_absence_from_whole_listings_only(
    pool: PgPool,
) {
    let setup = Setup {
        page_size: Some(2),
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let place = app.add_account_region().await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(app.foreign_service(&format!("svc-{number}"), true).await);
    }
    let before = app.sim().calls().of(DESCRIBE).len();
    let report = app.take_inventory().await;
    assert_eq!(
        (report.listed, report.changed, report.drifted),
        (Some(7), 7, 7)
    );
    assert_eq!(app.sim().calls().of(DESCRIBE).len() - before, 4);

    // Two are gone, and the listing breaks off after its second page.
    for id in &ids[..2] {
        app.console().delete_endpoint_service(id).await.unwrap();
    }
    app.advance(Duration::from_mins(20));
    app.sim().faults().plan(Fault {
        skip: 2,
        ..Fault::once(DESCRIBE, Effect::DropAnswer)
    });
    let failed = inventory::run_pass(&app.place().await).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(
        app.inbox("state=open").await.len(),
        7,
        "nothing is concluded"
    );
    let preview = app.preview(&place).await;
    assert!(preview["inventory"]["error"].is_string(), "{preview}");

    let report = app.take_inventory().await;
    assert_eq!((report.listed, report.gone), (Some(5), 2));
    assert_eq!(app.inbox("state=open").await.len(), 5);
    let healed = app.inbox("state=resolved").await;
    assert_eq!(healed.len(), 2, "{healed:?}");
    assert_eq!(app.preview(&place).await["inventory"]["error"], json!(null));
}

/// A missing permission shows on the preview, and is tried again.
#[sqlx::test(migrations = "./migrations")]
async fn why_there_is_no_inventory_is_told(pool: PgPool) {
    let app = TestApp::start(pool);
    let place = app.add_account_region().await;
    app.foreign_service("one", true).await;
    let read = "DescribeVpcEndpointServicePermissions";
    app.sim()
        .faults()
        .plan(Fault::once(read, Effect::DenyAction));
    assert!(inventory::run_pass(&app.place().await).await.is_err());
    let refused = app.import(&place, &json!({ "dry_run": true })).await;
    refused.refused("denied", 409, "inventory_missing");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("UnauthorizedOperation"), "{detail}");
    app.take_inventory().await;
    assert_eq!(app.preview(&place).await["adopted"], 1);
}

/// A service that we made and whose id the database has not heard of yet is ours, and nobody's surprise.
#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_is_being_created_is_not_unknown(pool: PgPool) {
    let app = TestApp::start(pool);
    let place = app.add_account_region().await;
    let arn = app.load_balancer("edge");
    let body = json!({ "account_id": PROVIDER, "region": HERE, "name": "edge", "load_balancer_arns": [arn] });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let id = made["id"].as_str().unwrap();
    // As the worker does it, up to the answer.
    let new = NewEndpointService {
        client_token: id.to_owned(),
        acceptance_required: true,
        network_load_balancer_arns: vec![arn.parse().unwrap()],
        supported_ip_address_types: Vec::new(),
        tags: vec![
            ("Name".to_owned(), "edge".to_owned()),
            ("portcullis:service".to_owned(), id.to_owned()),
        ],
    };
    app.console().create_endpoint_service(&new).await.unwrap();
    app.take_inventory().await;
    assert!(app.inbox("").await.is_empty());
    let preview = app.preview(&place).await;
    assert_eq!(
        preview["services"][0]["not_adopted"], "being_created",
        "{preview}"
    );
    app.run_until_rest().await;
    app.take_fresh_inventory().await;
    assert!(app.inbox("").await.is_empty());
    let preview = app.preview(&place).await;
    assert_eq!(preview["services"][0]["not_adopted"], "already_registered");
}

/// Which of our services shares a load balancer with an unknown one is part of the evidence.
#[sqlx::test(migrations = "./migrations")]
async fn an_unknown_service_on_a_load_balancer_of_ours_says_whose_it_is(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let aws_id = app.foreign_service("theirs", true).await;
    let arn = app.in_aws_arns(&aws_id).await.remove(0);
    // Registered over a load balancer that backs another service: AWS refuses the create.
    let body = json!({ "account_id": PROVIDER, "region": HERE, "name": "ours", "load_balancer_arns": [arn] });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    app.run_worker().await;
    app.take_inventory().await;
    let id = TestApp::only(&app.inbox("").await);
    let drift = app.drift(&id).await;
    assert_eq!(drift["subject"], aws_id.as_str());
    assert_eq!(
        drift["evidence"]["uses_load_balancers_of"],
        json!([{ "load_balancer_arn": arn, "service_id": made["id"] }])
    );
}

impl TestApp {
    async fn in_aws_arns(&self, id: &privatelink::ServiceId) -> Vec<String> {
        let seen = self.console().endpoint_service(id).await.unwrap();
        let arns = seen.network_load_balancer_arns.iter();
        arns.map(ToString::to_string).collect()
    }
}
