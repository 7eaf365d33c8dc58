//! What is tried with tokens, the status that each gets, and which check refuses it. The issuer is real: it publishes its keys over HTTP and signs what a test wants.

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::{Answer, send};
use crate::support::issuer::{FakeIssuer, SigningKey, encoded};
use crate::support::{Setup, TestApp, Who};

/// Two issuers that are trusted, `corp` with a key of each kind, and whoever is not.
struct Stage {
    app: TestApp,
    corp: FakeIssuer,
    rsa: SigningKey,
    p256: SigningKey,
    ed: SigningKey,
    /// The key of the other issuer, under an id that `corp` uses as well.
    others: SigningKey,
    other: FakeIssuer,
    stranger: SigningKey,
}

impl Stage {
    async fn set(pool: PgPool) -> Self {
        let (rsa, p256, ed) = (SigningKey::rsa(), SigningKey::p256(), SigningKey::ed());
        let others = SigningKey::ed();
        let corp = FakeIssuer::start(vec![rsa.jwk("r"), p256.jwk("p"), ed.jwk("e")]).await;
        let other = FakeIssuer::start(vec![others.jwk("e")]).await;
        let setup = Setup {
            issuers: vec![
                corp.settings("corp", &json!({})),
                other.settings("other", &json!({})),
            ],
            ..Setup::default()
        };
        Self {
            app: TestApp::start_with(pool, setup),
            corp,
            rsa,
            p256,
            ed,
            others,
            other,
            stranger: SigningKey::ed(),
        }
    }

    /// The claims of a good token, with some replaced or, by null, taken out.
    fn claims(&self, changes: &Value) -> Value {
        let now = self.app.clock.now().timestamp();
        let mut claims = json!({
            "iss": self.corp.url, "aud": "portcullis", "sub": "ada", "iat": now, "exp": now + 600, "roles": ["viewer"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        claims
    }

    /// Signed with `corp`'s Ed25519 key.
    fn saying(&self, changes: &Value) -> String {
        self.ed.signed("e", &self.claims(changes))
    }

    /// With this text for its claims.
    fn raw(&self, claims: &str) -> String {
        self.ed
            .token(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"e"}"#, claims)
    }

    /// With good claims and this header, signed with `corp`'s Ed25519 key.
    fn headed(&self, header: &str) -> String {
        self.ed.token(header, &self.claims(&json!({})).to_string())
    }

    async fn send(&self, token: &str) -> Answer {
        let request = self.app.request(Who::Nobody, Method::GET, "/v1/services");
        send(request.bearer_auth(token)).await
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn every_attack_is_refused_and_every_good_token_is_taken(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let good = stage.claims(&json!({}));
    let good_text = good.to_string();
    let now = stage.app.clock.now().timestamp();
    let header =
        |alg: &str, kid: &str| json!({ "alg": alg, "typ": "at+jwt", "kid": kid }).to_string();
    let twice = |member: &str| format!("{{{member},{}", &good_text[1..]);
    let without = |name: &str| stage.saying(&json!({ name: null }));
    let number = |name: &str, number: &str| {
        let mut claims = good.clone();
        claims[name] = json!("HERE");
        stage.raw(&claims.to_string().replace("\"HERE\"", number))
    };

    let unsigned = |alg: &str| format!("{}.{}.", encoded(header(alg, "e")), encoded(&good_text));
    let hmac = |key: &SigningKey, kid: &str| {
        let message = format!("{}.{}", encoded(header("HS256", kid)), encoded(&good_text));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &key.public());
        format!(
            "{message}.{}",
            encoded(hmac::sign(&secret, message.as_bytes()))
        )
    };
    let pem = |key: &SigningKey| {
        let message = format!("{}.{}", encoded(header("HS256", "r")), encoded(&good_text));
        let jwk = key.jwk("r").to_string();
        let secret = hmac::Key::new(hmac::HMAC_SHA256, jwk.as_bytes());
        format!(
            "{message}.{}",
            encoded(hmac::sign(&secret, message.as_bytes()))
        )
    };
    let inner = stage.saying(&json!({}));
    let brought =
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "e", "jwk": stage.stranger.jwk("e") })
            .to_string();
    let sent_for =
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "e", "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/cert" })
        .to_string();
    let (head, rest) = inner.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let escalated = encoded(stage.claims(&json!({ "roles": ["admin"] })).to_string());

