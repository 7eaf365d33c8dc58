//! Somebody uses AWS without the product: it is noticed, recorded as AWS's doing, and never overwritten unasked.

use std::time::Duration;

use privatelink_sim::{Behavior, Legality};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{HERE, PROVIDER, Setup, TestApp};

impl TestApp {
    /// The kinds of the drifts of connections that are open or, with a prefix, were resolved.
    async fn drifts(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT CASE WHEN resolved_at IS NULL THEN kind ELSE 'resolved ' || kind END FROM drifts
              WHERE connection_id IS NOT NULL ORDER BY detected_at, kind",
        )
        .fetch_all(self.db())
        .await
        .unwrap()
    }

    /// I6: each drift has one audit line, and AWS is its actor.
    async fn audited_drifts(&self) -> i64 {
        self.count(
            "SELECT count(*) FROM audit_entries WHERE action = 'connection.drifted' AND actor_kind = 'aws'",
        )
        .await
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_accept_behind_our_back_is_noticed_and_can_be_confirmed(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.accept_behind_our_back(&service, &request).await;
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;

    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "available");
    assert_eq!(seen["review"]["state"], "undecided");
    assert_eq!(app.drifts().await, ["accepted_outside"]);
    assert_eq!(app.audited_drifts().await, 1);

    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    assert_eq!(app.drifts().await, ["resolved accepted_outside"]);
    assert_eq!(
        app.accepts(&request),
        1,
        "theirs; there was nothing left to tell AWS"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_rejection_behind_our_back_is_noticed(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.reject_behind_our_back(&service, &request).await;
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "rejected");
    assert_eq!(seen["review"]["state"], "undecided");
    assert_eq!(app.drifts().await, ["rejected_outside"]);
    assert_eq!(app.audited_drifts().await, 1);
}

/// AWS documents no way back from rejected, so the product does not try one; it tells.
#[sqlx::test(migrations = "./migrations")]
async fn an_accepted_connection_that_was_cut_off_behind_our_back_is_shown(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.advance(Duration::from_hours(1));
    app.reject_behind_our_back(&service, &request).await;
    app.run_until_rest().await;

    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "stalled");
    assert_eq!(seen["sync"]["code"], "rejected_outside");
    app.retry(&request).await.good();
    app.run_until_rest().await;
    assert_eq!(
        app.connection(&request).await["sync"]["code"],
        "rejected_outside"
    );
    assert_eq!(app.accepts(&request), 1);
    // The way out that AWS offers: the consumer makes a new endpoint.
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "deleted");
    assert_eq!(seen["sync"]["state"], "idle");
}

/// Revoking agrees with what somebody did in AWS: the stall ends and nothing is sent.
#[sqlx::test(migrations = "./migrations")]
async fn an_accepted_connection_that_was_cut_off_can_be_revoked_to_agree(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.advance(Duration::from_hours(1));
    app.reject_behind_our_back(&service, &request).await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "stalled");

    let before = app.rejects(&request);
    app.decide(&request, "revoke").await;
    app.run_until_rest().await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "revoked");
    assert_eq!(seen["sync"]["state"], "idle");
    assert_eq!(app.rejects(&request), before);
}

/// I3, I15: a rejection that came undone stays as it is until a person says what is right.
#[sqlx::test(migrations = "./migrations")]
async fn a_rejection_undone_behind_our_back_is_not_overwritten_until_retried(pool: PgPool) {
    let behavior = Behavior {
        accept_after_reject: Legality::Allow,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "reject").await;
    app.run_until_rest().await;
    app.advance(Duration::from_hours(1));
    app.accept_behind_our_back(&service, &request).await;
    for _ in 0..3 {
        app.advance(Duration::from_mins(20));
        app.run_until_rest().await;
    }

    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "stalled");
    assert_eq!(seen["sync"]["code"], "accepted_outside");
    assert_eq!(app.rejects(&request), 1, "it is shown, not overwritten");
    assert_eq!(app.drifts().await, ["accepted_outside"]);
    assert_eq!(app.audited_drifts().await, 1);

    app.retry(&request).await.good();
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
    assert_eq!(app.rejects(&request), 2);
    assert_eq!(app.drifts().await, ["resolved accepted_outside"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_that_accepts_by_itself_is_told_apart_and_can_still_be_rejected(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let aws_id = app.foreign_service("open", false).await;
    let body =
        json!({ "account_id": PROVIDER, "region": HERE, "name": "open", "aws_service_id": aws_id });
    let service = app.registered(&body).await;
    app.advance(Duration::from_secs(1));
    let request = app.requested(&service).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.drifts().await, ["auto_accepted"]);
    assert_eq!(app.audited_drifts().await, 1);

    app.decide(&request, "reject").await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
    assert_eq!((app.accepts(&request), app.rejects(&request)), (0, 1));
}

#[sqlx::test(migrations = "./migrations")]
async fn connections_that_stood_there_at_adoption_are_told_apart(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let aws_id = app.foreign_service("old", true).await;
    let name = format!("com.amazonaws.vpce.{HERE}.{aws_id}");
    let [old, waiting] = [0, 1].map(|_| app.consumer().create_endpoint(&name).unwrap());
    let accepted = app
        .console()
        .accept_connections(&aws_id, std::slice::from_ref(&old))
        .await;
    assert_eq!(accepted, Ok(Vec::new()));
    app.run_worker().await;
    assert_eq!(
        app.count("SELECT count(*) FROM connections").await,
        0,
        "not ours yet"
    );

    app.advance(Duration::from_hours(1));
    let body =
        json!({ "account_id": PROVIDER, "region": HERE, "name": "old", "aws_service_id": aws_id });
    app.registered(&body).await;
    let (old, waiting) = (app.found(&old).await, app.found(&waiting).await);
    assert_eq!(app.summary(&old).await, "available");
    assert_eq!(app.summary(&waiting).await, "waiting");
    assert_eq!(app.drifts().await, ["preexisting"]);
    assert_eq!(app.audited_drifts().await, 1);
    assert_eq!(
        app.sim().calls().of("RejectVpcEndpointConnections").len(),
        0
    );
}
