//! What the database itself holds: append-only tables, partitions, constraints, and rows that nobody should have written.

use chrono::{Months, TimeDelta};
use portcullis::domain::clock::Clock;
use portcullis::domain::ids::{AccountRegionId, ConnectionId, EndpointServiceId};
use portcullis::store::{
    StoreError, account_regions, connections, endpoint_services, migrate, partitions,
};
use serde_json::json;
use sqlx::{ConnectOptions, PgPool};

use crate::support::{TestApp, Who};

/// The code that the append-only triggers raise: `insufficient_privilege`.
const REFUSED: &str = "42501";
const CHECK_VIOLATION: &str = "23514";

async fn code_of(app: &TestApp, sql: &'static str) -> String {
    match sqlx::query(sql).execute(app.db()).await {
        Ok(done) => panic!("{sql} touched {} rows", done.rows_affected()),
        Err(error) => {
            let error = error.into_database_error().expect("the database's refusal");
            error.code().unwrap_or_default().into_owned()
        }
    }
}

/// I6: what was decided and what was audited never changes, not even by a statement on a partition.
#[sqlx::test(migrations = "./migrations")]
async fn audit_entries_and_decisions_refuse_to_be_changed(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let said = json!({ "body": "hello" });
    app.tell(Who::Approver, &request, "comments", &said)
        .await
        .good();
    for sql in [
        "UPDATE audit_entries SET actor = 'somebody else'",
        "DELETE FROM audit_entries",
        "UPDATE decisions SET reason = 'another'",
        "DELETE FROM decisions",
        "UPDATE connection_comments SET body = 'another'",
        "DELETE FROM connection_comments",
        "TRUNCATE connection_comments",
        "TRUNCATE audit_entries",
        "TRUNCATE decisions CASCADE",
    ] {
        assert_eq!(code_of(&app, sql).await, REFUSED, "{sql}");
    }
    let partition: String =
        sqlx::query_scalar("SELECT DISTINCT tableoid::regclass::text FROM audit_entries")
            .fetch_one(app.db())
            .await
            .unwrap();
    let sql = format!("DELETE FROM {partition}");
    let refused = sqlx::query(sqlx::AssertSqlSafe(sql))
        .execute(app.db())
        .await;
    assert!(refused.is_err(), "{partition} lets its rows be deleted");
}

#[sqlx::test(migrations = "./migrations")]
async fn words_that_the_code_does_not_know_are_refused_by_the_tables(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    app.requested(&service).await;
    app.add_consumer_with("Acme", &["444455556666"]).await;
    app.deny(&serde_json::json!({ "account_id": "444455556666" }))
        .await;
    app.block("accounts/444455556666").await;
    let asked = app.ask(&[&service], &json!({})).await;
    app.give(&asked).await;
    let cause = json!({ "kind": "access_request", "access_request_id": asked });
    app.end_access(&cause, 60).await;
    let body = json!({ "reason": "to see" });
    app.post(Who::Admin, "/v1/rejudgements", &body).await.good();
    sqlx::query(
        "INSERT INTO rejudgement_connections (rejudgement_id, connection_id, code, sentence, state)
         SELECT r.id, c.id, 'x', 'x', 'found' FROM rejudgements r, connections c",
    )
    .execute(app.db())
    .await
    .unwrap();
    for sql in [
        "UPDATE access_requests SET state = 'maybe'",
        "UPDATE access_requests SET state = 'pending'",
        "UPDATE access_requests SET ended_at = NULL",
        "UPDATE access_requests SET decided_by = NULL",
        "UPDATE access_requests SET account_id = '1'",
        "UPDATE access_request_services SET state = 'perhaps'",
        "UPDATE access_request_services SET state = 'standing', principal = NULL, version = NULL, added = false",
        "UPDATE access_removals SET state = 'halfway'",
        "UPDATE access_removals SET state = 'done'",
        "UPDATE access_removals SET cause = 'principal'",
        "UPDATE access_removals SET account_id = NULL",
        "UPDATE access_removals SET cancelled_at = now()",
        "INSERT INTO access_removal_connections SELECT r.id, c.id, now(), 'lost' FROM access_removals r, connections c",
        "INSERT INTO planned_revocations SELECT c.id, a.id, r.id, now(), '', '' FROM access_removals a, rejudgements r, connections c",
        "UPDATE blocks SET state = 'over'",
        "UPDATE blocks SET state = 'restoring'",
        "UPDATE blocks SET subject = 'service'",
        "UPDATE blocks SET lifted_at = now()",
        "UPDATE rejudgements SET state = 'over'",
        "UPDATE rejudgements SET state = 'previewed'",
        "UPDATE rejudgements SET losing = 1",
        "UPDATE rejudgements SET account_id = '1'",
        "UPDATE rejudgements SET applied_at = now()",
        "UPDATE rejudgements SET after_account = '444455556666'",
        "UPDATE rejudgements SET state = 'cancelled', ended_at = now()",
        "UPDATE rejudgements SET account_id = '444455556666', endpoint_service_id = (SELECT id FROM endpoint_services LIMIT 1)",
        "UPDATE rejudgement_connections SET state = 'lost'",
        "UPDATE rejudgement_connections SET state = 'kept'",
        "UPDATE rejudgement_connections SET state = 'kept', kept_as = 'mercy'",
        "UPDATE denials SET subject = 'somebody'",
        "UPDATE denials SET subject = 'consumer'",
        "UPDATE denials SET account_id = NULL, subject = 'everybody'",
        "UPDATE denials SET expires_at = denied_at",
        "UPDATE denials SET lifted_at = now()",
        "INSERT INTO consumer_quotas SELECT id, -1, NULL, NULL, now(), 'test' FROM consumers",
        "INSERT INTO service_quotas SELECT id, NULL, NULL, -1, now(), 'test' FROM endpoint_services",
        "UPDATE consumers SET state = 'asleep'",
        "UPDATE consumers SET slug = 'A'",
        "UPDATE consumers SET labels = '[]'",
        "UPDATE consumer_accounts SET known_by = 'rumour'",
        "UPDATE consumer_accounts SET proof = 'sts_presigned'",
        "UPDATE consumer_accounts SET account_id = '1'",
        "UPDATE consumer_accounts SET removed_at = now()",
        "UPDATE connections SET review_state = 'maybe'",
        "UPDATE connections SET review_state = 'accepted'",
        "UPDATE connections SET sync_state = 'lost'",
        "UPDATE connections SET sync_state = 'due', sync_due_at = NULL",
        "UPDATE connections SET sync_act = 'accept'",
        "UPDATE connections SET endpoint_id = 'vpce-*'",
        "UPDATE connections SET owner_account = ''",
        "UPDATE endpoint_services SET aws_service_id = ''",
        "UPDATE endpoint_services SET origin = 'found'",
        "UPDATE account_regions SET lease_holder = NULL",
        "UPDATE endpoint_services SET lifecycle = 'gone'",
        "UPDATE endpoint_services SET lifecycle = 'draining'",
        "UPDATE endpoint_services SET then_delete = true",
        "INSERT INTO reviews (connection_id, claimed_by) SELECT id, 'x' FROM connections",
        "INSERT INTO reviews (connection_id, held_at) SELECT id, now() FROM connections",
        "INSERT INTO reviews (connection_id, held_until) SELECT id, now() FROM connections",
        "INSERT INTO review_rules VALUES ((SELECT id FROM endpoint_services LIMIT 1), 1, 3, NULL, NULL, NULL)",
        "INSERT INTO review_rules VALUES ((SELECT id FROM endpoint_services LIMIT 1), 1, 1, NULL, 'accept', NULL)",
        "INSERT INTO approvals (id, connection_id, approver, reason, approved_at, ended_at, ended_as)
         SELECT id, id, 'x', 'x', now(), now(), 'used' FROM connections",
        "INSERT INTO decisions (id, connection_id, verb, actor_kind, actor, reason, inputs, decided_at, ticket_url)
         SELECT id, id, 'accept', 'person', 'x', 'x', '{}', now(), 'http://x' FROM connections",
    ] {
        assert_eq!(code_of(&app, sql).await, CHECK_VIOLATION, "{sql}");
    }
}

