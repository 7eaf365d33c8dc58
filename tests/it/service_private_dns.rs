//! A service gets a private DNS name: the record to publish is shown, looked for, and AWS is asked to check; a proof that is lost is an alarm.

use std::time::Duration;

use privatelink::EndpointServiceChange;
use privatelink_sim::{Effect, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, TestApp, Who};

const NAME: &str = "api.example.com";
const START: &str = "StartVpcEndpointServicePrivateDnsVerification";

impl TestApp {
    async fn dns(&self, service: &Service) -> Value {
        self.service(&service.id).await["private_dns"].clone()
    }

    /// Lets time pass in steps, with a worker that works.
    async fn pass(&self, minutes: u64) {
        for _ in 0..minutes * 4 {
            self.advance(Duration::from_secs(15));
            self.run_worker().await;
        }
    }

    /// A service with a name, and the record that AWS wants for it.
    async fn named(&self, name: &str) -> (Service, String, String) {
        let service = self.with_service().await;
        self.change(&service, &json!({ "private_dns_name": name }))
            .await;
        self.run_until_rest().await;
        // AWS hides the record on the first read after the change.
        self.advance(Duration::from_secs(3));
        self.run_worker().await;
        let dns = self.dns(&service).await;
        let part = |key: &str| dns["record"][key].as_str().expect("told").to_owned();
        let (name, value) = (part("name"), part("value"));
        (service, name, value)
    }

    async fn verified(&self) -> (Service, String, String) {
        let (service, name, value) = self.named(NAME).await;
        self.sim().publish_txt(&name, &value).unwrap();
        self.pass(5).await;
        assert_eq!(self.dns(&service).await["state"], "verified");
        (service, name, value)
    }

    async fn check(&self, service: &Service) -> Value {
        let path = format!("/v1/services/{}/doctor", service.id);
        let shown = self.get(Who::Viewer, &path).await.good();
        let checks = shown["checks"].as_array().unwrap().iter();
        let mut ours = checks.filter(|check| check["check"] == "private_dns");
        ours.next().cloned().unwrap_or_default()
    }

    fn starts(&self) -> usize {
        self.sim().calls().of(START).len()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_name_is_set_proven_and_verified(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    assert_eq!(app.dns(&service).await, Value::Null);
    assert_eq!(app.check(&service).await["evidence"], "no private DNS name");
    app.change(&service, &json!({ "private_dns_name": NAME }))
        .await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["private_dns_name"], NAME);
    assert_eq!(shown["applied_version"], shown["version"], "{shown}");
    let dns = &shown["private_dns"];
    assert_eq!(dns["state"], "waiting_for_record");

    // Hidden or not by then: seconds later it is told.
    app.advance(Duration::from_secs(3));
    app.run_worker().await;
    let dns = app.dns(&service).await;
    let (name, value) = (
        dns["record"]["name"].as_str(),
        dns["record"]["value"].as_str(),
    );
    let (name, value) = (name.unwrap().to_owned(), value.unwrap().to_owned());
    assert_eq!(dns["record"]["type"], "TXT");
    assert!(
        name.starts_with('_') && name.ends_with(".api.example.com"),
        "{name}"
    );
    assert!(value.starts_with("vpce:"), "{value}");
    assert_eq!(dns["aws_state"], "pendingVerification");
    assert_eq!(dns["probe"]["finding"], "missing", "{dns}");
    let check = app.check(&service).await;
    assert_eq!(check["status"], "warn");
    assert!(
        check["fix"]
            .as_str()
            .unwrap()
            .contains("publish the TXT record")
    );
    app.pass(5).await;
    assert_eq!(app.starts(), 0, "there is nothing to check yet");

    app.sim().publish_txt(&name, &value).unwrap();
    app.pass(1).await;
    assert_eq!(app.dns(&service).await["state"], "verifying");
    assert_eq!(app.starts(), 0, "it settles first");
    app.pass(4).await;
    let dns = app.dns(&service).await;
    assert_eq!(dns["state"], "verified", "{dns}");
    assert_ne!(dns["verification_started_at"], Value::Null);
    assert_eq!(app.starts(), 1);
    assert_eq!(app.check(&service).await["status"], "pass");
    app.pass(60).await;
    assert_eq!(app.starts(), 1, "a verified name is not asked about");
}

/// The causes that AWS's own troubleshooting page lists, each by its name, with what to do.
#[sqlx::test(migrations = "./migrations")]
async fn a_record_that_is_wrong_is_told_why(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, name, value) = app.named(NAME).await;
    let lower = value.to_ascii_lowercase();
    for (at, text, finding) in [
        (name.clone(), "vpce:something-else", "wrong_value"),
        (name.clone(), lower.as_str(), "lower_cased"),
        (
            format!("{name}.example.com"),
            value.as_str(),
            "zone_appended_twice",
        ),
    ] {
        app.sim().publish_txt(&at, text).unwrap();
        app.pass(2).await;
        let dns = app.dns(&service).await;
        assert_eq!(dns["probe"]["finding"], finding, "{dns}");
        assert_eq!(dns["state"], "waiting_for_record");
        let fix = dns["probe"]["fix"].as_str().unwrap();
        let told = app.check(&service).await["fix"].clone();
        assert!(told.as_str().unwrap().ends_with(fix), "{told}");
        app.sim().withdraw_txt(&at).unwrap();
    }
    assert_eq!(app.starts(), 0);
    // A DNS host that takes no underscores: the domain itself holds it.
    app.sim().publish_txt(NAME, &value).unwrap();
    app.pass(5).await;
    let dns = app.dns(&service).await;
    assert_eq!(dns["probe"]["finding"], "found_at_apex");
    assert_eq!(dns["state"], "verified", "{dns}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_wildcard_is_proven_at_its_domain(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, name, value) = app.named("*.example.com").await;
    assert!(
        name.ends_with(".example.com") && !name.contains('*'),
        "{name}"
    );
    app.sim().publish_txt(&name, &value).unwrap();
    app.pass(5).await;
    assert_eq!(app.dns(&service).await["state"], "verified");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_proof_that_is_lost_is_an_alarm_and_heals_when_the_record_is_back(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, name, value) = app.verified().await;
    app.sim().withdraw_txt(&name).unwrap();
    let alarms = || app.shared.metrics.private_dns_regressed.get();
    assert_eq!(alarms(), 0);
    app.pass(10).await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["private_dns"]["state"], "regressed", "{shown}");
    assert_eq!(shown["private_dns"]["probe"]["finding"], "missing");
    assert_eq!(alarms(), 1, "once");
    assert_eq!(shown["ready"], false, "new requests are refused");
    let check = app.check(&service).await;
    assert_eq!(check["status"], "fail");
    assert!(check["fix"].as_str().unwrap().contains("again"));
    assert!(app.consumer().create_endpoint(&service.name).is_err());

