//! Findings: where what was bought, who is let in and who is connected do not fit together. Each goes once what mends it is done.

use portcullis::domain::agreement::{Account, AccountProof, Agreement, Terms};
use portcullis::domain::clock::Clock;
use portcullis::domain::ids::AgreementAccountId;
use portcullis::domain::policy::Stamp;
use portcullis::store::agreement_accounts;
use portcullis::worker::agreements;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::service_changes::root;
use crate::support::deals::Deal;
use crate::support::http::send;
use crate::support::removals::of_principal;
use crate::support::usage::metered;
use crate::support::{CONSUMER, Service, TestApp, Who};

const ELSEWHERE: &str = "777788889999";

async fn attach(app: &TestApp, agreement: &Agreement, account: &str) {
    let now = app.clock.now();
    let new = Account {
        id: AgreementAccountId::new(now),
        agreement: agreement.id,
        account: account.parse().unwrap(),
        proof: AccountProof::Buyer,
        attached: Stamp {
            at: now,
            by: "a test".to_owned(),
        },
        reason: None,
        detached: None,
    };
    let mut conn = app.db().acquire().await.unwrap();
    assert!(agreement_accounts::attach(&mut conn, &new).await.unwrap());
}

/// What is open, after a comparison.
async fn open(app: &TestApp) -> Vec<Value> {
    app.minutes(1);
    let refreshed = app
        .post(Who::Approver, "/v1/findings/refresh", &json!({}))
        .await
        .good();
    assert_eq!(refreshed["refreshed"], true);
    let listed = app.get(Who::Viewer, "/v1/findings?state=open").await.good();
    listed["items"].as_array().unwrap().clone()
}

async fn one(app: &TestApp, kind: &str) -> Value {
    let open = open(app).await;
    let mut of = open.iter().filter(|it| it["kind"] == kind);
    let found = of.next().unwrap_or_else(|| panic!("no {kind} in {open:?}"));
    assert_eq!(of.next(), None);
    found.clone()
}

async fn mend(app: &TestApp, finding: &Value, fill: &str) -> Value {
    let mend = &finding["mend"];
    let method: Method = mend["method"].as_str().unwrap().parse().unwrap();
    let path = mend["path"]
        .as_str()
        .unwrap()
        .replace("{consumer_id}", fill);
    let sent = app.request(Who::Admin, method, &path).json(&mend["body"]);
    send(sent).await.good()
}

