//! A database that was restored to an older point (fault 31): what was decided since then is known to nobody here, and stands in AWS. It is
//! shown for a person to settle, nothing is guessed and nothing is taken back.

use std::time::Duration;

use portcullis::domain::clock::Clock;
use portcullis::domain::ids::ConnectionId;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::TestApp;

/// A copy of the database as it is now, as a backup has it.
async fn copied(app: &TestApp) -> PgPool {
    let options = (*app.db().connect_options()).clone();
    let name = options.get_database().unwrap().to_owned();
    let id = ConnectionId::new(app.clock.now());
    let copy = format!("copy_of_{}", id.uuid().simple());
    let outside = PgPoolOptions::new().max_connections(1);
    let outside = outside.connect_with(options.clone().database("postgres"));
    let outside = outside.await.unwrap();
    let create = format!("CREATE DATABASE {copy} TEMPLATE \"{name}\"");
    for _ in 0..100 {
        // Nobody may be in a database while it is copied.
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(ended)
            .bind(&name)
            .execute(&outside)
            .await
            .unwrap();
        if sqlx::query(AssertSqlSafe(create.clone()))
            .execute(&outside)
            .await
            .is_ok()
        {
            let pool = PgPoolOptions::new().max_connections(5);
            return pool.connect_with(options.database(&copy)).await.unwrap();
        }
    }
    panic!("the database is never quiet");
}

async fn dropped(app: &TestApp, copy: PgPool) {
    let options = (*copy.connect_options()).clone();
    let name = options.get_database().unwrap().to_owned();
    copy.close().await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    sqlx::query(AssertSqlSafe(drop))
        .execute(app.db())
        .await
        .unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn after_a_restore_nothing_is_guessed_and_everything_is_shown(pool: PgPool) {
    let mut app = TestApp::start(pool.clone());
    let service = app.with_service().await;
    // What is made from here on is younger than the service.
    app.advance(Duration::from_secs(1));
    let waiting = app.requested(&service).await;
    let accepted = app.requested(&service).await;
    app.decide(&accepted, "accept").await;
    app.run_until_rest().await;
    let backup = copied(&app).await;

    app.decide(&waiting, "accept").await;
    app.decide(&accepted, "revoke").await;
    let late = app.requested(&service).await;
    app.decide(&late, "accept").await;
    let lost = app.created_service("lost").await;
    app.run_until_rest().await;
    let changes = app.mutations();

    app.move_to(backup.clone()).await;
    app.expire_leases().await;
    app.look_again().await;
    app.take_fresh_inventory().await;
    assert_eq!(app.mutations(), changes, "AWS is left as it is");

    // What was accepted since is alive without a decision, and says so.
    let late = app.found(&late.endpoint).await;
    for request in [&waiting, &late] {
        let seen = app.connection(request).await;
        assert_eq!(seen["summary"], "available", "{seen}");
        assert_eq!(seen["review"]["state"], "undecided", "{seen}");
        let found = app.inbox(&format!("connection_id={}", request.id)).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["kind"], "accepted_outside");
        assert_eq!(found[0]["state"], "open");
    }
    // What was revoked since is stalled: the decision that is left says otherwise.
    let seen = app.connection(&accepted).await;
    assert_eq!(seen["review"]["state"], "accepted", "{seen}");
    assert_eq!(seen["sync"]["state"], "stalled", "{seen}");
    let found = app.inbox(&format!("connection_id={}", accepted.id)).await;
    assert_eq!(found[0]["kind"], "rejected_outside");
    // The service that was made since is one that nobody knows.
    let found = app.inbox("kind=unknown_service").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["subject"], lost.aws_id.as_str());

    // A person settles it, and the rest goes on as ever.
    app.decide(&waiting, "accept").await;
    let next = app.requested(&service).await;
    app.decide(&next, "accept").await;
    app.advance(Duration::from_secs(1));
    app.run_until_rest().await;
    assert_eq!(app.summary(&next).await, "available");
    assert_eq!(app.accepts(&waiting), 1, "AWS needs no second call");

    app.move_to(pool).await;
    dropped(&app, backup).await;
}
