//! Several decisions in one call: what befalls one endpoint is not the others' trouble.

use std::time::Duration;

use portcullis::worker::sync_connections;
use privatelink_sim::{Behavior, Effect, Fault};
use sqlx::PgPool;

use crate::support::halting::halt;
use crate::support::{Request, Service, Setup, TestApp};

const ACCEPT: &str = "AcceptVpcEndpointConnections";

async fn accepted_together(app: &TestApp, service: &Service, count: usize) -> Vec<Request> {
    let mut requests = Vec::new();
    for _ in 0..count {
        requests.push(app.requested(service).await);
    }
    for request in &requests {
        app.decide(request, "accept").await;
    }
    requests
}

/// I8: an Unsuccessful item holds up nobody but itself.
#[sqlx::test(migrations = "./migrations")]
async fn one_refused_endpoint_does_not_hold_up_its_batch(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let requests = accepted_together(&app, &service, 4).await;
    let (bad, mates) = requests.split_first().unwrap();
    let refusal = Effect::PartialUnsuccessful {
        resource_id: bad.endpoint.to_string(),
        code: "InvalidState".to_owned(),
        message: "not now".to_owned(),
    };
    app.sim().faults().plan(Fault::always(ACCEPT, refusal));

    // Without a step of the clock: the others arrive with the first call.
    app.run_worker().await;
    for mate in mates {
        assert_eq!(app.summary(mate).await, "available");
    }
    assert_eq!(app.summary(bad).await, "accepting");

    app.run_until_rest().await;
    let stuck = app.connection(bad).await;
    assert_eq!(stuck["summary"], "stalled");
    assert_eq!(stuck["sync"]["code"], "InvalidState");
    assert_eq!(stuck["sync"]["message"], "not now");
    for mate in mates {
        assert_eq!(app.accepts(mate), 1, "repeats name the refused one only");
    }
    app.sim().faults().clear();
    app.retry(bad).await.good();
    app.run_until_rest().await;
    assert_eq!(app.summary(bad).await, "available");
    assert_eq!(app.effective(bad, "accept").await, 1);
}

/// I8: a call that AWS refuses as a whole is split until the parts pass.
#[sqlx::test(migrations = "./migrations")]
async fn a_batch_that_is_refused_as_a_whole_is_split(pool: PgPool) {
    let behavior = Behavior {
        max_ids_per_decision: 2,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let requests = accepted_together(&app, &service, 7).await;
    app.run_worker().await;
    for request in &requests {
        assert_eq!(app.summary(request).await, "available");
        assert_eq!(app.accepts(request), 1);
    }
    let calls = app.sim().calls().of(ACCEPT);
    assert_eq!(calls[0].outcome, "InvalidParameterValue");
    assert_eq!(calls[0].ids.len(), 7, "all in one at first");
}

/// Taking access away goes before giving it, in the same pass.
#[sqlx::test(migrations = "./migrations")]
async fn a_revocation_is_told_before_an_accept(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let (first, second) = (app.requested(&service).await, app.requested(&service).await);
    app.decide(&first, "accept").await;
    app.run_until_rest().await;
    app.decide(&second, "accept").await;
    app.decide(&first, "revoke").await;
    app.run_until_rest().await;
    assert_eq!(app.summary(&first).await, "revoked");
    assert_eq!(app.summary(&second).await, "available");
    let log = app.sim().calls().all();
    let number = |action: &str, request: &Request| {
        log.iter()
            .find(|e| e.action == action && e.ids.contains(&request.endpoint.to_string()))
            .map(|e| e.seq)
    };
    assert!(number("RejectVpcEndpointConnections", &first) < number(ACCEPT, &second));
}

/// A refusal that no id causes is not split to the last id: the calls would be the whole AccountRegion's for minutes.
#[sqlx::test(migrations = "./migrations")]
async fn a_refusal_that_no_id_causes_costs_few_calls(pool: PgPool) {
    let behavior = Behavior {
        max_ids_per_decision: 0,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let requests = accepted_together(&app, &service, 40).await;
    app.run_worker().await;
    let calls = app.sim().calls().of(ACCEPT).len();
    assert!(calls <= 20, "{calls} calls for 40 endpoints");
    for request in &requests {
        let seen = app.connection(request).await;
        assert_eq!(seen["sync"]["code"], "InvalidParameterValue");
        assert_eq!(seen["summary"], "stalled");
    }
}

/// I3: a decision that comes in while a refused call is split is heeded by every call that is yet to be made.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_revoked_while_a_call_is_split_is_not_accepted(pool: PgPool) {
    let behavior = Behavior {
        max_ids_per_decision: 2,
        ..Behavior::instant()
    };
    let setup = Setup {
        behavior,
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let requests = accepted_together(&app, &service, 4).await;
    let mut place = app.place().await;
    // All four are refused together; then two and two are tried.
    let halt = halt(&mut place);
    let (pass, ()) = tokio::join!(sync_connections::run_pass(&place), async {
        halt.done.notified().await;
        app.decide(&requests[3], "revoke").await;
        for _ in 0..4 {
            halt.go_on.notify_one();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    pass.unwrap();
    let named = app.sim().calls().of(ACCEPT);
    assert_eq!(named[0].ids.len(), 4, "all together: {:?}", named[0]);
    let revoked = requests[3].endpoint.to_string();
    assert!(
        named[1..].iter().all(|call| !call.ids.contains(&revoked)),
        "{named:?}"
    );
    app.run_until_rest().await;
    assert_eq!(app.summary(&requests[3]).await, "revoked");
    for request in &requests[..3] {
        assert_eq!(app.summary(request).await, "available");
    }
}
