//! Organisations that connect: added, found, changed and closed, and the AWS accounts that belong to them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::{CONSUMER, TestApp, Who};

const THIRD: &str = "222233334444";

#[sqlx::test(migrations = "./migrations")]
async fn a_consumer_is_added_changed_and_closed_with_an_audit_entry_each(pool: PgPool) {
    let app = TestApp::start(pool);
    let body = json!({
        "name": "  Acme Ltd. ", "notes": "Since 2019", "labels": { "tier": "gold" },
        "contacts": [{ "name": "Ann", "email": "ann@acme.example", "role": "technical" }],
        "reason": "order 4711",
    });
    let answer = app.post(Who::Admin, "/v1/consumers", &body).await;
    let location = answer.header("location").to_owned();
    let made = answer.good();
    assert_eq!(made["name"], "Acme Ltd.");
    assert_eq!(made["slug"], "acme-ltd");
    assert_eq!(
        (&made["state"], &made["version"]),
        (&json!("active"), &json!(1))
    );
    assert_eq!(made["created_by"], "admin@provider.example");
    assert_eq!(app.get(Who::Viewer, &location).await.good(), made);

    let id = made["id"].as_str().unwrap();
    let change = json!({ "name": "Acme AG", "labels": {}, "notes": "", "reason": "renamed" });
    let changed = app.try_to_change_consumer(id, &change).await.good();
    assert_eq!(changed["name"], "Acme AG");
    assert_eq!(changed["slug"], "acme-ltd", "what is absent stays");
    assert_eq!(
        (&changed["labels"], &changed["notes"]),
        (&json!({}), &json!(""))
    );
    let stale = json!({ "version": 1, "name": "Acme SE" });
    let late = app.try_to_change_consumer(id, &stale).await;
    late.refused("an old version", 409, "consumer_changed");

    app.try_to_attach(id, CONSUMER).await.good();
    let close = json!({ "state": "closed" });
    let full = app.try_to_change_consumer(id, &close).await;
    full.refused("with an account", 409, "consumer_has_accounts");
    app.try_to_detach(id, CONSUMER).await.good();
    app.try_to_change_consumer(id, &close).await.good();
    let closed = app.try_to_attach(id, CONSUMER).await;
    closed.refused("a closed one", 409, "consumer_closed");

    let told = [
        "consumer.add_account",
        "consumer.change",
        "consumer.change",
        "consumer.register",
        "consumer.remove_account",
    ];
    assert_eq!(app.actions_about("consumer").await, told);
    let (before, after): (Value, Value) = sqlx::query_as(
        "SELECT before, after FROM audit_entries WHERE action = 'consumer.change' AND reason = 'renamed'",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    let members = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    let changed = ["labels", "name", "notes", "version"].map(str::to_owned);
    assert_eq!(members(&before), BTreeSet::from(changed));
    assert_eq!(members(&before), members(&after));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_slug_is_used_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let add = async |body: Value| app.post(Who::Admin, "/v1/consumers", &body).await;
    add(json!({ "name": "Acme" })).await.good();
    let same = add(json!({ "name": "ACME!" })).await;
    same.refused("the same slug", 409, "consumer_exists");
    let other = add(json!({ "name": "Acme", "slug": "acme-2" }))
        .await
        .good();
    let id = other["id"].as_str().unwrap();
    let taken = app
        .try_to_change_consumer(id, &json!({ "slug": "acme" }))
        .await;
    taken.refused("taken", 409, "consumer_exists");
    let none = add(json!({ "name": "株式会社" })).await;
    none.refused("no slug in it", 400, "invalid_request");
    assert_eq!(none.json()["errors"][0]["field"], "slug");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_malformed_is_refused_by_its_field(pool: PgPool) {
    let app = TestApp::start(pool);
    let contact = |name: &str, email: &str| json!({ "name": name, "email": email, "role": "x" });
    let many = vec![contact("Ann", "a@b.example"); 21];
    let cases = [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": "x".repeat(129) }), "name"),
        (json!({ "name": "A", "slug": "A" }), "slug"),
        (json!({ "name": "A", "notes": "x".repeat(4001) }), "notes"),
        (json!({ "name": "A", "labels": { "Tier": "1" } }), "labels"),
        (
            json!({ "name": "A", "labels": { "tier": "x".repeat(129) } }),
            "labels",
        ),
        (
            json!({ "name": "A", "contacts": [contact("Ann", "ann")] }),
            "contacts[0].email",
        ),
        (
            json!({ "name": "A", "contacts": [contact("", "a@b.example")] }),
            "contacts[0].name",
        ),
        (json!({ "name": "A", "contacts": many }), "contacts"),
        (json!({ "name": "A", "reason": " " }), "reason"),
    ];
    for (body, field) in cases {
        let answer = app.post(Who::Admin, "/v1/consumers", &body).await;
        answer.refused(field, 400, "invalid_request");
        assert_eq!(
            answer.json()["errors"][0]["field"],
            field,
            "{}",
            answer.text
        );
    }
    let id = app.add_consumer("Acme").await;
    let path = format!("/v1/consumers/{id}/accounts");
    for (body, field) in [
        (json!({ "account_id": "12", "reason": "x" }), "account_id"),
        (json!({ "account_id": CONSUMER, "reason": "" }), "reason"),
        // Nobody else can give the account's own proof.
        (
            json!({ "account_id": CONSUMER, "reason": "x", "proof": "sts_presigned" }),
            "proof",
        ),
    ] {
        let answer = app.post(Who::Admin, &path, &body).await;
        answer.refused(field, 400, "invalid_request");
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    assert_eq!(app.count("SELECT count(*) FROM consumer_accounts").await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn consumers_are_found_by_name_label_account_and_state(pool: PgPool) {
    let app = TestApp::start(pool);
    let add = async |name: &str, labels: Value| {
        app.advance(Duration::from_millis(10));
        let body = json!({ "name": name, "labels": labels });
        let made = app.post(Who::Admin, "/v1/consumers", &body).await.good();
        made["id"].as_str().unwrap().to_owned()
    };
    let acme = add("Acme East", json!({ "tier": "gold", "eu": "" })).await;
    let west = add("acme west", json!({ "tier": "silver" })).await;
    let borealis = add("Borealis", json!({})).await;
    app.try_to_attach(&west, CONSUMER).await.good();
    let close = json!({ "state": "closed" });
    app.try_to_change_consumer(&borealis, &close).await.good();
    for (query, found) in [
        ("", vec![&borealis, &west, &acme]),
        ("name=ACME", vec![&west, &acme]),
        ("name=%25", vec![]),
        ("label=tier", vec![&west, &acme]),
        ("label=tier%3Dgold", vec![&acme]),
        ("label=eu%3D", vec![&acme]),
        ("label=nothing", vec![]),
        ("account_id=444455556666", vec![&west]),
        ("account_id=777788889999", vec![]),
        ("state=closed", vec![&borealis]),
        ("name=acme&label=tier%3Dsilver&state=active", vec![&west]),
    ] {
        let ids = app.ids(&format!("/v1/consumers?{query}")).await;
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
    for bad in ["label=", "label=%3Dgold", "state=open", "account_id=1"] {
        let answer = app.get(Who::Viewer, &format!("/v1/consumers?{bad}")).await;
        answer.refused(bad, 400, "invalid_query");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_belongs_to_one_consumer_at_a_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let acme = app.add_consumer("Acme").await;
    let borealis = app.add_consumer("Borealis").await;
    let path = format!("/v1/consumers/{acme}/accounts");
    let body =
        json!({ "account_id": CONSUMER, "proof": "operator_vouched", "reason": "order 4711" });
    let added = app.post(Who::Admin, &path, &body).await.good();
    assert_eq!(added["known_by"], "operator");
    assert_eq!(added["proof"], "operator_vouched");
    assert_eq!(added["proven_at"], added["added"]["at"]);
    assert_eq!(added["added"]["reason"], "order 4711");
    for consumer in [&acme, &borealis] {
        let again = app.try_to_attach(consumer, CONSUMER).await;
        again.refused("a second time", 409, "account_taken");
    }
    let wrong = app.try_to_detach(&borealis, CONSUMER).await;
    wrong.refused("not theirs", 404, "consumer_account_not_found");

    let removed = app.try_to_detach(&acme, CONSUMER).await.good();
    assert_eq!(removed["removed"]["reason"], "sold");
    app.advance(Duration::from_millis(10));
    app.try_to_attach(&borealis, CONSUMER).await.good();
    assert!(app.ids(&path).await.is_empty());
    let all = app.ids(&format!("{path}?removed=true")).await;
    assert_eq!(all, [added["id"].as_str().unwrap()], "closed, not deleted");
    let unknown = app
        .try_to_attach("cns_00000000000000000000000000000000", OTHER)
        .await;
    unknown.refused("nobody", 404, "consumer_not_found");
}

/// Of two who want the same account for different consumers one gets it.
#[sqlx::test(migrations = "./migrations")]
async fn two_consumers_cannot_take_one_account_at_once(pool: PgPool) {
    let app = TestApp::start(pool);
    let (acme, borealis) = (
        app.add_consumer("Acme").await,
        app.add_consumer("Borealis").await,
    );
    for number in 0..10 {
        let account = format!("99990000000{number}");
        let (one, two) = tokio::join!(
            app.try_to_attach(&acme, &account),
            app.try_to_attach(&borealis, &account),
        );
        let loser = if one.status == 201 { two } else { one };
        loser.refused("the second", 409, "account_taken");
    }
    assert_eq!(
        app.count("SELECT count(*) FROM consumer_accounts").await,
        10
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn connections_show_and_are_found_by_the_consumer_of_their_account(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let service = app.service_for("edge", &[CONSUMER, OTHER, THIRD]).await;
    let known = app.requested_by(CONSUMER, &service).await;
    app.advance(Duration::from_millis(10));
    let second = app.requested_by(OTHER, &service).await;
    let stranger = app.requested_by(THIRD, &service).await;
    assert_eq!(app.connection(&known).await["consumer"], json!(null));
    let list = async |query: &str| {
        let listed = app
            .get(Who::Viewer, &format!("/v1/accounts?{query}"))
            .await
            .good();
        let items = listed["items"].as_array().unwrap().iter();
        let account = |item: &Value| item["account_id"].as_str().unwrap().to_owned();
        (
            items.map(account).collect::<Vec<_>>(),
            listed["next_cursor"].clone(),
        )
    };
    assert_eq!(list("known=false").await.0, [THIRD, CONSUMER, OTHER]);

    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let seen = app.connection(&known).await;
    assert_eq!(seen["consumer"], json!({ "id": acme, "name": "Acme" }));
    let decided = app.decide(&known, "accept").await;
    assert_eq!(
        decided["consumer"]["name"], "Acme",
        "a decision shows it too"
    );
    let of_acme = app
        .ids(&format!("/v1/connections?consumer_id={acme}"))
        .await;
    assert_eq!(of_acme, [second.id.as_str(), known.id.as_str()]);
    assert_eq!(app.connection(&stranger).await["consumer"], json!(null));
    // Its endpoints were there before anybody said whose they are.
    let path = format!("/v1/consumers/{acme}/accounts");
    let accounts = app.get(Who::Viewer, &path).await.good();
    assert_eq!(accounts["items"][0]["known_by"], "observed");

    assert_eq!(list("known=false").await.0, [THIRD]);
    assert_eq!(list("known=true").await.0, [CONSUMER, OTHER]);
    let (first, next) = list("limit=2").await;
    assert_eq!(
        (first, &next),
        (
            vec![THIRD.to_owned(), CONSUMER.to_owned()],
            &json!(CONSUMER)
        )
    );
    let (last, next) = list(&format!("limit=2&cursor={CONSUMER}")).await;
    assert_eq!((last, next), (vec![OTHER.to_owned()], json!(null)));

    app.try_to_detach(&acme, OTHER).await.good();
    assert_eq!(
        app.ids(&format!("/v1/connections?consumer_id={acme}"))
            .await,
        [known.id]
    );
    assert_eq!(app.connection(&second).await["consumer"], json!(null));
}
