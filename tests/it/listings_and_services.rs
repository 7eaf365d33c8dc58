//! What is sold is neither opened to everybody nor ended unnoticed, whoever comes first.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::root;
use crate::support::listings::{checks, content};
use crate::support::removals::of_principal;
use crate::support::{Answer, CONSUMER, Service, TestApp, Who};

fn id(listing: &Value) -> &str {
    listing["id"].as_str().unwrap()
}

/// That the listing is named by whom the service is sold.
fn names_the_listing(refusal: &Answer, listing: &Value, what: &str) {
    refusal.refused(what, 409, "service_sold");
    let detail = refusal.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains(id(listing)) && detail.contains("(ledger)"),
        "{what}: {detail}"
    );
}

impl TestApp {
    async fn open_to_everybody(&self, service: &Service) -> Answer {
        let change = json!({ "allowed_principals": [CONSUMER, "*"] });
        self.try_to_change(service, &change).await
    }

    /// The principals that are desired of a service.
    async fn desired(&self, service: &Service) -> Value {
        self.service(&service.id).await["allowed_principals"].clone()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_sold_is_not_opened_to_everybody(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    for steps in [&[][..], &["suspend"], &["resume", "restrict"]] {
        app.steps(&listing, steps).await;
        let refusal = app.open_to_everybody(&service).await;
        names_the_listing(&refusal, &listing, "a change");
        assert_eq!(refusal.json()["errors"][0]["field"], "allowed_principals");
    }
    app.grant(&service, &["*"], &[]).await;
    app.look_again().await;
    let drift = TestApp::only(&app.inbox("state=open&kind=unknown_principal").await);
    let refusal = app.settle(Who::Admin, &drift, "adopt").await;
    names_the_listing(&refusal, &listing, "an adoption");
    app.settle(Who::Admin, &drift, "revert").await.good();
    app.run_until_rest().await;
    assert_eq!(app.allowed(&service).await, [root(CONSUMER)]);
    // Anything else of it may change.
    let change = json!({ "name": "renamed", "allowed_principals": [CONSUMER, "777788889999"] });
    app.change(&service, &change).await;
    app.steps(&listing, &["retire"]).await;
    app.open_to_everybody(&service).await.good();
}

/// Everybody could ask before the sale, and does not come back with what is undone during it.
#[sqlx::test(migrations = "./migrations")]
async fn everybody_does_not_come_back_by_what_is_undone(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.open_to_everybody(&service).await.good();
    app.run_until_rest().await;
    let removal = app.end_access(&of_principal(&service, "*"), 3600).await;
    app.run_until_rest().await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    app.steps(&listing, &["submit", "approve", "release"]).await;
    let refusal = app.try_to_take_back(&removal).await;
    names_the_listing(&refusal, &listing, "a removal that is taken back");
    assert_eq!(app.desired(&service).await, json!([root(CONSUMER)]));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_block_that_is_lifted_leaves_everybody_out(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.open_to_everybody(&service).await.good();
    app.run_until_rest().await;
    let of = format!("services/{}", service.id);
    app.block(&of).await;
    app.carry_out().await;
    assert_eq!(app.desired(&service).await, json!([]));
    let listing = app.listing_of("ledger", &content(&service)).await;
    app.steps(&listing, &["submit", "approve", "release"]).await;
    app.try_to_unblock(&of).await.good();
    app.carry_out().await;
    assert_eq!(app.desired(&service).await, json!([root(CONSUMER)]));
    let said: String = sqlx::query_scalar(
        "SELECT reason FROM audit_entries WHERE action = 'endpoint_service.change' ORDER BY id DESC LIMIT 1",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    assert!(
        said.contains("without *") && said.contains(id(&listing)),
        "{said}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_release_looks_at_the_services_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    app.steps(&listing, &["submit", "approve"]).await;
    app.open_to_everybody(&service).await.good();
    let refusal = app.step(&listing, "release", &json!({})).await;
    refusal.refused("everybody may ask", 409, "listing_not_ready");
    assert_eq!(checks(&refusal), ["no_wildcard_principal"]);
    app.change(&service, &json!({ "allowed_principals": [CONSUMER] }))
        .await;
    app.run_until_rest().await;
    app.drain(&service, 600).await;
    let refusal = app.step(&listing, "release", &json!({})).await;
    refusal.refused("it is drained", 409, "listing_not_ready");
    assert_eq!(checks(&refusal), ["service_available"]);
}

/// A service that is sold ends only by a request that names the listing, and then the catalogue does not show it any more.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_sold_ends_by_name_alone(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.published("ledger").await;
    let other = "lst_00000000000000000000000000000009";
    for (verb, body) in [
        ("drain", json!({ "reject_after_seconds": 600 })),
        (
            "delete",
            json!({ "reject_after_seconds": 600, "confirm_delete": true }),
        ),
        ("release", json!({})),
    ] {
        for named in [Value::Null, json!(other)] {
            let mut body = body.clone();
            body["confirm_sold_by"] = named;
            let refusal = app.try_to_end(&service, verb, body).await;
            names_the_listing(&refusal, &listing, verb);
            assert_eq!(refusal.json()["errors"][0]["field"], "confirm_sold_by");
        }
    }
    assert_eq!(app.life(&service).await, "active");
    let confirmed = json!({ "reject_after_seconds": 600, "confirm_sold_by": id(&listing) });
    app.end(&service, "drain", confirmed.clone()).await;
    let shown = app.get(Who::Nobody, "/catalog").await.good();
    assert_eq!(shown["items"][0]["services"], json!([]));
    let nowhere = app
        .get(Who::Nobody, "/catalog?region=eu-west-1")
        .await
        .good();
    assert_eq!(nowhere["items"], json!([]));
    // To end in a deletion is more than to be drained.
    let delete = json!({ "confirm_delete": true });
    let refusal = app.try_to_end(&service, "delete", delete).await;
    names_the_listing(&refusal, &listing, "a deletion after a drain");
    let delete = json!({ "confirm_delete": true, "confirm_sold_by": id(&listing) });
    app.end(&service, "delete", delete).await;
    let told = "SELECT count(*) FROM audit_entries
                 WHERE action IN ('endpoint_service.drain', 'endpoint_service.delete') AND after ->> 'sold_by' LIKE 'lst_%'";
    assert_eq!(app.count(told).await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_nobody_sells_takes_no_name(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    let release = json!({ "confirm_sold_by": id(&listing) });
    app.end(&service, "release", release.clone()).await;
    let free = app.created_service("free").await;
    app.listing_of("draft", &content(&free)).await;
    app.drain(&free, 600).await;
    app.end(&free, "release", release).await;
}

/// A release has looked at its service and is about to sell it: whoever opens or ends the service then waits, and sees the sale.
#[sqlx::test(migrations = "./migrations")]
async fn a_sale_and_a_change_of_its_service_do_not_cross(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, other) = app.limited("other").await;
    app.steps(&other, &["restrict", "retire"]).await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    app.steps(&listing, &["submit", "approve"]).await;
    // Holds the release where all has been looked at: a sale of the service that may yet come to be.
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("UPDATE listing_services SET ended_at = NULL")
        .execute(&mut *tx)
        .await
        .unwrap();
    let nothing = json!({});
    let release = app.step(&listing, "release", &nothing);
    let changes = async {
        app.queue_of(1).await;
        let end = json!({ "reject_after_seconds": 0 });
        let others = async {
            tokio::join!(
                app.open_to_everybody(&service),
                app.try_to_end(&service, "drain", end)
            )
        };
        let let_go = async {
            app.queue_of(3).await;
            tx.rollback().await.unwrap();
        };
        let ((opened, drained), ()) = tokio::join!(others, let_go);
        (opened, drained)
    };
    let (released, (opened, drained)) = tokio::join!(release, changes);
    assert_eq!(released.good()["state"], "limited");
    names_the_listing(&opened, &listing, "a change at the same moment");
    names_the_listing(&drained, &listing, "a drain at the same moment");
}

/// A publication waits for a change of its service, and then sees it.
#[sqlx::test(migrations = "./migrations")]
async fn a_step_sees_what_came_before_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    app.connect(&service).await;
    let held = app.hold_service(&service).await;
    let nothing = json!({});
    let publish = app.step(&listing, "publish", &nothing);
    let open = async {
        app.queue_of(1).await;
        let mut held = held;
        sqlx::query("UPDATE endpoint_services SET allowed_principals = '{*}'")
            .execute(&mut *held)
            .await
            .unwrap();
        held.commit().await.unwrap();
    };
    let (refusal, ()) = tokio::join!(publish, open);
    refusal.refused("everybody may ask by now", 409, "listing_not_ready");
    assert_eq!(checks(&refusal), ["no_wildcard_principal"]);
}

/// A draft gets another service between the look at it and the lock: that service is not held, so the step is not taken.
#[sqlx::test(migrations = "./migrations")]
async fn a_step_takes_no_service_that_it_does_not_hold(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let other = app.created_service("other").await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SELECT FROM listings FOR UPDATE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let nothing = json!({});
    let submit = app.step(&listing, "submit", &nothing);
    let write = async {
        app.queue_of(1).await;
        sqlx::query(
            "UPDATE listing_revisions SET content = jsonb_set(content, '{services,0,service_id}', to_jsonb($1::text))",
        )
        .bind(&other.id)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    };
    let (refusal, ()) = tokio::join!(submit, write);
    refusal.refused("another service", 409, "listing_changed");
    assert_eq!(app.steps(&listing, &["submit"]).await["state"], "in_review");
}
