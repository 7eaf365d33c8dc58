//! The months of the ledger of use: rows always find theirs, what was there before is carried over, and what is let go of stays gone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use portcullis::app::retain::{Retention, retain};
use portcullis::domain::clock::Clock;
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use crate::support::{TestApp, Who};

/// The migration that partitions the ledger.
const PARTITIONED: i64 = 20_261_127_000_750;

async fn text(conn: &mut PgConnection, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(conn).await.unwrap()
}

async fn code(conn: &mut PgConnection, sql: &'static str) -> String {
    let refused = sqlx::query(sql).execute(conn).await.unwrap_err();
    let refused = refused.into_database_error().unwrap();
    refused.code().unwrap().into_owned()
}

#[sqlx::test(migrations = false)]
async fn what_was_there_before_is_carried_over(pool: PgPool) {
    let all = sqlx::migrate!("./migrations");
    let conn = &mut *pool.acquire().await.unwrap();
    let run = async |conn: &mut PgConnection, after: i64, before: i64| {
        let wanted = all
            .iter()
            .filter(|it| (after..before).contains(&it.version));
        for migration in wanted {
            sqlx::raw_sql(migration.sql.clone())
                .execute(&mut *conn)
                .await
                .unwrap();
        }
    };
    run(conn, 0, PARTITIONED).await;
    // Without the agreement that they are of: only the ledger is looked at.
    let rows = "SET session_replication_role = replica;
        INSERT INTO usage_hours (id, agreement_id, dimension, unit, connection_id, hour, source, billing, part, seconds, quantity, price, currency, state, reason,
                                 recorded_at, sealed_at)
        SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'hours', 'UnitHrs', '00000000-0000-7000-8000-000000000002', hour, 'endpoint_hours',
               'billable', part, 1800, 0.5, 0.03, 'EUR', CASE WHEN hour = 'today' THEN 'open' ELSE 'sealed' END, CASE WHEN part = 2 THEN 'late' END, hour,
               CASE WHEN hour <> 'today' THEN hour END
          FROM unnest('{2024-02-29 23:00+00, 2024-03-01 00:00+00, today}'::timestamptz[]) AS hour, generate_series(1, 2) AS part WHERE hour <> 'today' OR part = 1;
        INSERT INTO usage_reports (agreement_id, event_id, usage_hour_id, dimension, at, quantity, reported_at, reported_by)
        SELECT agreement_id, 'e', id, 'hours', hour + interval '59 minutes', 1, now(), 'x' FROM usage_hours WHERE hour = '2024-02-29 23:00+00' AND part = 1;
        SET session_replication_role = origin";
    let rows = rows.replace("today", "2026-11-01 00:00:00+00");
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
        .execute(&mut *conn)
        .await
        .unwrap();
    let whole = "SELECT string_agg(concat_ws('|', id, agreement_id, dimension, unit, connection_id, account_id, hour, source, billing, part, seconds, quantity,
                                             price, currency, amount, state, reason, recorded_at, sealed_at), E'\\n' ORDER BY id) FROM usage_hours";
    let before = text(conn, whole).await;
    assert_eq!(before.lines().count(), 5);
    sqlx::raw_sql("SET session_replication_role = replica")
        .execute(&mut *conn)
        .await
        .unwrap();
    run(conn, PARTITIONED, i64::MAX).await;
    sqlx::raw_sql("SET session_replication_role = origin")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_eq!(text(conn, whole).await, before);
    let months = "SELECT string_agg(DISTINCT tableoid::regclass::text, ' ') FROM usage_hours";
    assert_eq!(
        text(conn, months).await,
        "usage_hours_202402 usage_hours_202403 usage_hours_202611"
    );
    for sql in [
        "UPDATE usage_hours SET seconds = 1, quantity = round(1 / 3600.0, 8) WHERE state = 'sealed'",
        "DELETE FROM usage_hours",
        "TRUNCATE usage_hours",
        "UPDATE usage_reports SET quantity = 2",
        "DELETE FROM usage_reports",
        "TRUNCATE usage_reports",
    ] {
        assert_eq!(code(conn, sql).await, "42501", "{sql}");
    }
    let twice = "INSERT INTO usage_hours (id, agreement_id, dimension, unit, connection_id, hour, source, billing, part, seconds, quantity, state, recorded_at)
        SELECT gen_random_uuid(), agreement_id, dimension, unit, connection_id, hour, source, billing, part, seconds, quantity, 'open', recorded_at FROM usage_hours WHERE part = 1 LIMIT 1";
    assert_eq!(code(conn, twice).await, "23505");
    let unfounded = "INSERT INTO usage_hours (id, agreement_id, dimension, unit, connection_id, hour, source, billing, part, seconds, quantity, state, recorded_at)
        SELECT gen_random_uuid(), id, dimension, unit, connection_id, hour, source, billing, part, seconds, quantity, 'open', recorded_at FROM usage_hours WHERE part = 1 LIMIT 1";
    assert_eq!(code(conn, unfounded).await, "23503");
}