async fn gone(app: &TestApp, finding: &Value) {
    let open = open(app).await;
    assert!(open.iter().all(|it| it["id"] != finding["id"]), "{open:?}");
    let path = format!(
        "/v1/findings?state=resolved&kind={}",
        finding["kind"].as_str().unwrap()
    );
    let resolved = app.get(Who::Viewer, &path).await.good();
    let found = resolved["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["id"] == finding["id"])
        .unwrap();
    assert_eq!(
        (&found["mend"], found["resolved_at"].is_null()),
        (&Value::Null, false)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn each_finding_goes_with_what_mends_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, request) = app.metered().await;

    // The connection is live, and its principal is there, and nobody pays.
    let connected = one(&app, "connected_not_paid").await;
    assert_eq!(
        (
            &connected["connection_id"],
            &connected["account_id"],
            &connected["listing_id"]
        ),
        (&json!(request.id), &json!(CONSUMER), &listing["id"])
    );
    let granted = one(&app, "granted_not_paid").await;
    assert_eq!(
        (&granted["service_id"], &granted["account_id"]),
        (&json!(service.id), &json!(CONSUMER))
    );

    // Somebody pays, whom we do not know.
    let agreement = app.ordered(&listing, "order-1").await;
    attach(&app, &agreement, CONSUMER).await;
    app.bind(&agreement, &request, app.clock.now()).await;
    let unknown = one(&app, "never_registered").await;
    gone(&app, &connected).await;
    gone(&app, &granted).await;
    let consumer = app.add_consumer("Acme").await;
    mend(&app, &unknown, &consumer).await;
    gone(&app, &unknown).await;
    assert_eq!(open(&app).await, Vec::<Value>::new());

    // Another account of the agreement is not let in. The worker that grants is told to.
    attach(&app, &agreement, ELSEWHERE).await;
    sqlx::query(
        "INSERT INTO agreement_grants (agreement_id, endpoint_service_id, account_id, principal, added, since)
         SELECT $1, id, $2, 'arn:aws:iam::' || $2 || ':root', true, $3 FROM endpoint_services",
    )
    .bind(agreement.id.uuid())
    .bind(ELSEWHERE)
    .bind(app.clock.now())
    .execute(app.db())
    .await
    .unwrap();
    let missing = one(&app, "paid_not_granted").await;
    assert_eq!(
        (&missing["agreement_id"], &missing["account_id"]),
        (&json!(agreement.id), &json!(ELSEWHERE))
    );
    let done = mend(&app, &missing, "").await;
    assert_eq!(done["missing_grants"], 1);
    assert_eq!(
        app.count("SELECT count(*) FROM agreement_grants WHERE ended_at IS NULL")
            .await,
        0
    );
    assert_eq!(
        app.count("SELECT count(*) FROM agreements WHERE due_at IS NOT NULL")
            .await,
        1
    );
    agreements::run_pass(&app.shared).await.unwrap();
    app.run_until_rest().await;
    gone(&app, &missing).await;

    // AWS has a principal that nobody asked for.
    sqlx::query("UPDATE endpoint_services SET observed_principals = array_append(observed_principals, 'arn:aws:iam::123456789012:root')")
        .execute(app.db())
        .await
        .unwrap();
    let unknown = one(&app, "principal_unknown").await;
    assert_eq!(unknown["principal"], "arn:aws:iam::123456789012:root");
    mend(&app, &unknown, "").await;
    gone(&app, &unknown).await;
    // Now it is asked for, and nothing stands for it.
    let granted = one(&app, "granted_not_paid").await;
    mend(&app, &granted, "").await;
    app.run_until_rest().await;
    gone(&app, &granted).await;

    // It is over, and so is its grace: who is connected is cut.
    app.end_agreement(&agreement, app.clock.now()).await;
    app.unbind(&request, app.clock.now()).await;
    assert!(
        open(&app)
            .await
            .iter()
            .all(|it| it["kind"] != "connected_not_paid"),
        "in grace"
    );
    let again = app
        .post(
            Who::Admin,
            &format!("/v1/agreements/{}/grant", agreement.id),
            &json!({ "reason": "again" }),
        )
        .await;
    again.refused("in grace", 409, "agreement_not_in_force");
    sqlx::query("UPDATE agreements SET state = 'ended', grace_until = NULL")
        .execute(app.db())
        .await
        .unwrap();
    let connected = one(&app, "connected_not_paid").await;
    mend(&app, &connected, "").await;
    gone(&app, &connected).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn findings_are_compared_now_and_then_and_listed_by_what_they_are_about(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, _) = app.metered().await;
    let run = || portcullis::worker::findings::run_pass(&app.shared);
    assert!(run().await.unwrap());
    assert!(!run().await.unwrap(), "it is not time yet");
    app.minutes(15);
    assert!(run().await.unwrap());
    let id = listing["id"].as_str().unwrap();
    for (query, count) in [
        (String::new(), 2),
        ("kind=granted_not_paid".to_owned(), 1),
        ("state=resolved".to_owned(), 0),
        (format!("listing_id={id}"), 2),
        (format!("service_id={}", service.id), 2),
        (format!("account_id={CONSUMER}"), 2),
        (format!("account_id={ELSEWHERE}"), 0),
        ("limit=1".to_owned(), 1),
    ] {
        let listed = app
            .get(Who::Viewer, &format!("/v1/findings?{query}"))
            .await
            .good();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{query}");
    }
    let none = format!("/v1/agreements/agr_{}/grant", "0".repeat(32));
    let refusal = app.post(Who::Admin, &none, &json!({ "reason": "x" })).await;
    refusal.refused("no agreement", 404, "agreement_not_found");
}

/// What is to be done is said of the account: one finding for each listing, however many agreements it has of that.
#[sqlx::test(migrations = "./migrations")]
async fn an_unknown_buyer_is_found_once_for_each_listing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, _) = app.metered().await;
    let first = app.ordered(&listing, "order-1").await;
    let found = one(&app, "never_registered").await;
    assert_eq!(
        (
            &found["listing_id"],
            &found["account_id"],
            &found["agreement_id"]
        ),
        (&listing["id"], &json!(CONSUMER), &Value::Null)
    );
    app.ordered(&listing, "order-2").await;
    assert_eq!(one(&app, "never_registered").await["id"], found["id"]);
    app.end_agreement(&first, app.clock.now()).await;
    assert_eq!(
        one(&app, "never_registered").await["id"],
        found["id"],
        "the other is in force"
    );
    let consumer = app.add_consumer("Acme").await;
    mend(&app, &found, &consumer).await;
    gone(&app, &found).await;
}

