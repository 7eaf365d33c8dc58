//! People decide, and gates and policies are heard: what they said is kept with the decision, explained, and made again from its record.

use std::time::Duration;

use portcullis::app::policies::PolicySets;
use portcullis::app::policy_shelf::Set;
use portcullis::domain::decision::replay;
use portcullis::store::judgements;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::policies::{KNOWN, text_of};
use crate::support::{CONSUMER, Request, Service, TestApp, Who};

impl TestApp {
    /// Everything that was said of a connection, oldest first.
    async fn said(&self, request: &Request) -> Vec<Value> {
        let path = format!("/v1/connections/{}/judgements?limit=100", request.id);
        let listed = self.get(Who::Viewer, &path).await.good();
        let mut all = listed["items"].as_array().unwrap().clone();
        all.reverse();
        all
    }

    /// The one thing that was said of a connection.
    async fn only_said(&self, request: &Request) -> Value {
        let all = self.said(request).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    /// One decision about several, all or nothing or each for itself.
    async fn decide_all(&self, verb: &str, all: &[Request], whole: bool) -> Value {
        let items: Vec<Value> = all.iter().map(|one| json!({ "id": one.id })).collect();
        let body = json!({ "verb": verb, "reason": "order 4711", "items": items, "all_or_nothing": whole });
        let path = "/v1/connections/bulk-decisions";
        self.post(Who::Approver, path, &body).await.good()
    }

    async fn three(&self, service: &Service) -> Vec<Request> {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(self.requested(service).await);
        }
        all
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_person_decides_against_the_policies_and_both_are_told(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.in_force(None, KNOWN).await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let told = app.explained(&request).await;
    let (judgement, decision) = (&told["judgement"], &told["decision"]);
    assert_eq!(judgement["outcome"], "hold");
    assert_eq!(judgement["reasons"][0]["code"], "no_policy_applies");
    assert_eq!(judgement["facts"]["account"]["id"], CONSUMER);
    assert_eq!(judgement["facts"]["connection"]["standing"], "requested");
    assert_eq!(judgement["decision_id"], decision["id"]);
    assert_eq!(
        (&decision["verb"], &decision["actor_kind"]),
        (&json!("accept"), &json!("person"))
    );
    assert_eq!(told["last_judged_at"], judgement["judged_at"]);
    assert_eq!(told["replay"]["same"], true, "{told}");
    let missing = &told["sets"][0]["policies"][0]["unmet"]["clause"];
    assert_eq!(missing, "principal.known");
    // The decision itself names it too.
    let kept = &app.only_decision(&request).await["inputs"]["judgement"];
    assert_eq!(kept["judgement_id"], judgement["id"]);
    assert_eq!(
        (&kept["outcome"], &kept["gate"], &kept["reasons"]),
        (
            &judgement["outcome"],
            &judgement["gate"],
            &judgement["reasons"]
        )
    );
    assert_eq!(kept["policy_versions"], judgement["policy_versions"]);

    // Made again from what was kept, it says the same.
    let conn = &mut *app.db().acquire().await.unwrap();
    let id = request.id.parse().unwrap();
    let stored = judgements::latest(conn, id).await.unwrap().unwrap();
    let set = Set::compile(KNOWN).unwrap();
    let again = replay(&stored.facts, &PolicySets(&[&set])).unwrap();
    assert_eq!(again, stored.decision);

    app.advance(Duration::from_secs(1));
    app.decide(&request, "revoke").await;
    let told = app.explained(&request).await;
    assert_eq!(told["decision"]["verb"], "revoke");
    assert_eq!(told["judgement"]["decision_id"], told["decision"]["id"]);
    let connection = &told["judgement"]["facts"]["connection"];
    assert_eq!(connection["standing"], "live", "{told}");
    assert_eq!(app.said(&request).await.len(), 2);
}

/// Each of many has its own, whatever a gate says, and is told of with those before it counted.
#[sqlx::test(migrations = "./migrations")]
async fn each_of_many_has_its_own(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER]).await;
    app.in_force(None, KNOWN).await;
    let used = |said: &Value| said["facts"]["counts"]["connections"].as_i64().unwrap();
    for whole in [true, false] {
        let crowd = app.three(&service).await;
        let done = app.decide_all("accept", &crowd, whole).await;
        assert_eq!(done["decided"], 3, "{done}");
        let mut counts = Vec::new();
        for request in &crowd {
            let said = app.only_said(request).await;
            assert_eq!(said["outcome"], "accept", "{said}");
            assert_eq!(said["reasons"][0]["code"], "known_account");
            counts.push(used(&said));
        }
        counts.sort_unstable();
        assert_eq!(counts, [0, 1, 2], "each counts for the next");
        app.advance(Duration::from_secs(1));
        let done = app.decide_all("revoke", &crowd, whole).await;
        assert_eq!(done["decided"], 3, "{done}");
        let mut counts = Vec::new();
        for request in &crowd {
            let all = app.said(request).await;
            let id = app.explained(request).await["decision"]["id"].clone();
            assert_eq!(all[1]["decision_id"], id, "{all:?}");
            counts.push(used(&all[1]));
        }
        counts.sort_unstable();
        assert_eq!(counts, [0, 1, 2], "and each that ended no more");
    }
    // Beyond a quota the gate holds, and a person rejects.
    let none = json!({ "connections": 0 });
    app.set_quota(&format!("consumers/{acme}"), &none)
        .await
        .good();
    let crowd = app.three(&service).await;
    app.decide_all("reject", &crowd, true).await;
    for request in &crowd {
        let said = app.only_said(request).await;
        assert_eq!(
            (&said["outcome"], &said["gate"]),
            (&json!("hold"), &json!("quota"))
        );
    }
}

