//! Who goes first: people before policies before what failed before; and how long calls become.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portcullis::domain::actor::ActorKind;
use portcullis::domain::dispatch::Urgency;
use portcullis::worker::budget::Bucket;
use portcullis::worker::{Place, WorkerSettings, sync_connections};
use privatelink_sim::{Behavior, Effect, Fault};
use sqlx::PgPool;

use crate::support::{Request, Setup, TestApp};

const ACCEPT: &str = "AcceptVpcEndpointConnections";

/// The database's function and the domain's are one table.
#[sqlx::test(migrations = "./migrations")]
async fn the_database_and_the_domain_rank_alike(pool: PgPool) {
    let now: DateTime<Utc> = DateTime::UNIX_EPOCH;
    for actor in [ActorKind::Person, ActorKind::Policy] {
        for attempts in [0, 1, 4] {
            for hurried in [false, true] {
                let hurry = now + TimeDelta::seconds(if hurried { 1 } else { -1 });
                let rank: i32 = sqlx::query_scalar("SELECT sync_rank($1, $2, $3, $4)")
                    .bind(actor.as_str())
                    .bind(attempts)
                    .bind(now)
                    .bind(hurry)
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                let urgency = Urgency::of(actor, attempts, hurried);
                assert_eq!(rank, urgency.rank(), "{actor} {attempts} {hurried}");
            }
        }
    }
}

impl TestApp {
    /// As if a policy had taken the decisions about these.
    async fn by_policy(&self, requests: &[Request]) {
        let ids: Vec<String> = requests.iter().map(|r| r.endpoint.to_string()).collect();
        let sql = "WITH mine AS (
                       INSERT INTO decisions (id, connection_id, verb, actor_kind, actor, reason, inputs, decided_at)
                       SELECT gen_random_uuid(), c.id, 'accept', 'policy', 'baseline', 'allowed', '{}', now()
                         FROM connections c WHERE c.endpoint_id = ANY($1)
                       RETURNING id, connection_id)
                   UPDATE connections c SET decision_id = mine.id FROM mine WHERE mine.connection_id = c.id";
        sqlx::query(sql).bind(ids).execute(self.db()).await.unwrap();
    }

    /// Endpoints of each accept, the service's id left out, in order.
    fn accept_calls(&self) -> Vec<Vec<String>> {
        let calls = self.sim().calls().of(ACCEPT).into_iter();
        let of = |ids: Vec<String>| ids.into_iter().filter(|id| !id.starts_with("vpce-svc-"));
        calls.map(|call| of(call.ids).collect()).collect()
    }
}

async fn leave_tokens(place: &Place, tokens: usize) {
    while place.budget.tokens(Bucket::Accept, Urgency::Person) > tokens {
        drop(place.budget.take(Bucket::Accept).await);
    }
}

/// Of two services, the one for which a person waits has the last tokens; what a policy decided waits for more.
#[sqlx::test(migrations = "./migrations")]
async fn a_person_s_decision_goes_before_a_policy_s_older_one(pool: PgPool) {
    let app = TestApp::start(pool);
    let (first, second) = (
        app.with_service().await,
        app.created_service("Second").await,
    );
    let policy = [app.requested(&first).await, app.requested(&first).await];
    let person = app.requested(&second).await;
    for request in &policy {
        app.decide(request, "accept").await;
    }
    app.by_policy(&policy).await;
    app.advance(Duration::from_secs(5));
    app.decide(&person, "accept").await;
    app.advance(Duration::from_secs(2));
    let place = app.place().await;
    leave_tokens(&place, 2).await;
    let report = sync_connections::run_pass(&place).await.unwrap();
    assert_eq!(report.sent, 1, "two tokens are kept for people");
    assert_eq!(app.accept_calls(), [[person.endpoint.to_string()]]);
    app.run_until_rest().await;
    for request in &policy {
        assert_eq!(app.summary(request).await, "available");
    }
}

/// A call is one token however many it names: what waits less urgently goes along, and after it is asked for by itself.
#[sqlx::test(migrations = "./migrations")]
async fn a_person_s_call_is_filled_up_with_what_a_policy_decided(pool: PgPool) {
    let usual = Setup::default();
    let settings = WorkerSettings {
        batch_size: 2,
        largest_batch: 2,
        ..usual.settings
    };
    let app = TestApp::start_with(pool, Setup { settings, ..usual });
    let service = app.with_service().await;
    let mut policy = Vec::new();
    for _ in 0..3 {
        policy.push(app.requested(&service).await);
    }
    let person = app.requested(&service).await;
    for request in &policy {
        app.decide(request, "accept").await;
    }
    app.by_policy(&policy).await;
    app.advance(Duration::from_secs(5));
    app.decide(&person, "accept").await;
    let place = app.place().await;
    leave_tokens(&place, 2).await;
    sync_connections::run_pass(&place).await.unwrap();
    let calls = app.accept_calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].len(), 2);
    assert!(calls[0].contains(&person.endpoint.to_string()), "{calls:?}");
    app.run_until_rest().await;
}