/// The body replaces a whole list, so it is of one version: a finding that is read again has it anew, and says so.
#[sqlx::test(migrations = "./migrations")]
async fn a_body_that_replaces_principals_is_made_for_the_service_as_it_is(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, ..) = app.metered().await;
    let found = one(&app, "granted_not_paid").await;
    let sentence = found["mend"]["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("service_changed") && sentence.contains("read the finding again"),
        "{sentence}"
    );
    let version = found["mend"]["body"]["version"].clone();
    let change = json!({ "version": version, "name": "another" });
    app.try_to_change(&service, &change).await.good();
    let path = format!("/v1/services/{}", service.id);
    let stale = app.request(Who::Admin, Method::PATCH, &path);
    let stale = send(stale.json(&found["mend"]["body"])).await;
    stale.refused("it was changed", 409, "service_changed");
    let again = one(&app, "granted_not_paid").await;
    assert_eq!(again["id"], found["id"]);
    mend(&app, &again, "").await;
    app.run_until_rest().await;
    gone(&app, &again).await;
}

/// Of whom somebody keeps out nothing is granted again, so nothing is found until they are let in.
#[sqlx::test(migrations = "./migrations")]
async fn whom_somebody_keeps_out_is_not_missing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, _) = app.metered().await;
    let agreement = app.ordered(&listing, "order-1").await;
    attach(&app, &agreement, ELSEWHERE).await;
    let consumer = app.add_vouched_consumer("Acme", ELSEWHERE).await;
    let missing = async || {
        let open = open(&app).await;
        open.iter().any(|it| it["kind"] == "paid_not_granted")
    };
    assert!(missing().await);
    for denied in [
        json!({ "account_id": ELSEWHERE }),
        json!({ "account_id": ELSEWHERE, "service_id": service.id }),
        json!({ "consumer_id": consumer }),
    ] {
        let denial = app.deny(&denied).await;
        assert!(!missing().await, "{denied}");
        app.lift(Who::Admin, &denial).await.good();
        assert!(missing().await, "{denied}");
    }
    let soon = app.clock_in(std::time::Duration::from_mins(30));
    app.deny(&json!({ "account_id": ELSEWHERE, "expires_at": soon }))
        .await;
    assert!(!missing().await, "for a time");
    app.minutes(60);
    assert!(missing().await, "it has expired");

    // Their access is being taken away.
    sqlx::query("UPDATE endpoint_services SET allowed_principals = array_append(allowed_principals, 'arn:aws:iam::' || $1 || ':root')")
        .bind(ELSEWHERE)
        .execute(app.db())
        .await
        .unwrap();
    let principal = format!("arn:aws:iam::{ELSEWHERE}:root");
    let begun = app
        .end_access(&of_principal(&service, &principal), 3600)
        .await;
    assert!(!missing().await, "{begun}");
    app.try_to_take_back(&begun).await.good();
    sqlx::query("UPDATE access_removals SET state = 'cancelled'")
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE endpoint_services SET allowed_principals = '{}'")
        .execute(app.db())
        .await
        .unwrap();
    assert!(missing().await, "it was taken back");
}

