//! Policies as people bring them into force, the facts that they are tried with, and judgements made by hand.

use portcullis::app::policies::PolicySets;
use portcullis::app::policy_shelf::Set;
use portcullis::domain::clock::Clock;
use portcullis::domain::decision::{Decision, Facts, NoPolicies, decide};
use portcullis::domain::ids::{JudgementId, uuid_at};
use portcullis::domain::judgement::Judgement;
use portcullis::store::judgements;
use portcullis::worker::dry_runs::run_pass;
use reqwest::Method;
use serde_json::{Value, json};

use super::http::send;
use super::{Answer, CONSUMER, HERE, PROVIDER, Request, Service, TestApp, Who};

/// Accepts whom somebody knows.
pub(crate) const KNOWN: &str = r#"@id("known-accounts") @reason("known_account")
permit (principal, action, resource) when { principal.known };
"#;

/// Cuts everybody off.
pub(crate) const NOBODY: &str = r#"@id("nobody") @reason("closed")
forbid (principal, action, resource);
"#;

impl TestApp {
    /// Begins a policy with a text.
    pub(crate) async fn draft(&self, service: Option<&Service>, text: &str) -> Value {
        let mut body = json!({ "text": text });
        if let Some(service) = service {
            body["service_id"] = json!(service.id);
        }
        let made = self.post(Who::Admin, "/v1/policies", &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let shown = made.json();
        let place = made.header("location");
        assert_eq!(place, format!("/v1/policies/{}", text_of(&shown, "id")));
        shown
    }

    pub(crate) async fn policy(&self, policy: &Value) -> Value {
        let path = format!("/v1/policies/{}", text_of(policy, "id"));
        self.get(Who::Viewer, &path).await.good()
    }

    /// A step in the life of a policy.
    pub(crate) async fn policy_step(&self, policy: &Value, verb: &str, body: &Value) -> Answer {
        let path = format!("/v1/policies/{}/{verb}", text_of(policy, "id"));
        self.post(Who::Admin, &path, body).await
    }

    pub(crate) async fn change_policy(&self, policy: &Value, mut change: Value) -> Answer {
        change["version"] = policy["version"].clone();
        let path = format!("/v1/policies/{}", text_of(policy, "id"));
        send(self.request(Who::Admin, Method::PATCH, &path).json(&change)).await
    }

    /// Tries to put a policy in force, at the version that is given.
    pub(crate) async fn try_to_activate(&self, policy: &Value, confirm: Option<u64>) -> Answer {
        let mut body = json!({ "version": policy["version"], "reason": "to see" });
        if let Some(confirm) = confirm {
            body["confirm_losing_access"] = json!(confirm);
        }
        self.policy_step(policy, "activate", &body).await
    }

    /// Tries to take a policy out of force, at the version that is given.
    pub(crate) async fn try_to_deactivate(&self, policy: &Value, confirm: Option<u64>) -> Answer {
        let mut body = json!({ "version": policy["version"], "reason": "to see" });
        if let Some(confirm) = confirm {
            body["confirm_losing_access"] = json!(confirm);
        }
        self.policy_step(policy, "deactivate", &body).await
    }

    /// Asks for a dry run, has a worker do it, and answers what came out.
    pub(crate) async fn dry_run(&self, policy: &Value, decisions: i64) -> Value {
        let path = self.ask_for_dry_run(policy, decisions).await;
        run_pass(&self.shared, uuid_at(self.clock.now()))
            .await
            .expect("a pass");
        let run = self.get(Who::Viewer, &path).await.good();
        assert_eq!(run["state"], "done", "{run}");
        run
    }

    /// Asks for a dry run, and answers where it is shown.
    pub(crate) async fn ask_for_dry_run(&self, policy: &Value, decisions: i64) -> String {
        let body = json!({ "decisions": decisions });
        let asked = self.policy_step(policy, "dry-runs", &body).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        assert_eq!(asked.json()["state"], "queued");
        asked.header("location").to_owned()
    }

    /// A policy that could be activated: its one case comes out as it does, and a dry run is done.
    pub(crate) async fn tested(&self, service: Option<&Service>, text: &str) -> Value {
        let draft = self.draft(service, text).await;
        let somewhere = TestApp::some_service();
        let facts = self.facts(service.unwrap_or(&somewhere), true);
        let expect = match text {
            KNOWN => "accept",
            NOBODY => "reject",
            _ => "hold",
        };
        let cases = json!([{ "name": "somebody known", "facts": facts, "expect": expect }]);
        let tested = self
            .policy_step(&draft, "test", &json!({ "cases": cases }))
            .await
            .good();
        assert_eq!(tested["passed"], true, "{tested}");
        self.dry_run(&draft, 0).await;
        let tested = self.policy(&draft).await;
        assert_eq!(tested["state"], "tested");
        tested
    }

    /// A service that is nowhere but in facts.
    pub(crate) fn some_service() -> Service {
        Service {
            id: format!("svc_{:032x}", 1),
            aws_id: "vpce-svc-0123456789abcdef0".parse().unwrap(),
            name: "somewhere".to_owned(),
        }
    }

    /// The facts of a request of an account that a consumer has, or nobody.
    pub(crate) fn facts(&self, service: &Service, known: bool) -> Value {
        let mut facts = json!({
            "version": 1,
            "at": self.clock.now(),
            "connection": { "endpoint_id": "vpce-0123456789abcdef0", "standing": "requested", "waited_seconds": 60 },
            "account": { "id": CONSUMER, "proven": known, "registered": true },
            "service": { "id": service.id, "name": service.name, "account": PROVIDER, "region": HERE, "lifecycle": "active" },
            "counts": { "connections": 0, "on_service": 0, "regions": 0 },
        });
        if known {
            facts["account"]["consumer"] =
                json!({ "id": format!("cns_{:032x}", 2), "name": "Acme" });
        }
        facts
    }

    /// Keeps a judgement of a request, as these facts give it by a text, or by none.
    pub(crate) async fn judged_by_hand(
        &self,
        request: &Request,
        facts: &Value,
        text: Option<&str>,
    ) -> Decision {
        let read = Facts::from_json(facts).expect("good facts");
        let mut decision = match text {
            Some(text) => {
                let set = Set::compile(text).expect("a good text");
                decide(&read, &PolicySets(&[&set]))
            }
            None => decide(&read, &NoPolicies),
        };
        // Nothing was decided of it here, and the table wants a decision of what does not hold.
        let said = decision.clone();
        decision.outcome = portcullis::domain::decision::Outcome::Hold;
        let now = self.clock.now();
        let judgement = Judgement {
            id: JudgementId::new(now),
            connection: request.id.parse().unwrap(),
            at: now,
            decision,
            facts: facts.clone(),
            decided: None,
        };
        let conn = &mut *self.db().acquire().await.unwrap();
        judgements::insert(conn, &judgement).await.unwrap();
        said
    }
}

/// A member that is a text.
pub(crate) fn text_of<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().expect("a text")
}
