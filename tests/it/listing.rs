//! Complete listings: everything is found over many pages, and absence is believed only after two proofs.

use std::time::Duration;

use portcullis::worker::observe;
use privatelink_sim::{Behavior, Effect, Fault};
use sqlx::PgPool;

use crate::support::halting::halt_page_after;
use crate::support::{Setup, TestApp};

const DESCRIBE: &str = "DescribeVpcEndpointConnections";

/// Endpoints vanish from listings at once when their consumers delete them.
fn vanishing(page_size: usize) -> Setup {
    Setup {
        behavior: Behavior {
            endpoint_linger_ms: 0,
            ..Behavior::instant()
        },
        page_size: Some(page_size),
        ..Setup::default()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_large_fleet_is_found_page_by_page(pool: PgPool) {
    let app = TestApp::start_with(pool, vanishing(100));
    let service = app.with_service().await;
    let endpoints: Vec<_> = (0..1_050)
        .map(|_| app.consumer().create_endpoint(&service.name).unwrap())
        .collect();
    let place = app.place().await;
    let report = observe::run_pass(&place).await.unwrap();
    assert_eq!((report.listed, report.recorded.new), (1_050, 1_050));
    assert_eq!(
        app.sim()
            .calls()
            .of(DESCRIBE)
            .iter()
            .rev()
            .take_while(|c| c.ids.is_empty())
            .count(),
        11 + 2
    );

    // One of each end and the middle goes; everything else stays as it was.
    for gone in [0, 500, 1_049] {
        app.consumer().delete_endpoint(&endpoints[gone]).unwrap();
    }
    app.advance(Duration::from_secs(11));
    let report = observe::run_pass(&place).await.unwrap();
    assert_eq!((report.listed, report.deleted), (1_047, 3));
    assert_eq!(report.recorded.new + report.recorded.changed, 0);
    for (number, endpoint) in [0, 500, 1_049].map(|n| (n, &endpoints[n])) {
        let gone = app.found(endpoint).await;
        assert_eq!(app.summary(&gone).await, "deleted", "{number}");
    }
}

/// I11 and fault 13: a listing that breaks off says nothing about what it did not reach.
#[sqlx::test(migrations = "./migrations")]
async fn an_incomplete_listing_deletes_nothing(pool: PgPool) {
    let app = TestApp::start_with(pool, vanishing(3));
    let service = app.with_service().await;
    for _ in 0..8 {
        app.consumer().create_endpoint(&service.name).unwrap();
    }
    app.run_worker().await;
    let gone = app.requested(&service).await;
    app.consumer().delete_endpoint(&gone.endpoint).unwrap();
    app.advance(Duration::from_secs(11));
    app.sim().faults().plan(Fault {
        skip: 2,
        ..Fault::once(DESCRIBE, Effect::DropAnswer)
    });
    let place = app.place().await;
    assert!(observe::run_pass(&place).await.is_err());
    assert_eq!(app.summary(&gone).await, "waiting");
    assert_eq!(observe::run_pass(&place).await.unwrap().deleted, 1);
    assert_eq!(app.summary(&gone).await, "deleted");
}

/// I11: what a direct read still shows is there, whatever a listing left out.
#[sqlx::test(migrations = "./migrations")]
async fn what_a_direct_read_still_shows_is_not_deleted(pool: PgPool) {
    let app = TestApp::start_with(pool, vanishing(100));
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.advance(Duration::from_mins(1));
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.advance(Duration::from_secs(1));
    // The listing is up to date, the direct read that follows is not: as if the listing had missed a row.
    app.sim().faults().plan(Fault {
        skip: 1,
        ..Fault::once(DESCRIBE, Effect::StaleReads { lag_ms: 10_000 })
    });
    let place = app.place().await;
    let report = observe::run_pass(&place).await.unwrap();
    assert_eq!((report.listed, report.deleted), (0, 0));
    assert_eq!(app.summary(&request).await, "waiting");

    app.advance(Duration::from_secs(5));
    assert_eq!(observe::run_pass(&place).await.unwrap().deleted, 1);
    assert_eq!(app.summary(&request).await, "deleted");
    assert_eq!(observe::run_pass(&place).await.unwrap().deleted, 0, "once");
}

/// A decision that was on its way to an endpoint that is gone comes to rest.
#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_owed_to_an_endpoint_that_is_gone(pool: PgPool) {
    let app = TestApp::start_with(pool, vanishing(100));
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "deleted");
    assert_eq!(seen["sync"]["state"], "idle");
    assert_eq!(
        seen["review"]["state"], "accepted",
        "what was decided stays on record"
    );
    assert_eq!(app.accepts(&request), 0);
}

