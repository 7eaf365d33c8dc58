//! One decision about many connections.

use std::time::Instant;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Request, Service, TestApp, Who};

const PATH: &str = "/v1/connections/bulk-decisions";

impl TestApp {
    /// So many requests that the worker has seen.
    pub(crate) async fn crowd(&self, service: &Service, count: usize) -> Vec<Request> {
        let endpoints: Vec<_> = (0..count)
            .map(|_| {
                self.consumer()
                    .create_endpoint(&service.name)
                    .expect("made")
            })
            .collect();
        self.run_worker().await;
        let mut crowd = Vec::with_capacity(count);
        for endpoint in endpoints {
            crowd.push(self.found(&endpoint).await);
        }
        crowd
    }

    /// One decision about these.
    pub(crate) async fn bulk(
        &self,
        who: Who,
        verb: &str,
        items: &[&str],
        all_or_nothing: bool,
    ) -> Value {
        let items: Vec<Value> = items.iter().map(|id| json!({ "id": id })).collect();
        let body = json!({
            "verb": verb, "reason": "the quarter's end", "items": items, "all_or_nothing": all_or_nothing,
        });
        self.post(who, PATH, &body).await.good()
    }

    /// Every connection undecided, without a queue that the worker would have to see first.
    async fn multiply(&self, count: i64) -> Vec<String> {
        let ids: Vec<String> = sqlx::query_scalar(
            "INSERT INTO connections (id, endpoint_service_id, account_region_id, endpoint_id, owner_account, observed_state, observed_at,
                                      first_seen_at)
             SELECT gen_random_uuid(), endpoint_service_id, account_region_id, 'vpce-' || lpad(to_hex(n), 17, '0'), owner_account,
                    'pendingAcceptance', observed_at, first_seen_at
               FROM connections, generate_series(1, $1) AS n
             RETURNING 'con_' || replace(id::text, '-', '')",
        )
        .bind(count)
        .fetch_all(self.db())
        .await
        .unwrap();
        ids
    }
}

fn results(answer: &Value) -> Vec<(&str, Option<&str>)> {
    let all = answer["results"].as_array().unwrap().iter();
    all.map(|one| (one["result"].as_str().unwrap(), one["code"].as_str()))
        .collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn each_is_decided_for_itself_and_told_of_in_the_order_given(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let crowd = app.crowd(&service, 4).await;
    app.decide(&crowd[2], "reject").await;
    let nobody = "con_01890000000070008000000000000000";
    let items = [
        crowd[3].id.as_str(),
        crowd[0].endpoint.as_str(),
        nobody,
        "vpce-0ffffffffffffffff",
        "i-0123",
        crowd[2].id.as_str(),
        crowd[0].id.as_str(),
        crowd[1].id.as_str(),
    ];
    let answer = app.bulk(Who::Approver, "accept", &items, false).await;
    let refused = |code| ("refused", Some(code));
    assert_eq!(
        results(&answer),
        [
            ("decided", None),
            ("decided", None),
            refused("connection_not_found"),
            refused("connection_not_found"),
            refused("invalid_request"),
            refused("connection_already_decided"),
            refused("invalid_request"),
            ("decided", None),
        ]
    );
    assert_eq!(
        (answer["decided"].as_i64(), answer["refused"].as_i64()),
        (Some(3), Some(5))
    );
    assert_eq!(answer["results"][1]["id"], crowd[0].endpoint.as_str());
    assert_eq!(answer["results"][1]["connection_id"], crowd[0].id.as_str());
    app.run_until_rest().await;
    for (request, summary) in crowd
        .iter()
        .zip(["available", "available", "rejected", "available"])
    {
        assert_eq!(app.summary(request).await, summary);
    }
    // I17: a decision and an audit entry for each.
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 4);
    assert_eq!(
        app.count("SELECT count(*) FROM audit_entries WHERE decision_id IS NOT NULL")
            .await,
        4
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn all_or_nothing_is_undone_when_one_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let crowd = app.crowd(&service, 3).await;
    app.decide(&crowd[1], "reject").await;
    let ids: Vec<&str> = crowd.iter().map(|request| request.id.as_str()).collect();
    let answer = app.bulk(Who::Approver, "accept", &ids, true).await;
    let refused = ("refused", Some("connection_already_decided"));
    assert_eq!(
        results(&answer),
        [("not_applied", None), refused, ("not_applied", None)]
    );
    assert_eq!(answer["decided"], 0);
    let unknown = [ids[0], "vpce-0ffffffffffffffff"];
    let answer = app.bulk(Who::Approver, "accept", &unknown, true).await;
    assert_eq!(results(&answer)[0].0, "not_applied");
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 1);
    assert_eq!(
        app.count("SELECT count(*) FROM audit_entries WHERE decision_id IS NOT NULL")
            .await,
        1
    );
    assert_eq!(app.summary(&crowd[0]).await, "waiting");

    let answer = app
        .bulk(Who::Approver, "accept", &[ids[0], ids[2]], true)
        .await;
    assert_eq!(answer["decided"], 2);
    app.run_until_rest().await;
    assert_eq!(app.summary(&crowd[2]).await, "available");
}

