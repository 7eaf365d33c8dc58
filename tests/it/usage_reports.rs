//! Use that the provider's own software reports.

use chrono::{DateTime, TimeDelta, Utc};
use portcullis::domain::agreement::Agreement;
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Answer, CONSUMER, TestApp, Who};

fn report(agreement: &Agreement, event: &str, at: DateTime<Utc>, quantity: &str) -> Value {
    json!({ "event_id": event, "agreement_id": agreement.id, "dimension": "requests", "at": at, "quantity": quantity })
}

async fn send(app: &TestApp, body: &Value) -> Answer {
    app.post(Who::Admin, "/v1/usage", body).await
}

#[sqlx::test(migrations = "./migrations")]
async fn reports_of_an_hour_add_up_and_late_ones_stand_apart(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let begin = app.clock.now();
    let agreement = app.ordered(&listing, "order-1").await;
    app.bind(&agreement, &request, begin).await;
    app.minutes(5);
    let now = app.clock.now();
    let one = send(&app, &report(&agreement, "a", now, "1000000.5")).await;
    assert_eq!(one.status, 201, "{}", one.text);
    let again = send(&app, &report(&agreement, "a", now, "1000000.50")).await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (200, &one.json()["id"])
    );
    let other = send(&app, &report(&agreement, "a", now, "2")).await;
    other.refused("another report", 409, "usage_event_reused");
    let two = send(&app, &report(&agreement, "b", now, "0.5"))
        .await
        .good();
    assert_eq!(
        (&two["id"], &two["quantity"], &two["amount"]),
        (
            &one.json()["id"],
            &json!("1000001.00000000"),
            &json!("1.00000100")
        )
    );
    // Told apart by connection or account.
    for (member, value) in [
        ("connection_id", request.id.as_str()),
        ("account_id", CONSUMER),
    ] {
        let mut body = report(&agreement, member, now, "7");
        body[member] = json!(value);
        let row = send(&app, &body).await.good();
        assert_eq!(
            (&row["quantity"], &row[member]),
            (&json!("7.00000000"), &json!(value))
        );
    }
    app.minutes(66);
    app.count_usage().await;
    assert_eq!(app.ledger("source=reported&state=sealed").await.len(), 3);
    let late = send(&app, &report(&agreement, "c", now, "3")).await.good();
    assert_eq!(
        (&late["part"], &late["state"], &late["quantity"]),
        (&json!(2), &json!("sealed"), &json!("3.00000000"))
    );
    // A correction takes back, says why, and never takes more than there is.
    let mut less = report(&agreement, "d", now, "-4");
    send(&app, &less)
        .await
        .refused("no reason", 400, "invalid_request");
    less["reason"] = json!("the meter counted twice");
    let less = send(&app, &less).await.good();
    assert_eq!(
        (&less["part"], &less["quantity"], &less["reason"]),
        (
            &json!(3),
            &json!("-4.00000000"),
            &json!("the meter counted twice")
        )
    );
    let mut too_much = report(&agreement, "e", now, "-1000000.00000001");
    too_much["reason"] = json!("all of it");
    send(&app, &too_much)
        .await
        .refused("too much", 409, "usage_below_zero");
    let sums = app
        .get(
            Who::Viewer,
            &format!("/v1/agreements/{}/usage", agreement.id),
        )
        .await
        .good();
    let sums = sums["months"].as_array().unwrap();
    let requests = sums
        .iter()
        .find(|sum| sum["dimension"] == "requests")
        .unwrap();
    assert_eq!(
        (
            &requests["quantity"],
            &requests["amount"],
            &requests["late_rows"]
        ),
        (&json!("1000014.00000000"), &json!("1.00"), &json!(2))
    );

    // After the end: grace, and then nothing.
    app.end_agreement(&agreement, app.clock.now()).await;
    app.minutes(1);
    let grace = send(&app, &report(&agreement, "f", app.clock.now(), "9"))
        .await
        .good();
    assert_eq!(
        (&grace["billing"], &grace["amount"]),
        (&json!("unbillable_grace"), &Value::Null)
    );
    app.minutes(60);
    let over = send(&app, &report(&agreement, "g", app.clock.now(), "9")).await;
    over.refused("it is over", 409, "usage_outside_agreement");
    let before = send(
        &app,
        &report(&agreement, "h", begin - TimeDelta::minutes(1), "9"),
    )
    .await;
    before.refused("it had not begun", 409, "usage_outside_agreement");
    for sql in [
        "UPDATE usage_reports SET quantity = 1",
        "DELETE FROM usage_reports",
    ] {
        let refused = sqlx::query(sql).execute(app.db()).await.unwrap_err();
        let code = refused.into_database_error().unwrap();
        assert_eq!(code.code().unwrap_or_default(), "42501", "{sql}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_report_that_makes_no_sense_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, _) = app.metered().await;
    let unpaid = app.requested(&service).await;
    let agreement = app.ordered(&listing, "order-1").await;
    let now = app.clock.now();
    let good = report(&agreement, "a", now, "1");
    for (member, value, field) in [
        ("event_id", json!(""), "event_id"),
        ("event_id", json!("a b"), "event_id"),
        ("dimension", json!("nothing"), "dimension"),
        ("dimension", json!("endpoint_hours"), "dimension"),
        ("at", json!(now + TimeDelta::minutes(6)), "at"),
        ("at", json!(now - TimeDelta::days(93)), "at"),
        ("connection_id", json!(unpaid.id), "connection_id"),
        ("account_id", json!("999999999999"), "account_id"),
    ] {
        let mut body = good.clone();
        body[member] = value.clone();
        let refusal = send(&app, &body).await;
        refusal.refused(&format!("{member}: {value}"), 400, "invalid_request");
        assert_eq!(
            refusal.json()["errors"][0]["field"],
            field,
            "{}",
            refusal.text
        );
    }
    for quantity in [
        json!(1),
        json!(1.5),
        json!("1e3"),
        json!("0.000000001"),
        Value::Null,
    ] {
        let mut body = good.clone();
        body["quantity"] = quantity.clone();
        send(&app, &body)
            .await
            .refused(&quantity.to_string(), 400, "invalid_json");
    }
    let mut nobody = good.clone();
    nobody["agreement_id"] = json!(format!("agr_{}", "0".repeat(32)));
    send(&app, &nobody)
        .await
        .refused("no agreement", 404, "agreement_not_found");
    let mut nothing = good.clone();
    nothing["connection_id"] = json!(format!("con_{}", "0".repeat(32)));
    send(&app, &nothing)
        .await
        .refused("no connection", 404, "connection_not_found");
    assert_eq!(app.count("SELECT count(*) FROM usage_hours").await, 0);
}

/// Who counts a dimension is said by the plan, and stays so.
#[sqlx::test(migrations = "./migrations")]
async fn the_source_of_a_dimension_is_said_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, _) = app.metered().await;
    let content = crate::support::usage::metered(&service);
    let mut other = content.clone();
    other["plans"][0]["dimensions"][0]
        .as_object_mut()
        .unwrap()
        .remove("source");
    let refusal = app.write(&listing, &other).await;
    assert!(
        refusal
            .text
            .contains("The source of endpoint_hours was endpoint_hours and cannot change"),
        "{}",
        refusal.text
    );
    for (member, value, field) in [
        ("unit", json!("Requests"), "unit"),
        ("types", json!(["externally_metered"]), "source"),
    ] {
        let mut bad = content.clone();
        bad["plans"][0]["name"] = json!("Another");
        bad["plans"][0]["dimensions"][0][member] = value;
        let refusal = app.write(&listing, &bad).await;
        assert_eq!(refusal.status, 400, "{}", refusal.text);
        assert!(
            refusal.text.contains(&format!("dimensions[0].{field}")),
            "{}",
            refusal.text
        );
    }
}
