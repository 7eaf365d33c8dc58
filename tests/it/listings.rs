//! The life of a listing: written, reviewed by somebody else, released, published, stopped, and ended. What was submitted never changes.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::listings::{blamed, checks, content, ticked};
use crate::support::{TestApp, Who};

#[sqlx::test(migrations = "./migrations")]
async fn a_listing_goes_from_draft_to_retired(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let draft = app.listing_of("ledger", &content(&service)).await;
    assert_eq!(
        (&draft["state"], &draft["next_status"], &draft["live"]),
        (&json!("draft"), &json!("draft"), &Value::Null)
    );
    assert_eq!(draft["next"]["authors"], json!(["admin@provider.example"]));
    let plan = draft["next"]["content"]["plans"][0]["id"].clone();
    assert!(
        plan.as_str().is_some_and(|id| id.starts_with("pln_")),
        "{draft}"
    );
    assert_eq!(
        draft["next"]["content"]["plans"][0]["rate_cards"][0]["rates"][0]["price"],
        "1200.00"
    );

    let submitted = app.steps(&draft, &["submit"]).await;
    assert_eq!(
        (&submitted["state"], &submitted["next_status"]),
        (&json!("in_review"), &json!("in_review"))
    );
    let reasons = json!([{ "code": "pricing_wrong", "field": "plans[0]", "detail": "Not what was agreed on" }]);
    let rejected = app
        .step(
            &draft,
            "reject",
            &json!({ "revision": 1, "reasons": reasons, "note": "Sorry" }),
        )
        .await
        .good();
    assert_eq!(rejected["state"], "changes_requested");
    assert_eq!(rejected["next"]["rejections"], reasons);
    let early = app.step(&draft, "submit", &json!({})).await;
    early.refused("nothing was changed", 409, "listing_step_impossible");

    let mut better = content(&service);
    better["plans"][0]["rate_cards"][0]["rates"][0]["price"] = json!("1000.00");
    let second = app.write(&draft, &better).await.good();
    assert_eq!(
        (&second["state"], &second["next_revision"]),
        (&json!("changes_requested"), &json!(2))
    );
    assert_eq!(
        second["next"]["content"]["plans"][0]["id"], plan,
        "a plan keeps its id by its name"
    );
    let limited = app.steps(&draft, &["submit", "approve", "release"]).await;
    assert_eq!(
        (
            &limited["state"],
            &limited["live_revision"],
            &limited["next"]
        ),
        (&json!("limited"), &json!(2), &Value::Null)
    );

    let early = app.step(&draft, "publish", &json!({})).await;
    early.refused("nobody has tested it", 409, "listing_not_ready");
    assert_eq!(checks(&early), ["test_connection"]);
    app.connect(&service).await;
    let path = format!("/v1/listings/{}/readiness", draft["id"].as_str().unwrap());
    let ready = app.get(Who::Viewer, &path).await.good();
    assert_eq!(
        (&ready["ready"], &ready["revision"]),
        (&json!(true), &json!(2)),
        "{ready}"
    );
    let public = app.steps(&draft, &["publish"]).await;
    assert_eq!(public["state"], "public");

    let restricted = app.steps(&draft, &["restrict"]).await;
    assert_eq!(restricted["state"], "restricted");
    let early = app.step(&draft, "retire", &json!({})).await;
    early.refused("something is connected", 409, "listing_in_use");
    let listed = app.get(Who::Viewer, "/v1/connections").await.good();
    let path = format!(
        "/v1/connections/{}/revoke",
        listed["items"][0]["id"].as_str().unwrap()
    );
    app.post(Who::Approver, &path, &json!({ "reason": "the end" }))
        .await
        .good();
    app.run_until_rest().await;
    let retired = app.steps(&draft, &["retire"]).await;
    assert_eq!(
        (&retired["state"], &retired["live_revision"]),
        (&json!("retired"), &json!(2))
    );
    for verb in ["submit", "publish", "resume", "retire"] {
        let late = app.step(&draft, verb, &json!({})).await;
        late.refused(verb, 409, "listing_step_impossible");
    }
    let late = app.write(&draft, &content(&service)).await;
    late.refused("it is over", 409, "listing_step_impossible");
    assert_eq!(
        app.actions_about("listing").await,
        [
            "listing.approve",
            "listing.change",
            "listing.create",
            "listing.publish",
            "listing.reject",
            "listing.release",
            "listing.restrict",
            "listing.retire",
            "listing.submit",
            "listing.submit",
        ]
    );
    let woken = "SELECT count(*) FROM judge_wakes WHERE endpoint_service_id IS NOT NULL";
    assert!(app.count(woken).await >= 1, "the gates look again");
    let path = format!(
        "/v1/listings/{}/revisions?limit=1",
        draft["id"].as_str().unwrap()
    );
    let page = app.get(Who::Viewer, &path).await.good();
    assert_eq!(
        (&page["items"][0]["number"], &page["next_cursor"]),
        (&json!(2), &json!(2))
    );
    let path = format!("/v1/listings/{}/revisions/1", draft["id"].as_str().unwrap());
    assert_eq!(
        app.get(Who::Viewer, &path).await.good()["status"],
        "rejected"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_reviews_what_they_wrote(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    app.steps(&listing, &["submit"]).await;
    let approval = json!({ "revision": 1, "checklist": ticked() });
    let own = app
        .step_by(Who::Admin, &listing, "approve", &approval)
        .await;
    own.refused("its author", 409, "review_by_same_person");
    let reasons = json!([{ "code": "other", "detail": "I changed my mind" }]);
    let own = app
        .step_by(
            Who::Admin,
            &listing,
            "reject",
            &json!({ "revision": 1, "reasons": reasons }),
        )
        .await;
    own.refused("its author", 409, "review_by_same_person");
    let viewer = app
        .step_by(Who::Viewer, &listing, "approve", &approval)
        .await;
    viewer.refused("a viewer", 403, "forbidden");
    let other = app
        .step(
            &listing,
            "approve",
            &json!({ "revision": 7, "checklist": ticked() }),
        )
        .await;
    other.refused("another revision", 409, "listing_changed");
    let half = app
        .step(
            &listing,
            "approve",
            &json!({ "revision": 1, "checklist": ["texts", "legal"] }),
        )
        .await;
    half.refused("half a review", 400, "invalid_request");
    assert!(
        half.text.contains("pricing, support, services, data"),
        "{}",
        half.text
    );
    let without = app
        .step(&listing, "reject", &json!({ "revision": 1, "reasons": [] }))
        .await;
    without.refused("without a reason", 400, "invalid_request");
    assert_eq!(blamed(&without), ["reasons"]);

    // Taken back, it is written by another admin's copy, and still by its first author.
    let again = app.steps(&listing, &["back-to-draft"]).await;
    assert_eq!(
        (
            &again["state"],
            &again["next_revision"],
            &again["next_status"]
        ),
        (&json!("draft"), &json!(2), &json!("draft"))
    );
    app.steps(&listing, &["submit", "approve", "release"]).await;
    let sql = "SELECT count(*) FROM listing_revisions WHERE status = 'superseded'";
    assert_eq!(app.count(sql).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_draft_beside_a_live_revision_changes_nothing_that_is_sold(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.published("ledger").await;
    let mut next = content(&service);
    next["title"] = json!("Ledger, second edition");
    let both = app.write(&listing, &next).await.good();
    assert_eq!(
        (&both["state"], &both["title"]),
        (&json!("public"), &json!("Ledger over PrivateLink"))
    );
    assert_eq!(
        (&both["live"]["number"], &both["next"]["number"]),
        (&json!(1), &json!(2))
    );
    let reviewed = app.steps(&listing, &["submit", "approve"]).await;
    assert_eq!(
        (&reviewed["state"], &reviewed["next_status"]),
        (&json!("public"), &json!("approved"))
    );
    let frozen = app.write(&listing, &content(&service)).await;
    frozen.refused("what is approved", 409, "listing_frozen");
    let released = app.steps(&listing, &["release"]).await;
    assert_eq!(
        (
            &released["state"],
            &released["live_revision"],
            &released["title"]
        ),
        (
            &json!("public"),
            &json!(2),
            &json!("Ledger, second edition")
        )
    );
    let path = format!(
        "/v1/listings/{}/revisions/1",
        listing["id"].as_str().unwrap()
    );
    let old = app.get(Who::Viewer, &path).await.good();
    assert_eq!(
        (&old["status"], &old["content"]["title"]),
        (&json!("superseded"), &json!("Ledger over PrivateLink"))
    );
    let slug = app
        .try_to_change_listing(&released, json!({ "slug": "other" }))
        .await;
    slug.refused("a slug that stands in addresses", 400, "invalid_request");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_suspended_listing_goes_on_where_it_was(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    let without = app
        .step(&listing, "suspend", &json!({ "reason": " " }))
        .await;
    without.refused("without a reason", 400, "invalid_request");
    app.connect(&service).await;
    for (verb, state) in [
        ("publish", "public"),
        ("unpublish", "limited"),
        ("restrict", "restricted"),
    ] {
        app.steps(&listing, &[verb]).await;
        let suspended = app.steps(&listing, &["suspend"]).await;
        assert_eq!(
            (&suspended["state"], &suspended["suspended_from"]),
            (&json!("suspended"), &json!(state))
        );
        assert_eq!(
            (&suspended["moved"]["by"], &suspended["moved_reason"]),
            (&json!("approver@provider.example"), &json!("to see"))
        );
        let stuck = app.step(&listing, "publish", &json!({})).await;
        stuck.refused("a suspended listing", 409, "listing_step_impossible");
        let viewer = app
            .step_by(Who::Approver, &listing, "resume", &json!({}))
            .await;
        viewer.refused("an approver stops, and an admin goes on", 403, "forbidden");
        let resumed = app.steps(&listing, &["resume"]).await;
        assert_eq!(
            (&resumed["state"], &resumed["suspended_from"]),
            (&json!(state), &Value::Null)
        );
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_service_is_sold_by_one_listing_at_a_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, first) = app.limited("first").await;
    let second = app.listing_of("second", &content(&service)).await;
    app.steps(&second, &["submit", "approve"]).await;
    let taken = app.step(&second, "release", &json!({})).await;
    taken.refused("another sells it", 409, "service_listed");
    assert!(
        taken.text.contains(first["id"].as_str().unwrap()),
        "{}",
        taken.text
    );
    app.steps(&first, &["restrict", "retire"]).await;
    assert_eq!(app.steps(&second, &["release"]).await["state"], "limited");
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_changes_and_of_two_reviews_one_stands(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let listing = app.listing_of("ledger", &content(&service)).await;
    let path = format!("/v1/listings/{}", listing["id"].as_str().unwrap());
    let unnamed = send(
        app.request(Who::Admin, Method::PATCH, &path)
            .json(&json!({ "visibility": "unlisted" })),
    )
    .await;
    unnamed.refused("for no state", 428, "precondition_required");
    let tag = app.get(Who::Viewer, &path).await.header("etag").to_owned();
    let changed = app
        .try_to_change_listing(&listing, json!({ "visibility": "unlisted" }))
        .await
        .good();
    assert_eq!(changed["version"], json!(2));
    let stale = app
        .try_to_change_listing(&listing, json!({ "visibility": "public" }))
        .await;
    stale.refused("an old version", 409, "listing_changed");
    let late = app
        .request(Who::Admin, Method::PATCH, &path)
        .header("If-Match", tag);
    let late = send(late.json(&json!({ "visibility": "public" }))).await;
    late.refused("an old tag", 412, "precondition_failed");

    app.steps(&listing, &["submit"]).await;
    let approval = json!({ "revision": 1, "checklist": ticked() });
    let rejection = json!({ "revision": 1, "reasons": [{ "code": "other", "detail": "No" }] });
    let (one, other) = tokio::join!(
        app.step(&listing, "approve", &approval),
        app.step(&listing, "reject", &rejection)
    );
    let (good, bad) = if one.status == 200 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(good.status, 200, "{good:?}");
    bad.refused("the loser", 409, "listing_step_impossible");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_tables_refuse_what_the_code_would_not_do(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing) = app.limited("ledger").await;
    app.steps(&listing, &["restrict", "retire"]).await;
    for sql in [
        "UPDATE listing_revisions SET content = '{}'",
        "UPDATE listing_revisions SET authors = '{nobody}'",
        "UPDATE listing_revisions SET status = 'draft', frozen_at = NULL, submitted_by = NULL",
        "UPDATE listing_revisions SET status = 'approved'",
        "UPDATE listing_revisions SET reviewed_by = 'somebody else'",
        "DELETE FROM listing_revisions",
        "DELETE FROM listings",
        "UPDATE listings SET state = 'public'",
        "UPDATE listing_plans SET made_at = now()",
        "TRUNCATE listing_revisions CASCADE",
    ] {
        let refused = sqlx::query(sql).execute(app.db()).await.unwrap_err();
        let code = refused.into_database_error().unwrap();
        assert_eq!(code.code().unwrap_or_default(), "42501", "{sql}");
    }
    let own = "INSERT INTO listing_revisions (listing_id, number, status, content, authors, begun_at, begun_by, written_at, written_by, frozen_at, submitted_by,
                                              reviewed_at, reviewed_by, live_at, superseded_at)
               SELECT id, 9, 'superseded', '{}', '{ann}', now(), 'ann', now(), 'ann', now(), 'ann', now(), 'ann', now(), now() FROM listings";
    let refused = sqlx::query(own).execute(app.db()).await.unwrap_err();
    let constraint = refused.into_database_error().unwrap();
    assert_eq!(
        constraint.constraint(),
        Some("listing_revisions_reviewed_by_another")
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn listings_are_listed_by_where_they_stand(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, limited) = app.limited("first").await;
    let draft = app.listing_of("second", &content(&service)).await;
    let list = async |query: &str| -> Vec<String> {
        let listed = app
            .get(Who::Viewer, &format!("/v1/listings{query}"))
            .await
            .good();
        let items = listed["items"].as_array().unwrap().iter();
        items
            .map(|item| item["slug"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(list("").await, ["second", "first"]);
    assert_eq!(list("?state=limited").await, ["first"]);
    assert_eq!(list("?revision_status=draft").await, ["second"]);
    assert_eq!(list("?slug=first").await, ["first"]);
    assert_eq!(list("?visibility=unlisted").await, Vec::<String>::new());
    let page = app.get(Who::Viewer, "/v1/listings?limit=1").await.good();
    assert_eq!(page["next_cursor"], draft["id"]);
    let next = format!(
        "/v1/listings?limit=1&cursor={}",
        draft["id"].as_str().unwrap()
    );
    let page = app.get(Who::Viewer, &next).await.good();
    assert_eq!(
        (&page["items"][0]["id"], &page["next_cursor"]),
        (&limited["id"], &Value::Null)
    );
    assert!(
        page["items"][0].get("live").is_none(),
        "a list is without what they say"
    );
}