    app.sim().publish_txt(&name, &value).unwrap();
    app.pass(5).await;
    assert_eq!(app.dns(&service).await["state"], "verified");
    assert_eq!(
        (alarms(), app.service(&service.id).await["ready"].clone()),
        (1, json!(true))
    );
}

/// AWS itself looks at its own pace. The record is looked for every day, so that its loss is known before AWS draws the conclusion.
#[sqlx::test(migrations = "./migrations")]
async fn a_record_that_vanished_is_noticed_by_the_daily_look(pool: PgPool) {
    let app = TestApp::start_with(
        pool,
        crate::support::Setup {
            behavior: privatelink_sim::Behavior {
                private_dns_recheck_ms: 30 * 24 * 3_600_000,
                ..privatelink_sim::Behavior::instant()
            },
            ..crate::support::Setup::default()
        },
    );
    let (service, name, _) = app.verified().await;
    app.sim().withdraw_txt(&name).unwrap();
    app.advance(Duration::from_hours(23));
    app.run_worker().await;
    assert_eq!(app.check(&service).await["status"], "pass");
    app.advance(Duration::from_hours(2));
    app.run_worker().await;
    let dns = app.dns(&service).await;
    assert_eq!(dns["state"], "verified", "AWS has not noticed: {dns}");
    assert_eq!(dns["probe"]["finding"], "missing");
    let check = app.check(&service).await;
    assert_eq!(check["status"], "warn");
    assert!(
        check["fix"]
            .as_str()
            .unwrap()
            .contains("AWS will take the name back")
    );
}