impl TestApp {
    async fn let_go(&self, months: u32) {
        let retention = Retention {
            usage_months: months,
            ..Retention::default()
        };
        let ctx = self.application();
        retain(&ctx, None, &retention).await.unwrap();
    }

    /// How many rows there are, and those of hours before the four whole months that are kept.
    async fn ledger_rows(&self) -> (i64, i64) {
        let sql = "SELECT count(*), count(*) FILTER (WHERE hour < date_trunc('month', $1, 'UTC') - interval '4 months') FROM usage_hours";
        let now = self.clock.now();
        let rows = sqlx::query_as(sql).bind(now).fetch_one(self.db());
        rows.await.unwrap()
    }
}

/// A worker that was away for half a year fills in months that nobody made; what is let go of then is not counted again.
#[sqlx::test(migrations = "./migrations")]
async fn late_hours_find_their_month_until_it_is_let_go_of(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let begin: DateTime<Utc> = app.clock.now();
    let agreement = app.ordered(&listing, "order-1").await;
    app.bind(&agreement, &request, begin).await;
    let reported = json!({ "event_id": "e", "agreement_id": agreement.id, "dimension": "requests", "at": begin, "quantity": "2" });
    let taken = app.post(Who::Admin, "/v1/usage", &reported).await;
    assert_eq!(taken.status, 201, "{}", taken.text);
    app.advance(Duration::from_hours(200 * 24));
    app.make_partitions().await;
    // What is open was not billed, so it is kept, however old.
    app.let_go(4).await;
    assert_eq!(app.ledger_rows().await, (1, 1));

    app.count_usage().await;
    let (all, old) = app.ledger_rows().await;
    assert_eq!(
        all,
        200 * 24 + 1,
        "each hour that has begun, and the report"
    );
    assert!(old > 24 * 30, "{old}");
    let months = "SELECT count(DISTINCT tableoid) FROM usage_hours";
    assert!(app.count(months).await >= 7);
    // For ever, unless somebody says otherwise.
    app.let_go(0).await;
    assert_eq!(app.ledger_rows().await, (all, old));
    app.let_go(4).await;
    assert_eq!(app.ledger_rows().await, (all - old, 0));
    assert_eq!(app.count("SELECT count(*) FROM usage_reports").await, 0);

    // Nobody is billed twice for what is gone, nor are months made again for it, also if nothing is to be let go of from now on.
    let anew = "UPDATE usage_marks SET recount_from = $1, due_at = $1";
    sqlx::query(anew)
        .bind(begin)
        .execute(app.db())
        .await
        .unwrap();
    app.count_usage().await;
    assert_eq!(app.ledger_rows().await, (all - old, 0));
    let path = format!("/v1/agreements/{}/usage", agreement.id);
    let sums = app.get(Who::Viewer, &path).await.good();
    let counted = sums["months"].as_array().unwrap().iter();
    let counted: i64 = counted.map(|it| it["rows"].as_i64().unwrap()).sum();
    assert_eq!(counted, all - old, "{sums}");
}
