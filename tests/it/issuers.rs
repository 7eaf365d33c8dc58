//! Several issuers at once: who is called what, what their groups are here, and that nobody is taken for somebody else.

use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::{Answer, send};
use crate::support::issuer::{FakeIssuer, SigningKey};
use crate::support::{Setup, TestApp, Who};

struct Provider {
    key: SigningKey,
    issuer: FakeIssuer,
}

impl Provider {
    async fn new() -> Self {
        let key = SigningKey::ed();
        let issuer = FakeIssuer::start(vec![key.jwk("a")]).await;
        Self { key, issuer }
    }

    fn token(&self, app: &TestApp, subject: &str, more: &Value) -> String {
        let now = app.clock.now().timestamp();
        let mut claims = json!({ "iss": self.issuer.url, "aud": "portcullis", "sub": subject, "iat": now, "exp": now + 600 });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.signed("a", &claims)
    }
}

async fn register(app: &TestApp, token: &str, slug: &str, key: &str) -> Answer {
    let body = json!({ "name": "Acme", "slug": slug });
    let request = app
        .request(Who::Nobody, Method::POST, "/v1/consumers")
        .json(&body);
    send(request.bearer_auth(token).header("Idempotency-Key", key)).await
}

#[sqlx::test(migrations = "./migrations")]
async fn one_subject_of_two_issuers_is_two_callers(pool: PgPool) {
    let (one, two) = (Provider::new().await, Provider::new().await);
    let setup = Setup {
        issuers: vec![
            one.issuer.settings("one", &json!({})),
            two.issuer.settings("two", &json!({})),
        ],
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let admin = json!({ "roles": ["admin"] });
    let callers = [
        (one.token(&app, "ada", &admin), "one|ada"),
        (two.token(&app, "ada", &admin), "two|ada"),
        (two.token(&app, "one|ada", &admin), "two|one|ada"),
        (
            two.token(
                &app,
                "service-token|stk_00000000000000000000000000000001",
                &admin,
            ),
            "two|service-token|stk_00000000000000000000000000000001",
        ),
        (
            two.token(&app, "admin@provider.example", &admin),
            "two|admin@provider.example",
        ),
    ];
    for (number, (token, name)) in callers.iter().enumerate() {
        // Each with the same key: one caller's answer is not another's.
        let made = register(&app, token, &format!("acme-{number}"), "k").await;
        assert_eq!(
            (made.status, made.header("idempotency-replayed")),
            (201, ""),
            "{name}"
        );
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let entries = app
            .get(Who::Auditor, &format!("/v1/audit-entries?subject_id={id}"))
            .await
            .good();
        let entry = &entries["items"][0];
        assert_eq!(
            (&entry["actor"], &entry["actor_kind"]),
            (&json!(name), &json!("person"))
        );
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn groups_become_roles_as_the_configuration_says(pool: PgPool) {
    let (keycloak, auth0, entra) = (
        Provider::new().await,
        Provider::new().await,
        Provider::new().await,
    );
    let setup = Setup {
        issuers: vec![
            keycloak.issuer.settings("keycloak", &json!({
                "token_types": ["JWT"], "roles_claim": "realm_access.roles",
            })),
            auth0.issuer.settings("auth0", &json!({
                "roles_claim": ["https://portcullis.example/roles"], "algorithms": ["EdDSA"],
            })),
            entra.issuer.settings("entra", &json!({
                "roles_claim": "groups", "jwks_url": format!("{}/keys", entra.issuer.url),
                "role_map": [{ "from": "Platform Admins", "to": "admin" }, { "from": "0f1e2d3c", "to": "auditor" }],
            })),
        ],
        ..Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let rows = [
        (
            &entra,
            json!({ "groups": ["Platform Admins"] }),
            "/v1/audit-entries",
            200,
        ),
        (
            &entra,
            json!({ "groups": ["0f1e2d3c", "x"] }),
            "/v1/audit-entries",
            200,
        ),
        // With a map, only what it names counts.
        (&entra, json!({ "groups": ["admin"] }), "/v1/services", 403),
        (&entra, json!({ "roles": ["admin"] }), "/v1/services", 403),
        (
            &entra,
            json!({ "groups": ["platform admins"] }),
            "/v1/services",
            403,
        ),
        (
            &auth0,
            json!({ "https://portcullis.example/roles": ["viewer"] }),
            "/v1/services",
            200,
        ),
        (
            &auth0,
            json!({ "https://portcullis": { "example/roles": ["viewer"] } }),
            "/v1/services",
            403,
        ),
        (
            &keycloak,
            json!({ "realm_access": { "roles": ["viewer"] } }),
            "/v1/services",
            401,
        ),
    ];
    for (provider, claims, path, status) in rows {
        let token = provider.token(&app, "ada", &claims);
        let request = app
            .request(Who::Nobody, Method::GET, path)
            .bearer_auth(token);
        let answer = send(request).await;
        assert_eq!(answer.status, status, "{claims}: {}", answer.text);
    }
    // Keycloak signs its access tokens as plain JWT.
    let now = app.clock.now().timestamp();
    let claims = json!({ "iss": keycloak.issuer.url, "aud": ["portcullis", "account"], "sub": "ada", "iat": now,
        "exp": now + 60, "realm_access": { "roles": ["offline_access", "viewer"] } });
    let token = keycloak.key.token(
        r#"{"alg":"EdDSA","typ":"JWT","kid":"a"}"#,
        &claims.to_string(),
    );
    let request = app
        .request(Who::Nobody, Method::GET, "/v1/services")
        .bearer_auth(token);
    assert_eq!(send(request).await.status, 200);
}