/// I11, fault 12: a connection that became known a moment ago may be missing from both reads because both are stale.
#[sqlx::test(migrations = "./migrations")]
async fn a_newcomer_that_stale_reads_do_not_show_yet_is_not_deleted(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.advance(Duration::from_secs(5));
    let lag = Effect::StaleReads { lag_ms: 8_000 };
    app.sim().faults().plan(Fault::always(DESCRIBE, lag));
    let place = app.place().await;
    let report = observe::run_pass(&place).await.unwrap();
    assert_eq!((report.listed, report.deleted), (0, 0));
    assert_eq!(app.summary(&request).await, "waiting");
    app.sim().faults().clear();
}

/// I5, I11, fault 12: where reads lag for longer than the grace allows, the error mends itself, and a decision that was on its way still
/// arrives once.
#[sqlx::test(migrations = "./migrations")]
async fn what_was_wrongly_thought_gone_comes_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    app.advance(Duration::from_secs(11));
    // Every read shows the time before the consumer asked.
    let lag = Effect::StaleReads { lag_ms: 60_000 };
    app.sim().faults().plan(Fault::always(DESCRIBE, lag));
    app.run_worker().await;
    assert_eq!(app.summary(&request).await, "deleted");
    app.sim().faults().clear();

    app.advance(Duration::from_secs(5));
    app.run_until_rest().await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["summary"], "available");
    assert_eq!(seen["id"], request.id, "the same connection, not a new one");
    assert_eq!(app.accepts(&request), 1);
    assert_eq!(app.count("SELECT count(*) FROM drifts").await, 0);
}

/// I11: while a page that was read ahead waits for its turn, another loop may write what AWS showed later. The clock stands still, so that nothing
/// but the numbers of the reads tells which is the newer.
#[sqlx::test(migrations = "./migrations")]
async fn a_page_read_ahead_is_read_again_when_another_loop_wrote_a_newer_read(pool: PgPool) {
    let app = TestApp::start_with(pool, vanishing(2));
    let service = app.with_service().await;
    let mut endpoints: Vec<_> = (0..5)
        .map(|_| app.consumer().create_endpoint(&service.name).unwrap())
        .collect();
    // As AWS lists them.
    endpoints.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    app.run_worker().await;
    app.advance(Duration::from_secs(1));
    let before = listings(&app);

    let mut place = app.place().await;
    let halt = halt_page_after(&mut place, 1);
    let overtaking = async {
        halt.done.notified().await;
        // The second page has been read, and still says that its first endpoint waits.
        let console = app.console();
        let accepted = console.accept_connections(&service.aws_id, &endpoints[2..3]);
        assert!(accepted.await.unwrap().is_empty());
        let report = observe::run_pass(&place).await.unwrap();
        assert_eq!((report.listed, report.recorded.changed), (5, 1));
        halt.go_on.notify_one();
    };
    let (overtaken, ()) = tokio::join!(observe::run_pass(&place), overtaking);
    let overtaken = overtaken.unwrap();
    assert_eq!((overtaken.listed, overtaken.recorded.changed), (5, 0));

    let request = app.found(&endpoints[2]).await;
    let seen = app.connection(&request).await;
    assert_eq!(seen["observed"]["state"], "available", "{seen}");
    let moves = "SELECT count(*) FROM observations WHERE from_state IS NOT NULL";
    assert_eq!(app.count(moves).await, 1, "there and not back");
    // Three pages each, and one of them twice.
    assert_eq!(listings(&app) - before, 3 + 3 + 1);
}

/// How many pages of complete listings AWS was asked for.
fn listings(app: &TestApp) -> usize {
    let calls = app.sim().calls().of(DESCRIBE);
    calls.iter().filter(|call| call.ids.is_empty()).count()
}
