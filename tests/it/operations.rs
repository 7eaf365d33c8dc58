//! Work that goes on for longer than a request, in the same words whatever it is.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{CONSUMER, TestApp, Who};

impl TestApp {
    async fn operation(&self, id: &str) -> Value {
        let path = format!("/v1/operations/{id}");
        self.get(Who::Viewer, &path).await.good()
    }

    async fn operations(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/operations?{query}");
        let list = self.get(Who::Viewer, &path).await.good();
        list["items"].as_array().expect("items").clone()
    }
}

fn id_of(begun: &Value) -> &str {
    begun["id"].as_str().expect("an id")
}

#[sqlx::test(migrations = "./migrations")]
async fn every_kind_is_told_in_the_same_words(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.accepted(&service, 2).await;

    let block = app.block(&format!("accounts/{CONSUMER}")).await;
    let cutting = app.operation(id_of(&block)).await;
    assert_eq!(
        (&cutting["kind"], &cutting["state"], &cutting["phase"]),
        (&json!("block"), &json!("running"), &json!("cutting"))
    );
    assert_eq!(cutting["resource"], format!("/v1/blocks/{}", id_of(&block)));
    let total = cutting["progress"]["total"].as_i64().expect("how many");
    assert_eq!(cutting["progress"]["done"], 0);
    app.carry_out().await;
    let done = app.operation(id_of(&block)).await;
    assert_eq!(done["state"], "succeeded");
    assert_eq!(done["progress"], json!({ "done": total, "total": total }));
    assert!(done["ended_at"].is_string(), "{done}");

    let scope = json!({ "account_id": CONSUMER });
    let asked = app.try_to_rejudge(&scope).await.good();
    assert_eq!(app.operation(id_of(&asked)).await["state"], "running");
    app.carry_on().await;
    let previewed = app.operation(id_of(&asked)).await;
    assert_eq!(
        (&previewed["state"], &previewed["phase"]),
        (&json!("waiting"), &json!("previewed"))
    );
    app.try_to_give_up(&asked).await.good();
    app.carry_on().await;
    assert_eq!(app.operation(id_of(&asked)).await["state"], "cancelled");

    let policy = app
        .draft(None, "permit(principal, action, resource);")
        .await;
    let path = app.ask_for_dry_run(&policy, 0).await;
    let run = path.rsplit('/').next().unwrap();
    let queued = app.operation(run).await;
    let resource = format!("/v1/policies/{}/dry-runs/{run}", id_of(&policy));
    assert_eq!(
        (&queued["state"], &queued["resource"]),
        (&json!("queued"), &json!(resource))
    );
    app.get(Who::Viewer, &resource).await.good();

    app.drain(&service, 0).await;
    let service = app.operation(&service.id).await;
    assert_eq!(
        (&service["kind"], &service["phase"]),
        (&json!("service_end"), &json!("draining"))
    );

    // All of them, the newest first, a page at a time.
    let all = app.operations("limit=200").await;
    assert_eq!(all.len(), 4, "{all:?}");
    let first = app.operations("limit=1").await;
    assert_eq!(first, all[..1]);
    let next = app
        .operations(&format!("limit=1&cursor={}", id_of(&first[0])))
        .await;
    assert_eq!(next, all[1..2]);
    let blocks = app.operations("kind=block&state=succeeded").await;
    assert_eq!(blocks, [done]);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_no_operation_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for id in [service.id.as_str(), "blk_00000000000000000000000000000007"] {
        let answer = app.get(Who::Viewer, &format!("/v1/operations/{id}")).await;
        answer.refused(id, 404, "operation_not_found");
    }
    for (path, code) in [
        (
            "/v1/operations/con_00000000000000000000000000000007",
            "invalid_path",
        ),
        ("/v1/operations?cursor=7", "invalid_query"),
        ("/v1/operations?kind=import", "invalid_query"),
    ] {
        app.get(Who::Viewer, path).await.refused(path, 400, code);
    }
}
