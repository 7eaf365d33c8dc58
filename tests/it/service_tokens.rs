//! Tokens of programs: their life, what they may do, and that their secrets are nowhere.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis::api::auth::{Role, Roles};
use portcullis::app::auth_settings::ServiceTokenSettings;
use portcullis::app::make_service_token::{NewServiceToken, make_service_token};
use portcullis::domain::actor::Actor;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::{Answer, send};
use crate::support::{TestApp, Who};

const PATH: &str = "/v1/service-tokens";

/// A token that was made, with its secret.
struct Made {
    id: String,
    secret: String,
}

impl TestApp {
    async fn make_token(&self, name: &str, changes: &Value) -> Made {
        let mut body = json!({ "name": name, "roles": ["viewer"], "expires_at": self.clock_in(Duration::from_hours(24)) });
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        made(&self.post(Who::Admin, PATH, &body).await.good())
    }

    async fn rotate(&self, id: &str, grace: u64) -> Made {
        let body = json!({ "grace_seconds": grace });
        let path = format!("{PATH}/{id}/rotate");
        made(&self.post(Who::Admin, &path, &body).await.good())
    }

    async fn revoke_token(&self, id: &str) -> Answer {
        let body = json!({ "reason": "it leaked" });
        self.post(Who::Admin, &format!("{PATH}/{id}/revoke"), &body)
            .await
    }

    async fn token_of(&self, id: &str) -> Value {
        self.get(Who::Admin, &format!("{PATH}/{id}")).await.good()
    }

    async fn by(&self, secret: &str, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(Who::Nobody, method, path).bearer_auth(secret);
        send(request.json(body)).await
    }

    async fn shows(&self, secret: &str) -> Answer {
        let request = self.request(Who::Nobody, Method::GET, "/v1/services");
        send(request.bearer_auth(secret)).await
    }