/// A limited listing, and an agreement of it by which two accounts are let in.
async fn limited(app: &TestApp) -> (Service, Value, Deal) {
    let (service, listing) = app.limited("ledger").await;
    let terms = Terms::lasting(app.clock.now(), None);
    let deal = app.agree(&listing, &[CONSUMER, ELSEWHERE], terms).await;
    app.come_to_rest().await;
    (service, listing, deal)
}

async fn allow_only(app: &TestApp, listing: &Value, account: &str) {
    let now = app.listing(listing).await;
    let list = json!({ "allow_list": [account] });
    app.try_to_change_listing(&now, list).await.good();
}

/// `grant` would end what is missing and never give it again, so it is not what is named, and it is refused.
#[sqlx::test(migrations = "./migrations")]
async fn who_was_taken_off_an_allow_list_is_put_back_on_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.limited("ledger").await;
    allow_only(&app, &listing, "123456789012").await;
    let terms = Terms::lasting(app.clock.now(), None);
    let deal = app.agree(&listing, &[CONSUMER, ELSEWHERE], terms).await;
    app.come_to_rest().await;
    assert_eq!(app.let_in(&service).await, [root(CONSUMER)]);
    let missing = one(&app, "paid_not_granted").await;
    assert_eq!(missing["account_id"], json!(ELSEWHERE));
    let (path, body) = (&missing["mend"]["path"], &missing["mend"]["body"]);
    let id = listing["id"].as_str().unwrap();
    assert_eq!(path, &json!(format!("/v1/listings/{id}")));
    assert_eq!(body["allow_list"], json!(["123456789012", CONSUMER]));
    let grant = format!("/v1/agreements/{}/grant", deal.agreement.id);
    let again = json!({ "reason": "again" });
    let refusal = app.post(Who::Admin, &grant, &again).await;
    refusal.refused("of nobody who may buy", 409, "buyer_not_allowed");
    mend(&app, &missing, "").await;
    app.come_to_rest().await;
    gone(&app, &missing).await;
    assert_eq!(
        app.let_in(&service).await,
        [root(CONSUMER), root(ELSEWHERE)]
    );
}

/// What has two causes has two mends: each is named when its turn has come.
#[sqlx::test(migrations = "./migrations")]
async fn who_was_taken_out_by_hand_as_well_is_let_in_by_one_mend_after_the_other(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, deal) = limited(&app).await;
    let out = json!({ "allowed_principals": [CONSUMER], "confirm_principals_of_agreements": true });
    app.change(&service, &out).await;
    allow_only(&app, &listing, "123456789012").await;
    app.come_to_rest().await;
    let missing = one(&app, "paid_not_granted").await;
    mend(&app, &missing, "").await;
    app.come_to_rest().await;
    let missing = one(&app, "paid_not_granted").await;
    let grant = format!("/v1/agreements/{}/grant", deal.agreement.id);
    assert_eq!(missing["mend"]["path"], json!(grant));
    assert_eq!(mend(&app, &missing, "").await["missing_grants"], 1);
    app.come_to_rest().await;
    gone(&app, &missing).await;
    assert_eq!(
        app.let_in(&service).await,
        [root(CONSUMER), root(ELSEWHERE)]
    );
}

/// It is asked for here, so there is nothing to grant: AWS has to follow.
#[sqlx::test(migrations = "./migrations")]
async fn who_was_taken_out_in_aws_is_let_in_by_aws_that_follows(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing, _) = limited(&app).await;
    app.grant(&service, &[], &[&root(ELSEWHERE)]).await;
    app.look_again().await;
    // Who is off the list keeps what it has.
    allow_only(&app, &listing, "123456789012").await;
    let missing = one(&app, "paid_not_granted").await;
    let path = format!("/v1/services/{}", service.id);
    assert_eq!(missing["mend"]["path"], json!(path));
    mend(&app, &missing, "").await;
    app.come_to_rest().await;
    gone(&app, &missing).await;
    assert_eq!(
        app.let_in(&service).await,
        [root(CONSUMER), root(ELSEWHERE)]
    );
}