#[sqlx::test(migrations = "./migrations")]
async fn where_two_are_asked_for_a_crowd_is_approved_and_then_accepted(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.ask_for_two(&service).await;
    let crowd = app.crowd(&service, 3).await;
    let ids: Vec<&str> = crowd.iter().map(|request| request.id.as_str()).collect();
    let answer = app.bulk(Who::Approver, "accept", &ids, true).await;
    assert_eq!(
        (answer["approved"].as_i64(), answer["decided"].as_i64()),
        (Some(3), Some(0))
    );
    let answer = app.bulk(Who::Approver, "accept", &ids, false).await;
    assert_eq!(
        results(&answer)[0],
        ("refused", Some("approval_by_same_person"))
    );
    let answer = app.bulk(Who::Admin, "accept", &ids, true).await;
    assert_eq!(answer["decided"], 3);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_bulk_decision_that_makes_no_sense_is_refused_whole(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let one = json!([{ "id": request.id }]);
    let many: Vec<Value> = (0..1001).map(|_| json!({ "id": "vpce-0" })).collect();
    for (what, body, code) in [
        (
            "none",
            json!({ "verb": "accept", "reason": "r", "items": [] }),
            "invalid_request",
        ),
        (
            "too many",
            json!({ "verb": "accept", "reason": "r", "items": many }),
            "invalid_request",
        ),
        (
            "no reason",
            json!({ "verb": "accept", "reason": " ", "items": one }),
            "invalid_request",
        ),
        (
            "bare",
            json!({ "verb": "accept", "reason": "r", "items": [request.id] }),
            "invalid_json",
        ),
        (
            "verb",
            json!({ "verb": "hold", "reason": "r", "items": one }),
            "invalid_json",
        ),
        (
            "an end of a reject",
            json!({ "verb": "reject", "reason": "r", "items": one, "expires_at": "2100-01-01T00:00:00Z" }),
            "invalid_request",
        ),
    ] {
        app.post(Who::Approver, PATH, &body)
            .await
            .refused(what, 400, code);
    }
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 0);
}

/// Several bulk decisions over the same connections in opposite orders, single decisions in between, and an observer: nobody waits for each
/// other in a circle, and each connection is decided once.
#[sqlx::test(migrations = "./migrations")]
async fn bulk_decisions_at_once_do_not_lock_each_other_out(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let (one, two) = (
        app.created_service("one").await,
        app.created_service("two").await,
    );
    let mut crowd = app.crowd(&one, 20).await;
    crowd.extend(app.crowd(&two, 20).await);
    let ids: Vec<&str> = crowd.iter().map(|request| request.id.as_str()).collect();
    let turned: Vec<&str> = ids.iter().rev().copied().collect();
    for request in &crowd {
        app.consumer().delete_endpoint(&request.endpoint).unwrap();
    }
    app.advance(std::time::Duration::from_secs(1));
    let place = app.place().await;
    let (a, b, c, single, looked) = tokio::join!(
        app.bulk(Who::Approver, "accept", &ids, true),
        app.bulk(Who::Admin, "reject", &turned, true),
        app.bulk(Who::Admin, "reject", &turned, false),
        app.try_to_decide(Who::Approver, &crowd[7], "accept"),
        portcullis::worker::observe::run_pass(&place),
    );
    looked.unwrap();
    for answer in [&a, &b, &c] {
        for (result, code) in results(answer) {
            let fine = [
                None,
                Some("connection_already_decided"),
                Some("connection_closed"),
            ];
            assert!(fine.contains(&code), "{result} {code:?}");
        }
    }
    assert!([200, 409].contains(&single.status), "{}", single.text);
    let twice = "SELECT count(*) FROM (SELECT FROM decisions GROUP BY connection_id HAVING count(*) > 1) AS d";
    assert_eq!(app.count(twice).await, 0);
}

/// The most that one request takes is taken in one transaction, well before anybody's patience ends.
#[sqlx::test(migrations = "./migrations")]
async fn a_thousand_are_decided_in_one_transaction(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.requested(&service).await;
    let ids = app.multiply(1000).await;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let began = Instant::now();
    let answer = app.bulk(Who::Approver, "reject", &ids, true).await;
    let took = began.elapsed();
    assert_eq!(answer["decided"], 1000);
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 1000);
    eprintln!("1000 decisions in one transaction took {took:?}");
    assert!(took.as_secs() < 15, "{took:?}");
}

/// Whoever is denied, and whatever goes beyond a quota, is refused for itself; the deny list and the quotas are asked in a crowd as they are alone.
#[sqlx::test(migrations = "./migrations")]
async fn a_crowd_does_not_go_beyond_a_quota(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let crowd = app.crowd(&service, 4).await;
    let of = format!("services/{}", service.id);
    app.set_quota(&of, &json!({ "connections": 2 }))
        .await
        .good();
    let ids: Vec<&str> = crowd.iter().map(|request| request.id.as_str()).collect();
    let whole = app.bulk(Who::Approver, "accept", &ids, true).await;
    assert_eq!(whole["decided"], 0);
    assert_eq!(whole["refused"], 2, "{whole}");
    let each = app.bulk(Who::Approver, "accept", &ids, false).await;
    assert_eq!(
        (each["decided"].as_i64(), each["refused"].as_i64()),
        (Some(2), Some(2))
    );
    let refused = results(&each).into_iter().filter_map(|(_, code)| code);
    assert_eq!(refused.collect::<Vec<_>>(), ["quota_exceeded"; 2]);
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 2);
}