    /// Waits until the use of a token was noted; it is noted beside the request.
    async fn used(&self, id: &str, unlike: &Value) -> Value {
        for _ in 0..500 {
            let at = self.token_of(id).await["last_used_at"].clone();
            if at != *unlike {
                return at;
            }
        }
        panic!("the use of {id} is not noted");
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits =
        |byte: &u8| [byte >> 4, byte & 15].map(|d| char::from_digit(d.into(), 16).unwrap());
    bytes.iter().flat_map(digits).collect()
}

fn made(body: &Value) -> Made {
    Made {
        id: body["token"]["id"].as_str().unwrap().to_owned(),
        secret: body["secret"].as_str().unwrap().to_owned(),
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_is_shown_once_and_works_until_it_is_revoked(pool: PgPool) {
    let app = TestApp::start(pool.clone());
    let body = json!({ "name": "terraform", "roles": ["viewer", "approver"], "expires_at": app.clock_in(Duration::from_hours(24)) });
    let answer = app.post(Who::Admin, PATH, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let Made { id, secret } = made(&answer.json());
    assert_eq!(answer.header("location"), format!("{PATH}/{id}"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let digits = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    };
    let (public, private) = secret
        .strip_prefix("pcl_")
        .unwrap()
        .split_once('_')
        .unwrap();
    assert_eq!((public.len(), private.len()), (32, 72));
    assert!(digits(public) && digits(private), "{secret}");
    assert_eq!(format!("stk_{public}"), id);

    assert_eq!(app.shows(&secret).await.status, 200);
    // Noted beside the request: waited for, so that two readings of the token are equal.
    app.used(&id, &Value::Null).await;
    let view = app.token_of(&id).await;
    assert_eq!(view["state"], "active");
    assert_eq!(view["roles"], json!(["viewer", "approver"]));
    assert_eq!(
        (&view["scopes"], &view["revoked"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(view["made_by"], "admin@provider.example");
    let listed = app.get(Who::Admin, &format!("{PATH}?state=active")).await;
    assert_eq!(listed.json()["items"], json!([app.token_of(&id).await]));
    assert!(!listed.text.contains(private), "{}", listed.text);

    // Revoked is revoked, whichever replica is asked.
    let other = TestApp::start(pool);
    assert_eq!(other.shows(&secret).await.status, 200);
    let revoked = app.revoke_token(&id).await.good();
    assert_eq!(
        (&revoked["state"], &revoked["revoked"]["reason"]),
        (&json!("revoked"), &json!("it leaked"))
    );
    for replica in [&app, &other] {
        replica
            .shows(&secret)
            .await
            .refused("revoked", 401, "unauthenticated");
    }
    app.revoke_token(&id)
        .await
        .refused("twice", 409, "service_token_ended");
    let rotate = format!("{PATH}/{id}/rotate");
    let again = app
        .post(Who::Admin, &rotate, &json!({ "grace_seconds": 0 }))
        .await;
    again.refused("revoked", 409, "service_token_ended");
    assert_eq!(
        app.get(Who::Admin, &format!("{PATH}?state=active"))
            .await
            .json()["items"],
        json!([])
    );

    let entries = app
        .get(Who::Auditor, &format!("/v1/audit-entries?subject_id={id}"))
        .await
        .good();
    let actions: Vec<_> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["service_token.revoke", "service_token.make"]);
    // The name is free again.
    app.make_token("terraform", &json!({})).await;
    let metrics = app.get(Who::Nobody, "/metrics").await.text;
    assert!(
        metrics.contains(r#"portcullis_tokens_refused_total{reason="revoked"} 1"#),
        "{metrics}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn no_secret_is_kept_anywhere_and_a_repeated_request_is_not_shown_it(pool: PgPool) {
    let app = TestApp::start(pool);
    let body = json!({ "name": "ci", "roles": ["viewer"], "expires_at": app.clock_in(Duration::from_hours(24)) });
    let keyed = async |path: &str, key: &str, body: &Value| {
        let request = app.request(Who::Admin, Method::POST, path).json(body);
        send(request.header("Idempotency-Key", key)).await
    };
    let first = keyed(PATH, "make", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let one = made(&first.json());
    let again = keyed(PATH, "make", &body).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (201, "true")
    );
    assert_eq!(again.header("location"), first.header("location"));
    let mut expected = first.json();
    expected["secret"] = Value::Null;
    assert_eq!(again.json(), expected);
    assert_eq!(app.shows(&one.secret).await.status, 200, "once is enough");

    let rotate = format!("{PATH}/{}/rotate", one.id);
    let grace = json!({ "grace_seconds": 60 });
    let first = keyed(&rotate, "rotate", &grace).await;
    let two = made(&first.json());
    let again = keyed(&rotate, "rotate", &grace).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (200, "true")
    );
    assert_eq!(again.json()["secret"], Value::Null);
    assert_eq!(app.shows(&two.secret).await.status, 200, "rotated once");

    app.revoke_token(&one.id).await.good();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert!(tables.len() > 30, "{tables:?}");
    for table in tables {
        let sql = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        let mut text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(app.db())
            .await
            .unwrap();
        if table == "idempotent_requests" {
            let bodies = "SELECT string_agg(convert_from(body, 'UTF8') || headers::text, ' ') FROM idempotent_requests";
            text += &sqlx::query_scalar::<_, String>(bodies)
                .fetch_one(app.db())
                .await
                .unwrap();
            assert!(text.contains(&one.id), "the answers are there: {text}");
        }
        for made in [&one, &two] {
            let private = &made.secret[37..];
            let raw = hexadecimal(private.as_bytes());
            assert!(
                !text.contains(private) && !text.contains(&raw),
                "{table} has a secret"
            );
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn rotation_lets_the_secret_before_go_on_for_as_long_as_was_said(pool: PgPool) {
    let app = TestApp::start(pool);
    let one = app.make_token("ci", &json!({})).await;
    let two = app.rotate(&one.id, 600).await;
    assert_eq!(one.id, two.id);
    let until = app.token_of(&one.id).await["previous_until"].clone();
    assert_eq!(until, json!(app.clock_in(Duration::from_mins(10))));
    for secret in [&one.secret, &two.secret] {
        assert_eq!(app.shows(secret).await.status, 200);
    }
    app.advance(Duration::from_secs(599));
    assert_eq!(app.shows(&one.secret).await.status, 200);
    app.advance(Duration::from_secs(1));
    app.shows(&one.secret)
        .await
        .refused("after the grace", 401, "token_expired");
    assert_eq!(app.shows(&two.secret).await.status, 200);
    assert_eq!(app.token_of(&one.id).await["previous_until"], Value::Null);
    // Without a grace the one before ends now; and of three, two are good at most.
    let three = app.rotate(&one.id, 0).await;
    app.shows(&two.secret)
        .await
        .refused("no grace", 401, "unauthenticated");
    let four = app.rotate(&one.id, 600).await;
    let five = app.rotate(&one.id, 600).await;
    app.shows(&three.secret)
        .await
        .refused("two rotations ago", 401, "unauthenticated");
    for secret in [&four.secret, &five.secret] {
        assert_eq!(app.shows(secret).await.status, 200);
    }
    app.revoke_token(&one.id).await.good();
    for secret in [&four.secret, &five.secret] {
        app.shows(secret)
            .await
            .refused("both are revoked", 401, "unauthenticated");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_ends_with_its_time(pool: PgPool) {
    let app = TestApp::start(pool);
    let one = app
        .make_token(
            "ci",
            &json!({ "expires_at": app.clock_in(Duration::from_hours(1)) }),
        )
        .await;
    app.rotate(&one.id, 7200).await;
    app.advance(Duration::from_secs(3599));
    assert_eq!(app.shows(&one.secret).await.status, 200);
    app.advance(Duration::from_secs(1));
    app.shows(&one.secret)
        .await
        .refused("its time, whatever the grace", 401, "token_expired");
    assert_eq!(app.token_of(&one.id).await["state"], "expired");
    let path = format!("{PATH}/{}/rotate", one.id);
    let answer = app
        .post(Who::Admin, &path, &json!({ "grace_seconds": 0 }))
        .await;
    answer.refused("expired", 409, "service_token_ended");
}

#[sqlx::test(migrations = "./migrations")]
async fn use_is_noted_every_few_minutes(pool: PgPool) {
    let app = TestApp::start(pool);
    let one = app.make_token("ci", &json!({})).await;
    assert_eq!(app.token_of(&one.id).await["last_used_at"], Value::Null);
    let writes = "SELECT xmin::text::bigint FROM service_tokens";
    app.shows(&one.secret).await;
    let first = app.used(&one.id, &Value::Null).await;
    let written = app.count(writes).await;
    app.advance(Duration::from_secs(299));
    for _ in 0..20 {
        assert_eq!(app.shows(&one.secret).await.status, 200);
    }
    assert_eq!(app.count(writes).await, written, "not with each request");
    app.advance(Duration::from_secs(1));
    app.shows(&one.secret).await;
    let second = app.used(&one.id, &first).await;
    assert_eq!(second, json!(app.clock_in(Duration::ZERO)));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_may_what_its_roles_and_scopes_say_and_nothing_about_tokens(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let admin = app
        .make_token("admin", &json!({ "roles": ["admin"] }))
        .await;
    let reader = app
        .make_token("reader", &json!({ "roles": ["admin"], "scopes": ["read"] }))
        .await;
    let decider = app
        .make_token(
            "decider",
            &json!({ "roles": ["admin"], "scopes": ["read", "decide"] }),
        )
        .await;
    let auditor = app
        .make_token(
            "auditor",
            &json!({ "roles": ["admin"], "scopes": ["audit"] }),
        )
        .await;
    let accept = format!("/v1/connections/{}/claim", request.id);
    let release = format!("/v1/connections/{}/release", request.id);
    let consumer = json!({ "name": "Acme", "slug": "acme" });
    let nothing = json!({});
    let rows = [
        (&reader, Method::GET, "/v1/services", &nothing, 200),
        (&reader, Method::GET, "/v1/audit-entries", &nothing, 403),
        (&reader, Method::POST, accept.as_str(), &nothing, 403),
        (&reader, Method::POST, "/v1/consumers", &consumer, 403),
        (&auditor, Method::GET, "/v1/audit-entries", &nothing, 200),
        (&auditor, Method::GET, "/v1/services", &nothing, 403),
        (&decider, Method::POST, "/v1/consumers", &consumer, 403),
        (&admin, Method::POST, accept.as_str(), &nothing, 200),
        // To end another's claim takes an admin; the scopes leave that out.
        (&decider, Method::POST, release.as_str(), &nothing, 409),
        (&admin, Method::POST, release.as_str(), &nothing, 200),
        (&admin, Method::POST, "/v1/consumers", &consumer, 201),
    ];
    for (token, method, path, body, status) in rows {
        let answer = app.by(&token.secret, method.clone(), path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    }
    let name = format!("service-token|{}", admin.id);
    let entries = app
        .get(Who::Auditor, &format!("/v1/audit-entries?actor={name}"))
        .await
        .good();
    let entry = &entries["items"][0];
    assert_eq!(
        (&entry["action"], &entry["actor_kind"]),
        (&json!("consumer.register"), &json!("service_token"))
    );

    let one = format!("{PATH}/{}", reader.id);
    let body = json!({ "name": "more", "roles": ["viewer"], "expires_at": app.clock_in(Duration::from_hours(1)) });
    for (method, path) in [
        (Method::GET, PATH),
        (Method::POST, PATH),
        (Method::GET, &one),
        (Method::POST, &format!("{one}/rotate")),
        (Method::POST, &format!("{one}/revoke")),
    ] {
        let answer = app.by(&admin.secret, method, path, &body).await;
        answer.refused(path, 403, "forbidden");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_program_decides_alone_and_is_none_of_two_persons(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let token = app
        .make_token("ci", &json!({ "roles": ["approver"] }))
        .await;
    app.ask_for_two(&service).await;
    let body = json!({ "reason": "paid" });
    let accept = format!("/v1/connections/{}/accept", request.id);
    let answer = app.by(&token.secret, Method::POST, &accept, &body).await;
    answer.refused("two persons", 409, "approvals_required");
    let hold = format!("/v1/connections/{}/hold", request.id);
    let held = app
        .by(&token.secret, Method::POST, &hold, &body)
        .await
        .good();
    assert_eq!(held["hold"]["by_kind"], "service_token", "{held}");
    let reject = format!("/v1/connections/{}/reject", request.id);
    app.by(&token.secret, Method::POST, &reject, &body)
        .await
        .good();
    let decision = app.only_decision(&request).await;
    assert_eq!(decision["actor"], format!("service-token|{}", token.id));
    assert_eq!(decision["actor_kind"], "service_token");
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_makes_no_sense_is_refused_by_its_field(pool: PgPool) {
    let app = TestApp::start(pool);
    let one = app.make_token("ci", &json!({})).await;
    let soon = app.clock_in(Duration::from_hours(1));
    let late = app.clock_in(Duration::from_hours(24 * 366));
    let past = app.clock.now();
    let body = |changes: Value| {
        let mut body = json!({ "name": "other", "roles": ["viewer"], "expires_at": soon });
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    for (changes, status, code, field) in [
        (json!({ "name": "ci" }), 409, "service_token_exists", "name"),
        (json!({ "name": " " }), 400, "invalid_request", "name"),
        (json!({ "name": "a\nb" }), 400, "invalid_request", "name"),
        (
            json!({ "name": "x".repeat(101) }),
            400,
            "invalid_request",
            "name",
        ),
        (json!({ "roles": [] }), 400, "invalid_request", "roles"),
        (json!({ "scopes": [] }), 400, "invalid_request", "scopes"),
        (
            json!({ "scopes": ["read", "decide"] }),
            400,
            "invalid_request",
            "scopes[1]",
        ),
        (
            json!({ "expires_at": past }),
            400,
            "invalid_request",
            "expires_at",
        ),
        (
            json!({ "expires_at": late }),
            400,
            "invalid_request",
            "expires_at",
        ),
        (
            json!({ "roles": ["root"] }),
            400,
            "invalid_json",
            "roles[0]",
        ),
        (
            json!({ "scopes": ["manage-tokens"] }),
            400,
            "invalid_json",
            "scopes[0]",
        ),
        (json!({ "more": 1 }), 400, "invalid_json", "more"),
    ] {
        let answer = app.post(Who::Admin, PATH, &body(changes.clone())).await;
        answer.refused(&changes.to_string(), status, code);
        if code != "invalid_json" {
            assert_eq!(
                answer.json()["errors"][0]["field"],
                field,
                "{}",
                answer.text
            );
        }
    }
    let rotate = format!("{PATH}/{}/rotate", one.id);
    for grace in [
        json!(604_801),
        json!(-1),
        json!(1.5),
        json!("1h"),
        Value::Null,
    ] {
        let answer = app
            .post(Who::Admin, &rotate, &json!({ "grace_seconds": grace }))
            .await;
        assert_eq!(answer.status, 400, "{grace}: {}", answer.text);
    }
    let unknown = "stk_00000000000000000000000000000001";
    let missing = app.get(Who::Admin, &format!("{PATH}/{unknown}")).await;
    missing.refused("unknown", 404, "service_token_not_found");
    app.revoke_token(unknown)
        .await
        .refused("unknown", 404, "service_token_not_found");
    let other_kind = app
        .get(
            Who::Admin,
            &format!("{PATH}/con_00000000000000000000000000000001"),
        )
        .await;
    other_kind.refused("another kind", 400, "invalid_path");
    assert_eq!(app.count("SELECT count(*) FROM service_tokens").await, 1);
}

/// The rule of the use case, whatever the permission in front of it.
#[sqlx::test(migrations = "./migrations")]
async fn nobody_makes_a_token_that_may_more_than_they(pool: PgPool) {
    let app = TestApp::start(pool);
    let rules = ServiceTokenSettings::default().rules();
    let actor = Actor::person("ada", "r");
    for (held, wanted, good) in [
        (Role::Approver, Role::Admin, false),
        (Role::Approver, Role::Auditor, false),
        (Role::Viewer, Role::Approver, false),
        (Role::Auditor, Role::Approver, false),
        (Role::Approver, Role::Viewer, true),
        (Role::Admin, Role::Auditor, true),
    ] {
        let new = NewServiceToken {
            name: format!("{held} {wanted}"),
            roles: vec![wanted],
            scopes: None,
            expires_at: app.clock.now() + Duration::from_hours(1),
        };
        let held = Roles::from_iter([held]);
        let made = make_service_token(&app.application(), &rules, &actor, &held, new).await;
        assert_eq!(made.is_ok(), good, "{held:?} {wanted}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn forged_tokens_are_refused_and_say_nothing(pool: PgPool) {
    let app = TestApp::start(pool);
    let one = app.make_token("one", &json!({})).await;
    let two = app.make_token("two", &json!({})).await;
    let whole = |text: &str| {
        let sum = digest(&SHA256, text.as_bytes());
        let sum = hexadecimal(&sum.as_ref()[..4]);
        format!("{text}{sum}")
    };
    let before = &one.secret[..one.secret.len() - 8];
    assert_eq!(whole(before), one.secret, "as scanners check it");
    let other_end = if before.ends_with('0') { "1" } else { "0" };
    let (id, secret) = before
        .split_once('_')
        .and_then(|(_, rest)| rest.split_once('_'))
        .unwrap();
    let others = two.secret.split('_').nth(1).unwrap();
    for (what, token) in [
        (
            "one digit",
            whole(&format!("{}{other_end}", &before[..before.len() - 1])),
        ),
        ("another's id", whole(&format!("pcl_{others}_{secret}"))),
        (
            "an id of nobody",
            whole(&format!("pcl_{}_{secret}", "0".repeat(32))),
        ),
        ("no secret", whole(&format!("pcl_{id}_{}", "0".repeat(64)))),
        ("another checksum", format!("{before}00000000")),
        ("capitals", one.secret.to_uppercase()),
        ("too short", one.secret[..one.secret.len() - 1].to_owned()),
        ("more behind it", format!("{}0", one.secret)),
        ("the prefix alone", "pcl_".to_owned()),
        ("SQL", format!("pcl_{}_{secret}", "' OR 1=1 --")),
        ("12 kB", format!("pcl_{}", "0".repeat(12_000))),
    ] {
        let answer = app.shows(&token).await;
        answer.refused(what, 401, "unauthenticated");
        assert_eq!(
            answer.json()["detail"],
            "The bearer token is not accepted.",
            "{what}"
        );
    }
    assert_eq!(app.shows(&one.secret).await.status, 200);
    let table = |sql: &'static str| {
        let db = app.db().clone();
        async move {
            sqlx::query(sql)
                .execute(&db)
                .await
                .unwrap_err()
                .into_database_error()
                .unwrap()
                .code()
                .unwrap()
                .into_owned()
        }
    };
    for sql in [
        "UPDATE service_tokens SET roles = '{admin}'",
        "UPDATE service_tokens SET scopes = '{read}'",
        "UPDATE service_tokens SET expires_at = expires_at + interval '1 day'",
        "DELETE FROM service_tokens",
        "TRUNCATE service_tokens",
    ] {
        assert_eq!(table(sql).await, "42501", "{sql}");
    }
    for sql in [
        "UPDATE service_tokens SET secret_hash = ''",
        "UPDATE service_tokens SET previous_until = now()",
        "UPDATE service_tokens SET revoked_at = now()",
        "UPDATE service_tokens SET rotated_by = 'x'",
    ] {
        assert_eq!(table(sql).await, "23514", "{sql}");
    }
    app.revoke_token(&two.id).await.good();
    let back = "UPDATE service_tokens SET revoked_at = NULL, revoked_by = NULL, revoked_reason = NULL WHERE revoked_at IS NOT NULL";
    assert_eq!(table(back).await, "42501", "nobody is let in again");
    app.db().close().await;
    app.shows(&one.secret)
        .await
        .refused("the database is away", 503, "unavailable");
}
