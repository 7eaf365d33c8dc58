//! Why a connection was judged as it was, told from the record alone.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::policies::KNOWN;
use crate::support::{Request, TestApp, Who};

const TWO: &str = r#"@id("big") @message("You are big.")
permit (principal, action, resource) when { principal.known && context.counts.connections >= 10 };
@id("small")
permit (principal, action, resource) when { principal.known };
"#;

impl TestApp {
    pub(crate) async fn explained(&self, request: &Request) -> Value {
        let path = format!("/v1/connections/{}/explanation", request.id);
        self.get(Who::Viewer, &path).await.good()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_judgement_is_made_again_from_its_record_after_its_policy_is_gone(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}/explanation", request.id);
    let refusal = app.get(Who::Viewer, &path).await;
    refusal.refused("nothing judged it", 404, "judgement_not_found");

    app.in_force(None, TWO).await;
    app.judged_by_hand(&request, &app.facts(&service, false), Some(TWO))
        .await;
    // The text of then is found although another decides now.
    app.in_force(None, KNOWN).await;
    let told = app.explained(&request).await;
    assert_eq!(told["decision"], json!(null));
    let by: Vec<Value> = told["remedies"].as_array().unwrap().clone();
    assert_eq!(by.len(), 2, "{told}");
    assert_eq!(
        by[0],
        json!({ "reason": "no_policy_applies", "remedy": "write_policy", "by": "provider",
                "sentence": "Have a policy permit it.", "details": {} })
    );
    assert_eq!(told["judgement"]["outcome"], "hold");
    assert_eq!(told["judgement"]["facts"]["account"]["proven"], false);
    assert_eq!(told["replay"]["same"], true, "{told}");
    assert_eq!(told["replay"]["outcome"], "hold");
    let policies = told["sets"][0]["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2);
    for policy in policies {
        assert_eq!(
            (&policy["applies"], &policy["effect"]),
            (&json!(false), &json!("permit"))
        );
        assert_eq!(policy["unmet"]["clause"], "principal.known", "{told}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_applies_comes_first_and_the_rest_says_what_is_missing(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.in_force(Some(&service), TWO).await;
    let facts = app.facts(&service, true);
    let said = app.judged_by_hand(&request, &facts, Some(TWO)).await;
    assert_eq!(said.policies, ["small"]);
    let told = app.explained(&request).await;
    // The row was made to say that it holds, which is not what comes out.
    assert_eq!(told["replay"]["same"], false);
    assert_eq!(told["replay"]["outcome"], "accept");
    let policies = told["sets"][0]["policies"].as_array().unwrap();
    assert_eq!(
        (&policies[0]["id"], &policies[0]["applies"]),
        (&json!("small"), &json!(true))
    );
    let unmet = &policies[1]["unmet"];
    assert!(
        unmet["clause"].as_str().unwrap().contains("connections"),
        "{told}"
    );
    assert_eq!(
        told["sets"][0]["version"],
        told["judgement"]["policy_versions"][0]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_gate_needs_no_policies_to_be_explained(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let mut facts = app.facts(&service, true);
    facts["quotas"] = json!([{ "figure": "connections", "would_be": 4, "limit": 3 }]);
    let said = app.judged_by_hand(&request, &facts, Some(KNOWN)).await;
    let told = app.explained(&request).await;
    assert_eq!(told["judgement"]["gate"], said.gate.as_str());
    assert_eq!(
        (&told["replay"]["same"], &told["sets"]),
        (&json!(true), &json!([])),
        "{told}"
    );
    assert_eq!(
        told["remedies"],
        json!([
            { "reason": "quota_exceeded", "remedy": "raise_limit", "by": "provider",
              "sentence": "Raise the limit of connections from 3 to 4.",
              "details": { "figure": "connections", "limit": 3, "to": 4, "by": 1 } },
            { "reason": "quota_exceeded", "remedy": "give_up", "by": "consumer",
              "sentence": "Give up 1 of the accepted connections.",
              "details": { "figure": "connections", "by": 1 } },
        ])
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_cannot_be_made_again_says_why(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let facts = app.facts(&service, true);
    app.judged_by_hand(&request, &facts, Some(KNOWN)).await;
    let told = app.explained(&request).await;
    assert_eq!(
        (&told["replay"]["same"], &told["replay"]["outcome"]),
        (&json!(false), &json!(null))
    );
    let problem = told["replay"]["problem"].as_str().unwrap();
    assert!(problem.contains("there is no text"), "{problem}");
}

#[sqlx::test(migrations = "./migrations")]
async fn judgements_are_listed_from_the_newest(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}/judgements", request.id);
    assert_eq!(app.ids(&path).await, Vec::<String>::new());
    for known in [false, true, false] {
        app.judged_by_hand(&request, &app.facts(&service, known), None)
            .await;
    }
    let all = app.ids(&path).await;
    assert_eq!(all.len(), 3);
    let first = app
        .get(Who::Viewer, &format!("{path}?limit=2"))
        .await
        .good();
    assert_eq!(first["next_cursor"], all[1]);
    assert_eq!(first["items"][1]["facts"]["account"]["proven"], true);
    let rest = app.ids(&format!("{path}?cursor={}", all[1])).await;
    assert_eq!(rest, all[2..]);
    let missing = format!("/v1/connections/con_{:032x}/judgements", 1);
    let refusal = app.get(Who::Viewer, &missing).await;
    refusal.refused("no such connection", 404, "connection_not_found");
}