/// Without a resolver the name still gets verified: AWS is asked on the slow schedule.
#[sqlx::test(migrations = "./migrations")]
async fn without_a_resolver_aws_is_asked_all_the_same(pool: PgPool) {
    let app = TestApp::start(pool);
    app.silence_dns(true);
    let (service, name, value) = app.named(NAME).await;
    app.sim().publish_txt(&name, &value).unwrap();
    app.pass(10).await;
    let dns = app.dns(&service).await;
    assert_eq!(dns["probe"]["finding"], "unreachable", "{dns}");
    assert_eq!(
        (dns["state"].clone(), app.starts()),
        (json!("waiting_for_record"), 0)
    );
    app.pass(25).await;
    let dns = app.dns(&service).await;
    assert_eq!(
        (dns["state"].clone(), app.starts()),
        (json!("verified"), 1),
        "{dns}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_check_that_aws_will_not_make_is_shown_and_keeps_nothing_else(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, name, value) = app.named(NAME).await;
    app.sim().publish_txt(&name, &value).unwrap();
    app.sim()
        .faults()
        .plan(Fault::once(START, Effect::DenyAction));
    app.pass(5).await;
    let shown = app.service(&service.id).await;
    let dns = &shown["private_dns"];
    assert_eq!(dns["refused_code"], "UnauthorizedOperation", "{dns}");
    assert_eq!(dns["state"], "verifying");
    assert_eq!(shown["sync"]["state"], "idle", "the service itself goes on");
    assert!(
        app.check(&service).await["evidence"]
            .as_str()
            .unwrap()
            .contains("UnauthorizedOperation")
    );
    app.pass(40).await;
    let dns = app.dns(&service).await;
    assert_eq!(
        (&dns["state"], &dns["refused_code"]),
        (&json!("verified"), &Value::Null)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_check_with_an_unknown_outcome_is_asked_for_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, name, value) = app.named(NAME).await;
    app.sim().publish_txt(&name, &value).unwrap();
    let code = || "InternalError".to_owned();
    for effect in [
        Effect::Throttle,
        Effect::ErrorBefore {
            status: 500,
            code: code(),
        },
        Effect::DropAnswer,
    ] {
        app.sim().faults().plan(Fault::once(START, effect));
    }
    app.pass(6).await;
    app.sim().faults().clear();
    assert_eq!(app.dns(&service).await["state"], "verified");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_name_goes_only_when_its_removal_is_confirmed(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, ..) = app.verified().await;
    let removal = json!({ "private_dns_name": null });
    let refused = app.try_to_change(&service, &removal).await;
    refused.refused("unconfirmed", 409, "confirmation_required");
    // A change of something else does not touch it.
    app.change(&service, &json!({ "name": "else" })).await;
    app.run_until_rest().await;
    assert!(app.in_aws(&service).await.private_dns_name.is_some());
    let mut meant = removal.clone();
    meant["confirm_remove_private_dns_name"] = json!(true);
    app.change(&service, &meant).await;
    app.run_until_rest().await;
    assert_eq!(app.in_aws(&service).await.private_dns_name, None);
    let shown = app.service(&service.id).await;
    assert_eq!(shown["private_dns"], Value::Null, "{shown}");
    assert_eq!(app.check(&service).await["evidence"], "no private DNS name");
    // There is nothing left to remove, so there is nothing to confirm.
    app.change(&service, &removal).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn another_name_starts_its_proof_anew(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, _, value) = app.verified().await;
    app.change(&service, &json!({ "private_dns_name": "new.example.com" }))
        .await;
    app.run_until_rest().await;
    app.advance(Duration::from_secs(3));
    app.run_worker().await;
    let dns = app.dns(&service).await;
    assert_eq!(dns["name"], "new.example.com");
    assert_eq!(dns["state"], "waiting_for_record", "no regression: {dns}");
    assert_ne!(dns["record"]["value"], json!(value));
    assert_eq!(app.shared.metrics.private_dns_regressed.get(), 0);
}

/// AWS keeps the name while endpoints are attached; the change waits for them.
#[sqlx::test(migrations = "./migrations")]
async fn a_name_in_use_waits_for_the_endpoints(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, ..) = app.verified().await;
    let request = app.requested(&service).await;
    app.change(
        &service,
        &json!({ "private_dns_name": "new.example.com", "tags": { "team": "edge" } }),
    )
    .await;
    app.run_worker().await;
    let shown = app.service(&service.id).await;
    assert_eq!(
        shown["waiting"][0]["step"], "set_private_dns_name",
        "{shown}"
    );
    assert_eq!(shown["waiting"][0]["endpoints"], json!([request.endpoint]));
    assert_eq!(shown["private_dns"]["name"], NAME);
    app.consumer().delete_endpoint(&request.endpoint).unwrap();
    app.pass(5).await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["private_dns"]["name"], "new.example.com", "{shown}");
    assert_eq!(shown["waiting"], json!([]));
}

#[sqlx::test(migrations = "./migrations")]
async fn names_that_aws_would_refuse_are_refused_here(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for name in [
        "API.example.com",
        "example",
        "api.example.com.",
        "a.*.example.com",
        "",
    ] {
        let body = json!({ "private_dns_name": name });
        let answer = app.try_to_change(&service, &body).await;
        answer.refused(name, 400, "invalid_request");
        assert_eq!(answer.json()["errors"][0]["field"], "private_dns_name");
    }
}

/// A name that somebody set in AWS is watched as well, and left alone.
#[sqlx::test(migrations = "./migrations")]
async fn a_name_that_somebody_else_set_is_watched_and_left(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let named = EndpointServiceChange {
        private_dns_name: Some(NAME.to_owned()),
        ..EndpointServiceChange::default()
    };
    let console = app.console();
    console
        .modify_endpoint_service(&service.aws_id, &named)
        .await
        .unwrap();
    app.pass(7).await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["private_dns_name"], Value::Null);
    assert_eq!(shown["private_dns"]["name"], NAME, "{shown}");
    assert_eq!(shown["differences"], json!([]));
    let path = format!("/v1/services/{}", service.id);
    assert_eq!(app.get(Who::Viewer, &path).await.status, 200);
}