/// I15: a row that the code cannot have written is an error with a name, not a guess, and shows nothing of itself to callers.
#[sqlx::test(migrations = "./migrations")]
async fn inconsistent_rows_are_refused_by_name(pool: PgPool) {
    let app = TestApp::start(pool);
    let account_region = app.add_account_region().await;
    let service = app.created_service("edge").await;
    let request = app.requested(&service).await;
    for sql in [
        "UPDATE connections SET dns_entries = '{\"secret\": 1}'",
        "UPDATE endpoint_services SET checks = '\"secret\"'",
        "UPDATE account_regions SET listed_ms = NULL",
    ] {
        sqlx::query(sql).execute(app.db()).await.unwrap();
    }
    let conn = &mut *app.db().acquire().await.unwrap();
    let table_of = |error: StoreError| match error {
        StoreError::Inconsistent { table, .. } => table,
        other => panic!("{other:?}"),
    };
    let id: ConnectionId = request.id.parse().unwrap();
    let error = connections::by_id(conn, id).await.unwrap_err();
    assert_eq!(table_of(error), "connections");
    let id: EndpointServiceId = service.id.parse().unwrap();
    let error = endpoint_services::by_id(conn, id).await.unwrap_err();
    assert_eq!(table_of(error), "endpoint_services");
    let id: AccountRegionId = account_region.parse().unwrap();
    let error = account_regions::by_id(conn, id).await.unwrap_err();
    assert_eq!(table_of(error), "account_regions");

    for path in [
        format!("/v1/connections/{}", request.id),
        format!("/v1/services/{}", service.id),
        format!("/v1/account-regions/{account_region}"),
    ] {
        let answer = app.get(Who::Viewer, &path).await;
        answer.refused(&path, 500, "internal");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
}

#[sqlx::test(migrations = false)]
async fn migrations_may_run_again_and_by_several_replicas_at_once(pool: PgPool) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let (one, two) = tokio::join!(migrate(&url), migrate(&url));
    one.unwrap();
    two.unwrap();
    migrate(&url).await.unwrap();
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM account_regions")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(tables, 0);
}

/// I14: rows find a partition in any month, the turn of a year included, however often and by whomever it is made.
#[sqlx::test(migrations = "./migrations")]
async fn partitions_are_made_for_any_month(pool: PgPool) {
    let app = TestApp::start(pool);
    let far = app.clock.now().checked_add_months(Months::new(30)).unwrap();
    let insert = async |at| {
        sqlx::query(
            "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id)
             VALUES (gen_random_uuid(), $1, 'worker', 'test', 'test', 'connection', gen_random_uuid())",
        )
        .bind(at)
        .execute(app.db())
        .await
    };
    assert!(insert(far).await.is_err(), "there is no such partition yet");
    let ensure = async || {
        let mut conn = app.db().acquire().await.unwrap();
        partitions::ensure(&mut conn, far).await
    };
    let (one, two) = tokio::join!(ensure(), ensure());
    one.unwrap();
    two.unwrap();
    ensure().await.unwrap();
    insert(far).await.unwrap();
    insert(far.checked_add_months(Months::new(1)).unwrap())
        .await
        .unwrap();
    assert!(insert(far + TimeDelta::days(70)).await.is_err());
}
