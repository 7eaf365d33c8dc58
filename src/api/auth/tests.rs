//! The verifier against good and bad tokens.

use chrono::TimeDelta;
use jsonwebtoken::Algorithm;
use serde_json::json;

use super::issuer::DEVELOPMENT_ISSUER;
use super::jwks::KeySet;
use super::test_tokens::{TestTokens, encoded};
use super::{AuthError, Reason, Role, TrustedIssuer, Verifier};

fn assert_refused(tokens: &TestTokens, token: &str, why: &str) {
    let outcome = tokens.verifier().verify(token, tokens.now);
    assert!(
        matches!(outcome, Err(AuthError::Refused(_))),
        "{why}: {outcome:?}"
    );
}

#[test]
fn a_good_token_names_its_subject_and_roles() {
    let tokens = TestTokens::new();
    let claims = tokens
        .verifier()
        .verify(&tokens.of(Role::Approver), tokens.now)
        .expect("good");
    assert_eq!(claims.subject, "somebody");
    assert_eq!(claims.roles.iter().collect::<Vec<_>>(), [Role::Approver]);
    assert_eq!(claims.expires_at, tokens.now + TimeDelta::seconds(600));
}

#[test]
fn expiry_follows_the_given_clock_with_a_minute_of_leeway() {
    let tokens = TestTokens::new();
    let token = tokens.of(Role::Viewer);
    let at = |seconds| {
        tokens
            .verifier()
            .verify(&token, tokens.now + TimeDelta::seconds(seconds))
    };
    assert!(at(660).is_ok());
    assert_eq!(at(661), Err(AuthError::Expired));
    assert!(at(-60).is_ok());
    assert_eq!(at(-61), Err(AuthError::Refused(Reason::NotYet)));
}