/// A plan of other Regions stands for no principal here.
#[sqlx::test(migrations = "./migrations")]
async fn what_a_plan_does_not_reach_is_not_paid_for(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let mut text = metered(&service);
    text["plans"][0]["regions"] = json!(["us-west-2"]);
    let listing = app.listing_of("ledger", &text).await;
    let listing = app.steps(&listing, &["submit", "approve", "release"]).await;
    let agreement = app.ordered(&listing, "order-1").await;
    attach(&app, &agreement, CONSUMER).await;
    let granted = one(&app, "granted_not_paid").await;
    assert_eq!(
        (&granted["service_id"], &granted["account_id"]),
        (&json!(service.id), &json!(CONSUMER))
    );
    sqlx::query("UPDATE endpoint_services SET supported_regions = '{us-west-2}'")
        .execute(app.db())
        .await
        .unwrap();
    gone(&app, &granted).await;
}

/// Only what is in force pays, whatever a connection was bound to.
#[sqlx::test(migrations = "./migrations")]
async fn a_binding_to_what_is_not_in_force_pays_for_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, request) = app.metered().await;
    let agreement = app.ordered(&listing, "order-1").await;
    attach(&app, &agreement, CONSUMER).await;
    app.bind(&agreement, &request, app.clock.now()).await;
    for (set, is_paid) in [
        ("state = 'active'", true),
        ("state = 'review'", true),
        ("state = 'superseded', cause = 'expired'", true),
        ("succeeded_at = stood_at", false),
        (
            "succeeded_at = NULL, state = 'grace', grace_until = stood_at",
            true,
        ),
        ("state = 'ended', grace_until = NULL", false),
    ] {
        let statement = format!("UPDATE agreements SET {set}");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(app.db())
            .await
            .unwrap();
        let open = open(&app).await;
        let found = open.iter().find(|it| it["kind"] == "connected_not_paid");
        assert_eq!(found.is_none(), is_paid, "{set}: {open:?}");
        if let Some(found) = found {
            assert_eq!(found["connection_id"], json!(request.id));
        }
    }
}

/// 5,000 agreements of one listing that were all given what they bought: the comparison asks by hashes. It took 9 s when it asked account by account.
#[sqlx::test(migrations = "./migrations")]
async fn many_agreements_of_one_listing_are_compared_soon(pool: PgPool) {
    let app = TestApp::start(pool);
    let (_, listing, _) = app.metered().await;
    app.ordered(&listing, "order-1").await;
    for statement in [
        "INSERT INTO agreements (id, source, reference, listing_id, plan_id, revision, buyer_account, state, made_at, made_by, stood_at)
         SELECT gen_random_uuid(), source, 'many-' || n, listing_id, plan_id, revision, (200000000000 + n)::text, 'active', made_at, made_by, stood_at
           FROM agreements, generate_series(1, 5000) AS n",
        "INSERT INTO agreement_accounts (id, agreement_id, account_id, proof, attached_at, attached_by)
         SELECT gen_random_uuid(), id, buyer_account, 'buyer', made_at, made_by FROM agreements",
        "UPDATE endpoint_services SET (allowed_principals, observed_principals) =
                (SELECT array_agg('arn:aws:iam::' || buyer_account || ':root'), array_agg('arn:aws:iam::' || buyer_account || ':root') FROM agreements)",
    ] {
        sqlx::query(statement).execute(app.db()).await.unwrap();
    }
    for round in ["found", "found again"] {
        app.minutes(1);
        let began = std::time::Instant::now();
        let refreshed = app
            .post(Who::Approver, "/v1/findings/refresh", &json!({}))
            .await
            .good();
        let took = began.elapsed();
        let open = refreshed["open"].as_array().unwrap();
        let count = |kind: &str| &open.iter().find(|it| it["kind"] == kind).unwrap()["count"];
        assert_eq!(
            (
                count("never_registered"),
                count("paid_not_granted"),
                count("granted_not_paid")
            ),
            (&json!(5001), &json!(0), &json!(0))
        );
        assert!(
            took < std::time::Duration::from_secs(4),
            "{round} in {took:?}"
        );
    }
}
