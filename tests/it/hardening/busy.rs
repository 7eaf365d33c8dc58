//! More is asked than can be done, or something takes too long.

use std::time::{Duration, Instant};

use portcullis::api::limits::HttpSettings;
use portcullis::store::{self, PoolLimits};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};

use crate::support::{Answer, Setup, TestApp, Who};

/// Keeps every reader of connections waiting, as a migration or a mistake would.
async fn blocked(app: &TestApp) -> PgConnection {
    let mut conn = app.db().connect_options().connect().await.unwrap();
    let lock = "BEGIN; LOCK TABLE connections IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut conn).await.unwrap();
    conn
}

fn started(pool: PgPool, change: impl FnOnce(&mut HttpSettings)) -> TestApp {
    let mut setup = Setup::default();
    change(&mut setup.http);
    TestApp::start_with(pool, setup)
}

fn complete(answer: &Answer) {
    for name in ["x-request-id", "content-security-policy", "x-frame-options"] {
        assert_ne!(answer.header(name), "", "{name}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_ne!(answer.header("retry-after"), "");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_request_that_takes_too_long_is_cut_off(pool: PgPool) {
    let app = started(pool, |http| {
        http.request_timeout = Duration::from_millis(300);
    });
    let lock = blocked(&app).await;
    let begun = Instant::now();
    let answer = app.get(Who::Viewer, "/v1/connections").await;
    answer.refused("blocked", 503, "timeout");
    complete(&answer);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    let metrics = app.get(Who::Nobody, "/metrics").await.text;
    let counted =
        r#"portcullis_http_requests_total{method="GET",route="/v1/connections",status="503"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    lock.close().await.unwrap();
    assert_eq!(app.get(Who::Viewer, "/v1/connections").await.status, 200);
}

#[sqlx::test(migrations = "./migrations")]
async fn more_requests_than_there_are_places_are_refused_at_once(pool: PgPool) {
    let app = started(pool, |http| http.max_in_flight = 2);
    let lock = blocked(&app).await;
    let two = async {
        tokio::join!(
            app.get(Who::Viewer, "/v1/connections"),
            app.get(Who::Viewer, "/v1/connections"),
        )
    };
    let others = async {
        let full = "portcullis_http_requests_in_flight 2\n";
        while !app.get(Who::Nobody, "/metrics").await.text.contains(full) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begun = Instant::now();
        for path in ["/v1/connections", "/v1/services", "/docs/"] {
            let answer = app.get(Who::Viewer, path).await;
            answer.refused(path, 503, "overloaded");
            assert_ne!(answer.header("retry-after"), "");
            assert!(
                answer.text.contains("More requests are being worked on"),
                "{}",
                answer.text
            );
        }
        complete(&app.get(Who::Viewer, "/v1/services").await);
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(app.get(Who::Nobody, path).await.status, 200, "{path}");
        }
        lock.close().await.unwrap();
    };
    let ((first, second), ()) = tokio::join!(two, others);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(app.get(Who::Viewer, "/v1/services").await.status, 200);
}

/// Who waits too long for a connection to the database is told so, and when to come again.
#[sqlx::test(migrations = "./migrations")]
async fn a_database_that_has_no_connection_left_is_unavailable(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let limits = PoolLimits {
        max_connections: 2,
        acquire_timeout: Duration::from_secs(2),
        ..PoolLimits::default()
    };
    let url = database.to_url_lossy().to_string();
    let app = TestApp::start(store::pool(&url, limits).unwrap());
    let held = (
        app.db().acquire().await.unwrap(),
        app.db().acquire().await.unwrap(),
    );
    let begun = Instant::now();
    let answer = app.get(Who::Viewer, "/v1/connections").await;
    answer.refused("no connection", 503, "unavailable");
    complete(&answer);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    drop(held);
    assert_eq!(app.get(Who::Viewer, "/v1/connections").await.status, 200);
}

/// The limits on statements are the settings'.
#[sqlx::test(migrations = "./migrations")]
async fn a_statement_ends_when_its_time_is_over(_: PgPoolOptions, database: PgConnectOptions) {
    let limits = PoolLimits {
        statement_timeout: Duration::from_millis(200),
        ..PoolLimits::default()
    };
    let pool = store::pool(database.to_url_lossy().as_ref(), limits).unwrap();
    let slow = sqlx::query("SELECT pg_sleep(20)").execute(&pool).await;
    let error = slow.unwrap_err().to_string();
    assert!(error.contains("statement timeout"), "{error}");
    for (name, value) in [
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "30s"),
    ] {
        let set: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(name)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(set, value, "{name}");
    }
}
