//! Notices of agreements: late, twice, in any order, and before anybody knows what they are about.

use std::time::Duration;

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::agreements::{path, with};
use crate::support::listings::blamed;
use crate::support::{TestApp, Who};

/// A notice of a story: its kind, the hour, the terms and the cause.
type Told = (&'static str, i64, Option<Value>, Option<&'static str>);

#[sqlx::test(migrations = "./migrations")]
async fn an_event_is_one_thing(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let made = app
        .buy(&with(
            shop.year(),
            &json!({ "reference": "order-1", "event_id": "made-1" }),
        ))
        .await;
    app.advance(Duration::from_secs(1));
    let at = app.clock.now();
    let notice = json!({ "event_id": "e1", "at": at, "kind": "questioned", "reason": "odd" });
    let first = app.act(&made, "notices", &notice).await.good();
    assert_eq!(
        (&first["new"], &first["known"], &first["agreement"]["state"]),
        (&json!(true), &json!(true), &json!("review"))
    );
    app.advance(Duration::from_secs(9));
    for again in [
        app.act(&made, "notices", &notice).await.good(),
        app.hear("order-1", &notice).await.good(),
    ] {
        assert_eq!(
            (&again["new"], &again["notice"]),
            (&json!(false), &first["notice"])
        );
        assert_eq!(again["agreement"]["version"], first["agreement"]["version"]);
    }
    for change in [
        json!({ "kind": "cleared" }),
        json!({ "at": at - TimeDelta::seconds(1) }),
        json!({ "kind": "ended", "cause": "payment" }),
    ] {
        let refusal = app
            .act(&made, "notices", &with(notice.clone(), &change))
            .await;
        refusal.refused(&change.to_string(), 409, "event_differs");
    }
    app.hear("order-2", &notice)
        .await
        .refused("of another", 409, "event_differs");
    // That it was made is an event as well.
    let made_again = with(notice, &json!({ "event_id": "made-1" }));
    app.act(&made, "notices", &made_again).await.refused(
        "that was something else",
        409,
        "event_differs",
    );
    let listed = app
        .get(Who::Viewer, &format!("{}/notices", path(&made)))
        .await
        .good();
    let ids: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["event_id"])
        .collect();
    assert_eq!(ids, ["made-1", "e1"]);
    let page = app
        .get(Who::Viewer, &format!("{}/notices?limit=1", path(&made)))
        .await
        .good();
    let next = page["next_cursor"].as_str().unwrap();
    let page = app
        .get(
            Who::Viewer,
            &format!("{}/notices?limit=1&cursor={next}", path(&made)),
        )
        .await
        .good();
    assert_eq!(
        (&page["items"][0]["event_id"], &page["next_cursor"]),
        (&json!("e1"), &Value::Null)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_notice_that_makes_no_sense_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let now = app.clock.now();
    let good = json!({ "event_id": "e1", "at": now, "kind": "licensed" });
    let long = "x".repeat(129);
    for (change, field) in [
        (json!({ "event_id": "" }), "event_id"),
        (json!({ "event_id": long }), "event_id"),
        (json!({ "event_id": "a b" }), "event_id"),
        (json!({ "event_id": "portcullis:0" }), "event_id"),
        (json!({ "at": now + TimeDelta::minutes(6) }), "at"),
        (json!({ "at": "1999-12-31T23:59:59Z" }), "at"),
        (json!({ "kind": "made" }), "terms"),
        (json!({ "kind": "ended" }), "cause"),
        (json!({ "cause": "expired" }), "cause"),
        (json!({ "terms": { "starts_at": now } }), "terms"),
        (
            json!({ "kind": "made", "terms": { "starts_at": now, "ends_at": now } }),
            "terms.ends_at",
        ),
        (
            json!({ "kind": "made", "terms": { "starts_at": "2300-01-01T00:00:00Z" } }),
            "terms.starts_at",
        ),
        (
            json!({ "kind": "made", "terms": { "starts_at": now, "quotas": { "max_regions": 0 } } }),
            "terms.quotas.max_regions",
        ),
        (
            json!({ "kind": "made", "terms": { "starts_at": now, "quantities": { "": "1" } } }),
            "terms.quantities",
        ),
        (json!({ "reason": "" }), "reason"),
    ] {
        let refusal = app.hear("order-1", &with(good.clone(), &change)).await;
        refusal.refused(&change.to_string(), 400, "invalid_request");
        assert_eq!(blamed(&refusal)[0], field, "{change}: {}", refusal.text);
    }
    app.hear("", &good)
        .await
        .refused("no reference", 400, "invalid_request");
    let odd = with(good.clone(), &json!({ "kind": "sold" }));
    app.hear("order-1", &odd)
        .await
        .refused("an unknown kind", 400, "invalid_json");
    assert_eq!(app.count("SELECT count(*) FROM agreement_notices").await, 0);
    let unknown = app.hear("order-1", &good).await.good();
    assert_eq!(
        (&unknown["known"], &unknown["agreement"]),
        (&json!(false), &Value::Null)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_was_told_before_counts_once_the_agreement_is_known(pool: PgPool) {
    let app = TestApp::start(pool);
    let shop = app.shop().await;
    let at = app.clock.now();
    let ended = json!({ "event_id": "e1", "at": at, "kind": "ended", "cause": "cancelled" });
    let heard = app.hear("order-1", &ended).await.good();
    assert_eq!(
        (&heard["new"], &heard["known"]),
        (&json!(true), &json!(false))
    );
    app.advance(Duration::from_mins(30));
    let order = with(
        shop.year(),
        &json!({ "reference": "order-1", "starts_at": at - TimeDelta::days(1), "made_at": at - TimeDelta::days(1) }),
    );
    let made = app.buy(&order).await;
    assert_eq!(
        (&made["state"], &made["cause"]),
        (&json!("grace"), &json!("cancelled"))
    );
    // A late word of its making does not lift what has ended.
    app.advance(Duration::from_hours(30));
    let late = json!({
        "event_id": "e0", "at": at - TimeDelta::hours(1), "kind": "made", "terms": { "starts_at": at - TimeDelta::days(1) },
    });
    let heard = app.hear("order-1", &late).await.good();
    assert_eq!(
        (&heard["new"], &heard["agreement"]["state"]),
        (&json!(true), &json!("ended"))
    );
    // One that never came to be has ended at once, and does not stand in another's way.
    let never = json!({ "event_id": "e2", "at": app.clock.now(), "kind": "rolled_back" });
    app.hear("order-2", &never).await.good();
    let order = with(shop.year(), &json!({ "reference": "order-2" }));
    let made = app.buy(&order).await;
    assert_eq!(
        (&made["state"], &made["cause"]),
        (&json!("ended"), &Value::Null)
    );
    app.buy(&shop.year()).await;
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for index in (1..all.len()).rev() {
            all.swap(index, self.below(index + 1));
        }
    }
}

/// The same events in many orders, some of them twice, with the agreement made known somewhere in between: it ends in one state with one set of terms.
#[sqlx::test(migrations = "./migrations")]
async fn the_order_makes_no_difference(pool: PgPool) {
    let app = TestApp::start(pool);
    let rule = |plans: &mut Value| plans[0]["bind_rule"] = json!("oldest");
    let shop = app.shop_with(rule).await;
    let start = app.clock.now();
    app.advance(Duration::from_hours(24 * 3));
    let hour = |hours: i64| start + TimeDelta::hours(hours);
    let amended = |seats: &str, ends: i64| {
        json!({
            "starts_at": start, "ends_at": hour(ends), "quantities": { "endpoint_seat": seats },
        })
    };
    let stories = [
        vec![
            ("questioned", 1, None, None),
            ("made", 2, Some(amended("6", 900)), None),
            ("cleared", 3, None, None),
            ("made", 4, Some(amended("7", 800)), None),
            ("questioned", 2, None, None),
        ],
        vec![
            ("made", 5, Some(amended("2", 70)), None),
            ("ended", 60, None, Some("cancelled")),
            ("made", 61, Some(amended("3", 900)), None),
            ("ended", 65, None, Some("payment")),
        ],
        vec![
            ("ended", 10, None, Some("terminated")),
            ("made", 11, Some(amended("3", 900)), None),
            ("cleared", 12, None, None),
            ("replaced", 70, None, None),
        ],
        vec![
            ("unlicensed", 20, None, None),
            ("licensed", 21, None, None),
            ("questioned", 30, None, None),
            ("cleared", 29, None, None),
        ],
    ];
    let mut dice = Dice(7);
    for (number, story) in stories.iter().enumerate() {
        let mut ends = Vec::new();
        for round in 0..6 {
            let reference = format!("order-{number}-{round}");
            let notice = |(index, one): (usize, &Told)| {
                let (kind, at, terms, cause) = one;
                json!({
                    "event_id": format!("{number}-{round}-{index}"), "at": hour(*at), "kind": kind, "terms": terms, "cause": cause,
                })
            };
            let order = with(
                shop.year(),
                &json!({ "reference": reference, "starts_at": start, "made_at": start }),
            );
            // None is the moment in which it is made known.
            let mut steps: Vec<Option<Value>> =
                story.iter().enumerate().map(notice).map(Some).collect();
            steps.push(steps[dice.below(steps.len())].clone());
            steps.push(None);
            dice.shuffle(&mut steps);
            for step in &steps {
                match step {
                    Some(notice) => drop(app.hear(&reference, notice).await.good()),
                    None => drop(app.buy(&order).await),
                }
            }
            let found = app
                .get(
                    Who::Viewer,
                    &format!("/v1/agreements?reference={reference}"),
                )
                .await
                .good();
            let shown = app.agreement(&found["items"][0]).await;
            let stored = &found["items"][0];
            assert_eq!(stored["state"], shown["state"]);
            ends.push(json!([
                shown["state"],
                shown["cause"],
                shown["grace_until"],
                shown["terms"],
                shown["ends_at"],
                shown["next_change_at"]
            ]));
        }
        let first = &ends[0];
        assert!(ends.iter().all(|end| end == first), "{number}: {ends:#?}");
    }
}