    let rows: Vec<(&str, String, u16, &str)> = vec![
        // What is taken.
        ("RS256", stage.rsa.signed("r", &good), 200, ""),
        ("ES256", stage.p256.signed("p", &good), 200, ""),
        ("EdDSA", stage.ed.signed("e", &good), 200, ""),
        (
            "another issuer that is trusted",
            stage
                .others
                .signed("e", &stage.claims(&json!({ "iss": stage.other.url }))),
            200,
            "",
        ),
        (
            "one of several audiences",
            stage.saying(&json!({ "aud": ["account", "portcullis"] })),
            200,
            "",
        ),
        (
            "typ in full and in capitals",
            stage.headed(r#"{"alg":"EdDSA","typ":"Application/AT+JWT","kid":"e"}"#),
            200,
            "",
        ),
        (
            "expired by 59 s",
            stage.saying(&json!({ "exp": now - 59 })),
            200,
            "",
        ),
        (
            "good in 60 s",
            stage.saying(&json!({ "nbf": now + 60 })),
            200,
            "",
        ),
        (
            "jku and x5u beside a good key",
            stage.headed(&sent_for),
            200,
            "",
        ),
        // Algorithms.
        ("alg none", unsigned("none"), 401, "shape"),
        ("alg None", unsigned("None"), 401, "shape"),
        ("alg NONE", unsigned("NONE"), 401, "shape"),
        (
            "alg none with the signature of EdDSA",
            stage.headed(&header("none", "e")),
            401,
            "algorithm",
        ),
        ("EdDSA without a signature", unsigned("EdDSA"), 401, "shape"),
        (
            "HS256 with the RSA key",
            hmac(&stage.rsa, "r"),
            401,
            "algorithm",
        ),
        (
            "HS256 with the Ed25519 key",
            hmac(&stage.ed, "e"),
            401,
            "algorithm",
        ),
        ("HS256 with the JWK", pem(&stage.rsa), 401, "algorithm"),
        (
            "the ES256 key under RS256",
            stage.p256.token(&header("RS256", "p"), &good_text),
            401,
            "algorithm",
        ),
        (
            "the RS256 key under ES256",
            stage.rsa.token(&header("ES256", "r"), &good_text),
            401,
            "algorithm",
        ),
        (
            "RS512 with the RS256 key",
            stage.rsa.token(&header("RS512", "r"), &good_text),
            401,
            "algorithm",
        ),
        (
            "PS256 with the RS256 key",
            stage.rsa.token(&header("PS256", "r"), &good_text),
            401,
            "algorithm",
        ),
        (
            "alg in another case",
            stage.headed(&header("eddsa", "e")),
            401,
            "algorithm",
        ),
        (
            "no alg",
            stage.headed(r#"{"typ":"at+jwt","kid":"e"}"#),
            401,
            "algorithm",
        ),
        // Keys.
        (
            "no kid",
            stage.headed(r#"{"alg":"EdDSA","typ":"at+jwt"}"#),
            401,
            "key",
        ),
        (
            "kid of another key",
            stage.headed(&header("EdDSA", "p")),
            401,
            "algorithm",
        ),
        (
            "kid with a path",
            stage.headed(&header("EdDSA", "../../../../dev/null")),
            401,
            "key",
        ),
        (
            "kid with SQL",
            stage.headed(&header("EdDSA", "e' UNION SELECT 'AAAA")),
            401,
            "key",
        ),
        (
            "kid that is a number",
            stage.headed(r#"{"alg":"EdDSA","typ":"at+jwt","kid":7}"#),
            401,
            "key",
        ),
        (
            "kid of 4,000 bytes",
            stage.headed(&header("EdDSA", &"k".repeat(4_000))),
            401,
            "key",
        ),
        (
            "another issuer's key with the same kid",
            stage.others.signed("e", &good),
            401,
            "signature",
        ),
        (
            "in another issuer's name with the same kid",
            stage
                .ed
                .signed("e", &stage.claims(&json!({ "iss": stage.other.url }))),
            401,
            "signature",
        ),
        (
            "a stranger's key with a known kid",
            stage.stranger.signed("e", &good),
            401,
            "signature",
        ),
        (
            "a stranger's key, brought along as jwk",
            stage.stranger.token(&brought, &good_text),
            401,
            "signature",
        ),
        (
            "a stranger's key, with an address to fetch it from",
            stage.stranger.token(&sent_for, &good_text),
            401,
            "signature",
        ),
        // The form.
        (
            "crit",
            stage.headed(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"e","crit":["b64"],"b64":false}"#),
            401,
            "extension",
        ),
        (
            "crit that is empty",
            stage.headed(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"e","crit":[]}"#),
            401,
            "extension",
        ),
        (
            "zip",
            stage.headed(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"e","zip":"DEF"}"#),
            401,
            "extension",
        ),
        (
            "two alg in the header",
            stage.headed(r#"{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"e"}"#),
            401,
            "header",
        ),
        (
            "two kid in the header",
            stage.headed(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"x","kid":"e"}"#),
            401,
            "header",
        ),
        (
            "typ JWT",
            stage.headed(r#"{"alg":"EdDSA","typ":"JWT","kid":"e"}"#),
            401,
            "type",
        ),
        (
            "typ of an identity token's logout",
            stage.headed(r#"{"alg":"EdDSA","typ":"logout+jwt","kid":"e"}"#),
            401,
            "type",
        ),
        (
            "no typ",
            stage.headed(r#"{"alg":"EdDSA","kid":"e"}"#),
            401,
            "type",
        ),
        (
            "a token within a token",
            stage.ed.token(
                r#"{"alg":"EdDSA","typ":"at+jwt","cty":"JWT","kid":"e"}"#,
                &inner,
            ),
            401,
            "claims",
        ),
        (
            "a token within quotation marks within a token",
            stage.raw(&format!("\"{inner}\"")),
            401,
            "claims",
        ),
        ("five parts", format!("{inner}.a.b"), 401, "shape"),
        ("two parts", format!("{head}.{payload}"), 401, "shape"),
        (
            "other claims under a good signature",
            format!("{head}.{escalated}.{signature}"),
            401,
            "signature",
        ),
        (
            "another end of the signature",
            format!("{head}.{payload}.{signature}A"),
            401,
            "signature",
        ),
        (
            "padding",
            format!("{head}=.{payload}.{signature}"),
            401,
            "header",
        ),
        (
            "9 KB, properly signed",
            stage.saying(&json!({ "x": "x".repeat(9_000) })),
            401,
            "too_long",
        ),
        ("a list for claims", stage.raw("[]"), 401, "claims"),
        (
            "arrays in arrays",
            stage.raw(&format!(
                "{{\"x\":{}1{}}}",
                "[".repeat(1_000),
                "]".repeat(1_000)
            )),
            401,
            "claims",
        ),
        // Claims that stand twice.
        (
            "two aud",
            stage.raw(&twice(r#""aud":"another-service""#)),
            401,
            "claims",
        ),
        (
            "two sub",
            stage.raw(&twice(r#""sub":"root""#)),
            401,
            "claims",
        ),
        (
            "two roles",
            stage.raw(&twice(r#""roles":["admin"]"#)),
            401,
            "claims",
        ),
        (
            "two exp, one of them escaped",
            stage.raw(&twice(r#""\u0065xp":9999999999"#)),
            401,
            "claims",
        ),
        (
            "twice within a claim",
            stage.raw(&twice(r#""x":{"a":1,"a":2}"#)),
            401,
            "claims",
        ),
        // Times.
        (
            "expired by 61 s",
            stage.saying(&json!({ "exp": now - 61 })),
            401,
            "expired",
        ),
        (
            "exp of the last century",
            number("exp", "0"),
            401,
            "expired",
        ),
        ("exp that is negative", number("exp", "-1"), 401, "expired"),
        (
            "exp as text",
            number("exp", &format!("\"{}\"", now + 600)),
            401,
            "claims",
        ),
        (
            "exp as a fraction",
            number("exp", &format!("{}.5", now + 600)),
            401,
            "claims",
        ),
        ("exp as 1e10", number("exp", "1e10"), 401, "claims"),
        ("exp as 1e400", number("exp", "1e400"), 401, "claims"),
        (
            "exp beyond 64 bits",
            number("exp", "99999999999999999999"),
            401,
            "claims",
        ),
        (
            "exp beyond the calendar",
            number("exp", "9223372036854775807"),
            401,
            "claims",
        ),
        ("exp null", number("exp", "null"), 401, "claims"),
        ("no exp", without("exp"), 401, "claims"),
        (
            "good for longer than a day",
            stage.saying(&json!({ "exp": now + 86_401 })),
            401,
            "lifetime",
        ),
        (
            "good for longer than a day, without iat",
            stage.saying(&json!({ "iat": null, "exp": now + 86_401 })),
            401,
            "lifetime",
        ),
        (
            "good for 68 years since long ago",
            stage.saying(&json!({ "iat": 1, "exp": now + 600 })),
            401,
            "lifetime",
        ),
        (
            "nbf in 61 s",
            stage.saying(&json!({ "nbf": now + 61 })),
            401,
            "not_yet",
        ),
        (
            "nbf as text",
            stage.saying(&json!({ "nbf": "soon" })),
            401,
            "claims",
        ),
        (
            "iat in 61 s",
            stage.saying(&json!({ "iat": now + 61 })),
            401,
            "not_yet",
        ),
        (
            "iat as text",
            stage.saying(&json!({ "iat": "now" })),
            401,
            "claims",
        ),
        // For whom and from whom.
        (
            "another service's",
            stage.saying(&json!({ "aud": "another-service" })),
            401,
            "audience",
        ),
        (
            "other services'",
            stage.saying(&json!({ "aud": ["another-service", "a-third"] })),
            401,
            "audience",
        ),
        (
            "nobody's",
            stage.saying(&json!({ "aud": [] })),
            401,
            "audience",
        ),
        (
            "aud with something that is no text",
            stage.saying(&json!({ "aud": ["portcullis", 1] })),
            401,
            "audience",
        ),
        (
            "aud in another case",
            stage.saying(&json!({ "aud": "Portcullis" })),
            401,
            "audience",
        ),
        ("no aud", without("aud"), 401, "audience"),
        (
            "an issuer that is not trusted",
            stage.saying(&json!({ "iss": "https://evil.example" })),
            401,
            "issuer",
        ),
        (
            "an issuer with a slash more",
            stage.saying(&json!({ "iss": format!("{}/", stage.corp.url) })),
            401,
            "issuer",
        ),
        (
            "a list of issuers",
            stage.saying(&json!({ "iss": [stage.corp.url] })),
            401,
            "issuer",
        ),
        (
            "the development issuer's name",
            stage.saying(&json!({ "iss": "portcullis-development" })),
            401,
            "key",
        ),
        ("no iss", without("iss"), 401, "issuer"),
        ("no sub", without("sub"), 401, "subject"),
        (
            "an empty sub",
            stage.saying(&json!({ "sub": "" })),
            401,
            "subject",
        ),
        (
            "a sub that is a number",
            stage.saying(&json!({ "sub": 7 })),
            401,
            "subject",
        ),
        (
            "a sub of 256 bytes",
            stage.saying(&json!({ "sub": "x".repeat(256) })),
            401,
            "subject",
        ),
        (
            "a sub with a line break",
            stage.saying(&json!({ "sub": "ada\nroot" })),
            401,
            "subject",
        ),
        (
            "a sub with an escape sequence",
            stage.saying(&json!({ "sub": "\u{1b}[2Jada" })),
            401,
            "subject",
        ),
        // What it is trusted with.
        (
            "roles that are one text",
            stage.saying(&json!({ "roles": "viewer" })),
            401,
            "claims",
        ),
        (
            "roles with something that is no text",
            stage.saying(&json!({ "roles": ["viewer", {}] })),
            401,
            "claims",
        ),
        ("no roles", without("roles"), 403, "forbidden"),
        (
            "roles of others",
            stage.saying(&json!({ "roles": ["VIEWER", "root", "viewer "] })),
            403,
            "forbidden",
        ),
    ];
    // Each is refused by the check that it is about, and not by another that happens to come first.
    let refused = async || {
        let metrics = stage.app.get(Who::Nobody, "/metrics").await.text;
        let lines = metrics.lines().map(str::to_owned);
        let counts = lines.filter(|line| line.starts_with("portcullis_tokens_refused_total"));
        counts.collect::<BTreeSet<String>>()
    };
    for (what, token, status, why) in rows {
        let before = refused().await;
        let answer = stage.send(&token).await;
        let more: Vec<_> = refused().await.difference(&before).cloned().collect();
        match status {
            200 => assert_eq!(answer.status, 200, "{what}: {}", answer.text),
            403 => answer.refused(what, 403, "forbidden"),
            _ => {
                let code = if why == "expired" {
                    "token_expired"
                } else {
                    "unauthenticated"
                };
                answer.refused(what, status, code);
                let counted = format!("reason=\"{why}\"");
                assert!(
                    more.len() == 1 && more[0].contains(&counted),
                    "{what}: {more:?}"
                );
            }
        }
        if status != 200 {
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with("Bearer "), "{what}: {challenge}");
        }
    }
    // However many kids nobody knows.
    assert_eq!((stage.corp.asked(), stage.other.asked()), (1, 1));
    let metrics = stage.app.get(Who::Nobody, "/metrics").await.text;
    for line in [
        r#"portcullis_jwks_fetches_total{issuer="corp",outcome="ok"} 1"#,
        r#"portcullis_jwks_keys{issuer="corp"} 3"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

/// The server ends what is larger than any header before anybody looks at it.
#[sqlx::test(migrations = "./migrations")]
async fn a_token_of_a_megabyte_is_not_even_read(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let long = stage.saying(&json!({ "x": "x".repeat(1_000_000) }));
    let request = stage.app.request(Who::Nobody, Method::GET, "/v1/services");
    // It may hang up while the rest is still being sent.
    if let Ok(answer) = request.bearer_auth(long).send().await {
        assert!(
            [400, 401, 413, 431].contains(&answer.status().as_u16()),
            "{answer:?}"
        );
    }
    let good = stage.saying(&json!({}));
    assert_eq!(stage.send(&good).await.status, 200, "it goes on");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_ends_with_its_time(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let token = stage.saying(&json!({}));
    assert_eq!(stage.send(&token).await.status, 200);
    stage.app.clock.advance(TimeDelta::seconds(660));
    assert_eq!(stage.send(&token).await.status, 200, "60 s of leeway");
    stage.app.clock.advance(TimeDelta::seconds(1));
    let answer = stage.send(&token).await;
    answer.refused("61 s after its end", 401, "token_expired");
}
