//! A plan with fewer Regions takes the place of one with all: principals go where nothing is sold any more, and nobody is cut where it still is.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use privatelink::{PrivateLink as _, Region};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::with;
use crate::support::listings::content;
use crate::support::{HERE, PROVIDER, Request, Service, TestApp, Who};

const THERE: &str = "us-east-1";
const BUYER: &str = "210987654321";
const SISTER: &str = "310987654321";
const HOUR: Duration = Duration::from_hours(1);
const PERMISSIONS: &str = "ModifyVpcEndpointServicePermissions";

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

impl TestApp {
    /// A service in another Region that lets nobody in by itself.
    async fn service_there(&self) -> Service {
        let place = json!({ "account_id": PROVIDER, "region": THERE });
        self.post(Who::Admin, "/v1/account-regions", &place)
            .await
            .good();
        let setup = self
            .sim()
            .provider_setup(PROVIDER.parse().unwrap(), region(THERE));
        let balancer = setup.ready_load_balancer("there").expect("a NLB");
        let body = json!({
            "account_id": PROVIDER, "region": THERE, "name": "there", "load_balancer_arns": [balancer.to_string()], "allowed_principals": [],
        });
        self.registered(&body).await
    }

    /// An account's endpoint in its service's Region.
    async fn endpoint_in(&self, name: &str, account: &str, service: &Service) -> Request {
        let consumer = self.sim().consumer(account.parse().unwrap(), region(name));
        let endpoint = consumer.create_endpoint(&service.name).expect("made");
        self.run_worker().await;
        self.come_to_rest().await;
        self.found(&endpoint).await
    }

    /// The accounts that AWS lets in to a service of a Region.
    async fn let_in_at(&self, name: &str, service: &Service) -> Vec<String> {
        let aws = self.sim().gateway(PROVIDER.parse().unwrap(), region(name));
        let page = aws.principals(&service.aws_id, None).await.unwrap();
        let mut all: Vec<String> = page.items.into_iter().map(|row| row.principal).collect();
        all.sort();
        all
    }

    /// How often AWS was asked to let others in to a service.
    fn permissions_changed(&self, service: &Service) -> usize {
        let calls = self.sim().calls().of(PERMISSIONS).into_iter();
        calls
            .filter(|call| call.ids.iter().any(|id| id == service.aws_id.as_str()))
            .count()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_plan_with_fewer_regions_takes_principals_out_there_alone(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let here = app.service_for("here", &[]).await;
    let there = app.service_there().await;
    let mut text = content(&here);
    let both = text["services"].as_array_mut().unwrap();
    let mut second = both[0].clone();
    second["service_id"] = json!(there.id);
    both.push(second);
    text["plans"][0]["quotas"] = json!({});
    let mut fewer = text["plans"][0].clone();
    fewer["name"] = json!("Here alone");
    fewer["regions"] = json!([HERE]);
    text["plans"].as_array_mut().unwrap().push(fewer);
    let listing = app.listing_of("everywhere", &text).await;
    let listing = app.steps(&listing, &["submit", "approve", "release"]).await;
    sqlx::query("UPDATE listings SET state = 'public'")
        .execute(app.db())
        .await
        .unwrap();
    let consumer = app.add_vouched_consumer("both", BUYER).await;
    let sister = json!({ "account_id": SISTER, "reason": "named in order 4711", "proof": "operator_vouched" });
    app.post(
        Who::Admin,
        &format!("/v1/consumers/{consumer}/accounts"),
        &sister,
    )
    .await
    .good();
    let plan = |index: usize| &listing["live"]["content"]["plans"][index]["id"];
    let order = json!({
        "listing_id": listing["id"], "plan_id": plan(0), "buyer_account": BUYER, "accounts": [SISTER], "term": "P12M",
        "quantities": { "endpoint_seat": "4" },
    });
    let old = app.buy(&order).await;
    app.come_to_rest().await;
    let everybody = [BUYER, SISTER].map(|account| format!("arn:aws:iam::{account}:root"));
    assert_eq!(app.let_in_at(HERE, &here).await, everybody);
    assert_eq!(app.let_in_at(THERE, &there).await, everybody);
    let stays = [
        app.endpoint_in(HERE, BUYER, &here).await,
        app.endpoint_in(HERE, SISTER, &here).await,
    ];
    let goes = app.endpoint_in(THERE, SISTER, &there).await;
    for request in stays.iter().chain([&goes]) {
        assert_eq!(app.summary(request).await, "available");
    }
    let asked_here = app.permissions_changed(&here);
    assert!(asked_here > 0);

    let turn = app.clock.now() + TimeDelta::days(1);
    let place = json!({ "replaces": old["id"], "plan_id": plan(1), "starts_at": turn });
    let new = app.buy(&with(order, &place)).await;
    app.come_to_rest().await;
    assert_eq!(
        app.let_in_at(THERE, &there).await,
        everybody,
        "it has not begun"
    );
    app.later(HOUR * 24).await;
    assert_eq!(app.agreement(&new).await["state"], "active");
    let none: [String; 0] = [];
    assert_eq!(app.let_in_at(THERE, &there).await, none);
    assert_eq!(app.let_in_at(HERE, &here).await, everybody);
    // Whoever is connected there is told, and has the grace.
    assert_eq!(app.summary(&goes).await, "available");
    let told: Vec<String> = sqlx::query_scalar("SELECT c.endpoint_id FROM connection_notices n JOIN connections c ON c.id = n.connection_id WHERE n.kind = 'access_ending'")
        .fetch_all(app.db())
        .await
        .unwrap();
    assert_eq!(told, [goes.endpoint.as_str()]);
    app.later(HOUR * 23).await;
    assert_eq!(app.summary(&goes).await, "available");
    for _ in 0..4 {
        app.later(HOUR * 24).await;
        assert_eq!(app.summary(&goes).await, "revoked");
        for request in &stays {
            assert_eq!(app.summary(request).await, "available");
            let paying = format!("/v1/connections/{}/agreement", request.id);
            let paying: Value = app.get(Who::Viewer, &paying).await.good();
            assert_eq!(paying["paid_by"]["agreement_id"], new["id"], "{paying}");
        }
        assert_eq!(app.let_in_at(HERE, &here).await, everybody);
        assert_eq!(app.let_in_at(THERE, &there).await, none);
    }
    assert_eq!(
        app.permissions_changed(&here),
        asked_here,
        "nobody was taken out here for a moment"
    );
}
