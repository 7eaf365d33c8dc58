//! Several at once: people who disagree, replicas that want the same AccountRegion, a decision that overtakes the call of the one before.

use std::time::Duration;

use portcullis::worker::{PassError, observe, sync_connections};
use serde_json::Value;
use sqlx::PgPool;

use crate::support::halting::halt;
use crate::support::{TestApp, Who};

impl TestApp {
    /// The AccountRegions' leases run out, as if their holder had died a while ago.
    pub(crate) async fn expire_leases(&self) {
        sqlx::query("UPDATE account_regions SET lease_until = now() - interval '1 second' WHERE lease_holder IS NOT NULL")
            .execute(self.db())
            .await
            .unwrap();
    }

    /// All there is to know about connections and what was done about them, for comparing.
    async fn everything(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT row_to_json(c)::text FROM connections c
             UNION ALL SELECT row_to_json(a)::text FROM sync_attempts a
             UNION ALL SELECT row_to_json(o)::text FROM observations o
             UNION ALL SELECT row_to_json(e)::text FROM audit_entries e
             UNION ALL SELECT concat(listed_at, error_at) FROM account_regions
             ORDER BY 1",
        )
        .fetch_all(self.db())
        .await
        .unwrap()
    }
}

/// I2, I3: of two people who disagree one is heard, and the other is told so.
#[sqlx::test(migrations = "./migrations")]
async fn of_two_decisions_at_once_one_is_taken(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for _ in 0..10 {
        let request = app.requested(&service).await;
        let (accept, reject) = tokio::join!(
            app.try_to_decide(Who::Approver, &request, "accept"),
            app.try_to_decide(Who::Admin, &request, "reject"),
        );
        let (winner, loser) = if accept.status == 200 {
            ("accepted", reject)
        } else {
            assert_eq!(reject.status, 200, "{accept:?} {reject:?}");
            ("rejected", accept)
        };
        loser.refused("the second", 409, "connection_already_decided");
        assert!(loser.json()["detail"].as_str().unwrap().contains(winner));
        assert_eq!(app.connection(&request).await["review"]["state"], winner);
    }
    assert_eq!(app.count("SELECT count(*) FROM decisions").await, 10);
    let told =
        "SELECT count(DISTINCT decision_id) FROM audit_entries WHERE decision_id IS NOT NULL";
    assert_eq!(app.count(told).await, 10);
}

#[sqlx::test(migrations = "./migrations")]
async fn one_replica_serves_an_account_region_at_a_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let id = app.add_account_region().await;
    let (first, second) = (app.another_worker(), app.another_worker());
    let (one, two) = tokio::join!(first.lease_once(), second.lease_once());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.len() + two.len(), 1, "one of the two gets it");
    let fence = one.iter().chain(&two).next().unwrap().lease.fence;

    let (holder, other) = if one.is_empty() {
        (second, first)
    } else {
        (first, second)
    };
    assert_eq!(other.lease_once().await.unwrap().len(), 0);
    let renewed = holder.lease_once().await.unwrap();
    assert_eq!(
        renewed[0].lease.fence, fence,
        "renewing is no change of owner"
    );

    app.expire_leases().await;
    let taken = other.lease_once().await.unwrap();
    assert_eq!(taken[0].lease.fence, fence + 1);
    assert_eq!(holder.lease_once().await.unwrap().len(), 0);
    let shown = app
        .get(Who::Viewer, &format!("/v1/account-regions/{id}"))
        .await
        .good();
    assert_eq!(shown["served_by"]["fence"], fence + 1);
}

/// I3, I4 and faults 5 and 24: whoever lost the lease changes nothing any more, here or in AWS.
#[sqlx::test(migrations = "./migrations")]
async fn a_replica_that_lost_its_lease_changes_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let old = app.place().await;
    app.expire_leases().await;
    let heir = app.another_worker();
    assert_eq!(heir.lease_once().await.unwrap().len(), 1);

    app.consumer().create_endpoint(&service.name).unwrap();
    let before = app.everything().await;
    let lost = |error: PassError| assert!(error.lease_is_lost(), "{error:?}");
    lost(observe::run_pass(&old).await.unwrap_err());
    lost(sync_connections::run_pass(&old).await.unwrap_err());
    assert_eq!(app.everything().await, before);
    assert_eq!(app.accepts(&request), 0);

    app.run_until_rest_of(&heir).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.accepts(&request), 1);
}

/// Fault 24: the lease is lost while AWS works. The late answer is thrown away; the heir finds out by looking.
#[sqlx::test(migrations = "./migrations")]
async fn an_answer_that_comes_after_the_lease_is_lost_is_thrown_away(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let mut old = app.place().await;
    let halt = halt(&mut old);
    let heir = app.another_worker();
    let take_over = async {
        halt.done.notified().await;
        app.expire_leases().await;
        assert_eq!(heir.lease_once().await.unwrap().len(), 1);
        let before = app.everything().await;
        halt.go_on.notify_one();
        before
    };
    let (pass, before) = tokio::join!(sync_connections::run_pass(&old), take_over);
    assert!(pass.unwrap_err().lease_is_lost());
    assert_eq!(app.everything().await, before);

    app.run_until_rest_of(&heir).await;
    assert_eq!(app.summary(&request).await, "available");
    assert_eq!(app.accepts(&request), 1);
}

/// I3: a revocation that is decided while the accept is in the air is not overwritten by the accept's settlement, and a reject follows.
#[sqlx::test(migrations = "./migrations")]
async fn a_decision_that_overtakes_a_call_stands(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let mut place = app.place().await;
    let halt = halt(&mut place);
    let revoke = async {
        halt.done.notified().await;
        let revoked = app.decide(&request, "revoke").await;
        halt.go_on.notify_one();
        revoked
    };
    let (pass, revoked) = tokio::join!(sync_connections::run_pass(&place), revoke);
    assert_eq!(pass.unwrap().recorded, 1);
    let seen = app.connection(&request).await;
    assert_eq!(seen["review"], revoked["review"]);
    assert_eq!(
        seen["sync"], revoked["sync"],
        "due, with no attempt of its own yet"
    );
    assert_ne!(seen["sync"]["due_at"], Value::Null);

    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "revoked");
    assert_eq!((app.accepts(&request), app.rejects(&request)), (1, 1));
    let told = "SELECT count(*) FROM sync_attempts a JOIN decisions d ON d.id = a.decision_id
                 WHERE (d.verb, a.act, a.outcome) IN (('accept', 'accept', 'recorded'), ('revoke', 'reject', 'recorded'))";
    assert_eq!(
        app.count(told).await,
        2,
        "each call is told of its own decision"
    );
}

/// What an observer concluded while a call was under way is newer than what the call's answer says.
#[sqlx::test(migrations = "./migrations")]
async fn an_answer_does_not_overwrite_a_stall_that_was_seen_meanwhile(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    let mut place = app.place().await;
    let halt = halt(&mut place);
    let observed = async {
        halt.done.notified().await;
        // Cut off behind our back, and seen, before the answer to the accept arrives.
        let ids = [request.endpoint.clone()];
        let cut = app
            .console()
            .reject_connections(&service.aws_id, &ids)
            .await;
        assert_eq!(cut, Ok(Vec::new()));
        app.advance(Duration::from_secs(1));
        observe::run_pass(&app.place().await).await.unwrap();
        halt.go_on.notify_one();
    };
    let (pass, ()) = tokio::join!(sync_connections::run_pass(&place), observed);
    pass.unwrap();
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "stalled", "{seen}");
    assert_eq!(seen["sync"]["code"], "rejected_outside");
}