/// What is refused, undone, or only approved keeps nothing.
#[sqlx::test(migrations = "./migrations")]
async fn what_decides_nothing_keeps_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let decided = app.requested(&service).await;
    app.decide(&decided, "reject").await;
    let refusal = app.try_to_decide(Who::Admin, &decided, "accept").await;
    refusal.refused("twice", 409, "connection_already_decided");
    let open = app.requested(&service).await;
    let crowd = [decided, open];
    let undone = app.decide_all("accept", &crowd, true).await;
    assert_eq!(undone["decided"], 0, "{undone}");
    assert_eq!(app.said(&crowd[0]).await.len(), 1);
    assert_eq!(app.said(&crowd[1]).await.len(), 0);

    app.ask_for_two(&service).await;
    app.decide(&crowd[1], "accept").await;
    assert_eq!(
        app.said(&crowd[1]).await.len(),
        0,
        "one yes decides nothing"
    );
    let second = app.try_to_decide(Who::Admin, &crowd[1], "accept").await;
    assert_eq!(second.good()["review"]["state"], "accepted");
    let said = app.only_said(&crowd[1]).await;
    assert_eq!(said["facts"]["service"]["two_persons"], true);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_drift_that_is_adopted_is_a_decision_too(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.run_worker().await;
    let drift = app.inbox("state=open").await[0].clone();
    app.settle(Who::Admin, text_of(&drift, "id"), "adopt")
        .await
        .good();
    let told = app.explained(&request).await;
    assert_eq!(told["decision"]["verb"], "accept");
    assert_eq!(told["judgement"]["decision_id"], told["decision"]["id"]);
}

/// Whatever is wrong with a policy, a person can decide, and the record says that it was not heard.
#[sqlx::test(migrations = "./migrations")]
async fn a_broken_policy_keeps_no_person_from_deciding(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let digest = "0".repeat(64);
    let overflow = "permit (principal, action, resource) when { context.waitedSeconds * 9223372036854775807 > 0 };";
    app.in_force(None, overflow).await;
    for broken in [false, true] {
        if broken {
            app.in_force_as(Some(&service), "permit everybody", &digest)
                .await;
        }
        for verb in ["accept", "reject"] {
            let request = app.requested(&service).await;
            app.advance(Duration::from_secs(5));
            app.decide(&request, verb).await;
            let told = app.explained(&request).await;
            let judgement = &told["judgement"];
            assert_eq!(judgement["outcome"], "hold", "{told}");
            assert_eq!(judgement["reasons"][0]["code"], "policy_failed");
            let remedies: Vec<&str> = told["remedies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| text_of(one, "remedy"))
                .collect();
            assert_eq!(remedies, ["mend_policy", "decide"]);
            let versions = judgement["policy_versions"].as_array().unwrap();
            assert_eq!(versions.contains(&json!(digest)), broken, "{told}");
            assert_eq!(told["replay"]["same"], !broken, "{told}");
            if broken {
                let problem = text_of(&told["replay"], "problem");
                assert!(problem.contains("does not compile any more"), "{problem}");
            }
        }
    }
}

/// What nobody is asked about has no judgement of its own, and the explanation does not pretend.
#[sqlx::test(migrations = "./migrations")]
async fn a_block_hears_nobody(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.judge().await;
    app.block(&format!("accounts/{CONSUMER}")).await;
    app.carry_out().await;
    let told = app.explained(&request).await;
    assert_eq!(told["decision"]["verb"], "reject", "{told}");
    assert_eq!(told["judgement"]["decision_id"], Value::Null);
    assert_eq!(app.said(&request).await.len(), 1);
}
