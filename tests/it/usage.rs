//! The ledger of use: endpoint-hours counted from what was bound and seen, sealed, and never changed afterwards.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{CONSUMER, TestApp, Who};

fn figures(rows: &[Value]) -> Vec<(i64, i64, &str, &str)> {
    let row = |row: &Value| {
        let of = |member: &str| row[member].as_i64().unwrap();
        (of("part"), of("seconds"))
    };
    let words = |row: &'_ Value| {
        let of = |member: &str| match row[member].as_str().unwrap() {
            "open" => "open",
            "sealed" => "sealed",
            "billable" => "billable",
            _ => "unbillable_grace",
        };
        (of("billing"), of("state"))
    };
    let figure = |one: &Value| {
        let ((part, seconds), (billing, state)) = (row(one), words(one));
        (part, seconds, billing, state)
    };
    rows.iter().map(figure).collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn hours_are_counted_sealed_and_filled_in_after_an_outage(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let agreement = app.ordered(&listing, "order-1").await;
    app.bind(&agreement, &request, app.clock.now()).await;
    app.minutes(30);
    app.count_usage().await;
    let rows = app.ledger("").await;
    assert_eq!(figures(&rows), [(1, 1800, "billable", "open")]);
    let row = &rows[0];
    assert_eq!(
        [
            &row["quantity"],
            &row["price"],
            &row["amount"],
            &row["currency"],
            &row["unit"],
            &row["source"]
        ],
        [
            "0.50000000",
            "0.03000000",
            "0.01500000",
            "EUR",
            "UnitHrs",
            "endpoint_hours"
        ]
    );
    app.minutes(35);
    app.count_usage().await;
    // The hour is over, and may still get what was seen of it a moment ago.
    let both = [(1, 3600, "billable", "open"), (1, 300, "billable", "open")];
    assert_eq!(figures(&app.ledger("").await), both);
    app.minutes(6);
    app.count_usage().await;
    let both = [
        (1, 3600, "billable", "sealed"),
        (1, 660, "billable", "open"),
    ];
    assert_eq!(figures(&app.ledger("").await), both);

    // Nobody works for ten hours; then two replicas at once, and again.
    app.minutes(600);
    let (one, other) = tokio::join!(
        portcullis::worker::usage::run_pass(&app.shared),
        portcullis::worker::usage::run_pass(&app.shared)
    );
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    app.count_usage().await;
    let rows = app.ledger("").await;
    assert_eq!(rows.len(), 12);
    for row in &rows[..11] {
        assert_eq!(
            (&row["seconds"], &row["state"]),
            (&json!(3600), &json!("sealed")),
            "{row}"
        );
    }
    let hours: Vec<DateTime<Utc>> = rows
        .iter()
        .map(|r| r["hour"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(
        hours
            .windows(2)
            .all(|two| two[1] - two[0] == TimeDelta::hours(1)),
        "{hours:?}"
    );

    // Not live any more, but bound: there is a row of nothing. Not bound any more: there is none.
    app.see(&request, "rejected", app.clock.now()).await;
    app.minutes(120);
    app.unbind(&request, app.clock.now()).await;
    app.minutes(300);
    app.count_usage().await;
    let rows = app.ledger("").await;
    let last: Vec<&Value> = rows[11..].iter().map(|row| &row["seconds"]).collect();
    assert_eq!(last, [660, 0, 0]);
    assert!(rows.iter().all(|row| row["state"] == "sealed"));
    let due = "SELECT count(*) FROM usage_marks WHERE due_at IS NOT NULL";
    assert_eq!(app.count(due).await, 0, "it is over");

    for sql in [
        "UPDATE usage_hours SET seconds = 1, quantity = round(1 / 3600.0, 8)",
        "UPDATE usage_hours SET state = 'open', sealed_at = NULL",
        "DELETE FROM usage_hours",
        "TRUNCATE usage_hours CASCADE",
    ] {
        let refused = sqlx::query(sql).execute(app.db()).await.unwrap_err();
        let code = refused.into_database_error().unwrap();
        assert_eq!(code.code().unwrap_or_default(), "42501", "{sql}");
    }
    let path = format!("/v1/agreements/{}/usage", agreement.id);
    let sums = app.get(Who::Viewer, &path).await.good();
    let total = |member: &str| -> i64 {
        sums["months"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sum| sum[member].as_i64().unwrap())
            .sum()
    };
    assert_eq!(
        (total("seconds"), total("open_rows"), total("late_rows")),
        (11 * 3600 + 660, 0, 0)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_hour_is_split_at_a_renewal_and_sealed_early_at_an_end(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let first = app.ordered(&listing, "order-1").await;
    app.bind(&first, &request, app.clock.now()).await;
    app.minutes(20);
    let second = app.ordered(&listing, "order-2").await;
    app.bind(&second, &request, app.clock.now()).await;
    app.minutes(55);
    app.count_usage().await;
    let of = |id| format!("agreement_id={id}");
    let split = app.ledger(&of(first.id)).await;
    assert_eq!(figures(&split), [(1, 1200, "billable", "sealed")]);
    let split = app.ledger(&of(second.id)).await;
    assert_eq!(
        figures(&split),
        [
            (1, 2400, "billable", "sealed"),
            (1, 900, "billable", "open")
        ]
    );

    // The end: what can be billed is sealed at once, and the grace stands apart.
    app.end_agreement(&second, app.clock.now()).await;
    app.count_usage().await;
    let rows = app.ledger(&of(second.id)).await;
    assert_eq!(figures(&rows)[1..], [(1, 900, "billable", "sealed")]);
    app.minutes(10);
    app.count_usage().await;
    let rows = app.ledger(&of(second.id)).await;
    assert_eq!(figures(&rows)[2..], [(1, 600, "unbillable_grace", "open")]);
    assert_eq!(rows[2]["amount"], Value::Null);
    app.unbind(&request, app.clock.now()).await;
    app.minutes(60);
    app.count_usage().await;
    let rows = app
        .ledger(&format!("{}&billing=unbillable_grace", of(second.id)))
        .await;
    assert_eq!(figures(&rows), [(1, 600, "unbillable_grace", "sealed")]);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_becomes_known_late_is_a_part_of_its_own(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let begin = app.clock.now();
    let agreement = app.ordered(&listing, "order-1").await;
    app.bind(&agreement, &request, begin).await;
    app.minutes(75);
    app.count_usage().await;
    // It was away for ten minutes of the sealed hour, which is written only now.
    app.see(&request, "rejected", begin + TimeDelta::minutes(40))
        .await;
    app.see(&request, "available", begin + TimeDelta::minutes(50))
        .await;
    app.minutes(60);
    app.count_usage().await;
    let hour = begin.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let first = |rows: Vec<Value>| -> Vec<Value> {
        rows.into_iter()
            .filter(|row| row["hour"] == hour.as_str())
            .collect()
    };
    let rows = first(app.ledger("").await);
    assert_eq!(
        figures(&rows),
        [
            (1, 3600, "billable", "sealed"),
            (2, -600, "billable", "sealed")
        ]
    );
    assert!(
        rows[1]["reason"]
            .as_str()
            .unwrap()
            .contains("after it was sealed"),
        "{rows:?}"
    );
    // That it had ended in that hour is told of even later: what was billed is taken back, and stands as grace.
    app.end_agreement(&agreement, begin + TimeDelta::minutes(30))
        .await;
    app.count_usage().await;
    let rows = first(app.ledger("").await);
    assert_eq!(
        figures(&rows),
        [
            (1, 3600, "billable", "sealed"),
            (2, -600, "billable", "sealed"),
            (3, -1200, "billable", "sealed"),
            (1, 1200, "unbillable_grace", "sealed")
        ]
    );
    app.minutes(5);
    app.count_usage().await;
    assert_eq!(first(app.ledger("").await).len(), 4, "it is told once");
}

/// Numbers that look like chance, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Whatever happens, and whenever it is counted: the rows are those of the exact time.
#[sqlx::test(migrations = "./migrations")]
async fn the_rows_are_the_same_whenever_they_are_counted(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let first = app.ordered(&listing, "order-1").await;
    let second = app.ordered(&listing, "order-2").await;
    let mut dice = Dice(20_261_127);
    // What is so now, and the exact seconds of each agreement and hour.
    let (mut payer, mut live) = (None, true);
    let mut exact: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut bound: BTreeSet<(String, i64)> = BTreeSet::new();
    for step in 0..60 {
        let now = app.clock.now();
        match dice.roll(6) {
            0 | 1 => {
                let next = if dice.roll(2) == 0 { &first } else { &second };
                app.bind(next, &request, now).await;
                payer = Some(next.id.to_string());
            }
            2 => {
                app.unbind(&request, now).await;
                payer = None;
            }
            3 => {
                live = !live;
                app.see(&request, if live { "available" } else { "rejected" }, now)
                    .await;
            }
            _ => {}
        }
        if dice.roll(3) == 0 {
            app.count_usage().await;
        }
        // At last long enough that what is open is counted again.
        let long = if dice.roll(8) == 0 { 20_000 } else { 2_400 };
        let wait = if step == 59 { 600 } else { 1 + dice.roll(long) };
        for second in now.timestamp()..now.timestamp() + i64::try_from(wait).unwrap() {
            if let Some(payer) = &payer {
                bound.insert((payer.clone(), second / 3600));
                if live {
                    *exact.entry((payer.clone(), second / 3600)).or_default() += 1;
                }
            }
        }
        app.advance(std::time::Duration::from_secs(wait));
    }
    app.count_usage().await;
    app.count_usage().await;
    let rows: Vec<(uuid::Uuid, DateTime<Utc>, i64, i64)> = sqlx::query_as(
        "SELECT agreement_id, hour, sum(seconds), count(*) FROM usage_hours GROUP BY agreement_id, hour",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let mut found = BTreeMap::new();
    for (agreement, hour, seconds, parts) in rows {
        let id = portcullis::domain::ids::AgreementId::from(agreement).to_string();
        assert_eq!(parts, 1, "nothing came late");
        found.insert((id, hour.timestamp() / 3600), seconds);
    }
    for key in bound {
        exact.entry(key).or_default();
    }
    assert_eq!(found, exact);
    let most: i64 = sqlx::query_scalar(
        "SELECT max(sum) FROM (SELECT sum(seconds) FROM usage_hours GROUP BY hour) AS hours",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    assert!(most <= 3600, "{most}");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_export_has_every_row_in_exact_figures(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let agreement = app.ordered(&listing, "=order, \"1\"").await;
    app.bind(&agreement, &request, app.clock.now()).await;
    app.minutes(80);
    app.count_usage().await;
    let answer = app.get(Who::Viewer, "/v1/usage.csv").await;
    assert_eq!(
        answer.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    let lines: Vec<&str> = answer.text.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "{}", answer.text);
    let row = &app.ledger("").await[0];
    let expected = format!(
        "{},{},\"'=order, \"\"1\"\"\",Metered,{CONSUMER},{CONSUMER},{},endpoint_hours,UnitHrs,{},1,endpoint_hours,3600,1.00000000,0.03000000,0.03000000,EUR,billable,sealed,{},",
        row["id"].as_str().unwrap(),
        agreement.id,
        request.endpoint,
        row["hour"].as_str().unwrap(),
        row["sealed_at"].as_str().unwrap(),
    );
    assert_eq!(lines[1], expected);
    let after = format!("/v1/usage.csv?after={}", row["id"].as_str().unwrap());
    assert_eq!(
        app.get(Who::Viewer, &after)
            .await
            .text
            .split("\r\n")
            .count(),
        3
    );
    let none = format!("/v1/usage.csv?to={}", row["hour"].as_str().unwrap());
    assert_eq!(
        app.get(Who::Viewer, &none).await.text.split("\r\n").count(),
        2
    );
}