#[test]
fn wrong_and_missing_claims_are_refused() {
    let tokens = TestTokens::new();
    for changes in [
        json!({ "aud": "another-service" }),
        json!({ "aud": ["another-service", "a-third"] }),
        json!({ "aud": null }),
        json!({ "iss": "somebody-else" }),
        json!({ "iss": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
        json!({ "exp": null }),
        json!({ "exp": "1900000000" }),
        json!({ "exp": 1.9e9 }),
        json!({ "exp": 1e300 }),
        json!({ "exp": u64::MAX }),
        json!({ "nbf": "soon" }),
        json!({ "roles": "admin" }),
        json!({ "roles": ["admin", 7] }),
        json!({ "iss": [DEVELOPMENT_ISSUER] }),
        json!({ "sub": "somebody|else" }),
        json!({ "sub": "service-token|stk_1" }),
        json!({ "sub": "two\nlines" }),
        json!({ "sub": "x".repeat(256) }),
    ] {
        assert_refused(&tokens, &tokens.with_claims(&changes), &changes.to_string());
    }
}

#[test]
fn an_organisation_is_read_where_it_is_beyond_doubt_and_refused_otherwise() {
    let tokens = TestTokens::new();
    let id = format!("cns_{}", "0".repeat(32));
    let good = tokens.with_claims(&json!({ "roles": ["consumer"], "consumer": id }));
    let claims = tokens.verifier().verify(&good, tokens.now).expect("good");
    assert_eq!(claims.organisation, id.parse().ok());
    for changes in [
        json!({ "roles": ["consumer"] }),
        json!({ "roles": ["consumer"], "consumer": "" }),
        json!({ "roles": ["consumer"], "consumer": "acme" }),
        json!({ "roles": ["consumer"], "consumer": 7 }),
        json!({ "roles": ["consumer"], "consumer": [id] }),
        json!({ "roles": ["consumer", "admin"], "consumer": id }),
        json!({ "roles": ["viewer", "consumer"], "consumer": id }),
        json!({ "roles": ["admin"], "consumer": id }),
    ] {
        assert_refused(&tokens, &tokens.with_claims(&changes), &changes.to_string());
    }
}

#[test]
fn a_token_from_before_the_epoch_is_not_accepted() {
    let tokens = TestTokens::new();
    let outcome = tokens
        .verifier()
        .verify(&tokens.with_claims(&json!({ "exp": -1 })), tokens.now);
    assert!(outcome.is_err(), "{outcome:?}");
}

#[test]
fn a_token_that_chooses_its_own_algorithm_is_refused() {
    let tokens = TestTokens::new();
    for alg in ["none", "None", "NONE", "HS256", "EdDSA"] {
        assert_refused(&tokens, &tokens.unsigned(alg), alg);
    }
    assert_refused(
        &tokens,
        &tokens.hmac_with_public_key(),
        "HMAC with the public key",
    );
}

#[test]
fn another_type_another_key_and_critical_extensions_are_refused() {
    let tokens = TestTokens::new();
    let headers: [fn(&mut jsonwebtoken::Header); 6] = [
        |header| header.typ = Some("JWT".to_owned()),
        |header| header.typ = None,
        |header| header.kid = None,
        |header| header.kid = Some("../../etc/passwd".to_owned()),
        |header| header.kid = Some("' OR 1=1 --".to_owned()),
        |header| header.crit = Some(vec!["exp".to_owned()]),
    ];
    for (number, change) in headers.into_iter().enumerate() {
        let mut header = tokens.header();
        change(&mut header);
        assert_refused(
            &tokens,
            &tokens.with_header(&header),
            &format!("header {number}"),
        );
    }
}

#[test]
fn key_locations_in_the_header_are_ignored() {
    let tokens = TestTokens::new();
    let mut header = tokens.header();
    header.jku = Some("https://evil.example/keys".to_owned());
    assert!(
        tokens
            .verifier()
            .verify(&tokens.with_header(&header), tokens.now)
            .is_ok()
    );
    let stranger = TestTokens::new();
    let mut header = stranger.header();
    header.jku = Some("https://evil.example/keys".to_owned());
    header.kid = tokens.header().kid;
    assert_refused(
        &tokens,
        &stranger.with_header(&header),
        "signed by a stranger",
    );
}

#[test]
fn altered_text_and_rubbish_are_refused() {
    let tokens = TestTokens::new();
    let good = tokens.of(Role::Viewer);
    let parts: Vec<_> = good.split('.').collect();
    let escalated = encoded(&tokens.claims(&json!({})).to_string());
    let other = TestTokens::new().of(Role::Admin);
    let long = format!("{good}{}", "A".repeat(1_000_000));
    for rubbish in [
        "",
        ".",
        "..",
        "...",
        "abc",
        &format!("{}.{}.", parts[0], parts[1]),
        &format!("{}.{escalated}.{}", parts[0], parts[2]),
        &format!("{good}."),
        &format!("{good}.{good}"),
        &other,
        &long,
    ] {
        assert_refused(
            &tokens,
            rubbish,
            &rubbish.chars().take(40).collect::<String>(),
        );
    }
}

#[test]
fn a_verifier_without_keys_accepts_nothing() {
    let tokens = TestTokens::new();
    let outcome = Verifier::default().verify(&tokens.of(Role::Admin), tokens.now);
    assert_eq!(outcome, Err(AuthError::Refused(Reason::Issuer)));
}

#[test]
fn the_key_of_one_issuer_does_not_vouch_for_another() {
    let tokens = TestTokens::new();
    let key = jsonwebtoken::DecodingKey::from_ed_der(&[7; 32]);
    let kid = tokens.header().kid.expect("a key id");
    let keys = KeySet::of(kid, Algorithm::EdDSA, key);
    for (issuer, reason) in [
        ("another", Reason::Issuer),
        (DEVELOPMENT_ISSUER, Reason::Signature),
    ] {
        let wrong = TrustedIssuer::of_key(issuer, "portcullis", "at+jwt", keys.clone());
        let outcome = Verifier::new([wrong]).verify(&tokens.of(Role::Admin), tokens.now);
        assert_eq!(outcome, Err(AuthError::Refused(reason)), "{issuer}");
    }
}