/// What failed before yields to what is fresh, until half of its time is over.
#[sqlx::test(migrations = "./migrations")]
async fn a_repeat_yields_to_a_fresh_decision_until_its_time_runs_short(pool: PgPool) {
    let app = TestApp::start(pool);
    let (first, second) = (
        app.with_service().await,
        app.created_service("Second").await,
    );
    let old = app.requested(&first).await;
    let fresh = app.requested(&second).await;
    app.decide(&old, "accept").await;
    let lost = Effect::ErrorBefore {
        status: 500,
        code: "InternalError".to_owned(),
    };
    app.sim().faults().plan(Fault::once(ACCEPT, lost));
    sync_connections::run_pass(&app.place().await)
        .await
        .unwrap();
    assert_eq!(app.connection(&old).await["sync"]["attempts"], 1);
    app.advance(Duration::from_secs(10));
    app.decide(&fresh, "accept").await;
    app.advance(Duration::from_secs(2));
    let place = app.place().await;
    leave_tokens(&place, 1).await;
    sync_connections::run_pass(&place).await.unwrap();
    let last = app.accept_calls().pop().unwrap();
    assert_eq!(last, [fresh.endpoint.to_string()]);

    // Patience is 15 minutes: after eight of them the repeat is as urgent as anything.
    app.advance(Duration::from_mins(8));
    let place = app.place().await;
    leave_tokens(&place, 1).await;
    sync_connections::run_pass(&place).await.unwrap();
    let last = app.accept_calls().pop().unwrap();
    assert_eq!(last, [old.endpoint.to_string()]);
    app.run_until_rest().await;
    assert_eq!(app.summary(&old).await, "available");
}

async fn accepted(app: &TestApp, count: usize) -> Vec<Request> {
    let service = app.with_service().await;
    let mut requests = Vec::new();
    for _ in 0..count {
        requests.push(app.requested(&service).await);
    }
    for request in &requests {
        app.decide(request, "accept").await;
    }
    requests
}

fn beginning_with(batch_size: usize, behavior: Behavior) -> Setup {
    let usual = Setup::default();
    Setup {
        behavior,
        settings: WorkerSettings {
            batch_size,
            ..usual.settings
        },
        ..usual
    }
}

/// While AWS takes full calls quickly, they become longer, and a backlog takes fewer tokens.
#[sqlx::test(migrations = "./migrations")]
async fn calls_become_longer_while_aws_takes_them(pool: PgPool) {
    let app = TestApp::start_with(pool, beginning_with(2, Behavior::instant()));
    accepted(&app, 20).await;
    // Long enough for the last call, which is not full, to go as well.
    app.advance(Duration::from_secs(2));
    let place = app.place().await;
    sync_connections::run_pass(&place).await.unwrap();
    let sizes: Vec<usize> = app.accept_calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 4, 8, 6]);
    assert_eq!(place.batch_size(), 16);
}

/// A length that AWS refuses is tried once.
#[sqlx::test(migrations = "./migrations")]
async fn a_length_that_aws_refuses_is_remembered(pool: PgPool) {
    let behavior = Behavior {
        max_ids_per_decision: 5,
        ..Behavior::instant()
    };
    let app = TestApp::start_with(pool, beginning_with(4, behavior));
    let requests = accepted(&app, 24).await;
    let place = app.place().await;
    for _ in 0..4 {
        sync_connections::run_pass(&place).await.unwrap();
    }
    let sizes: Vec<usize> = app.accept_calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 8, 4, 4, 4, 4, 4], "eight are too many, once");
    assert_eq!(place.batch_size(), 4);
    for request in &requests {
        assert_eq!(app.accepts(request), 1);
    }
}

/// A refusal that has another cause says nothing about how long calls may be.
#[sqlx::test(migrations = "./migrations")]
async fn a_refusal_of_every_length_does_not_make_calls_shorter(pool: PgPool) {
    let behavior = Behavior {
        max_ids_per_decision: 0,
        ..Behavior::instant()
    };
    let app = TestApp::start_with(pool, beginning_with(8, behavior));
    let requests = accepted(&app, 8).await;
    let place = app.place().await;
    sync_connections::run_pass(&place).await.unwrap();
    assert_eq!(app.summary(&requests[3]).await, "stalled");
    assert_eq!(place.batch_size(), 8);
}
